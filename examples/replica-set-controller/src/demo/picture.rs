use std::fmt;

use k8s_openapi::api::apps::v1::{ReplicaSet, ReplicaSetStatus};
use k8s_openapi::api::core::v1::Pod;
use kubewright_cache::Object;

use crate::pod::{Phase, PodView};
use crate::replica_set::ReplicaSetView;

/// A set and the pods it controls, at one moment.
#[derive(Clone, Debug, Default)]
pub struct Picture {
    /// How many pods are wanted; `None` if there is no set.
    pub wanted: Option<usize>,
    /// What the set's status says, of its present generation only.
    pub status: Option<ReplicaSetStatus>,
    /// The pods, by name.
    pub pods: Vec<SeenPod>,
}

/// A pod in a [`Picture`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenPod {
    /// Its name.
    pub name: String,
    /// Where it is in its life.
    pub state: PodState,
}

/// Where a pod is in its life, as far as people care.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PodState {
    /// It does not run yet.
    Waiting,
    /// It runs.
    Running,
    /// It is ready to serve.
    Ready,
    /// It has ended.
    Ended,
    /// It was asked to go away.
    Leaving,
}

impl Picture {
    /// The picture of a set, and of those among `pods` that it controls.
    pub fn of(
        set: Option<&Object<ReplicaSet>>,
        pods: impl IntoIterator<Item = Object<Pod>>,
    ) -> Self {
        let Some(set) = set else {
            return Self::default();
        };
        let body = set.body();
        let Ok(view) = ReplicaSetView::new(set, &body) else {
            return Self::default();
        };
        let is_its_own = |pod: &Object<Pod>| {
            let owner = pod.meta().controller_of();
            owner.is_some_and(|owner| owner.uid == set.meta().uid())
        };
        let is_current = view.status().observed_generation == set.meta().generation();
        Self {
            wanted: Some(view.replicas()),
            status: is_current.then(|| view.status().clone()),
            pods: pods
                .into_iter()
                .filter(is_its_own)
                .map(SeenPod::of)
                .collect(),
        }
    }

    /// How many pods are in a state.
    pub fn count(&self, state: PodState) -> usize {
        self.pods.iter().filter(|pod| pod.state == state).count()
    }

    /// Whether a pod is among them, whatever its state.
    pub fn has(&self, name: &str) -> bool {
        self.pods.iter().any(|pod| pod.name == name)
    }

    /// Whether there are exactly `count` pods, all of them ready, and the status says so.
    pub fn has_settled_at(&self, count: usize) -> bool {
        let says = |status: &ReplicaSetStatus| {
            let replicas = usize::try_from(status.replicas).ok();
            let part = |count: Option<i32>| usize::try_from(count.unwrap_or_default()).ok();
            [
                replicas,
                part(status.ready_replicas),
                part(status.available_replicas),
            ]
            .iter()
            .all(|part| *part == Some(count))
        };
        self.pods.len() == count
            && self.count(PodState::Ready) == count
            && self.status.as_ref().is_some_and(says)
    }
}

impl fmt::Display for Picture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(wanted) = self.wanted else {
            return f.write_str("there is no set");
        };
        let ready = self.count(PodState::Ready);
        write!(f, "{ready} of {wanted} pods are ready")?;
        let coming = self.count(PodState::Waiting) + self.count(PodState::Running);
        let leaving = self.count(PodState::Leaving);
        for (count, what) in [(coming, "starting"), (leaving, "leaving")] {
            if count > 0 {
                write!(f, ", {count} {what}")?;
            }
        }
        Ok(())
    }
}

impl SeenPod {
    fn of(pod: Object<Pod>) -> Self {
        let pod = PodView::new(pod);
        let state = match pod.phase() {
            Phase::Succeeded | Phase::Failed => PodState::Ended,
            _ if pod.meta().is_being_deleted() => PodState::Leaving,
            _ if pod.is_ready() => PodState::Ready,
            Phase::Running => PodState::Running,
            Phase::Pending | Phase::Unknown | Phase::Other => PodState::Waiting,
        };
        Self {
            name: pod.meta().name().to_owned(),
            state,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(name: &str, owner: &str, ready: &str) -> Object<Pod> {
        let pod = json!({
            "metadata": {
                "name": name, "namespace": "default",
                "ownerReferences": [{
                    "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "sample",
                    "uid": owner, "controller": true,
                }],
            },
            "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": ready}]},
        });
        Object::from_json(pod.to_string().as_bytes()).unwrap()
    }

    fn set(status: &serde_json::Value) -> Object<ReplicaSet> {
        let set = json!({
            "metadata": {"name": "sample", "namespace": "default", "uid": "a", "generation": 2},
            "spec": {"replicas": 2},
            "status": status,
        });
        Object::from_json(set.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn it_is_settled_when_pods_and_status_agree() {
        let status = |generation| {
            json!({
                "replicas": 2, "readyReplicas": 2, "availableReplicas": 2,
                "observedGeneration": generation,
            })
        };
        let two = || {
            [
                pod("x", "a", "True"),
                pod("y", "a", "True"),
                pod("z", "b", "True"),
            ]
        };
        let picture = Picture::of(Some(&set(&status(2))), two());
        assert!(picture.has_settled_at(2) && !picture.has_settled_at(3));
        assert!(picture.has("x") && !picture.has("z"));
        assert_eq!(picture.to_string(), "2 of 2 pods are ready");

        assert!(!Picture::of(Some(&set(&status(1))), two()).has_settled_at(2));
        assert!(!Picture::of(Some(&set(&json!({"replicas": 2}))), two()).has_settled_at(2));
        let one_is_not_ready = [pod("x", "a", "True"), pod("y", "a", "False")];
        let picture = Picture::of(Some(&set(&status(2))), one_is_not_ready);
        assert!(!picture.has_settled_at(2));
        assert_eq!(picture.to_string(), "1 of 2 pods are ready, 1 starting");
    }
}
