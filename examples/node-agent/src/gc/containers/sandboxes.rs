use std::cmp::Reverse;
use std::collections::HashSet;
use std::sync::Arc;

use crate::pod::PodUid;
use crate::runtime::ListedPod;

/// The sandboxes that are to be removed, of all that the runtime has: those that are not ready and
/// hold no container, but the newest one of a pod that is of use.
///
/// Answers to the `evictSandboxes` of `kuberuntime`.
pub fn removable_sandboxes(
    pods: &[ListedPod],
    is_useless: impl Fn(&PodUid) -> bool,
) -> Vec<Arc<str>> {
    let mut removed = Vec::new();
    for pod in pods {
        let held: HashSet<_> = pod.containers.iter().map(|it| &it.sandbox).collect();
        let mut sandboxes: Vec<_> = pod.sandboxes.iter().collect();
        sandboxes.sort_by_key(|sandbox| Reverse((sandbox.attempt, sandbox.created_at)));
        let kept = usize::from(!is_useless(&pod.uid));
        let old = sandboxes.into_iter().skip(kept);
        let dead = old.filter(|sandbox| !sandbox.is_ready && !held.contains(&sandbox.id));
        removed.extend(dead.map(|sandbox| sandbox.id.clone()));
    }
    removed
}
