use std::path::{Component, Path, PathBuf};

use k8s_openapi::api::core::v1;

use super::SecurityError;

/// Which system calls are let through.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum SeccompProfile {
    /// All.
    #[default]
    Unconfined,
    /// Those that the runtime lets through.
    RuntimeDefault,
    /// Those that the profile in this file lets through.
    Localhost(PathBuf),
}

/// What the agent is set to do about seccomp.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeccompSettings {
    /// Where the node's profiles are: `<root>/seccomp`.
    pub profile_root: PathBuf,
    /// What goes for containers that do not say: all system calls, or with `seccompDefault` those
    /// that the runtime lets through.
    pub default: SeccompProfile,
}

impl SeccompSettings {
    /// The profile of a container: its own, else the pod's, else the default.
    ///
    /// # Errors
    ///
    /// If it is a profile of the node without a path, or of a kind that there is not.
    pub fn profile(
        &self,
        container: Option<&v1::SeccompProfile>,
        pod: Option<&v1::SeccompProfile>,
    ) -> Result<SeccompProfile, SecurityError> {
        let Some(profile) = container.or(pod) else {
            return Ok(self.default.clone());
        };
        match &*profile.type_ {
            "Unconfined" => Ok(SeccompProfile::Unconfined),
            "RuntimeDefault" => Ok(SeccompProfile::RuntimeDefault),
            "Localhost" => {
                let path = profile.localhost_profile.as_deref().unwrap_or_default();
                let mut parts = Path::new(path).components();
                if path.is_empty() || !parts.all(|part| matches!(part, Component::Normal(_))) {
                    return Err(SecurityError::LocalhostProfile);
                }
                Ok(SeccompProfile::Localhost(self.profile_root.join(path)))
            }
            other => Err(SecurityError::Invalid {
                field: "seccompProfile type",
                value: other.to_owned(),
            }),
        }
    }
}
