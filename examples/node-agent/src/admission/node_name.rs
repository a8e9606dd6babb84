use k8s_openapi::api::core::v1::{Node, Pod};

use super::Rejection;

/// A pod may be on no other node than that which it names.
pub(super) fn check(pod: &Pod, node: &Node) -> Result<(), Rejection> {
    let asked = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref());
    match asked.filter(|name| !name.is_empty()) {
        Some(asked) if node.metadata.name.as_deref() != Some(asked) => Err(Rejection::predicate(
            "NodeName",
            "node(s) didn't match the requested node name",
        )),
        _ => Ok(()),
    }
}
