//! The pods whose lives are disturbed.

use anyhow::{Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

use crate::machine::NAMESPACE;
use crate::pod::{condition, container, ended, phase, restarts};

/// What kind of life a pod has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    /// Runs until it is deleted.
    Sleeper,
    /// Two containers and a sidecar that run until they are deleted.
    Company,
    /// Runs once, and ends well.
    Job,
    /// Runs once, and fails.
    Failure,
    /// Two steps before it runs.
    Steps,
    /// Ends again and again.
    CrashLoop,
}

/// All kinds.
pub(crate) const LIVES: [Life; 6] = [
    Life::Sleeper,
    Life::Company,
    Life::Job,
    Life::Failure,
    Life::Steps,
    Life::CrashLoop,
];

impl Life {
    /// A pod of this kind on a node.
    pub(crate) fn pod(self, name: &str, node: &str) -> Pod {
        let sleeper = |name| script(name, "exec sleep 1000");
        let mut spec = match self {
            Self::Sleeper => json!({"containers": [sleeper("main")]}),
            Self::Company => {
                let mut sidecar = sleeper("sidecar");
                sidecar["restartPolicy"] = json!("Always");
                json!({
                    "initContainers": [sidecar],
                    "containers": [sleeper("main"), sleeper("other")],
                })
            }
            Self::Job => json!({"containers": [script("main", "sleep 0.2; exit 0")]}),
            Self::Failure => json!({"containers": [script("main", "sleep 0.1; exit 3")]}),
            Self::Steps => json!({
                "initContainers": [script("one", "sleep 0.1"), script("two", "sleep 0.1")],
                "containers": [sleeper("main")],
            }),
            Self::CrashLoop => json!({"containers": [script("main", "sleep 0.1; exit 1")]}),
        };
        if matches!(self, Self::Job | Self::Failure) {
            spec["restartPolicy"] = json!("Never");
        }
        pod(name, node, spec)
    }

    /// Whether its containers are started once and never again.
    pub(crate) fn is_once(self) -> bool {
        matches!(self, Self::Job | Self::Failure)
    }

    /// Whether a pod is what it is to become.
    pub(crate) fn check(self, pod: &Pod) -> Result<()> {
        let name = pod.metadata.name.as_deref().unwrap_or_default();
        let is = |what: &str| ensure_phase(pod, what);
        match self {
            Self::Sleeper | Self::Company => {
                is("Running")?;
                ensure!(condition(pod, "Ready") == "True", "{name} is not ready");
            }
            Self::Job => {
                is("Succeeded")?;
                let code = ended(pod, "main").map(|it| it.0);
                ensure!(code == Some(0), "{name} ended with {code:?}");
            }
            Self::Failure => {
                is("Failed")?;
                let code = ended(pod, "main").map(|it| it.0);
                ensure!(code == Some(3), "{name} ended with {code:?}");
            }
            Self::Steps => {
                is("Running")?;
                ensure!(condition(pod, "Ready") == "True", "{name} is not ready");
                for step in ["one", "two"] {
                    let code = ended(pod, step).map(|it| it.0);
                    ensure!(code == Some(0), "step {step} of {name} ended with {code:?}");
                }
            }
            Self::CrashLoop => {
                is("Running")?;
                ensure!(restarts(pod, "main") >= 1, "{name} was not restarted");
                let last = container(pod, "main").and_then(|it| it.last_state.as_ref());
                let last = last.and_then(|it| it.terminated.as_ref());
                let code = last.map(|it| it.exit_code);
                ensure!(code == Some(1), "{name} ended with {code:?} the last time");
            }
        }
        Ok(())
    }
}

fn ensure_phase(pod: &Pod, what: &str) -> Result<()> {
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    ensure!(
        phase(pod) == what,
        "{name} is {} and not {what}",
        phase(pod)
    );
    Ok(())
}

/// A container that runs a script.
pub(crate) fn script(name: &str, script: &str) -> Value {
    json!({
        "name": name,
        "image": "host",
        "imagePullPolicy": "IfNotPresent",
        "command": ["sh", "-c", script],
    })
}

/// A pod on a node, with a second to end.
pub(crate) fn pod(name: &str, node: &str, mut spec: Value) -> Pod {
    spec["nodeName"] = json!(node);
    spec["automountServiceAccountToken"] = json!(false);
    if spec.get("terminationGracePeriodSeconds").is_none() {
        spec["terminationGracePeriodSeconds"] = json!(1);
    }
    let pod = json!({"metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec});
    serde_json::from_value(pod).expect("it is a pod")
}

/// A static pod, as text; another `generation` is another pod.
pub(crate) fn manifest(name: &str, generation: u32) -> String {
    let manifest = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": NAMESPACE,
            "annotations": {"generation": generation.to_string()},
        },
        "spec": {
            "terminationGracePeriodSeconds": 1,
            "containers": [script("main", "exec sleep 1000")],
        },
    });
    manifest.to_string()
}

/// The uid that a pod's containers have: that of the static pod for a mirror.
pub(crate) fn uid_on_node(pod: &Pod) -> String {
    let annotations = pod.metadata.annotations.as_ref();
    let hash = annotations.and_then(|all| all.get("kubernetes.io/config.mirror"));
    let uid = hash.or(pod.metadata.uid.as_ref());
    uid.cloned().unwrap_or_default()
}
