//! What a node's status says, by the tests of kubelet's.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, NodeStatus};
use kubewright_cri::v1::Image;
use kubewright_quantity::Quantity;
use node_agent::config::{Config, Threshold};
use node_agent::node::{
    MachineInfo, NodeFacts, Observation, Pressure, ReportSchedule, Reservations, allocatable,
    capacity, initial_node, node_images, reconcile_node, status_has_changed, update_status,
};
use serde_json::{Value, json};
use tokio::time::Instant;

pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + seconds).unwrap()
}

pub(crate) fn facts() -> NodeFacts {
    let machine = MachineInfo {
        cpus: 2,
        memory: 10_000_000_000,
        machine_id: "123".into(),
        system_uuid: "abc".into(),
        boot_id: "1b3".into(),
        kernel_version: "6.1.0".into(),
        os_image: "Debian".into(),
        architecture: "amd64".into(),
        ..Default::default()
    };
    let mut config = Config::default();
    config.node_name = "n".into();
    NodeFacts::of(&config, machine, Some([127, 0, 0, 1].into()))
}

pub(crate) fn ready() -> Observation {
    Observation {
        runtime_version: Some("test://1.5.0".into()),
        storage: Some(5000),
        ..Default::default()
    }
}

fn reserved(amounts: &[(&str, &str)]) -> Reservations {
    let each = amounts.iter();
    let each = each.map(|(resource, amount)| ((*resource).to_owned(), amount.parse().unwrap()));
    Reservations {
        reserved: each.collect(),
        ..Default::default()
    }
}

fn image(id: &str, size: u64, tags: usize) -> Image {
    Image {
        id: id.into(),
        size,
        repo_digests: vec![format!("{id}@sha256:0")],
        repo_tags: (0..tags).map(|tag| format!("{id}:v{tag}")).collect(),
        ..Default::default()
    }
}

fn node(value: Value) -> Node {
    serde_json::from_value(value).unwrap()
}

fn wire(node: &Node) -> Value {
    serde_json::to_value(node).unwrap()
}

#[test]
fn update_new_node_status() {
    let mut facts = facts();
    facts.reservations = reserved(&[
        ("cpu", "200m"),
        ("memory", "100e6"),
        ("ephemeral-storage", "2000"),
    ]);
    facts.max_pods = 0;
    let mut observation = ready();
    observation.images = (0..7).map(|n| image(&format!("i{n}"), n, 10)).collect();
    for (limit, listed) in [(Some(5), 5), (None, 7)] {
        facts.max_images = limit;
        let mut new = node(json!({"metadata": {"name": "n"}}));
        let news = update_status(&mut new, &facts, &observation, at(0));
        let reasons: Vec<_> = news.iter().map(|it| it.reason).collect();
        assert_eq!(
            reasons,
            [
                "NodeHasSufficientMemory",
                "NodeHasNoDiskPressure",
                "NodeHasSufficientPID",
                "NodeReady",
            ]
        );
        let status = &wire(&new)["status"];
        let conditions = status["conditions"].as_array().unwrap();
        let told: Vec<_> = conditions
            .iter()
            .map(|it| {
                let text = |field: &str| it[field].as_str().unwrap().to_owned();
                assert_eq!(it["lastHeartbeatTime"], it["lastTransitionTime"]);
                [
                    text("type"),
                    text("status"),
                    text("reason"),
                    text("message"),
                ]
                .join("|")
            })
            .collect();
        assert_eq!(
            told,
            [
                "MemoryPressure|False|KubeletHasSufficientMemory|kubelet has sufficient memory available",
                "DiskPressure|False|KubeletHasNoDiskPressure|kubelet has no disk pressure",
                "PIDPressure|False|KubeletHasSufficientPID|kubelet has sufficient PID available",
                "Ready|True|KubeletReady|kubelet is posting ready status",
            ]
        );
        let info = &status["nodeInfo"];
        assert_eq!(info["machineID"], "123");
        assert_eq!(info["systemUUID"], "abc");
        assert_eq!(info["bootID"], "1b3");
        assert_eq!(info["containerRuntimeVersion"], "test://1.5.0");
        assert_eq!(
            (&info["operatingSystem"], &info["architecture"]),
            (&json!("linux"), &json!("amd64"))
        );
        assert!(
            info["kubeletVersion"]
                .as_str()
                .unwrap()
                .starts_with("v1.36.")
        );
        assert_eq!(
            status["capacity"],
            json!({"cpu": "2", "memory": "9765625Ki", "pods": "0", "ephemeral-storage": "5000"})
        );
        assert_eq!(
            status["allocatable"],
            json!({"cpu": "1800m", "memory": "9900000000", "pods": "0", "ephemeral-storage": "3000"})
        );
        assert_eq!(
            status["addresses"],
            json!([{"type": "InternalIP", "address": "127.0.0.1"},
                {"type": "Hostname", "address": "n"}])
        );
        assert_eq!(status["daemonEndpoints"]["kubeletEndpoint"]["Port"], 10250);
        let images = status["images"].as_array().unwrap();
        assert_eq!(images.len(), listed);
        assert_eq!(images[0]["sizeBytes"], 6);
        let names = json!(["i6@sha256:0", "i6:v0", "i6:v1", "i6:v2", "i6:v3"]);
        assert_eq!(images[0]["names"], names);
    }
}

#[test]
fn update_existing_node_status() {
    let mut existing = initial_node(&facts(), &ready(), at(0));
    existing
        .status
        .as_mut()
        .unwrap()
        .conditions
        .as_mut()
        .unwrap()
        .insert(
            0,
            serde_json::from_value(json!({"type": "example.com/Lit", "status": "True"})).unwrap(),
        );
    let extended = Quantity::whole(3).to_string();
    let capacity = existing.status.as_mut().unwrap().capacity.as_mut().unwrap();
    capacity.insert(
        "example.com/dongle".into(),
        serde_json::from_value(json!(extended)).unwrap(),
    );
    let observation = Observation {
        pressures: vec![Pressure::Memory],
        problems: vec!["container runtime is down".into(), "no network".into()],
        runtime_version: None,
        ..ready()
    };
    let news = update_status(&mut existing, &facts(), &observation, at(60));
    let told: Vec<_> = news.iter().map(|it| it.message.as_str()).collect();
    assert_eq!(
        told,
        [
            "Node n status is now: NodeHasInsufficientMemory",
            "Node n status is now: NodeNotReady",
        ]
    );
    let status = &wire(&existing)["status"];
    let conditions = status["conditions"].as_array().unwrap();
    let types: Vec<_> = conditions
        .iter()
        .map(|it| it["type"].as_str().unwrap())
        .collect();
    // Ready is last, whatever comes before.
    let order = [
        "example.com/Lit",
        "MemoryPressure",
        "DiskPressure",
        "PIDPressure",
        "Ready",
    ];
    assert_eq!(types, order);
    let time = |seconds| json!(at(seconds).to_string());
    assert_eq!(conditions[1]["status"], "True");
    assert_eq!(conditions[1]["lastTransitionTime"], time(60));
    assert_eq!(conditions[2]["lastTransitionTime"], time(0));
    assert_eq!(conditions[2]["lastHeartbeatTime"], time(60));
    assert_eq!(
        conditions[4]["message"],
        "[container runtime is down, no network]"
    );
    assert_eq!(conditions[4]["reason"], "KubeletNotReady");
    // What others advertise stays, and is for pods.
    assert_eq!(status["capacity"]["example.com/dongle"], "3");
    assert_eq!(status["allocatable"]["example.com/dongle"], "3");
    // A runtime that does not answer is still the one that it was.
    assert_eq!(
        status["nodeInfo"]["containerRuntimeVersion"],
        "test://1.5.0"
    );

    // All is well again.
    let news = update_status(&mut existing, &facts(), &ready(), at(120));
    let reasons: Vec<_> = news.iter().map(|it| it.reason).collect();
    assert_eq!(reasons, ["NodeHasSufficientMemory", "NodeReady"]);
    assert!(update_status(&mut existing, &facts(), &ready(), at(180)).is_empty());
}

#[test]
fn a_node_without_a_known_disk_is_not_ready() {
    let observation = Observation {
        storage: None,
        ..ready()
    };
    let node = initial_node(&facts(), &observation, at(0));
    let ready = &wire(&node)["status"]["conditions"][3];
    assert_eq!(ready["status"], "False");
    assert_eq!(
        ready["message"],
        "missing node capacity for resources: ephemeral-storage"
    );
}

#[test]
fn a_machine_that_was_booted_anew_tells_so() {
    let mut facts = facts();
    let mut node = initial_node(&facts, &ready(), at(0));
    facts.machine.boot_id = "1b4".into();
    let news = update_status(&mut node, &facts, &ready(), at(1));
    let told: Vec<_> = news
        .iter()
        .map(|it| (it.reason, it.message.as_str()))
        .collect();
    assert_eq!(
        told,
        [("Rebooted", "Node n has been rebooted, boot id: 1b4")]
    );
}

#[test]
fn update_new_node_status_too_large_reservation() {
    let mut facts = facts();
    facts.reservations = reserved(&[("cpu", "40"), ("ephemeral-storage", "1000")]);
    let node = initial_node(&facts, &ready(), at(0));
    assert_eq!(
        wire(&node)["status"]["allocatable"],
        json!({"cpu": "0", "memory": "9765625Ki", "pods": "110", "ephemeral-storage": "4000"})
    );
}

#[test]
fn allocatable_leaves_room_for_thresholds_and_huge_pages() {
    let mut machine = facts().machine;
    machine.memory = 8 << 30;
    machine.huge_pages = [(2 << 20, 1 << 30), (1 << 30, 0)].into();
    let capacity = capacity(&machine, Some(100_000), 110);
    assert_eq!(capacity["hugepages-2Mi"].to_string(), "1Gi");
    assert_eq!(capacity["hugepages-1Gi"].to_string(), "0");
    let reservations = Reservations::of(&Config::default());
    let left = allocatable(&capacity, &reservations);
    // 100Mi have to be left of the memory, a tenth of the disk.
    assert_eq!(left["memory"].value(), (7 << 30) - (100 << 20));
    assert_eq!(left["ephemeral-storage"].value(), 90_000);
    assert_eq!(left["hugepages-2Mi"].to_string(), "1Gi");

    let reservations = Reservations {
        memory_threshold: Some(Threshold::Percentage(50.0)),
        ..Default::default()
    };
    assert_eq!(
        allocatable(&capacity, &reservations)["memory"].value(),
        3 << 30
    );
    let mut config = Config::default();
    for reserved in [&mut config.kube_reserved, &mut config.system_reserved] {
        reserved.insert("cpu".into(), "250m".parse().unwrap());
    }
    let left = allocatable(&capacity, &Reservations::of(&config));
    assert_eq!(left["cpu"].to_string(), "1500m");
}

#[test]
fn images_are_listed_largest_first() {
    let images = vec![image("a", 1, 0), image("b", 3, 1), image("c", 2, 9)];
    let names = |limit| {
        let listed = node_images(images.clone(), limit).into_iter();
        listed.map(|it| it.names.unwrap().len()).collect::<Vec<_>>()
    };
    assert_eq!(names(None), [2, 5, 1]);
    assert_eq!(names(Some(2)), [2, 5]);
    assert_eq!(names(Some(0)), [0; 0]);
}

#[test]
fn register_with_api_server_with_taint() {
    let mut facts = facts();
    facts.taints = serde_json::from_value(json!([{"key": "k", "effect": "NoSchedule"}])).unwrap();
    facts.labels.insert("zone".into(), "a".into());
    let node = wire(&initial_node(&facts, &ready(), at(0)));
    assert_eq!(
        node["spec"]["taints"],
        json!([{"key": "k", "effect": "NoSchedule"}])
    );
    let labels = &node["metadata"]["labels"];
    assert_eq!(
        (&labels["zone"], &labels["kubernetes.io/hostname"]),
        (&json!("a"), &json!("n"))
    );
    assert_eq!(labels["kubernetes.io/os"], "linux");
    assert_eq!(
        labels["beta.kubernetes.io/arch"],
        labels["kubernetes.io/arch"]
    );
}

#[test]
fn update_default_labels() {
    let own = json!({
        "kubernetes.io/hostname": "new-hostname",
        "topology.kubernetes.io/zone": "new-zone",
        "topology.kubernetes.io/region": "new-region",
        "node.kubernetes.io/instance-type": "new-type",
        "kubernetes.io/os": "new-os",
        "kubernetes.io/arch": "new-arch",
    });
    let with = |value: Value| {
        let mut labels = own.clone();
        labels
            .as_object_mut()
            .unwrap()
            .extend(value.as_object().unwrap().clone());
        labels
    };
    let of = |labels: &Value| node(json!({"metadata": {"name": "n", "labels": labels}}));
    for (case, initial, existing, changes, labels) in [
        (
            "they are missing",
            own.clone(),
            json!({}),
            true,
            own.clone(),
        ),
        (
            "they are old",
            own.clone(),
            with(json!({"kubernetes.io/os": "old"})),
            true,
            own.clone(),
        ),
        (
            "they are the same",
            own.clone(),
            own.clone(),
            false,
            own.clone(),
        ),
        (
            "others stay",
            own.clone(),
            with(json!({"please-persist": "foo", "kubernetes.io/arch": "old"})),
            true,
            with(json!({"please-persist": "foo"})),
        ),
        (
            "other labels of the agent are for the first time only",
            with(json!({"mine": "x"})),
            own.clone(),
            false,
            own.clone(),
        ),
        ("there are none", json!({}), own.clone(), false, own.clone()),
        (
            "empty ones are removed",
            json!({"topology.kubernetes.io/zone": ""}),
            json!({"topology.kubernetes.io/zone": "a", "other": "b"}),
            true,
            json!({"other": "b"}),
        ),
    ] {
        let mut existing = of(&existing);
        assert_eq!(
            reconcile_node(&of(&initial), &mut existing),
            changes,
            "{case}"
        );
        assert_eq!(wire(&existing)["metadata"]["labels"], labels, "{case}");
    }
}

#[test]
fn update_default_resources() {
    let of = |capacity: Value, allocatable: Value| {
        node(json!({"metadata": {"name": "n"},
            "status": {"capacity": capacity, "allocatable": allocatable}}))
    };
    let some = json!({"cpu": "2", "memory": "10G"});
    let other = json!({"cpu": "1"});
    for (case, existing, changes, expected) in [
        (
            "neither is there",
            of(json!(null), json!(null)),
            true,
            of(some.clone(), some.clone()),
        ),
        (
            "one is there",
            of(other.clone(), json!(null)),
            true,
            of(other.clone(), some.clone()),
        ),
        (
            "the other is there",
            of(json!(null), other.clone()),
            true,
            of(some.clone(), other.clone()),
        ),
        (
            "both are there",
            of(other.clone(), other.clone()),
            false,
            of(other.clone(), other.clone()),
        ),
    ] {
        let mut existing = existing;
        let initial = of(some.clone(), some.clone());
        assert_eq!(reconcile_node(&initial, &mut existing), changes, "{case}");
        assert_eq!(existing, expected, "{case}");
    }
}

#[test]
fn reconcile_huge_page_resource() {
    let of = |resources: Value| {
        node(json!({"metadata": {"name": "n"},
            "status": {"capacity": resources, "allocatable": resources}}))
    };
    for (case, initial, existing, changes, expected) in [
        (
            "a size is new",
            json!({"cpu": "2", "hugepages-2Mi": "1Gi"}),
            json!({"cpu": "2"}),
            true,
            json!({"cpu": "2", "hugepages-2Mi": "1Gi"}),
        ),
        (
            "a size is gone",
            json!({"cpu": "2"}),
            json!({"cpu": "2", "hugepages-2Mi": "1Gi"}),
            true,
            json!({"cpu": "2"}),
        ),
        (
            "an amount is another",
            json!({"cpu": "2", "hugepages-2Mi": "1Gi"}),
            json!({"cpu": "2", "hugepages-2Mi": "2Gi", "example.com/dongle": "1"}),
            true,
            json!({"cpu": "2", "hugepages-2Mi": "1Gi", "example.com/dongle": "1"}),
        ),
        (
            "they are the same",
            json!({"cpu": "2", "hugepages-2Mi": "1Gi"}),
            json!({"cpu": "2", "hugepages-2Mi": "1Gi"}),
            false,
            json!({"cpu": "2", "hugepages-2Mi": "1Gi"}),
        ),
    ] {
        let mut existing = of(existing);
        assert_eq!(
            reconcile_node(&of(initial), &mut existing),
            changes,
            "{case}"
        );
        assert_eq!(existing, of(expected), "{case}");
    }
}

#[test]
fn node_status_has_changed() {
    let status = |value: Value| -> NodeStatus { serde_json::from_value(value).unwrap() };
    let condition = |type_: &str, word: &str, beat: i64, changed: i64| {
        json!({"type": type_, "status": word, "lastHeartbeatTime": at(beat).to_string(),
            "lastTransitionTime": at(changed).to_string()})
    };
    let of = |conditions: Value| {
        status(json!({"conditions": conditions, "capacity": {"cpu": "1"}, "images": []}))
    };
    let (a, b) = (condition("A", "True", 0, 0), condition("B", "False", 0, 0));
    let old = of(json!([a, b]));
    for (case, new, expected) in [
        ("the same", of(json!([a, b])), false),
        ("in another order", of(json!([b, a])), false),
        (
            "a later beat",
            of(json!([condition("A", "True", 9, 0), b])),
            false,
        ),
        (
            "a later change",
            of(json!([condition("A", "True", 9, 9), b])),
            true,
        ),
        (
            "another word",
            of(json!([condition("A", "False", 0, 0), b])),
            true,
        ),
        (
            "one more",
            of(json!([a, b, condition("C", "True", 0, 0)])),
            true,
        ),
        ("one less", of(json!([a])), true),
        (
            "another resource",
            status(json!({"conditions": [a, b], "capacity": {"cpu": "2"}})),
            true,
        ),
    ] {
        assert_eq!(status_has_changed(&old, &new), expected, "{case}");
    }
}

#[tokio::test(start_paused = true)]
async fn is_update_status_period_expired() {
    let period = Duration::from_secs(300);
    let now = Instant::now();
    let mut schedule = ReportSchedule::new(period);
    assert!(schedule.is_due(now), "nothing was reported yet");
    // After a change the next one comes half a period sooner or later.
    for (chance, next) in [
        (None, 300),
        (Some(0.0), 150),
        (Some(0.5), 300),
        (Some(1.0), 450),
    ] {
        schedule.reported(now, chance);
        assert!(!schedule.is_due(now + Duration::from_secs(next - 1)));
        assert!(schedule.is_due(now + Duration::from_secs(next)));
    }
}
