//! A cluster to experiment on.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::time::Duration;

use k8s_openapi::api::apps::v1::{ReplicaSet, ReplicaSetSpec};
use k8s_openapi::api::core::v1::{Container, Event, Pod, PodSpec, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use kube_client::Client;
use kube_client::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kubewright_apiserver::controllers::{Controller, ControllersConfig};
use kubewright_apiserver::{ApiServer, Config as ServerConfig};
use kubewright_clock::Clock;
use replica_set_controller::{Assembly, Config, RunError};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::wire::Wire;

/// How long anything may take, by the clock on the wall of the lab, which is quick.
const DEADLINE: Duration = Duration::from_secs(60);

/// An API server with garbage collection and without kubelets, and what runs beside it.
pub(crate) struct Lab {
    pub(crate) server: ApiServer,
    /// What goes between the controller and the server.
    pub(crate) wire: Wire,
    pub(crate) clock: Clock,
    client: Client,
    tasks: JoinSet<()>,
    stop: CancellationToken,
}

/// A controller at work.
pub(crate) struct Running {
    task: JoinSet<Result<(), RunError>>,
    stop: CancellationToken,
}

impl Lab {
    /// An empty cluster.
    pub(crate) fn new() -> Self {
        Self::with([Controller::GarbageCollector, Controller::Namespaces].into())
    }

    /// One where dependents of nobody stay.
    pub(crate) fn without_garbage_collection() -> Self {
        Self::with([Controller::Namespaces].into())
    }

    fn with(controllers: BTreeSet<Controller>) -> Self {
        let clock = Clock::starting_at("2026-03-01T12:00:00Z".parse().unwrap());
        let mut config = ServerConfig::default();
        config.clock = clock.clone();
        let server = ApiServer::new(config).unwrap();
        let mut config = ControllersConfig::default();
        config.enabled = controllers;
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        tasks.spawn(server.controllers(config).run(stop.clone()));
        Self {
            client: Client::new(server.service(), "default"),
            wire: Wire::new(),
            server,
            clock,
            tasks,
            stop,
        }
    }

    /// Starts a controller.
    pub(crate) fn start(&self) -> Running {
        self.start_with(Config::default())
    }

    /// Starts a controller of some configuration.
    pub(crate) fn start_with(&self, config: Config) -> Running {
        let client = self.wire.client(&self.server);
        let controller = Assembly::new(&client, config, self.clock.clone()).unwrap();
        let stop = CancellationToken::new();
        let mut task = JoinSet::new();
        task.spawn(controller.run(stop.clone()));
        Running { task, stop }
    }

    /// Ends everything, in order.
    pub(crate) async fn finish(mut self) {
        self.stop.cancel();
        while let Some(ended) = self.tasks.join_next().await {
            ended.unwrap();
        }
    }

    pub(crate) fn sets(&self) -> Api<ReplicaSet> {
        Api::default_namespaced(self.client.clone())
    }

    pub(crate) fn pods(&self) -> Api<Pod> {
        Api::default_namespaced(self.client.clone())
    }

    pub(crate) fn events(&self) -> Api<Event> {
        Api::default_namespaced(self.client.clone())
    }

    pub(crate) async fn create_set(&self, set: &ReplicaSet) -> ReplicaSet {
        self.sets()
            .create(&PostParams::default(), set)
            .await
            .unwrap()
    }

    pub(crate) async fn create_pod(&self, pod: &Pod) -> Pod {
        self.pods()
            .create(&PostParams::default(), pod)
            .await
            .unwrap()
    }

    /// Changes a set by a merge patch.
    pub(crate) async fn change_set(&self, name: &str, change: Value) -> ReplicaSet {
        let (params, patch) = (PatchParams::default(), Patch::Merge(change));
        self.sets().patch(name, &params, &patch).await.unwrap()
    }

    /// Changes a pod by a merge patch.
    pub(crate) async fn change_pod(&self, pod: &Pod, change: Value) -> Pod {
        let (params, patch) = (PatchParams::default(), Patch::Merge(change));
        self.pods()
            .patch(name_of(pod), &params, &patch)
            .await
            .unwrap()
    }

    /// Changes a pod's status by a merge patch, as a kubelet does.
    pub(crate) async fn change_pod_status(&self, pod: &Pod, status: Value) {
        let patch = Patch::Merge(json!({"status": status}));
        let changed = self
            .pods()
            .patch_status(name_of(pod), &PatchParams::default(), &patch)
            .await;
        changed.unwrap();
    }

    pub(crate) async fn delete_pod(&self, pod: &Pod) {
        let params = DeleteParams::default();
        self.pods().delete(name_of(pod), &params).await.unwrap();
    }

    pub(crate) async fn scale(&self, name: &str, replicas: i32) {
        self.change_set(name, json!({"spec": {"replicas": replicas}}))
            .await;
    }

    /// All pods, by name.
    pub(crate) async fn all_pods(&self) -> Vec<Pod> {
        self.pods()
            .list(&ListParams::default())
            .await
            .unwrap()
            .items
    }

    /// Waits until a set's status says what its spec does, for its present generation.
    pub(crate) async fn stable(&self, name: &str) -> ReplicaSet {
        self.until(&format!("{name} is stable"), async || {
            let set = self.sets().get(name).await.unwrap();
            let status = set.status.clone().unwrap_or_default();
            let wanted = set.spec.as_ref().unwrap().replicas.unwrap_or(1);
            let is_stable =
                status.replicas == wanted && status.observed_generation == set.metadata.generation;
            is_stable.then_some(set)
        })
        .await
    }

    /// Waits until `look` sees something.
    pub(crate) async fn until<T>(&self, what: &str, look: impl AsyncFn() -> Option<T>) -> T {
        let started = Instant::now();
        loop {
            if let Some(seen) = look().await {
                return seen;
            }
            assert!(
                started.elapsed() < DEADLINE,
                "{what}: not within {DEADLINE:?}"
            );
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until there are so many pods.
    pub(crate) async fn until_pods(&self, count: usize) -> Vec<Pod> {
        self.until(&format!("there are {count} pods"), async || {
            let pods = self.all_pods().await;
            (pods.len() == count).then_some(pods)
        })
        .await
    }

    /// Lets everybody do what there is to do, and checks that `looked_at` stays as it is.
    pub(crate) async fn remains<T: PartialEq + Debug>(&self, looked_at: impl AsyncFn() -> T) {
        sleep(Duration::from_secs(5)).await;
        let before = looked_at().await;
        sleep(Duration::from_secs(30)).await;
        assert_eq!(looked_at().await, before);
    }
}

impl Running {
    /// Stops the controller in order.
    pub(crate) async fn stop(mut self) {
        self.stop.cancel();
        self.task.join_next().await.unwrap().unwrap().unwrap();
    }

    /// Ends the controller at once, as a crash does.
    pub(crate) async fn kill(mut self) {
        self.task.shutdown().await;
    }
}

pub(crate) fn name_of(pod: &Pod) -> &str {
    pod.metadata.name.as_deref().unwrap()
}

/// A set whose pods are labelled `name: test`.
pub(crate) fn new_set(name: &str, replicas: i32) -> ReplicaSet {
    let labels = || Some([("name".to_owned(), "test".to_owned())].into());
    ReplicaSet {
        metadata: ObjectMeta {
            name: Some(name.into()),
            ..ObjectMeta::default()
        },
        spec: Some(ReplicaSetSpec {
            replicas: Some(replicas),
            selector: LabelSelector {
                match_labels: labels(),
                ..LabelSelector::default()
            },
            template: Some(PodTemplateSpec {
                metadata: Some(ObjectMeta {
                    labels: labels(),
                    ..ObjectMeta::default()
                }),
                spec: Some(pod_spec()),
            }),
            ..ReplicaSetSpec::default()
        }),
        status: None,
    }
}

/// A pod that such a set would adopt.
pub(crate) fn matching_pod(name: &str) -> Pod {
    Pod {
        metadata: ObjectMeta {
            name: Some(name.into()),
            labels: Some([("name".to_owned(), "test".to_owned())].into()),
            ..ObjectMeta::default()
        },
        spec: Some(pod_spec()),
        status: None,
    }
}

fn pod_spec() -> PodSpec {
    PodSpec {
        containers: vec![Container {
            name: "fake-name".into(),
            image: Some("fakeimage".into()),
            ..Container::default()
        }],
        ..PodSpec::default()
    }
}
