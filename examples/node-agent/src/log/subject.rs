use k8s_openapi::api::core::v1::{ContainerStatus, PodStatus};

/// Why there is no log of a container, in the words that `kubectl logs` shows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NoLog(String);

/// Which container's log is meant by that of a container of a pod, now or before it was restarted:
/// an id as statuses have it, `containerd://…`.
///
/// Answers to `validateContainerLogStatus` of Kubernetes 1.36.
///
/// # Errors
///
/// If there is none.
pub fn container_to_read<'s>(
    pod: &str,
    status: &'s PodStatus,
    container: &str,
    previous: bool,
) -> Result<&'s str, NoLog> {
    let refuse = |why: &str| {
        let text = format!("container {container:?} in pod {pod:?} is {why}");
        Err(NoLog(text))
    };
    let Some(status) = status_of(status, container) else {
        return refuse("not available");
    };
    let given = |id: Option<&'s String>| id.map(String::as_str).filter(|id| !id.is_empty());
    let state = status.state.as_ref();
    let before = status.last_state.as_ref();
    let before = before.and_then(|state| state.terminated.as_ref());
    let id_before = before.and_then(|before| given(before.container_id.as_ref()));
    if previous {
        return id_before.ok_or_else(|| {
            NoLog(format!(
                "previous terminated container {container:?} in pod {pod:?} not found"
            ))
        });
    }
    if state.is_some_and(|state| state.running.is_some()) {
        let id = given(status.container_id.as_ref());
        return id.map_or_else(|| refuse("waiting to start - no logs yet"), Ok);
    }
    if let Some(terminated) = state.and_then(|state| state.terminated.as_ref()) {
        // Without an id, what was to come after the one before was never made.
        let id = given(terminated.container_id.as_ref()).or(id_before);
        return id.map_or_else(|| refuse("terminated"), Ok);
    }
    if before.is_some() {
        return id_before.map_or_else(|| refuse("terminated"), Ok);
    }
    let waiting = state.and_then(|state| state.waiting.as_ref());
    match waiting.map(|waiting| waiting.reason.as_deref().unwrap_or_default()) {
        Some("ErrImagePull") => refuse("waiting to start: image can't be pulled"),
        Some("ImagePullBackOff") => refuse("waiting to start: trying and failing to pull image"),
        Some(reason) => refuse(&format!("waiting to start: {reason}")),
        None => refuse("waiting to start - no logs yet"),
    }
}

fn status_of<'s>(pod: &'s PodStatus, container: &str) -> Option<&'s ContainerStatus> {
    let lists = [
        &pod.container_statuses,
        &pod.init_container_statuses,
        &pod.ephemeral_container_statuses,
    ];
    let mut statuses = lists.into_iter().flatten().flatten();
    statuses.find(|status| status.name == container)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[track_caller]
    fn check(
        state: &Value,
        last_state: &Value,
        now: Result<&str, &str>,
        before: Result<&str, &str>,
    ) {
        let status: PodStatus = serde_json::from_value(json!({"containerStatuses": [{
            "name": "c", "image": "", "imageID": "", "ready": false, "restartCount": 0,
            "containerID": "r://own", "state": state, "lastState": last_state,
        }]}))
        .unwrap();
        for (previous, expected) in [(false, now), (true, before)] {
            let found = container_to_read("p", &status, "c", previous);
            let found = found.map_err(|no_log| no_log.to_string());
            assert_eq!(
                found,
                expected.map_err(str::to_owned),
                "{state} {last_state} {previous}"
            );
        }
    }

    /// Answers to `TestValidateContainerLogStatus`.
    #[test]
    fn validate_container_log_status() {
        let none = json!({});
        let running = json!({"running": {}});
        let ended = |id: &str| json!({"terminated": {"exitCode": 0, "containerID": id}});
        let waiting = |reason: &str| json!({"waiting": {"reason": reason}});
        let no_previous = Err("previous terminated container \"c\" in pod \"p\" not found");
        let terminated = Err("container \"c\" in pod \"p\" is terminated");

        check(&running, &none, Ok("r://own"), no_previous);
        check(&running, &ended("r://old"), Ok("r://own"), Ok("r://old"));
        check(&ended("r://own"), &none, Ok("r://own"), no_previous);
        check(
            &ended("r://own"),
            &ended("r://old"),
            Ok("r://own"),
            Ok("r://old"),
        );
        check(&ended(""), &ended("r://old"), Ok("r://old"), Ok("r://old"));
        check(&ended(""), &ended(""), terminated, no_previous);
        check(&ended(""), &none, terminated, no_previous);
        check(
            &waiting("X"),
            &ended("r://old"),
            Ok("r://old"),
            Ok("r://old"),
        );
        check(&waiting("X"), &ended(""), terminated, no_previous);
        check(
            &none,
            &none,
            Err("container \"c\" in pod \"p\" is waiting to start - no logs yet"),
            no_previous,
        );
        for (reason, text) in [
            ("ErrImagePull", "image can't be pulled"),
            ("ImagePullBackOff", "trying and failing to pull image"),
            ("RunContainerError", "RunContainerError"),
        ] {
            let text = format!("container \"c\" in pod \"p\" is waiting to start: {text}");
            check(&waiting(reason), &none, Err(&text), no_previous);
        }
    }

    #[test]
    fn a_container_without_a_status_has_no_log() {
        let no_log = container_to_read("p", &PodStatus::default(), "c", false).unwrap_err();
        assert_eq!(
            no_log.to_string(),
            "container \"c\" in pod \"p\" is not available"
        );
    }
}
