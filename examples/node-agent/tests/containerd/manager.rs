//! The runtime manager against a containerd of its own.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kubewright_clock::Clock;
use kubewright_containerd::{Containerd, Image, Options, Requirements};
use kubewright_cri::{Runtime, RuntimeOptions};
use node_agent::event::EventRecorder;
use node_agent::objects::Snapshot;
use node_agent::pod::{PodName, PodUid};
use node_agent::probe::{ProbeKind, ProbeOutcome};
use node_agent::runtime::{
    ContainerId, NodeResources, ObservedPod, PodRuntime as _, RuntimeDependencies, RuntimeManager,
    RuntimeSettings, RuntimeState, SyncRequest,
};
use node_agent::volume::{DirectMounter, MountedVolumes};
use node_agent::worker::Outcome;
use serde_json::json;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

const IMAGE: &str = "localhost/busybox:1";

struct Node {
    containerd: Containerd,
    manager: RuntimeManager,
}

impl Node {
    async fn start() -> Self {
        let containerd = Containerd::start(Options::with_subnet(212, 1)).await;
        let containerd = containerd.unwrap();
        containerd.import(&[Image::busybox(IMAGE)]).await.unwrap();
        let runtime = Runtime::connect(containerd.endpoint(), RuntimeOptions::default()).await;
        let runtime = runtime.unwrap();
        let mut settings = RuntimeSettings::default();
        settings.root_dir = containerd.directory().join("kubelet");
        settings.pod_logs_dir = containerd.directory().join("pods");
        settings.container_logs_dir = Some(containerd.directory().join("links"));
        std::fs::create_dir_all(containerd.directory().join("links")).unwrap();
        settings.resolv_conf = None;
        let host: IpAddr = [127, 0, 0, 1].into();
        let dependencies = RuntimeDependencies {
            images: runtime.clone(),
            runtime,
            clock: Clock::system(),
            events: EventRecorder::disabled(),
            node: Arc::new(move || NodeResources {
                host_ips: vec![host],
                memory_capacity: 1 << 30,
                ..NodeResources::default()
            }),
            mounter: Arc::new(DirectMounter),
        };
        Self {
            manager: RuntimeManager::new(settings, dependencies),
            containerd,
        }
    }

    async fn observe(&self, pod: &Pod) -> ObservedPod {
        let (uid, name) = (PodUid::of(pod), PodName::of(pod));
        self.manager.observe(&uid, &name).await.unwrap()
    }

    /// Syncs a pod until this holds of it.
    async fn sync_until(&self, pod: &Pod, done: impl Fn(&ObservedPod) -> bool) -> ObservedPod {
        let mut objects = Snapshot::default();
        objects.set_services(Vec::new());
        let volumes = MountedVolumes::new();
        let nobody = |_: ProbeKind, _: &ContainerId| -> Option<ProbeOutcome> { None };
        let token = CancellationToken::new();
        let all = async {
            loop {
                let observed = self.observe(pod).await;
                if done(&observed) {
                    return observed;
                }
                let request = SyncRequest {
                    pod,
                    observed: &observed,
                    volumes: &volumes,
                    objects: &objects,
                    pull_secrets: &[],
                    probes: &nobody,
                };
                let result = self.manager.sync_pod(request, &token).await;
                assert_eq!(result.outcome(), Outcome::Done, "{result:?}");
                if !result.has_acted {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        };
        timeout(Duration::from_secs(60), all).await.unwrap()
    }

    /// The log of a container, and what is in it once the container hears that it is told to end.
    async fn log_of_a_listener(&self, id: &ContainerId) -> (PathBuf, String) {
        let status = self.manager.runtime().container_status(&id.id).await;
        let log = PathBuf::from(status.unwrap().log_path);
        let written = async {
            loop {
                let text = std::fs::read_to_string(&log).unwrap_or_default();
                if text.contains("listens") {
                    return text;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let text = timeout(Duration::from_secs(60), written).await.unwrap();
        (log, text)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "specs are written in place")]
fn pod(spec: serde_json::Value) -> Pod {
    let metadata = json!({"name": "web", "namespace": "default", "uid": "8d2f"});
    serde_json::from_value(json!({"metadata": metadata, "spec": spec})).unwrap()
}

fn state(observed: &ObservedPod, name: &str) -> Option<RuntimeState> {
    observed.container(name).map(|container| container.state)
}

#[tokio::test]
async fn a_pod_lives_on_containerd() {
    if !Requirements::are_asked_for() {
        return;
    }
    let mut node = Node::start().await;
    let hook = json!({"preStop": {"exec": {"command": ["sh", "-c", "echo bye > /proc/1/fd/1"]}}});
    let pod = pod(json!({
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 5,
        "initContainers": [{
            "name": "init",
            "image": IMAGE,
            "command": ["sh", "-c", "echo $(WHO) > /dev/termination-log"],
            "env": [{"name": "WHO", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}],
            "terminationMessagePath": "/dev/termination-log",
        }],
        "containers": [
            {
                "name": "app",
                "image": IMAGE,
                "command": ["sh", "-c", "cat /etc/hosts; id; trap 'exit 3' TERM; echo listens; while :; do sleep 0.1; done"],
                "securityContext": {"runAsUser": 1000, "runAsNonRoot": true, "allowPrivilegeEscalation": false},
                "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"memory": "64Mi"}},
            },
            {
                "name": "root",
                "image": IMAGE,
                "command": ["sh", "-c", "trap 'exit 0' TERM; echo listens; while :; do sleep 0.1; done"],
                "lifecycle": hook,
            },
            {
                "name": "fails",
                "image": IMAGE,
                "command": ["sh", "-c", "echo out; echo last words >&2; exit 7"],
                "terminationMessagePath": "/dev/termination-log",
                "terminationMessagePolicy": "FallbackToLogsOnError",
            },
        ],
    }));
    let observed = node
        .sync_until(&pod, |observed| {
            state(observed, "app") == Some(RuntimeState::Running)
                && state(observed, "fails") == Some(RuntimeState::Exited)
        })
        .await;
    let [ip] = observed.ips[..] else {
        panic!("{observed:?}");
    };
    let init = observed.container("init").unwrap();
    assert_eq!(init.message, format!("{ip}\n"));
    assert_eq!((init.exit_code, &*init.reason), (0, "Completed"));
    assert_eq!(init.image, IMAGE);
    let fails = observed.container("fails").unwrap();
    // Two streams have no order between them.
    let mut said: Vec<_> = fails.message.lines().collect();
    said.sort_unstable();
    assert_eq!((fails.exit_code, said), (7, vec!["last words", "out"]));

    let app = observed.container("app").unwrap();
    let (log, text) = node.log_of_a_listener(&app.id).await;
    assert!(text.contains(&format!("{ip}\tweb")), "{text}");
    assert!(text.contains("uid=1000"), "{text}");
    let link = format!("web_default_app-{}.log", app.id.id);
    let link = node.containerd.directory().join("links").join(link);
    assert_eq!(std::fs::read_link(link).unwrap(), log);

    // A daemon that crashed and another agent find all as it was.
    node.containerd.kill().await.unwrap();
    node.containerd.start_again().await.unwrap();
    let again = node.sync_until(&pod, |_| true).await;
    assert_eq!(again, observed);
    let pods = node.manager.list_pods().await.unwrap();
    assert_eq!(pods.len(), 1);
    assert_eq!(pods[0].containers.len(), 4);

    let root = observed.container("root").unwrap().id.clone();
    let (log, _) = node.log_of_a_listener(&root).await;
    node.manager
        .kill_pod(Some(&pod), &again, None)
        .await
        .unwrap();
    let ended = node.observe(&pod).await;
    assert!(ended.is_at_rest(), "{ended:?}");
    assert_eq!(ended.container("app").unwrap().exit_code, 3);
    assert_eq!(ended.container("root").unwrap().exit_code, 0);
    let text = std::fs::read_to_string(&log).unwrap();
    assert!(text.contains("bye"), "{text}");

    for container in &ended.containers {
        node.manager
            .remove_container(&container.id.id)
            .await
            .unwrap();
    }
    for sandbox in &ended.sandboxes {
        node.manager.delete_sandbox(&sandbox.id).await.unwrap();
    }
    assert!(node.manager.list_pods().await.unwrap().is_empty());
    assert!(!log.exists());
    node.containerd.stop().await.unwrap();
}
