//! The scheduler on an API server, under paused time.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Event, Node, Pod, PodCondition};
use kube_client::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube_client::{Client, ResourceExt as _};
use kubewright_apiserver::faults::{Fault, Rule};
use kubewright_apiserver::{ApiServer, Config};
use kubewright_clock::Clock;
use playground::scheduler::Scheduler;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::fixtures::{node, pod, requesting};

/// An API server and a scheduler on it.
struct World {
    server: ApiServer,
    pods: Api<Pod>,
    nodes: Api<Node>,
    events: Api<Event>,
    tasks: JoinSet<()>,
    stop: CancellationToken,
}

impl World {
    fn start() -> Self {
        let mut config = Config::default();
        config.clock = Clock::starting_at("2026-05-01T12:00:00Z".parse().unwrap());
        let clock = config.clock.clone();
        let server = ApiServer::new(config).unwrap();
        let client = Client::new(server.service(), "default");
        let scheduler = Scheduler::new(&client, clock).unwrap();
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        let token = stop.clone();
        tasks.spawn(async move { scheduler.run(token).await.unwrap() });
        Self {
            server,
            pods: Api::default_namespaced(client.clone()),
            nodes: Api::all(client.clone()),
            events: Api::default_namespaced(client),
            tasks,
            stop,
        }
    }

    async fn node(&self, name: &str, patch: &Value) {
        let node = Node::clone(&node(name, patch));
        self.nodes
            .create(&PostParams::default(), &node)
            .await
            .unwrap();
        self.patch_status(name, json!(node.status)).await;
    }

    async fn patch_status(&self, name: &str, status: Value) {
        let patch = Patch::Merge(json!({"status": status}));
        self.nodes
            .patch_status(name, &PatchParams::default(), &patch)
            .await
            .unwrap();
    }

    async fn pod(&self, pod: &Arc<Pod>) {
        let mut pod = Pod::clone(pod);
        pod.metadata.uid = None;
        self.pods
            .create(&PostParams::default(), &pod)
            .await
            .unwrap();
    }

    /// Waits until a pod is as it should be.
    async fn until(&self, name: &str, is_wanted: impl Fn(&Pod) -> bool) -> Pod {
        let seen = async {
            loop {
                let pod = self.pods.get(name).await.unwrap();
                if is_wanted(&pod) {
                    return pod;
                }
                sleep(Duration::from_millis(10)).await;
            }
        };
        let seen = timeout(Duration::from_secs(60), seen).await;
        match seen {
            Ok(pod) => pod,
            Err(_) => panic!("{:#?}", self.pods.get(name).await.unwrap()),
        }
    }

    async fn bound(&self, name: &str) -> String {
        let pod = self.until(name, |pod| node_of(pod).is_some()).await;
        node_of(&pod).unwrap()
    }

    /// Why a pod waits, once it is said.
    async fn waiting(&self, name: &str) -> String {
        let says = |pod: &Pod| scheduled(pod).is_some_and(|it| it.status == "False");
        let pod = self.until(name, says).await;
        let condition = scheduled(&pod).unwrap();
        assert_eq!(condition.reason.as_deref(), Some("Unschedulable"));
        condition.message.clone().unwrap()
    }

    async fn events(&self) -> Vec<(String, String)> {
        // They are written a little later.
        sleep(Duration::from_secs(1)).await;
        let events = self.events.list(&ListParams::default()).await.unwrap();
        let mut events: Vec<_> = events.into_iter().collect();
        events.sort_by_key(|event| event.metadata.creation_timestamp.clone());
        let text = |text: Option<String>| text.unwrap_or_default();
        let events = events.into_iter();
        events
            .map(|event| (text(event.reason), text(event.message)))
            .collect()
    }

    async fn end(mut self) {
        self.stop.cancel();
        while let Some(ended) = self.tasks.join_next().await {
            ended.unwrap();
        }
    }
}

fn node_of(pod: &Pod) -> Option<String> {
    pod.spec.as_ref().unwrap().node_name.clone()
}

fn scheduled(pod: &Pod) -> Option<&PodCondition> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    conditions.iter().find(|it| it.type_ == "PodScheduled")
}

#[tokio::test(start_paused = true)]
async fn a_pod_is_bound_and_told_of() {
    let world = World::start();
    world.node("a", &json!({})).await;
    world.pod(&pod("web", &json!({}))).await;
    assert_eq!(world.bound("web").await, "a");
    let pod = world.pods.get("web").await.unwrap();
    assert_eq!(scheduled(&pod).unwrap().status, "True");
    let told = ("Scheduled", "Successfully assigned default/web to a");
    assert_eq!(world.events().await, [(told.0.into(), told.1.into())]);
    world.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_pod_without_a_place_says_why_and_gets_the_first_that_comes() {
    let world = World::start();
    world
        .pod(&requesting("web", &json!({"cpu": "1500m"})))
        .await;
    let message = world.waiting("web").await;
    assert_eq!(message, "no nodes available to schedule pods");
    world
        .node("a", &json!({"spec": {"unschedulable": true}}))
        .await;
    let says = "0/1 nodes are available: 1 node(s) were unschedulable.";
    let message = |pod: &Pod| scheduled(pod).unwrap().message.clone();
    world
        .until("web", |pod| message(pod).as_deref() == Some(says))
        .await;
    let uncordon = Patch::Merge(json!({"spec": {"unschedulable": false}}));
    let params = PatchParams::default();
    world.nodes.patch("a", &params, &uncordon).await.unwrap();
    assert_eq!(world.bound("web").await, "a");

    world.pod(&requesting("next", &json!({"cpu": "1"}))).await;
    let message = world.waiting("next").await;
    assert_eq!(message, "0/1 nodes are available: 1 Insufficient cpu.");
    let grow = json!({"allocatable": {"cpu": "3", "memory": "1Gi", "pods": "10"}});
    world.patch_status("a", grow).await;
    assert_eq!(world.bound("next").await, "a");

    let events = world.events().await;
    let reasons: Vec<_> = events.iter().map(|(reason, _)| reason.as_str()).collect();
    let failed = reasons.iter().filter(|it| **it == "FailedScheduling");
    assert_eq!(failed.count(), 3, "{events:#?}");
    world.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_goes_or_ends_makes_room() {
    let world = World::start();
    world.node("a", &json!({})).await;
    for name in ["one", "two", "three"] {
        world.pod(&requesting(name, &json!({"cpu": "1200m"}))).await;
        match name {
            "one" => assert_eq!(world.bound(name).await, "a"),
            _ => assert!(world.waiting(name).await.contains("Insufficient cpu")),
        }
    }
    let now = DeleteParams::default().grace_period(0);
    world.pods.delete("one", &now).await.unwrap();
    let is_next = async |name: &str| node_of(&world.pods.get(name).await.unwrap()).is_some();
    let next = async {
        loop {
            match (is_next("two").await, is_next("three").await) {
                (true, false) => return ("two", "three"),
                (false, true) => return ("three", "two"),
                (false, false) => sleep(Duration::from_millis(10)).await,
                (true, true) => panic!("both were given the same room"),
            }
        }
    };
    let (next, last) = timeout(Duration::from_secs(60), next).await.unwrap();
    let ended = Patch::Merge(json!({"status": {"phase": "Succeeded"}}));
    let params = PatchParams::default();
    world
        .pods
        .patch_status(next, &params, &ended)
        .await
        .unwrap();
    assert_eq!(world.bound(last).await, "a");
    world.end().await;
}

#[tokio::test(start_paused = true)]
async fn no_room_is_given_away_twice_however_fast_pods_come() {
    let world = World::start();
    world.node("a", &json!({})).await;
    world.node("b", &json!({})).await;
    for nth in 0..30 {
        let name = format!("p{nth}");
        world.pod(&requesting(&name, &json!({"cpu": "500m"}))).await;
    }
    for nth in 0..30 {
        world
            .until(&format!("p{nth}"), |pod| scheduled(pod).is_some())
            .await;
    }
    let pods = world.pods.list(&ListParams::default()).await.unwrap();
    for name in ["a", "b"] {
        let on_it = pods
            .iter()
            .filter(|pod| node_of(pod).as_deref() == Some(name));
        assert_eq!(on_it.count(), 4, "{name}");
    }
    world.end().await;
}

#[tokio::test(start_paused = true)]
async fn heartbeats_and_its_own_conditions_try_nothing_anew() {
    let world = World::start();
    world.node("a", &json!({})).await;
    world.pod(&requesting("web", &json!({"cpu": "5"}))).await;
    world.waiting("web").await;
    let version = world.pods.get("web").await.unwrap().resource_version();
    let recorded = world.server.record();
    for beat in 0..5 {
        let heartbeat = format!("2026-05-01T12:00:0{beat}Z");
        let ready = json!([{"type": "Ready", "status": "True", "lastHeartbeatTime": heartbeat}]);
        world.patch_status("a", json!({"conditions": ready})).await;
        sleep(Duration::from_secs(10)).await;
    }
    let pod = world.pods.get("web").await.unwrap();
    assert_eq!(pod.resource_version(), version);
    let writes = recorded.take_writes();
    let of_events = writes.iter().filter(|call| call.resource == "events");
    assert!(of_events.count() <= 1, "{writes:#?}");
    world.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_binding_that_fails_is_tried_again() {
    let world = World::start();
    let refused = Rule::new(Fault::unavailable()).resource("pods/binding");
    world.server.faults().add(refused.times(2));
    let lost = Rule::new(Fault::LoseAnswer).resource("pods/binding");
    world.server.faults().add(lost.skip(2).times(1));
    world.node("a", &json!({})).await;
    world.pod(&pod("web", &json!({}))).await;
    assert_eq!(world.bound("web").await, "a");
    world.end().await;
}

#[tokio::test(start_paused = true)]
async fn pods_of_others_and_gated_ones_are_left_alone() {
    let world = World::start();
    world.node("a", &json!({})).await;
    world
        .pod(&pod("theirs", &json!({"schedulerName": "other"})))
        .await;
    let gated = pod(
        "gated",
        &json!({"schedulingGates": [{"name": "example.com/wait"}]}),
    );
    world.pod(&gated).await;
    world.pod(&pod("ours", &json!({}))).await;
    assert_eq!(world.bound("ours").await, "a");
    sleep(Duration::from_secs(600)).await;
    for name in ["theirs", "gated"] {
        assert_eq!(
            node_of(&world.pods.get(name).await.unwrap()),
            None,
            "{name}"
        );
    }
    let open = Patch::Merge(json!({"spec": {"schedulingGates": null}}));
    let params = PatchParams::default();
    world.pods.patch("gated", &params, &open).await.unwrap();
    assert_eq!(world.bound("gated").await, "a");
    world.end().await;
}
