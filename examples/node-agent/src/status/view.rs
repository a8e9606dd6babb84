use k8s_openapi::api::core::v1::{ContainerState, ContainerStateTerminated, ContainerStatus};

/// Why a container ended whose end nobody saw.
pub(super) const STATUS_UNKNOWN: &str = "ContainerStatusUnknown";

/// How a container ended whose end nobody saw.
const UNSEEN_EXIT_CODE: i32 = 137;

/// What a status says of a container, in one word.
#[derive(Clone, Copy)]
pub(super) enum View<'a> {
    Running,
    Terminated(&'a ContainerStateTerminated),
    /// It waits, and its last run ended so, if there was one.
    Waiting(Option<&'a ContainerStateTerminated>),
    /// The status says nothing.
    Unsaid,
}

impl<'a> View<'a> {
    pub(super) fn of(status: &'a ContainerStatus) -> Self {
        let Some(state) = &status.state else {
            return Self::Unsaid;
        };
        if state.running.is_some() {
            Self::Running
        } else if let Some(terminated) = &state.terminated {
            Self::Terminated(terminated)
        } else if state.waiting.is_some() {
            Self::Waiting(last_end(status))
        } else {
            Self::Unsaid
        }
    }
}

/// The status of a container.
pub(super) fn find<'a>(statuses: &'a [ContainerStatus], name: &str) -> Option<&'a ContainerStatus> {
    statuses.iter().find(|status| status.name == name)
}

/// How a container ended, if it has.
pub(super) fn end(status: &ContainerStatus) -> Option<&ContainerStateTerminated> {
    status.state.as_ref()?.terminated.as_ref()
}

/// How a container's last run ended, if there was one.
pub(super) fn last_end(status: &ContainerStatus) -> Option<&ContainerStateTerminated> {
    status.last_state.as_ref()?.terminated.as_ref()
}

/// The state of a container whose end nobody saw.
pub(super) fn unseen_end(message: &str) -> ContainerState {
    let terminated = ContainerStateTerminated {
        exit_code: UNSEEN_EXIT_CODE,
        reason: Some(STATUS_UNKNOWN.into()),
        message: Some(message.into()),
        ..Default::default()
    };
    ContainerState {
        terminated: Some(terminated),
        ..Default::default()
    }
}
