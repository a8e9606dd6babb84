use k8s_openapi::api::core::v1::Pod;

/// The scheduler that pods have which name none.
const NAME: &str = "default-scheduler";

/// Whether a pod waits for this scheduler to find a node for it.
pub(super) fn is_pending(pod: &Pod) -> bool {
    let Some(spec) = &pod.spec else {
        return false;
    };
    let is_bound = spec.node_name.as_deref().is_some_and(|it| !it.is_empty());
    let gates = spec.scheduling_gates.as_ref();
    let is_gated = gates.is_some_and(|gates| !gates.is_empty());
    let scheduler = spec.scheduler_name.as_deref().unwrap_or(NAME);
    let is_going = pod.metadata.deletion_timestamp.is_some();
    !is_bound && !is_gated && !is_going && scheduler == NAME && takes_room(pod)
}

/// Whether a pod may run containers yet: it has not ended.
pub(super) fn takes_room(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|it| it.phase.as_deref());
    !matches!(phase, Some("Succeeded" | "Failed"))
}
