use k8s_openapi::api::core::v1::Pod;

/// Which containers of a pod are started again after they ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RestartPolicy {
    /// All.
    Always,
    /// Those that failed.
    OnFailure,
    /// None.
    Never,
}

impl RestartPolicy {
    /// The policy of a pod; `Always` if it has none.
    pub fn of(pod: &Pod) -> Self {
        let spec = pod.spec.as_ref();
        match spec.and_then(|spec| spec.restart_policy.as_deref()) {
            Some("OnFailure") => Self::OnFailure,
            Some("Never") => Self::Never,
            _ => Self::Always,
        }
    }

    /// Whether a container is started again that ended so.
    pub fn restarts(self, exit_code: i32) -> bool {
        match self {
            Self::Always => true,
            Self::OnFailure => exit_code != 0,
            Self::Never => false,
        }
    }
}
