//! A runtime manager over a runtime in memory.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, Secret};
use kubewright_clock::Clock;
use kubewright_cri::Runtime;
use kubewright_cri::testing::{FakeOptions, FakeRuntime};
use kubewright_cri::v1::{self, ContainerState, PodSandboxState};
use node_agent::event::{EventReceiver, EventRecorder};
use node_agent::objects::Snapshot;
use node_agent::pod::{PodName, PodUid};
use node_agent::probe::{ProbeKind, ProbeOutcome};
use node_agent::runtime::{
    ContainerId, NodeResources, ObservedPod, PodRuntime, RuntimeDependencies, RuntimeManager,
    RuntimeSettings, SyncRequest, SyncResult,
};
use node_agent::volume::{DirectMounter, MountedVolumes};
use node_agent::worker::Outcome;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

pub(crate) const SECOND: Duration = Duration::from_secs(1);

pub(crate) struct Harness {
    pub(crate) fake: FakeRuntime,
    pub(crate) manager: RuntimeManager,
    pub(crate) clock: Clock,
    pub(crate) root: TempDir,
    pub(crate) volumes: MountedVolumes,
    pub(crate) objects: Snapshot,
    pub(crate) pull_secrets: Vec<Arc<Secret>>,
    pub(crate) probes: std::collections::HashMap<(ProbeKind, ContainerId), ProbeOutcome>,
    settings: RuntimeSettings,
    recorder: EventRecorder,
    events: EventReceiver,
}

impl Harness {
    pub(crate) fn new() -> Self {
        Self::with(|_| ())
    }

    /// One whose settings are changed.
    pub(crate) fn with(change: impl FnOnce(&mut RuntimeSettings)) -> Self {
        let epoch: Timestamp = "2024-01-01T00:00:00Z".parse().unwrap();
        let clock = Clock::starting_at(epoch);
        let mut options = FakeOptions::default();
        options.clock = clock.clone();
        let fake = FakeRuntime::new(options);
        let root = tempfile::tempdir().unwrap();
        let mut settings = RuntimeSettings::default();
        settings.root_dir = root.path().join("kubelet");
        settings.pod_logs_dir = root.path().join("pods");
        settings.resolv_conf = None;
        settings.cluster_domain = "cluster.local".to_owned();
        settings.cluster_dns = vec!["10.0.0.10".parse().unwrap()];
        change(&mut settings);
        let (recorder, events) = EventRecorder::channel(10_000);
        let manager = manager(&fake, &clock, &recorder, &settings);
        let mut objects = Snapshot::default();
        objects.set_services(Vec::new());
        Self {
            fake,
            manager,
            clock,
            root,
            volumes: MountedVolumes::new(),
            objects,
            pull_secrets: Vec::new(),
            probes: Default::default(),
            settings,
            recorder,
            events,
        }
    }

    /// The agent ends, and another one takes over.
    pub(crate) fn restart(&mut self) {
        self.manager = manager(&self.fake, &self.clock, &self.recorder, &self.settings);
    }

    pub(crate) async fn observe(&self, pod: &Pod) -> ObservedPod {
        let (uid, name) = (PodUid::of(pod), PodName::of(pod));
        self.manager.observe(&uid, &name).await.unwrap()
    }

    /// One sync of what is seen now.
    pub(crate) async fn sync(&self, pod: &Pod) -> SyncResult {
        let observed = self.observe(pod).await;
        self.sync_seen(pod, &observed).await
    }

    /// One sync of what was seen before.
    pub(crate) async fn sync_seen(&self, pod: &Pod, observed: &ObservedPod) -> SyncResult {
        self.sync_until(pod, observed, &CancellationToken::new())
            .await
    }

    pub(crate) async fn sync_until(
        &self,
        pod: &Pod,
        observed: &ObservedPod,
        token: &CancellationToken,
    ) -> SyncResult {
        let request = SyncRequest {
            pod,
            observed,
            volumes: &self.volumes,
            objects: &self.objects,
            pull_secrets: &self.pull_secrets,
            probes: &self.probes,
        };
        self.manager.sync_pod(request, token).await
    }

    /// A sync that succeeds.
    pub(crate) async fn sync_well(&self, pod: &Pod) {
        let result = self.sync(pod).await;
        assert_eq!(result.outcome(), Outcome::Done, "{result:?}");
    }

    /// The calls since they were last taken that change something or are about images.
    pub(crate) fn changes(&self) -> Vec<String> {
        let calls = self.fake.take_calls().into_iter();
        let quiet = [
            "Version",
            "RuntimeConfig",
            "ListPodSandbox",
            "ListContainers",
        ];
        let statuses = ["PodSandboxStatus", "ContainerStatus"];
        calls
            .filter(|call| !quiet.contains(&call.method) && !statuses.contains(&call.method))
            .map(|call| call.to_string())
            .collect()
    }

    /// The events since they were last taken: `Normal Pulled{app}: Container image…`, with the
    /// container that they are about.
    pub(crate) fn events(&mut self) -> Vec<String> {
        let mut events = Vec::new();
        while let Ok(event) = self.events.try_recv() {
            let path = event.object.field_path.unwrap_or_default();
            let container = path.find('{').map_or("", |at| &path[at..]);
            let kind = event.event_type.as_str();
            events.push(format!(
                "{kind} {}{container}: {}",
                event.reason, event.message
            ));
        }
        events
    }

    /// The words of the events since they were last taken.
    pub(crate) fn reasons(&mut self) -> Vec<String> {
        let events = self.events().into_iter();
        let words = events.map(|event| {
            let head = event.split_once(": ").unwrap().0;
            head.split_once(' ').unwrap().1.to_owned()
        });
        words.collect()
    }

    /// The containers with their states and restart counts, oldest first, then by name.
    pub(crate) fn containers(&self) -> Vec<(String, ContainerState, u32)> {
        let containers = self.fake.containers().into_iter();
        let mut containers: Vec<_> = containers
            .map(|it| {
                let state = it.state();
                let data = it.metadata.unwrap();
                (it.created_at, data.name, state, data.attempt)
            })
            .collect();
        containers.sort_by_key(|(at, name, _, attempt)| (*at, *attempt, name.clone()));
        let stripped = containers.into_iter();
        stripped
            .map(|(_, name, state, attempt)| (name, state, attempt))
            .collect()
    }

    pub(crate) fn ready_sandboxes(&self) -> Vec<v1::PodSandboxStatus> {
        let sandboxes = self.fake.sandboxes().into_iter();
        sandboxes
            .filter(|sandbox| sandbox.state() == PodSandboxState::SandboxReady)
            .collect()
    }

    /// What the newest container of a name was made from.
    pub(crate) fn config(&self, pod: &str, name: &str) -> v1::ContainerConfig {
        let container = self.fake.container(pod, name).unwrap();
        self.fake.container_config(&container.id).unwrap()
    }

    /// What the newest sandbox was made from.
    pub(crate) fn sandbox_config(&self) -> v1::PodSandboxConfig {
        let sandbox = self.fake.sandboxes().pop().unwrap();
        self.fake.sandbox_config(&sandbox.id).unwrap()
    }

    pub(crate) fn id(&self, pod: &str, name: &str) -> ContainerId {
        ContainerId {
            runtime: "fake".into(),
            id: self.fake.container(pod, name).unwrap().id.into(),
        }
    }
}

fn manager(
    fake: &FakeRuntime,
    clock: &Clock,
    events: &EventRecorder,
    settings: &RuntimeSettings,
) -> RuntimeManager {
    let runtime = Runtime::in_process(fake.clone());
    let host_ips: Vec<IpAddr> = vec!["192.0.2.1".parse().unwrap()];
    RuntimeManager::new(
        settings.clone(),
        RuntimeDependencies {
            images: runtime.clone(),
            runtime,
            clock: clock.clone(),
            events: events.clone(),
            node: Arc::new(move || NodeResources {
                host_ips: host_ips.clone(),
                allocatable: [
                    ("cpu".to_owned(), "4".parse().unwrap()),
                    ("memory".to_owned(), "8Gi".parse().unwrap()),
                ]
                .into(),
                memory_capacity: 8 << 30,
            }),
            mounter: Arc::new(DirectMounter),
        },
    )
}

/// The pod `web` with this spec.
#[expect(clippy::needless_pass_by_value, reason = "tables write specs in place")]
pub(crate) fn pod(spec: Value) -> Pod {
    serde_json::from_value(json!({
        "metadata": {"uid": "12345678", "name": "web", "namespace": "new"},
        "spec": spec,
    }))
    .unwrap()
}

/// The pod `web` with one container `app`, and more in it.
#[expect(clippy::needless_pass_by_value, reason = "tables write specs in place")]
pub(crate) fn app(more: Value) -> Pod {
    let mut container =
        json!({"name": "app", "image": "busybox:1", "imagePullPolicy": "IfNotPresent"});
    let fields = container.as_object_mut().unwrap();
    fields.extend(more.as_object().unwrap().clone());
    pod(json!({"containers": [container], "terminationGracePeriodSeconds": 30}))
}

/// The pod is being deleted, with so much grace.
pub(crate) fn delete(pod: &mut Pod, grace: i64) {
    let at: Timestamp = "2024-01-01T00:00:00Z".parse().unwrap();
    pod.metadata.deletion_timestamp =
        Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(at));
    pod.metadata.deletion_grace_period_seconds = Some(grace);
}
