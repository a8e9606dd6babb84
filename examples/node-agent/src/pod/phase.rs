use k8s_openapi::api::core::v1::Pod;

/// The phase of a pod of which a container has not been started yet.
pub const PENDING: &str = "Pending";

/// The phase of a pod that runs, or is about to run again.
pub const RUNNING: &str = "Running";

/// The phase of a pod whose containers all ended well, for good.
pub const SUCCEEDED: &str = "Succeeded";

/// The phase of a pod that ended, and not well.
pub const FAILED: &str = "Failed";

/// Whether a pod never leaves a phase.
pub fn is_phase_terminal(phase: Option<&str>) -> bool {
    matches!(phase, Some(SUCCEEDED | FAILED))
}

/// Whether a pod is in a phase that it never leaves, by what its source says.
pub fn is_terminal(pod: &Pod) -> bool {
    let phase = pod
        .status
        .as_ref()
        .and_then(|status| status.phase.as_deref());
    is_phase_terminal(phase)
}

/// Whether somebody has asked for a pod to be deleted.
pub fn is_deleting(pod: &Pod) -> bool {
    pod.metadata.deletion_timestamp.is_some()
}

/// Whether a pod is in the network of the host.
pub fn is_host_network(pod: &Pod) -> bool {
    let spec = pod.spec.as_ref();
    spec.and_then(|spec| spec.host_network).unwrap_or_default()
}
