//! What becomes of requests and limits: classes, shares, ranks and cgroups.

#![expect(
    clippy::unwrap_used,
    clippy::needless_pass_by_value,
    reason = "a test fails by panicking, and calls read better with values"
)]

use std::fs;
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::Pod;
use node_agent::pod::PodUid;
use node_agent::resources::{
    Amounts, CgroupDriver, CgroupHierarchy, CgroupLimits, CgroupName, CgroupVersion, CgroupWrite,
    ContainerResources, PodAmounts, PodCgroups, QosClass, ResourceSettings, apply,
    besteffort_limits, burstable_limits, cpu_quota, cpu_shares, cpu_weight, node_limits,
    oom_score_adjust, pod_cgroup_limits,
};
use serde_json::{Value, from_value, json};

const GI: i64 = 1 << 30;

fn pod(spec: Value) -> Pod {
    from_value(json!({"metadata": {"uid": "7"}, "spec": spec})).unwrap()
}

/// A pod of containers with these resources.
fn containers(resources: &[Value]) -> Pod {
    let containers = resources.iter().enumerate();
    let containers: Vec<_> = containers
        .map(|(index, resources)| json!({"name": index.to_string(), "resources": resources}))
        .collect();
    pod(json!({"containers": containers}))
}

fn both(requests: Value, limits: Value) -> Value {
    json!({"requests": requests, "limits": limits})
}

fn full(cpu: &str, memory: &str) -> Value {
    both(
        json!({"cpu": cpu, "memory": memory}),
        json!({"cpu": cpu, "memory": memory}),
    )
}

/// Upstream's `TestComputePodQOS`.
#[test]
fn compute_pod_qos() {
    use QosClass::{BestEffort, Burstable, Guaranteed};
    let requests = |list: Value| both(list, json!({}));
    let limits = |list: Value| both(json!({}), list);
    for (resources, class) in [
        (vec![full("100m", "100Mi")], Guaranteed),
        (
            vec![full("0.1", "102400Ki"), full("100m", "100Mi")],
            Guaranteed,
        ),
        (vec![json!({})], BestEffort),
        (vec![json!({}), json!({})], BestEffort),
        (
            vec![requests(json!({"cpu": "0", "memory": "0"}))],
            BestEffort,
        ),
        (vec![requests(json!({"nvidia.com/gpu": "2"}))], BestEffort),
        (vec![json!({}), full("1", "1Gi")], Burstable),
        (vec![limits(json!({"cpu": "1"}))], Burstable),
        (
            vec![requests(json!({"cpu": "1", "memory": "1Gi"}))],
            Burstable,
        ),
        (
            vec![both(
                json!({"cpu": "1", "memory": "1Gi"}),
                json!({"cpu": "2", "memory": "1Gi"}),
            )],
            Burstable,
        ),
        (
            vec![both(
                json!({"memory": "1Gi"}),
                json!({"cpu": "1", "memory": "1Gi"}),
            )],
            Burstable,
        ),
    ] {
        assert_eq!(
            QosClass::of(&containers(&resources)),
            class,
            "{resources:?}"
        );
    }
    let init = json!({"containers": [{"name": "c", "resources": full("1", "1Gi")}], "initContainers": [{"name": "i"}]});
    assert_eq!(QosClass::of(&pod(init)), Burstable);
    let whole = json!({"containers": [{"name": "c"}], "resources": full("1", "1Gi")});
    assert_eq!(QosClass::of(&pod(whole)), Guaranteed);
    assert_eq!(Burstable.to_string(), "Burstable");
}

/// Upstream's `TestMilliCPUToShares` and `TestMilliCPUToQuota`.
#[test]
fn milli_cpu_to_shares_and_quota() {
    for (milli, shares, quota) in [
        (0, 2, 0),
        (-1, 2, 0),
        (1, 2, 1000),
        (5, 5, 1000),
        (9, 9, 1000),
        (10, 10, 1000),
        (200, 204, 20_000),
        (500, 512, 50_000),
        (1000, 1024, 100_000),
        (1500, 1536, 150_000),
        (256_000, 262_144, 25_600_000),
        (1_000_000, 262_144, 100_000_000),
    ] {
        assert_eq!(cpu_shares(milli), shares, "{milli}");
        assert_eq!(cpu_quota(milli, 100_000), quota, "{milli}");
    }
    assert_eq!(cpu_quota(i64::MAX, 100_000), i64::MAX);
    assert_eq!([0, 2, 1024, 262_144].map(cpu_weight), [1, 1, 39, 10_000]);
}

/// Upstream's `TestGetContainerOOMScoreAdjust`.
#[test]
fn get_container_oom_score_adjust() {
    let capacity = 4_000_000_000;
    let memory = |bytes: &str| both(json!({"memory": bytes}), json!({}));
    for (resources, capacity, expected) in [
        (vec![json!({})], capacity, 1000),
        (vec![full("5m", "10000000000")], 8_000_000_000, -997),
        (vec![memory("10000000000")], capacity, 3),
        (vec![memory("1")], capacity, 999),
        (vec![memory("2000000000")], capacity, 500),
        (vec![memory("3999999999")], capacity, 3),
        (vec![both(json!({"cpu": "1"}), json!({}))], capacity, 999),
    ] {
        let pod = containers(&resources);
        let container = &pod.spec.as_ref().unwrap().containers[0];
        assert_eq!(
            oom_score_adjust(&pod, container, capacity),
            expected,
            "{resources:?}"
        );
    }
    let critical =
        json!({"priorityClassName": "system-node-critical", "containers": [{"name": "c"}]});
    let critical = pod(critical);
    let container = &critical.spec.as_ref().unwrap().containers[0];
    assert_eq!(oom_score_adjust(&critical, container, capacity), -997);
}

/// Upstream's `TestGetContainerOOMScoreAdjust`, the cases about sidecars and pod-level resources.
#[test]
fn a_sidecar_never_ranks_above_the_containers_it_serves() {
    let memory = |bytes: &str| both(json!({"memory": bytes}), json!({}));
    let spec = |extra: Value| {
        let mut spec = json!({
            "containers": [
                {"name": "a", "resources": memory("2000")}, {"name": "b", "resources": memory("1000")},
            ],
            "initContainers": [
                {"name": "sidecar", "restartPolicy": "Always", "resources": memory("10")},
                {"name": "init", "resources": memory("10")},
            ],
        });
        spec.as_object_mut()
            .unwrap()
            .extend(extra.as_object().unwrap().clone());
        pod(spec)
    };
    let ranks = |pod: &Pod| {
        let spec = pod.spec.clone().unwrap();
        let containers = spec
            .containers
            .into_iter()
            .chain(spec.init_containers.unwrap());
        let ranks = containers.map(|container| oom_score_adjust(pod, &container, 10_000));
        ranks.collect::<Vec<_>>()
    };
    assert_eq!(ranks(&spec(json!({}))), [800, 900, 800, 999]);
    // The pod asks for 3000 beyond the 3010 of its running containers: 1000 for each.
    let whole = spec(json!({"resources": memory("6010")}));
    assert_eq!(ranks(&whole), [700, 800, 700, 899]);
}

/// Upstream's `TestCalculateLinuxResources` and `TestGenerateLinuxContainerConfigResources`.
#[test]
fn calculate_linux_resources() {
    let of = |resources: Value, settings: ResourceSettings| {
        let pod = containers(&[resources]);
        let container = &pod.spec.as_ref().unwrap().containers[0];
        let enforced = ContainerResources::of(&pod, container, settings);
        (
            enforced.cpu_shares,
            enforced.cpu_quota,
            enforced.cpu_period,
            enforced.memory_limit,
        )
    };
    let settings = ResourceSettings::new(16 * GI);
    let mib128 = 128 << 20;
    let memory = |cpu: &str| json!({"cpu": cpu, "memory": "128Mi"});
    assert_eq!(
        of(both(memory("1"), memory("2")), settings),
        (1024, 200_000, 100_000, mib128)
    );
    // No request: the limit counts. A request of nothing: it does not.
    assert_eq!(
        of(both(json!({}), memory("2")), settings),
        (2048, 200_000, 100_000, mib128)
    );
    assert_eq!(
        of(both(json!({"cpu": "0"}), memory("2")), settings),
        (2, 200_000, 100_000, mib128)
    );
    assert_eq!(of(json!({}), settings), (2, 0, 100_000, 0));
    assert_eq!(
        of(both(json!({}), json!({"cpu": "1m"})), settings),
        (2, 1000, 100_000, 0)
    );
    let mut without_quota = settings;
    without_quota.cpu_cfs_quota = false;
    assert_eq!(
        of(both(memory("1"), memory("2")), without_quota),
        (1024, 0, 0, mib128)
    );
}

/// Upstream's `TestPodRequestsAndLimits`.
#[test]
fn pod_requests_and_limits() {
    let cpu = |milli: u32| both(json!({"cpu": format!("{milli}m")}), json!({}));
    let init = |name: &str, milli: u32| json!({"name": name, "resources": cpu(milli)});
    let sidecar = |name: &str, milli: u32| json!({"name": name, "restartPolicy": "Always", "resources": cpu(milli)});
    let main = json!([{"name": "a", "resources": cpu(100)}, {"name": "b", "resources": cpu(200)}]);
    for (init, milli) in [
        (vec![], 300),
        (vec![init("i", 250)], 300),
        (vec![init("i", 400), init("j", 500)], 500),
        (vec![sidecar("s", 50)], 350),
        // The sidecar runs while the second starts, not while the first does.
        (vec![init("i", 390), sidecar("s", 50), init("j", 360)], 410),
        (vec![init("i", 390), sidecar("s", 50), init("j", 300)], 390),
        (vec![sidecar("s", 100), sidecar("t", 500)], 900),
    ] {
        let pod = pod(json!({"containers": main, "initContainers": init}));
        let amounts = PodAmounts::of(&pod);
        assert_eq!(amounts.requests["cpu"].milli_value(), milli, "{init:?}");
    }
    let with = pod(json!({
        "containers": [{"name": "a", "resources": full("1", "1Gi")}],
        "overhead": {"cpu": "250m", "memory": "1Mi", "pids": "5"},
    }));
    let amounts = PodAmounts::of(&with);
    assert_eq!(amounts.limits["cpu"].to_string(), "1250m");
    assert_eq!(amounts.requests["pids"].to_string(), "5");
    assert!(!amounts.limits.contains_key("pids"));
    let whole =
        pod(json!({"containers": [{"name": "a", "resources": cpu(100)}], "resources": cpu(700)}));
    assert_eq!(PodAmounts::of(&whole).requests["cpu"].to_string(), "700m");
}

/// Upstream's `TestResourceConfigForPod`.
#[test]
fn resource_config_for_pod() {
    let settings = ResourceSettings::new(16 * GI);
    let limits = |cpu_shares, cpu_quota, memory| CgroupLimits {
        cpu_shares: Some(cpu_shares),
        cpu_quota,
        memory,
        pids: None,
    };
    let part = both(json!({"cpu": "100m", "memory": "100Mi"}), json!({}));
    let more = both(
        json!({"cpu": "100m", "memory": "100Mi"}),
        json!({"cpu": "200m", "memory": "200Mi"}),
    );
    for (resources, expected) in [
        (vec![json!({})], limits(2, None, None)),
        (vec![part.clone()], limits(102, None, None)),
        (
            vec![more.clone()],
            limits(102, Some((20_000, 100_000)), Some(200 << 20)),
        ),
        (vec![more.clone(), part], limits(204, None, None)),
        (
            vec![full("100m", "100Mi")],
            limits(102, Some((10_000, 100_000)), Some(100 << 20)),
        ),
    ] {
        assert_eq!(
            pod_cgroup_limits(&containers(&resources), settings),
            expected,
            "{resources:?}"
        );
    }
    let mut without_quota = settings;
    without_quota.cpu_cfs_quota = false;
    let unlimited = limits(102, None, Some(200 << 20));
    assert_eq!(
        pod_cgroup_limits(&containers(&[more]), without_quota),
        unlimited
    );
}

/// Upstream's `TestCgroupNameToSystemd`, `TestCgroupNameToCgroupfs` and `TestGetPodContainerName`.
#[test]
fn cgroup_names() {
    let root = CgroupName::root("/");
    let uid = PodUid::new("1234-5678");
    let paths = |name: &CgroupName| {
        [
            name.path(CgroupDriver::Cgroupfs),
            name.path(CgroupDriver::Systemd),
        ]
    };
    assert_eq!(paths(&root), ["/", "/-.slice"]);
    assert_eq!(
        paths(&CgroupName::pods(&root)),
        ["/kubepods", "/kubepods.slice"]
    );
    for (class, cgroupfs, systemd) in [
        (
            QosClass::Guaranteed,
            "/kubepods/pod1234-5678",
            "/kubepods.slice/kubepods-pod1234_5678.slice",
        ),
        (
            QosClass::Burstable,
            "/kubepods/burstable/pod1234-5678",
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1234_5678.slice",
        ),
        (
            QosClass::BestEffort,
            "/kubepods/besteffort/pod1234-5678",
            "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod1234_5678.slice",
        ),
    ] {
        assert_eq!(
            paths(&CgroupName::pod(&root, class, &uid)),
            [cgroupfs, systemd]
        );
    }
    // Nothing that a name says leads out of where it belongs.
    let uid = PodUid::new("../../x");
    let outside = CgroupName::pod(&CgroupName::root("../a/."), QosClass::Guaranteed, &uid);
    assert_eq!(outside.to_string(), "/a/kubepods/pod..-..-x");
    let below = CgroupName::root("/test-a/b/");
    assert_eq!(paths(&below), ["/test-a/b", "/test_a.slice/test_a-b.slice"]);
    assert_eq!(below.parent(), Some(CgroupName::root("test-a")));
    assert_eq!(root.parent(), None);
}

fn hierarchy(root: &Path, version: CgroupVersion) -> CgroupHierarchy {
    CgroupHierarchy {
        root: root.to_owned(),
        version,
    }
}

fn shown(writes: &[CgroupWrite]) -> Vec<String> {
    let shown = writes.iter().map(|write| match write {
        CgroupWrite::Make(path) => format!("make {}", path.display()),
        CgroupWrite::Set(path, value) => format!("{} = {value}", path.display()),
    });
    shown.collect()
}

const LIMITS: CgroupLimits = CgroupLimits {
    cpu_shares: Some(1024),
    cpu_quota: Some((50_000, 100_000)),
    memory: Some(GI),
    pids: Some(100),
};

#[test]
fn a_cgroup_is_sized_by_files_in_both_kinds_of_hierarchy() {
    let name = CgroupName::root("kubepods/pod7");
    let v1 = hierarchy(Path::new("/c"), CgroupVersion::V1).plan(&name, &LIMITS);
    assert_eq!(
        shown(&v1),
        [
            "make /c/cpu/kubepods/pod7",
            "make /c/memory/kubepods/pod7",
            "make /c/pids/kubepods/pod7",
            "/c/cpu/kubepods/pod7/cpu.shares = 1024",
            "/c/cpu/kubepods/pod7/cpu.cfs_period_us = 100000",
            "/c/cpu/kubepods/pod7/cpu.cfs_quota_us = 50000",
            "/c/memory/kubepods/pod7/memory.limit_in_bytes = 1073741824",
            "/c/pids/kubepods/pod7/pids.max = 100",
        ]
    );
    let v2 = hierarchy(Path::new("/c"), CgroupVersion::V2).plan(&name, &LIMITS);
    assert_eq!(
        shown(&v2),
        [
            "/c/kubepods/cgroup.subtree_control = +cpu +memory +pids",
            "make /c/kubepods/pod7",
            "/c/kubepods/pod7/cpu.weight = 39",
            "/c/kubepods/pod7/cpu.max = 50000 100000",
            "/c/kubepods/pod7/memory.max = 1073741824",
            "/c/kubepods/pod7/pids.max = 100",
        ]
    );
    let unlimited = CgroupLimits {
        cpu_quota: Some((0, 100_000)),
        ..CgroupLimits::default()
    };
    let v2 = hierarchy(Path::new("/c"), CgroupVersion::V2).plan(&CgroupName::root("a"), &unlimited);
    assert_eq!(shown(&v2)[2], "/c/a/cpu.max = max 100000");
    assert_eq!(
        shown(&v2)[0],
        "/c/cgroup.subtree_control = +cpu +memory +pids"
    );
}

#[test]
fn plans_are_carried_out_and_undone() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    let v1 = CgroupHierarchy::detect(root);
    assert_eq!(v1.version, CgroupVersion::V1);
    let name = CgroupName::root("kubepods/pod7");
    apply(&v1.plan(&name, &LIMITS)).unwrap();
    let written = fs::read_to_string(root.join("cpu/kubepods/pod7/cpu.shares"));
    assert_eq!(written.unwrap(), "1024");
    // A file of a directory on disk is not the kernel's: it stays in the way, and that is told.
    assert!(v1.remove(&name).is_err());
    for path in v1.directories(&name) {
        for entry in fs::read_dir(path).unwrap() {
            fs::remove_file(entry.unwrap().path()).unwrap();
        }
    }
    v1.remove(&CgroupName::root("kubepods")).unwrap();
    assert!(!root.join("cpu/kubepods").exists());
    v1.remove(&name).unwrap();

    fs::write(root.join("cgroup.controllers"), "cpu memory").unwrap();
    let v2 = CgroupHierarchy::detect(root);
    assert_eq!(v2.version, CgroupVersion::V2);
    let missing = apply(&[CgroupWrite::Set(
        PathBuf::from(root).join("none/cpu.max"),
        "1".into(),
    )]);
    assert!(missing.unwrap_err().to_string().contains("none/cpu.max"));
}

#[test]
fn classes_share_what_the_node_has() {
    let burstable = |cpu: &str| containers(&[both(json!({"cpu": cpu}), json!({}))]);
    let pods = [
        burstable("500m"),
        burstable("250m"),
        containers(&[full("4", "1Gi")]),
        containers(&[json!({})]),
    ];
    assert_eq!(burstable_limits(&pods).cpu_shares, Some(768));
    assert_eq!(burstable_limits(&[]).cpu_shares, Some(2));
    assert_eq!(besteffort_limits().cpu_shares, Some(2));
    let allocatable = [("cpu", "2"), ("memory", "4Gi"), ("pid", "1000")];
    let allocatable = allocatable.map(|(name, text)| (name.to_owned(), text.parse().unwrap()));
    let limits = node_limits(&Amounts::from(allocatable));
    assert_eq!(
        (limits.cpu_shares, limits.memory, limits.pids),
        (Some(2048), Some(4 * GI), Some(1000))
    );
}

/// A directory that looks like the one where the kernel has cgroups, with a root for those of pods.
fn mounted(version: CgroupVersion) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    match version {
        CgroupVersion::V1 => {
            for controller in ["cpu", "devices", "memory", "pids"] {
                let cgroup = root.join(controller).join("test");
                fs::create_dir_all(&cgroup).unwrap();
                fs::write(cgroup.join("cgroup.procs"), "").unwrap();
            }
        }
        CgroupVersion::V2 => {
            fs::create_dir(root.join("test")).unwrap();
            for cgroup in [root.to_owned(), root.join("test")] {
                fs::write(
                    cgroup.join("cgroup.controllers"),
                    "cpuset cpu memory pids\n",
                )
                .unwrap();
            }
        }
    }
    assert_eq!(CgroupHierarchy::detect(root).version, version);
    directory
}

fn pod_cgroups(root: &Path) -> PodCgroups {
    let settings = ResourceSettings::new(16 * GI);
    PodCgroups::new(
        CgroupHierarchy::detect(root),
        CgroupName::root("/test"),
        settings,
        Some(50),
    )
}

/// Upstream's `TestCreateNodeAllocatableCgroups` and `TestQoSContainerCgroup`, and what its
/// `EnsureExists` writes.
#[test]
fn the_cgroups_of_pods_are_made_and_sized_in_both_kinds_of_hierarchy() {
    let burstable = containers(&[both(
        json!({"cpu": "100m", "memory": "32Mi"}),
        json!({"cpu": "500m", "memory": "64Mi"}),
    )]);
    let v1 = [
        ("cpu/test/kubepods/cpu.shares", "2048"),
        ("memory/test/kubepods/memory.limit_in_bytes", "4294967296"),
        ("pids/test/kubepods/pids.max", "1000"),
        ("cpu/test/kubepods/burstable/cpu.shares", "102"),
        ("cpu/test/kubepods/besteffort/cpu.shares", "2"),
        ("cpu/test/kubepods/burstable/pod7/cpu.shares", "102"),
        ("cpu/test/kubepods/burstable/pod7/cpu.cfs_quota_us", "50000"),
        (
            "cpu/test/kubepods/burstable/pod7/cpu.cfs_period_us",
            "100000",
        ),
        (
            "memory/test/kubepods/burstable/pod7/memory.limit_in_bytes",
            "67108864",
        ),
        ("pids/test/kubepods/burstable/pod7/pids.max", "50"),
    ];
    let v2 = [
        ("test/kubepods/cpu.weight", "79"),
        ("test/kubepods/memory.max", "4294967296"),
        ("test/kubepods/pids.max", "1000"),
        ("test/kubepods/burstable/cpu.weight", "4"),
        ("test/kubepods/besteffort/cpu.weight", "1"),
        ("test/kubepods/burstable/pod7/cpu.weight", "4"),
        ("test/kubepods/burstable/pod7/cpu.max", "50000 100000"),
        ("test/kubepods/burstable/pod7/memory.max", "67108864"),
        ("test/kubepods/burstable/pod7/pids.max", "50"),
        (
            "test/kubepods/burstable/cgroup.subtree_control",
            "+cpu +memory +pids",
        ),
    ];
    for (version, expected) in [(CgroupVersion::V1, v1), (CgroupVersion::V2, v2)] {
        let directory = mounted(version);
        let root = directory.path();
        let cgroups = pod_cgroups(root);
        let node = CgroupLimits {
            cpu_shares: Some(2048),
            cpu_quota: None,
            memory: Some(4 * GI),
            pids: Some(1000),
        };
        // What is done twice is done.
        for _ in 0..2 {
            cgroups.set_up().unwrap();
            cgroups.limit_node(&node).unwrap();
            cgroups.share([&burstable]).unwrap();
            cgroups.ensure(&burstable).unwrap();
        }
        for (path, value) in expected {
            let written = fs::read_to_string(root.join(path));
            assert_eq!(written.unwrap_or_default(), value, "{path}");
        }
        assert!(cgroups.exists(&burstable));
        assert!(!cgroups.exists(&containers(&[json!({})])));
        // Nothing is made in trees that nothing is limited by.
        assert!(!root.join("devices/test/kubepods").exists());
        // One that others have made in part is not there.
        if version == CgroupVersion::V1 {
            fs::remove_dir_all(root.join("pids/test/kubepods/burstable/pod7")).unwrap();
            assert!(!cgroups.exists(&burstable));
        }
        cgroups.share([]).unwrap();
        let (path, _) = expected[3];
        let least = fs::read_to_string(root.join(path)).unwrap();
        assert!(["1", "2"].contains(&&*least), "{least}");
    }
}

/// Upstream's `TestIsCgroupPod` and what its `GetAllPodsFromCgroups` finds.
#[test]
fn cgroups_of_pods_are_found_whoever_made_them() {
    for version in [CgroupVersion::V1, CgroupVersion::V2] {
        let directory = mounted(version);
        let root = directory.path();
        let cgroups = pod_cgroups(root);
        assert_eq!(cgroups.all().unwrap(), [].into());
        cgroups.set_up().unwrap();
        let tree = match version {
            // A runtime makes cgroups where no limits are, too.
            CgroupVersion::V1 => root.join("devices"),
            CgroupVersion::V2 => root.to_owned(),
        };
        for made in [
            "burstable/pod8",
            "podx-y",
            "other",
            "besteffort/pod",
            "burstable/pod8/c",
        ] {
            fs::create_dir_all(tree.join("test/kubepods").join(made)).unwrap();
        }
        fs::write(tree.join("test/kubepods/podfile"), "").unwrap();
        cgroups.ensure(&containers(&[json!({})])).unwrap();
        let found = cgroups.all().unwrap();
        let found = found.iter().map(|(uid, name)| format!("{uid} {name}"));
        assert_eq!(
            found.collect::<Vec<_>>(),
            [
                "7 /test/kubepods/besteffort/pod7",
                "8 /test/kubepods/burstable/pod8",
                "x-y /test/kubepods/podx-y",
            ]
        );
        let (_, orphan) = cgroups.all().unwrap().pop_last().unwrap();
        cgroups.starve(&orphan).unwrap();
        let file = match version {
            CgroupVersion::V1 => root.join("cpu/test/kubepods/podx-y/cpu.shares"),
            CgroupVersion::V2 => root.join("test/kubepods/podx-y/cpu.weight"),
        };
        assert_eq!(
            fs::read_to_string(file).unwrap().trim_end(),
            match version {
                CgroupVersion::V1 => "2",
                CgroupVersion::V2 => "1",
            }
        );
    }
}

#[test]
fn what_is_missing_for_cgroups_is_named() {
    let v1 = mounted(CgroupVersion::V1);
    fs::remove_file(v1.path().join("pids/test/cgroup.procs")).unwrap();
    let error = pod_cgroups(v1.path()).set_up().unwrap_err().to_string();
    assert!(error.starts_with("cgroup /test lacks "), "{error}");
    assert!(error.ends_with("pids/test/cgroup.procs"), "{error}");
    assert!(!v1.path().join("cpu/test/kubepods").exists());

    let v2 = mounted(CgroupVersion::V2);
    fs::write(v2.path().join("test/cgroup.controllers"), "cpu\n").unwrap();
    let error = pod_cgroups(v2.path()).set_up().unwrap_err().to_string();
    assert_eq!(
        error,
        "cgroup /test lacks controller memory, controller pids"
    );
    fs::remove_dir_all(v2.path().join("test")).unwrap();
    let error = pod_cgroups(v2.path()).set_up().unwrap_err().to_string();
    assert!(error.contains("test/cgroup.controllers"), "{error}");

    // Whatever is configured, the cgroup of the machine is not ended.
    let hierarchy = CgroupHierarchy::detect(v1.path());
    for ended in [
        hierarchy.kill(&CgroupName::root("/")),
        hierarchy.remove(&CgroupName::root("/")),
    ] {
        assert_eq!(ended.unwrap_err().kind(), std::io::ErrorKind::InvalidInput);
    }
}
