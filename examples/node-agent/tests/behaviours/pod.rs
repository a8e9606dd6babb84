//! What the status of a pod says.

use k8s_openapi::api::core::v1::{ContainerStatus, Pod};

/// A pod's phase.
pub(crate) fn phase(pod: &Pod) -> &str {
    let status = pod.status.as_ref();
    status
        .and_then(|status| status.phase.as_deref())
        .unwrap_or_default()
}

/// Whether a pod has ended.
pub(crate) fn is_over(pod: &Pod) -> bool {
    ["Succeeded", "Failed"].contains(&phase(pod))
}

/// Whether a pod is ready.
pub(crate) fn is_ready(pod: &Pod) -> bool {
    condition(pod, "Ready") == "True"
}

/// The status of a condition; empty if there is none.
pub(crate) fn condition<'a>(pod: &'a Pod, name: &str) -> &'a str {
    let conditions = pod
        .status
        .iter()
        .flat_map(|status| &status.conditions)
        .flatten();
    let mut named = conditions.filter(|condition| condition.type_ == name);
    named.next().map_or("", |condition| &condition.status)
}

/// The status of a container of any kind.
pub(crate) fn container<'a>(pod: &'a Pod, name: &str) -> Option<&'a ContainerStatus> {
    let status = pod.status.as_ref()?;
    let lists = [
        &status.init_container_statuses,
        &status.container_statuses,
        &status.ephemeral_container_statuses,
    ];
    let mut statuses = lists.into_iter().flatten().flatten();
    statuses.find(|status| status.name == name)
}

/// The id of a container of any kind.
pub(crate) fn container_id(pod: &Pod, name: &str) -> Option<String> {
    container(pod, name).and_then(|status| status.container_id.clone())
}

/// How often a container was restarted.
pub(crate) fn restarts(pod: &Pod, name: &str) -> i32 {
    container(pod, name).map_or(0, |status| status.restart_count)
}

/// Whether a container runs.
pub(crate) fn is_running(pod: &Pod, name: &str) -> bool {
    let state = container(pod, name).and_then(|status| status.state.as_ref());
    state.is_some_and(|state| state.running.is_some())
}

/// Why a container waits.
pub(crate) fn waits_for<'a>(pod: &'a Pod, name: &str) -> &'a str {
    let state = container(pod, name).and_then(|status| status.state.as_ref());
    let waiting = state.and_then(|state| state.waiting.as_ref());
    waiting
        .and_then(|waiting| waiting.reason.as_deref())
        .unwrap_or_default()
}

/// How a container ended: its exit code, reason and message.
pub(crate) fn ended(pod: &Pod, name: &str) -> Option<(i32, String, String)> {
    let state = container(pod, name)?.state.as_ref()?.terminated.as_ref()?;
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    Some((state.exit_code, text(&state.reason), text(&state.message)))
}

/// A state of a pod in one line.
pub(crate) fn summary(pod: &Pod) -> String {
    let status = pod.status.clone().unwrap_or_default();
    let lists = [
        status.init_container_statuses,
        status.container_statuses,
        status.ephemeral_container_statuses,
    ];
    let containers = lists.into_iter().flatten().flatten().map(|status| {
        let state = serde_json::to_string(&status.state).unwrap_or_default();
        format!("{}({}): {state}", status.name, status.restart_count)
    });
    let containers: Vec<_> = containers.collect();
    format!(
        "{} {} {} {}",
        status.phase.unwrap_or_default(),
        status.reason.unwrap_or_default(),
        status.message.unwrap_or_default(),
        containers.join(", ")
    )
}
