//! The scripted life of pods, under paused time.

use std::time::Duration;

use kubewright_apiserver::controllers::{
    Controller, Controllers, ControllersConfig, Exit, PodLife, PodRule,
};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};

use crate::seam::{Answer, Server};

const PODS: &str = "/api/v1/namespaces/default/pods";
const MOMENT: Duration = Duration::from_millis(100);

struct Cluster {
    server: Server,
    controllers: Controllers,
    started: Instant,
}

impl Cluster {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut PodLife)) -> Self {
        let server = Server::new();
        let mut config = ControllersConfig::default();
        config.enabled = [Controller::Pods].into();
        change(&mut config.pods);
        let controllers = server.0.controllers(config);
        Self {
            server,
            controllers,
            started: Instant::now(),
        }
    }

    /// Creates a pod of one container with these annotations, and `more` in its spec.
    async fn create(&self, name: &str, annotations: Value, more: Value) -> Answer {
        let mut pod = json!({
            "metadata": { "name": name, "annotations": annotations },
            "spec": { "containers": [{ "name": "c", "image": "i" }] },
        });
        for (field, value) in more.as_object().unwrap() {
            pod["spec"][field] = value.clone();
        }
        self.server.post(PODS, pod).await.is(201)
    }

    async fn get(&self, name: &str) -> Answer {
        self.server.get(&format!("{PODS}/{name}")).await
    }

    /// Lets time pass up to a moment counted from the start, and the controllers act.
    async fn pass(&mut self, until: Duration) {
        let until = self.started + until;
        while let Some(at) = self.controllers.settle().await
            && at <= until
        {
            sleep_until(at).await;
        }
        sleep_until(until).await;
        self.controllers.settle().await;
    }

    /// `phase`, whether the pod is ready, and how often it was restarted.
    async fn state(&self, name: &str) -> String {
        let pod = self.get(name).await.is(200);
        let text = |path: &str| pod.at(path).as_str().unwrap_or("-").to_owned();
        let restarts = pod
            .at("status.containerStatuses")
            .as_array()
            .map_or(0, |statuses| {
                statuses
                    .iter()
                    .map(|status| status["restartCount"].as_i64().unwrap())
                    .sum()
            });
        let ready = condition(&pod, "Ready");
        format!("{} {ready} {restarts}", text("status.phase"))
    }
}

fn condition(pod: &Answer, kind: &str) -> String {
    let conditions = pod.at("status.conditions").as_array();
    let mut conditions = conditions.into_iter().flatten();
    let condition = conditions.find(|condition| condition["type"] == kind);
    condition.map_or("-".to_owned(), |found| {
        found["status"].as_str().unwrap().to_owned()
    })
}

#[tokio::test(start_paused = true)]
async fn a_pod_is_assigned_runs_and_becomes_ready() {
    let mut cluster = Cluster::new();
    cluster.create("p", json!({}), json!({})).await;
    cluster.pass(Duration::ZERO).await;
    let pod = cluster.get("p").await;
    assert_eq!(*pod.at("spec.nodeName"), "node-1");
    assert_eq!(condition(&pod, "PodScheduled"), "True");
    assert!(pod.at("status.startTime").is_null());

    cluster.pass(MOMENT).await;
    assert_eq!(cluster.state("p").await, "Running False 0");

    cluster.pass(2 * MOMENT).await;
    assert_eq!(cluster.state("p").await, "Running True 0");
    let pod = cluster.get("p").await;
    for kind in [
        "PodScheduled",
        "PodReadyToStartContainers",
        "Initialized",
        "ContainersReady",
    ] {
        assert_eq!(condition(&pod, kind), "True", "{kind}");
    }
    let uid = pod.at("metadata.uid").as_str().unwrap().to_owned();
    pod.shows(json!({ "status": {
        "hostIP": "192.168.0.1", "hostIPs": [{ "ip": "192.168.0.1" }],
        "podIP": "10.244.0.1", "podIPs": [{ "ip": "10.244.0.1" }],
        "startTime": "2024-05-01T12:00:00Z",
        "containerStatuses": [{
            "name": "c", "image": "i", "imageID": "i", "containerID": format!("kubewright://{uid}/c"),
            "ready": true, "started": true, "restartCount": 0, "lastState": {},
            "state": { "running": { "startedAt": "2024-05-01T12:00:00Z" } },
        }],
    } }));
    assert_eq!(
        cluster.controllers.settle().await,
        None,
        "nothing more is due"
    );
}

#[tokio::test(start_paused = true)]
async fn every_change_is_one_event() {
    let mut cluster = Cluster::new();
    let version = cluster.server.0.resource_version();
    let path = format!("{PODS}?resourceVersion={version}");
    let mut watch = cluster.server.watch(&path).await;
    cluster.create("p", json!({}), json!({})).await;
    cluster.pass(10 * MOMENT).await;
    cluster.server.delete(&format!("{PODS}/p")).await.is(200);
    cluster.pass(20 * MOMENT).await;
    let mut events = Vec::new();
    while events.len() < 5 {
        events.push(
            watch.next().await.unwrap()["type"]
                .as_str()
                .unwrap()
                .to_owned(),
        );
    }
    // Created; assigned, running, ready and deleted; gone. A pod that is deleted at once with
    // grace 0 is marked so first.
    assert_eq!(
        &events[..5],
        ["ADDED", "MODIFIED", "MODIFIED", "MODIFIED", "MODIFIED"]
    );
    let mut last = watch.next().await.unwrap();
    if last["type"] == "MODIFIED" {
        assert_eq!(last["object"]["metadata"]["deletionGracePeriodSeconds"], 0);
        last = watch.next().await.unwrap();
    }
    assert_eq!(last["type"], "DELETED");
    assert!(watch.is_quiet().await);
}

#[tokio::test(start_paused = true)]
async fn pods_take_turns_on_nodes_and_have_addresses_of_their_own() {
    let mut cluster = Cluster::with(|life| life.nodes = vec!["a".to_owned(), "b".to_owned()]);
    for name in ["p1", "p2", "p3"] {
        cluster.create(name, json!({}), json!({})).await;
    }
    cluster
        .create("p4", json!({}), json!({ "hostNetwork": true }))
        .await;
    cluster.pass(MOMENT).await;
    let mut seen = Vec::new();
    for name in ["p1", "p2", "p3", "p4"] {
        let pod = cluster.get(name).await;
        let text = |path: &str| pod.at(path).as_str().unwrap().to_owned();
        seen.push(format!(
            "{} {} {}",
            text("spec.nodeName"),
            text("status.hostIP"),
            text("status.podIP")
        ));
    }
    assert_eq!(
        seen,
        [
            "a 192.168.0.1 10.244.0.1",
            "b 192.168.0.2 10.244.0.2",
            "a 192.168.0.1 10.244.0.3",
            "b 192.168.0.2 192.168.0.2",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_deleted_pod_has_time_to_stop_but_no_more_than_its_grace() {
    let mut cluster = Cluster::with(|life| life.script.stop_after = Duration::from_secs(10));
    cluster.create("long", json!({}), json!({})).await;
    cluster
        .create(
            "short",
            json!({}),
            json!({ "terminationGracePeriodSeconds": 2 }),
        )
        .await;
    cluster.create("held", json!({}), json!({})).await;
    let hold = json!({ "metadata": { "finalizers": ["example.com/f"] } });
    cluster
        .server
        .merge(&format!("{PODS}/held"), hold)
        .await
        .is(200);
    cluster.pass(Duration::from_secs(1)).await;
    for name in ["long", "short", "held"] {
        let deleted = cluster
            .server
            .delete(&format!("{PODS}/{name}"))
            .await
            .is(200);
        assert!(deleted.at("metadata.deletionTimestamp").is_string());
    }
    cluster.pass(Duration::from_millis(2_999)).await;
    cluster.get("short").await.is(200);
    cluster.pass(Duration::from_secs(3)).await;
    cluster.get("short").await.is(404);
    cluster.get("long").await.is(200);
    cluster.pass(Duration::from_secs(11)).await;
    cluster.get("long").await.is(404);
    let held = cluster.get("held").await.is(200);
    assert_eq!(*held.at("metadata.deletionGracePeriodSeconds"), 0);
    assert_eq!(
        cluster.controllers.settle().await,
        None,
        "the rest is for others"
    );
}

#[tokio::test(start_paused = true)]
async fn pods_of_others_are_left_alone() {
    let mut cluster = Cluster::new();
    cluster
        .create("scheduler", json!({}), json!({ "schedulerName": "mine" }))
        .await;
    cluster
        .create("node", json!({}), json!({ "nodeName": "mine" }))
        .await;
    cluster
        .create(
            "gate",
            json!({}),
            json!({ "schedulingGates": [{ "name": "g" }] }),
        )
        .await;
    let version = cluster.server.0.resource_version();
    cluster.pass(Duration::from_secs(60)).await;
    cluster.server.delete(&format!("{PODS}/node")).await.is(200);
    cluster.pass(Duration::from_secs(120)).await;
    assert_eq!(
        cluster.server.0.resource_version(),
        version + 1,
        "only the deletion"
    );

    let open = json!({ "spec": { "schedulingGates": null } });
    cluster
        .server
        .merge(&format!("{PODS}/gate"), open)
        .await
        .is(200);
    cluster.pass(Duration::from_secs(121)).await;
    assert_eq!(cluster.state("gate").await, "Running True 0");
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_was_made_on_a_node_runs_there() {
    let mut cluster = Cluster::new();
    cluster
        .create("p", json!({}), json!({ "nodeName": "node-3" }))
        .await;
    cluster.pass(2 * MOMENT).await;
    assert_eq!(cluster.state("p").await, "Running True 0");
    let pod = cluster.get("p").await;
    assert_eq!(*pod.at("status.hostIP"), "192.168.0.3");
    assert_eq!(condition(&pod, "PodScheduled"), "True");
}

#[tokio::test(start_paused = true)]
async fn without_nodes_pods_wait() {
    let mut cluster = Cluster::with(|life| life.nodes.clear());
    cluster.create("p", json!({}), json!({})).await;
    cluster.pass(Duration::from_secs(60)).await;
    assert!(cluster.get("p").await.at("spec.nodeName").is_null());
}

#[tokio::test(start_paused = true)]
async fn annotations_change_the_script() {
    let mut cluster = Cluster::new();
    let note = |key: &str, value: &str| json!({ format!("kubewright.dev/{key}"): value });
    cluster
        .create("slow", note("ready-after", "1m 30s"), json!({}))
        .await;
    cluster
        .create("unready", note("ready-after", "never"), json!({}))
        .await;
    cluster
        .create("pending", note("run-after", "never"), json!({}))
        .await;
    cluster
        .create("wrong", note("ready-after", "soon"), json!({}))
        .await;
    cluster.pass(MOMENT + Duration::from_millis(89_999)).await;
    assert_eq!(cluster.state("slow").await, "Running False 0");
    assert_eq!(
        cluster.state("wrong").await,
        "Running True 0",
        "as if it were not there"
    );
    cluster.pass(MOMENT + Duration::from_secs(90)).await;
    assert_eq!(cluster.state("slow").await, "Running True 0");
    cluster.pass(Duration::from_secs(3_600)).await;
    assert_eq!(cluster.state("unready").await, "Running False 0");
    let pending = cluster.get("pending").await;
    assert_eq!(*pending.at("status.phase"), "Pending");
    assert_eq!(*pending.at("spec.nodeName"), "node-3");
}

#[tokio::test(start_paused = true)]
async fn a_rule_changes_the_script_and_annotations_that() {
    let mut cluster = Cluster::with(|life| {
        life.rule = Some(PodRule::new(|pod, script| {
            if pod["metadata"]["name"] != "other" {
                script.exit = Some(Exit {
                    after: Duration::from_secs(1),
                    code: 7,
                });
            }
        }));
    });
    let never = json!({ "restartPolicy": "Never" });
    cluster.create("ruled", json!({}), never.clone()).await;
    cluster.create("other", json!({}), never.clone()).await;
    let annotations = json!({ "kubewright.dev/exit-after": "1s" });
    cluster.create("noted", annotations, never).await;
    cluster.pass(Duration::from_secs(10)).await;
    assert_eq!(cluster.state("ruled").await, "Failed False 0");
    assert_eq!(cluster.state("other").await, "Running True 0");
    assert_eq!(cluster.state("noted").await, "Succeeded False 0");
}

#[tokio::test(start_paused = true)]
async fn containers_end_and_begin_again_by_restart_policy() {
    let exits =
        |code: &str| json!({ "kubewright.dev/exit-after": "1s", "kubewright.dev/exit-code": code });
    for (policy, code, state) in [
        ("Never", "0", "Succeeded False 0"),
        ("Never", "1", "Failed False 0"),
        ("OnFailure", "0", "Succeeded False 0"),
        ("OnFailure", "1", "Running True 1"),
        ("Always", "0", "Running True 1"),
        ("Always", "1", "Running True 1"),
    ] {
        let mut cluster = Cluster::new();
        cluster
            .create("p", exits(code), json!({ "restartPolicy": policy }))
            .await;
        cluster.pass(MOMENT + Duration::from_millis(999)).await;
        assert_eq!(
            cluster.state("p").await,
            "Running True 0",
            "{policy} {code}"
        );
        cluster.pass(MOMENT + Duration::from_secs(1)).await;
        let pod = cluster.get("p").await;
        let status = &pod.at("status.containerStatuses")[0];
        let (end, phase) = match state.starts_with("Running") {
            true => (&status["lastState"], "Running"),
            false => (&status["state"], &state[..state.find(' ').unwrap()]),
        };
        assert_eq!(
            end["terminated"]["exitCode"].to_string(),
            code,
            "{policy} {code}"
        );
        assert_eq!(*pod.at("status.phase"), phase);
        assert_eq!(condition(&pod, "Ready"), "False", "{policy} {code}");
        cluster.pass(MOMENT + Duration::from_millis(1_100)).await;
        assert_eq!(cluster.state("p").await, state, "{policy} {code}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_never_gets_ready_restarts_on() {
    let mut cluster = Cluster::new();
    let annotations = json!({
        "kubewright.dev/ready-after": "never",
        "kubewright.dev/exit-after": "1s", "kubewright.dev/exit-code": "1",
    });
    cluster.create("p", annotations, json!({})).await;
    cluster.pass(MOMENT + Duration::from_millis(5_500)).await;
    assert_eq!(cluster.state("p").await, "Running False 5");
}

#[tokio::test(start_paused = true)]
async fn readiness_gates_are_waited_for_and_followed() {
    let mut cluster = Cluster::new();
    let gates = json!({ "readinessGates": [{ "conditionType": "example.com/g" }] });
    cluster.create("p", json!({}), gates).await;
    cluster.pass(5 * MOMENT).await;
    let pod = cluster.get("p").await;
    assert_eq!(condition(&pod, "ContainersReady"), "True");
    assert_eq!(condition(&pod, "Ready"), "False");
    for (tick, status) in [(6, "True"), (7, "False")] {
        let mut pod = cluster.get("p").await.body;
        let conditions = pod["status"]["conditions"].as_array_mut().unwrap();
        conditions.retain(|condition| condition["type"] != "example.com/g");
        conditions.push(json!({ "type": "example.com/g", "status": status }));
        cluster
            .server
            .put(&format!("{PODS}/p/status"), pod)
            .await
            .is(200);
        cluster.pass(tick * MOMENT).await;
        assert_eq!(condition(&cluster.get("p").await, "Ready"), status);
    }
    assert_eq!(cluster.controllers.settle().await, None);
}

#[tokio::test(start_paused = true)]
async fn init_containers_are_done_and_sidecars_run() {
    let mut cluster = Cluster::new();
    let init = json!({ "initContainers": [
        { "name": "init", "image": "i" },
        { "name": "side", "image": "s", "restartPolicy": "Always" },
    ] });
    cluster.create("p", json!({}), init).await;
    cluster.pass(2 * MOMENT).await;
    let pod = cluster.get("p").await;
    let statuses = pod.at("status.initContainerStatuses");
    assert_eq!(statuses[0]["state"]["terminated"]["reason"], "Completed");
    assert_eq!(statuses[0]["ready"], true);
    assert!(statuses[1]["state"]["running"].is_object());
    assert_eq!(statuses[1]["started"], true);
    assert_eq!(statuses[1]["ready"], true);
}

#[tokio::test(start_paused = true)]
async fn the_same_requests_give_the_same_history() {
    let mut histories = Vec::new();
    for _ in 0..2 {
        let mut cluster = Cluster::new();
        let mut watch = cluster
            .server
            .watch(&format!("{PODS}?resourceVersion=0&timeoutSeconds=90"))
            .await;
        for number in 0..30 {
            cluster
                .create(&format!("p{number}"), json!({}), json!({}))
                .await;
            cluster.pass(MOMENT / 2 * (number + 1)).await;
            if number % 3 == 0 {
                let path = format!("{PODS}/p{}", number / 2);
                cluster.server.delete(&path).await;
            }
        }
        cluster.pass(Duration::from_secs(60)).await;
        let mut history = Vec::new();
        while let Some(event) = watch.next().await {
            history.push(event);
        }
        histories.push(history);
    }
    assert!(histories[0].len() > 100);
    assert_eq!(histories[0], histories[1]);
}

#[tokio::test(start_paused = true)]
async fn controllers_that_begin_late_or_anew_go_on_where_pods_stand() {
    let mut cluster = Cluster::new();
    for name in ["p1", "p2"] {
        cluster.create(name, json!({}), json!({})).await;
    }
    cluster.pass(MOMENT).await;
    cluster.server.delete(&format!("{PODS}/p2")).await.is(200);
    let mut config = ControllersConfig::default();
    config.enabled = [Controller::Pods].into();
    cluster.controllers = cluster.server.0.controllers(config);
    cluster.pass(3 * MOMENT).await;
    assert_eq!(cluster.state("p1").await, "Running True 0");
    cluster.get("p2").await.is(404);
}
