//! How a node is registered, and its status reported.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use k8s_openapi::api::core::v1::Node;
use kube_client::Client;
use kube_client::api::{Api, Patch, PatchParams, PostParams};
use kubewright_apiserver::ApiServer;
use kubewright_apiserver::faults::{Fault, Recording, Rule, Verb};
use kubewright_informer::InformerConfig;
use node_agent::client::{ClientLimits, Clients, HeartbeatClient};
use node_agent::event::{EventReceiver, EventRecorder};
use node_agent::mirror::MirrorClient;
use node_agent::node::{
    NodeFacts, NodeObserver, NodeReporter, NodeWatch, Observation, RegistrationError,
    ReporterConfig, initial_node, try_register,
};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::node_status::{at, facts, ready};
use crate::world::{a_moment, clock, seconds, server, told};

/// A node that is as the test says.
#[derive(Clone)]
struct Said(Arc<Mutex<Observation>>);

impl NodeObserver for Said {
    fn problems(&self) -> Vec<String> {
        self.0.lock().problems.clone()
    }

    async fn observe(&self) -> Observation {
        self.0.lock().clone()
    }
}

struct Scene {
    server: ApiServer,
    clients: Clients,
    calls: Recording,
    said: Said,
    events: EventReceiver,
    recorder: EventRecorder,
    config: ReporterConfig,
    facts: NodeFacts,
    token: CancellationToken,
    tasks: JoinSet<()>,
}

impl Scene {
    fn new() -> Self {
        let clock = clock();
        let server = server(&clock);
        let (recorder, events) = EventRecorder::channel(100);
        let mut config = ReporterConfig::default();
        config.clock = clock;
        Self {
            calls: server.record(),
            clients: Clients::in_process(server.service(), &ClientLimits::default()),
            server,
            said: Said(Arc::new(Mutex::new(ready()))),
            events,
            recorder,
            config,
            facts: facts(),
            token: CancellationToken::new(),
            tasks: JoinSet::new(),
        }
    }

    fn reporter(&self) -> NodeReporter<Said> {
        NodeReporter::new(
            self.clients.main.clone(),
            self.clients.heartbeat.clone(),
            self.facts.clone(),
            self.said.clone(),
            self.recorder.clone(),
            self.config.clone(),
        )
    }

    fn start(&mut self) {
        let reporter = self.reporter();
        self.tasks.spawn(reporter.run(self.token.clone()));
    }

    fn api(&self) -> Api<Node> {
        Api::all(self.clients.main.clone())
    }

    async fn create(&self, node: Value) {
        let node = serde_json::from_value(node).unwrap();
        let api = self.api();
        api.create(&PostParams::default(), &node).await.unwrap();
        self.calls.take();
    }

    async fn condition(&self, type_: &str) -> Value {
        let node = self.api().get("n").await.unwrap();
        self.calls.take();
        let conditions = node.status.unwrap().conditions.unwrap();
        let condition = conditions.into_iter().find(|it| it.type_ == type_);
        serde_json::to_value(condition.unwrap()).unwrap()
    }

    fn reasons(&mut self) -> Vec<String> {
        let mut reasons = Vec::new();
        while let Ok(event) = self.events.try_recv() {
            reasons.push(event.reason);
        }
        reasons
    }

    fn problem(&self, problem: Option<&str>) {
        self.said.0.lock().problems = problem.into_iter().map(str::to_owned).collect();
    }

    async fn stop(mut self) {
        self.token.cancel();
        while let Some(ended) = self.tasks.join_next().await {
            ended.unwrap();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn register_with_api_server() {
    let mut scene = Scene::new();
    let outage = scene.server.faults().add(Rule::new(Fault::LoseRequest));
    scene.start();
    // After 0.1, 0.3, 0.7, 1.5, 3.1, 6.3, 12.7, 19.7, 26.7 s.
    seconds(30).await;
    assert_eq!(told(&scene.calls).len(), 9);
    outage.remove();
    seconds(7).await;
    let calls = told(&scene.calls);
    assert_eq!(calls[0], "create nodes n: 201");
    let ready = scene.condition("Ready").await;
    assert_eq!(ready["status"], "True");
    scene.stop().await;

    // A node that is there is taken as it is, but for what the agent knows better.
    let mut scene = Scene::new();
    let spec = json!({"unschedulable": true});
    scene
        .create(json!({"metadata": {"name": "n"}, "spec": spec}))
        .await;
    scene.start();
    a_moment().await;
    let node = scene.api().get("n").await.unwrap();
    assert_eq!(node.spec.unwrap().unschedulable, Some(true));
    assert_eq!(node.metadata.labels.unwrap()["kubernetes.io/hostname"], "n");
    let reasons = scene.reasons();
    assert!(reasons.contains(&"NodeReady".to_owned()));
    assert!(
        reasons.contains(&"NodeNotSchedulable".to_owned()),
        "{reasons:?}"
    );
    scene.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_answer_does_not_keep_a_node_from_being_registered() {
    let mut scene = Scene::new();
    let silence = Fault::Delay(Duration::from_secs(900));
    let rule = Rule::new(silence).verb(Verb::Create).resource("nodes");
    scene.server.faults().add(rule.times(1));
    scene.start();
    // The first try, for 10 s after 0.1 s, and the second 0.2 s later.
    seconds(11).await;
    assert!(scene.api().get("n").await.is_ok());
    scene.stop().await;
}

#[tokio::test(start_paused = true)]
async fn try_register_with_api_server() {
    let refuse = |verb| Rule::new(Fault::internal()).verb(verb).resource("nodes/*");
    let node = initial_node(&facts(), &ready(), at(0));
    let outcome = |result: Result<(), RegistrationError>| match result {
        Ok(()) => "registered",
        Err(RegistrationError::Create(_)) => "create",
        Err(RegistrationError::Get(_)) => "get",
        Err(RegistrationError::Patch(_)) => "patch",
        Err(_) => "another",
    };
    let mut same = serde_json::to_value(&node).unwrap();
    let old = json!({"metadata": {"name": "n", "labels": {"kubernetes.io/os": "plan9"}},
        "status": {"capacity": {"cpu": "1"}, "allocatable": {"cpu": "1"}}});
    same["metadata"]["labels"]["mine"] = "x".into();
    for (case, existing, fault, expected, calls) in [
        ("a new node", None, None, "registered", 1),
        ("the same node", Some(&same), None, "registered", 2),
        ("an old node", Some(&old), None, "registered", 3),
        ("it cannot be made", None, Some(Verb::Create), "create", 1),
        ("it cannot be read", Some(&old), Some(Verb::Get), "get", 2),
        (
            "it cannot be changed",
            Some(&old),
            Some(Verb::Patch),
            "patch",
            3,
        ),
    ] {
        let scene = Scene::new();
        if let Some(existing) = existing {
            scene.create(existing.clone()).await;
        }
        if let Some(verb) = fault {
            scene.server.faults().add(refuse(verb));
        }
        let result = try_register(&scene.api(), &node).await;
        assert_eq!(outcome(result), expected, "{case}");
        let made = told(&scene.calls);
        assert_eq!(made.len(), calls, "{case}: {made:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn update_node_status_with_lease() {
    let mut scene = Scene::new();
    scene.config.register = false;
    scene.create(json!({"metadata": {"name": "n"}})).await;
    scene.start();
    a_moment().await;
    let calls = told(&scene.calls);
    assert_eq!(
        calls,
        [
            "get nodes n: 200",
            "patch nodes/status n: 200",
            "patch nodes n: 200"
        ]
    );
    assert_eq!(scene.reasons().last().unwrap(), "NodeReady");

    // Nothing is new: it is looked at every 10 s, and written after 150 to 450 s.
    seconds(140).await;
    let calls = told(&scene.calls);
    assert!((13..=14).contains(&calls.len()), "{calls:?}");
    assert!(calls.iter().all(|call| call == "get nodes n: 200"));
    seconds(320).await;
    let is_patch = |call: &String| call.starts_with("patch");
    let patches = told(&scene.calls)
        .iter()
        .filter(|call| is_patch(call))
        .count();
    assert_eq!(patches, 1);
    // A report that was not for news has no random part: once in 300 s.
    seconds(3000).await;
    let patches = told(&scene.calls)
        .iter()
        .filter(|call| is_patch(call))
        .count();
    assert!((9..=10).contains(&patches), "{patches}");
    assert_eq!(scene.reasons(), [""; 0]);

    // News are written at once.
    scene.problem(Some("container runtime is down"));
    seconds(11).await;
    let ready = scene.condition("Ready").await;
    assert_eq!(ready["message"], "container runtime is down");
    assert_eq!(scene.reasons(), ["NodeNotReady"]);
    // Who cordons a node sees it in the events.
    let patch = Patch::Merge(json!({"spec": {"unschedulable": true}}));
    scene
        .api()
        .patch("n", &PatchParams::default(), &patch)
        .await
        .unwrap();
    seconds(11).await;
    assert_eq!(scene.reasons(), ["NodeNotSchedulable"]);
    scene.stop().await;
}

#[tokio::test(start_paused = true)]
async fn update_node_status_error() {
    let mut scene = Scene::new();
    scene.config.register = false;
    scene.start();
    a_moment().await;
    // There is no such node.
    assert_eq!(told(&scene.calls), ["get nodes n: 404"; 5]);
    assert_eq!(scene.reasons(), [""; 0]);
    scene.create(json!({"metadata": {"name": "n"}})).await;
    seconds(11).await;
    assert_eq!(scene.condition("Ready").await["status"], "True");
    scene.stop().await;
}

#[tokio::test(start_paused = true)]
async fn update_existing_node_status_timeout() {
    let mut scene = Scene::new();
    scene.config.register = false;
    scene.create(json!({"metadata": {"name": "n"}})).await;
    let made = Arc::new(AtomicUsize::new(0));
    let (count, server) = (Arc::clone(&made), scene.server.clone());
    let limits = ClientLimits::default();
    scene.clients.heartbeat = HeartbeatClient::new(move || {
        count.fetch_add(1, Ordering::Relaxed);
        let clients = Clients::in_process(server.service(), &limits);
        Ok(clients.heartbeat.client())
    })
    .unwrap();
    let hang = Rule::new(Fault::Delay(Duration::from_secs(3600)));
    let hang = scene.server.faults().add(hang.resource("nodes"));
    scene.start();
    seconds(51).await;
    // Five tries of 10 s, and new connections from the second failure on.
    assert_eq!(hang.requests(), 5);
    assert_eq!(made.load(Ordering::Relaxed), 1 + 4);
    hang.remove();
    seconds(20).await;
    assert_eq!(scene.condition("Ready").await["status"], "True");
    scene.stop().await;
}

#[tokio::test(start_paused = true)]
async fn fast_status_update_once() {
    let mut scene = Scene::new();
    scene.problem(Some(
        "container runtime status check may not have completed yet",
    ));
    scene.start();
    a_moment().await;
    assert_eq!(scene.condition("Ready").await["status"], "False");
    assert!(!scene.reasons().contains(&"NodeReady".to_owned()));
    // As soon as it is ready it says so.
    scene.problem(None);
    tokio::time::sleep(Duration::from_millis(150)).await;
    assert_eq!(scene.condition("Ready").await["status"], "True");
    assert_eq!(scene.reasons(), ["NodeReady"]);
    // Only the first time.
    scene.problem(Some("p"));
    seconds(11).await;
    assert_eq!(scene.condition("Ready").await["status"], "False");
    scene.problem(None);
    a_moment().await;
    assert_eq!(scene.condition("Ready").await["status"], "False");
    scene.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_watched_is_not_asked_for() {
    let mut scene = Scene::new();
    let name = scene.facts.node_name.clone();
    let watch = NodeWatch::new(scene.clients.main.clone(), name, InformerConfig::default());
    let watch = watch.unwrap();
    assert_eq!(watch.node(), None);
    let (watched, token) = (watch.clone(), scene.token.clone());
    scene
        .tasks
        .spawn(async move { watched.run(token).await.unwrap() });
    watch.synced().await.unwrap();
    let reporter = scene.reporter().with_watch(watch.clone());
    scene.tasks.spawn(reporter.run(scene.token.clone()));
    seconds(100).await;
    let gets = told(&scene.calls);
    let gets = gets.iter().filter(|call| call.starts_with("get nodes"));
    assert!(gets.count() <= 1, "only before the watch knows of it");
    let node = watch.node().unwrap();
    assert!(node.metadata.uid.is_some());

    // What owns mirror pods.
    let client: Client = scene.clients.main.clone();
    let mirrors = MirrorClient::new(client, "n", move || watch.node());
    let pod = json!({"metadata": {"name": "p", "namespace": "default",
        "annotations": {"kubernetes.io/config.hash": "1"}},
        "spec": {"containers": [{"name": "c", "image": "i"}]}});
    mirrors
        .create(&serde_json::from_value(pod).unwrap())
        .await
        .unwrap();
    scene.stop().await;
}

#[tokio::test(start_paused = true)]
async fn labels_that_no_node_is_without_are_put_back() {
    let mut scene = Scene::new();
    scene.start();
    a_moment().await;
    let labels = json!({"kubernetes.io/os": null, "beta.kubernetes.io/os": null});
    let patch = Patch::Merge(json!({"metadata": {"labels": labels}}));
    scene
        .api()
        .patch("n", &PatchParams::default(), &patch)
        .await
        .unwrap();
    seconds(11).await;
    let labels = scene.api().get("n").await.unwrap().metadata.labels.unwrap();
    assert_eq!(
        labels.get("kubernetes.io/os").map(String::as_str),
        Some("linux")
    );
    scene.stop().await;
}
