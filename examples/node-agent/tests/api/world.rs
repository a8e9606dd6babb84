//! An API server, and what an agent knows of its pods.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use k8s_openapi::api::core::v1::{Pod, PodStatus};
use kube_client::Client;
use kube_client::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use kubewright_apiserver::faults::{Fault, Injected, Recording, Rule};
use kubewright_apiserver::{ApiServer, Config};
use kubewright_clock::Clock;
use node_agent::pod::{PodDirectory, PodUid};
use node_agent::status::StatusManager;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// A clock that follows paused time.
pub(crate) fn clock() -> Clock {
    Clock::starting_at("2026-05-01T12:00:00Z".parse().unwrap())
}

pub(crate) fn server(clock: &Clock) -> ApiServer {
    let mut config = Config::default();
    config.clock = clock.clone();
    ApiServer::new(config).unwrap()
}

/// Lets everything happen that happens within a second.
pub(crate) async fn a_moment() {
    tokio::time::sleep(Duration::from_secs(1)).await;
}

pub(crate) async fn seconds(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

/// The calls so far, as `patch pods/status default/foo: 200`.
pub(crate) fn told(calls: &Recording) -> Vec<String> {
    calls.take().iter().map(ToString::to_string).collect()
}

/// A status, with the class that the API server gives the pods here.
pub(crate) fn status(value: Value) -> PodStatus {
    PodStatus {
        qos_class: Some("BestEffort".into()),
        ..serde_json::from_value(value).unwrap()
    }
}

/// A status with nothing but something to say.
pub(crate) fn saying(message: &str) -> PodStatus {
    status(json!({"phase": "Running", "message": message}))
}

/// Pods, the status manager, and its writer.
pub(crate) struct World {
    pub(crate) server: ApiServer,
    pub(crate) clock: Clock,
    pub(crate) calls: Recording,
    pub(crate) pods: Arc<Mutex<PodDirectory>>,
    pub(crate) manager: StatusManager,
    pub(crate) could_run: Arc<AtomicBool>,
    client: Client,
    token: CancellationToken,
    tasks: JoinSet<()>,
}

impl World {
    /// A world whose statuses are written.
    pub(crate) fn new() -> Self {
        let mut world = Self::without_writer();
        let could_run = Arc::clone(&world.could_run);
        let writer = world
            .manager
            .writer(world.client.clone(), move |_: &PodUid| {
                could_run.load(Ordering::Relaxed)
            });
        world.tasks.spawn(writer.run(world.token.clone()));
        world
    }

    /// A world of an agent that stands alone.
    pub(crate) fn without_writer() -> Self {
        let clock = clock();
        let server = server(&clock);
        let pods = Arc::<Mutex<PodDirectory>>::default();
        Self {
            calls: server.record(),
            client: Client::new(server.service(), "default"),
            manager: StatusManager::new(Arc::clone(&pods), clock.clone()),
            could_run: Arc::default(),
            server,
            clock,
            pods,
            token: CancellationToken::new(),
            tasks: JoinSet::new(),
        }
    }

    pub(crate) fn api(&self) -> Api<Pod> {
        Api::default_namespaced(self.client.clone())
    }

    /// Makes a pod in the API server, with two containers, on the node.
    pub(crate) async fn create(&self, name: &str) -> Arc<Pod> {
        let pod = json!({
            "metadata": {"name": name},
            "spec": {
                "nodeName": "n",
                "containers": [{"name": "c1", "image": "i"}, {"name": "c2", "image": "i"}],
            },
        });
        let pod = serde_json::from_value(pod).unwrap();
        let api = self.api();
        api.create(&PostParams::default(), &pod).await.unwrap();
        self.observe(name).await
    }

    /// Takes a pod from the API server into the directory, as the source of pods does.
    pub(crate) async fn observe(&self, name: &str) -> Arc<Pod> {
        let pod = Arc::new(self.api().get(name).await.unwrap());
        self.pods.lock().insert(Arc::clone(&pod));
        self.calls.take();
        pod
    }

    /// What the API server says of a pod.
    pub(crate) async fn published(&self, name: &str) -> Option<PodStatus> {
        let pod = self.api().get_opt(name).await.unwrap();
        pod.map(|pod| pod.status.unwrap_or_default())
    }

    pub(crate) async fn message(&self, name: &str) -> String {
        let status = self.published(name).await.unwrap();
        status.message.unwrap_or_default()
    }

    /// Somebody else says something of a pod.
    pub(crate) async fn overwrite(&self, name: &str, status: Value) {
        let patch = Patch::Strategic(json!({"status": status}));
        let params = PatchParams::default();
        let api = self.api();
        api.patch_status(name, &params, &patch).await.unwrap();
        self.calls.take();
    }

    /// Somebody wants a pod to be deleted, by and by.
    pub(crate) async fn ask_to_delete(&self, name: &str) -> Arc<Pod> {
        let params = DeleteParams::default().grace_period(30);
        self.api().delete(name, &params).await.unwrap();
        self.observe(name).await
    }

    /// Somebody deletes a pod at once.
    pub(crate) async fn remove(&self, name: &str) {
        let params = DeleteParams::default().grace_period(0);
        self.api().delete(name, &params).await.unwrap();
        self.calls.take();
    }

    /// The API server goes away, until the rule is removed.
    pub(crate) fn outage(&self) -> Injected {
        self.server.faults().add(Rule::new(Fault::LoseRequest))
    }

    pub(crate) fn status(&self, pod: &Pod) -> PodStatus {
        let status = self.manager.status(&PodUid::of(pod)).unwrap();
        PodStatus::clone(&status)
    }

    /// The writer ends when it is told to.
    pub(crate) async fn stop(mut self) {
        self.token.cancel();
        while let Some(ended) = self.tasks.join_next().await {
            ended.unwrap();
        }
    }
}
