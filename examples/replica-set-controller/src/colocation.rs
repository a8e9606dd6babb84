//! How crowded the nodes of pods are with related pods.

use std::collections::HashMap;

use crate::pod::PodView;

/// For each of `pods`, how many active pods of `related` are on the same node.
///
/// `related` are the pods of all sets with the same controller, each once, `pods` among them. Pods
/// on no node are together there.
pub fn colocation_ranks(pods: &[PodView], related: &[PodView]) -> Vec<usize> {
    let mut on_node: HashMap<Option<&str>, usize> = HashMap::new();
    for pod in related.iter().filter(|pod| pod.is_active()) {
        *on_node.entry(pod.node()).or_default() += 1;
    }
    let rank = |pod: &PodView| on_node.get(&pod.node()).copied().unwrap_or_default();
    pods.iter().map(rank).collect()
}
