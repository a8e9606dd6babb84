use std::collections::HashMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;

use super::place::NodeName;

/// Pods that were bound, and that the cache does not show as bound yet.
///
/// Without it the room that they take would be given away twice.
/// Answers to the assumed pods of kube-scheduler's cache.
#[derive(Debug, Default)]
pub(super) struct Assumed {
    by_uid: HashMap<String, NodeName>,
}

impl Assumed {
    /// A pod is going to be bound.
    pub(super) fn assume(&mut self, pod: &Pod, node: NodeName) {
        if let Some(uid) = &pod.metadata.uid {
            self.by_uid.insert(uid.clone(), node);
        }
    }

    /// It was not.
    pub(super) fn forget(&mut self, pod: &Pod) {
        if let Some(uid) = &pod.metadata.uid {
            self.by_uid.remove(uid);
        }
    }

    /// The pods as the cache will show them. What it shows by now, and what is gone, is forgotten.
    pub(super) fn over(&mut self, cached: Vec<Arc<Pod>>) -> Vec<Arc<Pod>> {
        let mut awaited = HashMap::new();
        let mut pods = cached;
        for pod in &mut pods {
            let is_bound = pod.spec.as_ref().is_some_and(|it| it.node_name.is_some());
            let assumed = pod
                .metadata
                .uid
                .as_deref()
                .and_then(|uid| self.by_uid.remove_entry(uid));
            let Some((uid, node)) = assumed.filter(|_| !is_bound) else {
                continue;
            };
            let bound = Arc::make_mut(pod);
            bound.spec.get_or_insert_default().node_name = Some(node.to_string());
            awaited.insert(uid, node);
        }
        self.by_uid = awaited;
        pods
    }
}

#[cfg(test)]
mod tests {
    use super::super::place::place;
    use super::*;

    fn pod(uid: &str, node: Option<&str>) -> Arc<Pod> {
        let pod = serde_json::json!({
            "metadata": {"name": uid, "uid": uid},
            "spec": {"containers": [], "nodeName": node},
        });
        Arc::new(serde_json::from_value(pod).unwrap())
    }

    fn some_node() -> NodeName {
        let node = serde_json::json!({
            "metadata": {"name": "a"},
            "status": {
                "allocatable": {"pods": "1"},
                "conditions": [{"type": "Ready", "status": "True"}],
            },
        });
        let nodes = [Arc::new(serde_json::from_value(node).unwrap())];
        place(&pod("x", None), &nodes, &[]).unwrap()
    }

    fn nodes_of(pods: &[Arc<Pod>]) -> Vec<Option<&str>> {
        let specs = pods.iter().map(|pod| pod.spec.as_ref().unwrap());
        specs.map(|spec| spec.node_name.as_deref()).collect()
    }

    #[test]
    fn a_pod_is_bound_from_the_decision_on_until_the_cache_shows_it() {
        let mut assumed = Assumed::default();
        assumed.assume(&pod("x", None), some_node());
        let shown = assumed.over(vec![pod("x", None), pod("y", None)]);
        assert_eq!(nodes_of(&shown), [Some("a"), None]);
        let shown = assumed.over(vec![pod("x", None), pod("y", None)]);
        assert_eq!(nodes_of(&shown), [Some("a"), None], "still not shown");
        assert_eq!(
            nodes_of(&assumed.over(vec![pod("x", Some("b"))])),
            [Some("b")]
        );
        assert!(assumed.by_uid.is_empty(), "the cache knows");
    }

    #[test]
    fn what_is_gone_or_was_not_bound_is_forgotten() {
        let mut assumed = Assumed::default();
        assumed.assume(&pod("x", None), some_node());
        assumed.over(vec![pod("y", None)]);
        assert!(assumed.by_uid.is_empty(), "the pod is gone");
        assumed.assume(&pod("x", None), some_node());
        assumed.forget(&pod("x", None));
        assert_eq!(nodes_of(&assumed.over(vec![pod("x", None)])), [None]);
    }
}
