use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{AppArmorProfile, Pod, PodSecurityContext, SecurityContext};

use super::{Namespaces, SeccompProfile, SecurityError, sysctls};

/// How the groups of a pod go together with those that its image gives the user.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SupplementalGroupsPolicy {
    /// Both count.
    #[default]
    Merge,
    /// Only those of the pod count.
    Strict,
}

/// The groups that all processes of a pod are in beside their own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SupplementalGroups {
    /// The groups; that of the pod's files comes first.
    pub groups: Vec<i64>,
    /// What of the image's groups.
    pub policy: SupplementalGroupsPolicy,
}

/// What a sandbox's security context is set to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SandboxSecurity {
    /// Its namespaces.
    pub namespaces: Namespaces,
    /// The user that it runs as; `None` leaves that to the runtime.
    pub run_as_user: Option<i64>,
    /// The group that it runs as.
    pub run_as_group: Option<i64>,
    /// Its other groups.
    pub supplemental_groups: SupplementalGroups,
    /// Which system calls are let through.
    pub seccomp: SeccompProfile,
    /// Settings of the kernel, by their names with dots.
    pub sysctls: BTreeMap<String, String>,
    /// Whether a container in it will be privileged.
    pub privileged: bool,
}

impl SupplementalGroups {
    pub(super) fn of(context: Option<&PodSecurityContext>) -> Result<Self, SecurityError> {
        let Some(context) = context else {
            return Ok(Self::default());
        };
        let mut groups: Vec<_> = context.fs_group.into_iter().collect();
        groups.extend(context.supplemental_groups.iter().flatten());
        let policy = match context.supplemental_groups_policy.as_deref() {
            None | Some("" | "Merge") => SupplementalGroupsPolicy::Merge,
            Some("Strict") => SupplementalGroupsPolicy::Strict,
            Some(other) => {
                return Err(SecurityError::Invalid {
                    field: "supplementalGroupsPolicy",
                    value: other.to_owned(),
                });
            }
        };
        Ok(Self { groups, policy })
    }
}

impl SandboxSecurity {
    /// The security context of a pod's sandbox.
    ///
    /// Answers to kubelet's `generatePodSandboxLinuxConfig`.
    ///
    /// # Errors
    ///
    /// If the pod asks for something that this agent does not do.
    pub fn of(pod: &Pod) -> Result<Self, SecurityError> {
        let spec = pod.spec.clone().unwrap_or_default();
        let context = spec.security_context.as_ref();
        refuse_app_armor(context.and_then(|context| context.app_armor_profile.as_ref()))?;
        let containers = spec.containers.iter();
        let containers = containers.chain(spec.init_containers.iter().flatten());
        let own = containers.filter_map(|container| container.security_context.as_ref());
        let ephemeral = spec.ephemeral_containers.iter().flatten();
        let ephemeral = ephemeral.filter_map(|container| container.security_context.as_ref());
        let is_privileged = |context: &SecurityContext| context.privileged == Some(true);
        Ok(Self {
            namespaces: Namespaces::of(&spec)?,
            run_as_user: context.and_then(|context| context.run_as_user),
            run_as_group: context.and_then(|context| context.run_as_group),
            supplemental_groups: SupplementalGroups::of(context)?,
            seccomp: SeccompProfile::RuntimeDefault,
            sysctls: sysctls(&spec)?,
            privileged: own.chain(ephemeral).any(is_privileged),
        })
    }
}

pub(super) fn refuse_app_armor(profile: Option<&AppArmorProfile>) -> Result<(), SecurityError> {
    match profile {
        Some(profile) if profile.type_ != "Unconfined" => {
            Err(SecurityError::Unsupported("appArmorProfile"))
        }
        _ => Ok(()),
    }
}
