use k8s_openapi::api::core::v1::{Node, Pod, Taint, Toleration};

use super::Rejection;
use crate::pod::is_static;

/// A pod that would be driven off the node at once is not started, unless it is static.
pub(super) fn check(pod: &Pod, node: &Node) -> Result<(), Rejection> {
    if is_static(pod) {
        return Ok(());
    }
    if untolerated_taint(pod, node, &["NoExecute"]).is_some() {
        return Err(Rejection::predicate(
            "TaintToleration",
            "node(s) had taints that the pod didn't tolerate",
        ));
    }
    Ok(())
}

/// The first taint of a node that has one of the effects and that a pod does not tolerate.
///
/// Answers to upstream's `FindMatchingUntoleratedTaint`.
pub fn untolerated_taint<'a>(pod: &Pod, node: &'a Node, effects: &[&str]) -> Option<&'a Taint> {
    let taints = node.spec.as_ref().and_then(|spec| spec.taints.as_ref());
    let mut taints = taints.into_iter().flatten();
    taints.find(|taint| effects.contains(&taint.effect.as_str()) && !is_tolerated(pod, taint))
}

/// Whether a pod tolerates a taint.
pub fn is_tolerated(pod: &Pod, taint: &Taint) -> bool {
    let spec = pod.spec.as_ref();
    let tolerations = spec.and_then(|spec| spec.tolerations.as_deref());
    let mut tolerations = tolerations.unwrap_or_default().iter();
    tolerations.any(|toleration| tolerates(toleration, taint))
}

/// Answers to upstream's `ToleratesTaint`, without comparisons of numbers.
fn tolerates(toleration: &Toleration, taint: &Taint) -> bool {
    let is = |asked: &Option<String>, has: &str| {
        let asked = asked.as_deref().unwrap_or_default();
        asked.is_empty() || asked == has
    };
    let value = |value: &Option<String>| value.clone().unwrap_or_default();
    is(&toleration.effect, &taint.effect)
        && is(&toleration.key, &taint.key)
        && match toleration.operator.as_deref().unwrap_or_default() {
            "" | "Equal" => value(&toleration.value) == value(&taint.value),
            "Exists" => true,
            _ => false,
        }
}
