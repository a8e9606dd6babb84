use k8s_openapi::api::core::v1::{ContainerStatus, Pod, PodStatus};

use super::containers::UNSEEN_AT_THE_END;
use super::view::{View, end, find, last_end, unseen_end};
use crate::pod::{FAILED, is_phase_terminal, is_sidecar, is_static};

/// The last status of a pod whose worker is done with it.
///
/// A container that waits to be started again has ended as it did before. Containers whose end nobody
/// saw are said to have ended with 137, and a phase that is not terminal becomes `Failed`; that of a
/// static pod stays, since it starts anew with the next agent.
/// Answers to kubelet's `TerminatePod`, which does not know how one ended that waits.
pub fn finish(pod: &Pod, mut status: PodStatus) -> PodStatus {
    if was_initialized(pod, &status) {
        end_all(status.container_statuses.iter_mut().flatten());
    }
    let init = status.init_container_statuses.iter_mut().flatten();
    let init: Vec<_> = init.collect();
    let begun = init.iter().rposition(|status| has_begun(status));
    // The first one was tried, as far as anybody can tell.
    let count = begun.map_or(1, |last| last + 1);
    end_all(init.into_iter().take(count));

    if !is_static(pod) && !is_phase_terminal(status.phase.as_deref()) {
        status.phase = Some(FAILED.into());
    }
    status
}

fn end_all<'a>(statuses: impl Iterator<Item = &'a mut ContainerStatus>) {
    for status in statuses {
        match View::of(status) {
            View::Terminated(_) => {}
            View::Waiting(Some(_)) => status.state = status.last_state.take(),
            _ => status.state = Some(unseen_end(UNSEEN_AT_THE_END)),
        }
    }
}

/// Whether a container was ever started, as far as its status tells.
fn has_begun(status: &ContainerStatus) -> bool {
    last_end(status).is_some() || !matches!(View::of(status), View::Waiting(_))
}

/// Whether the init containers of a pod were ever done.
fn was_initialized(pod: &Pod, status: &PodStatus) -> bool {
    let spec = pod.spec.as_ref();
    let init = spec.and_then(|spec| spec.init_containers.as_deref());
    let Some(last) = init.and_then(<[_]>::last) else {
        return true;
    };
    let mut regular = status.container_statuses.iter().flatten();
    if regular.any(has_begun) {
        return true;
    }
    let statuses = status.init_container_statuses.as_deref();
    let Some(status) = find(statuses.unwrap_or_default(), &last.name) else {
        return false;
    };
    if is_sidecar(last) {
        return status.started == Some(true);
    }
    let ends = [last_end(status), end(status)];
    ends.into_iter().flatten().any(|end| end.exit_code == 0)
}
