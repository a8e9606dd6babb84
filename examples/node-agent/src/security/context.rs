use k8s_openapi::api::core::v1::{Container, Pod, PodSpec};

use super::sandbox::refuse_app_armor;
use super::{
    ImageUser, Namespaces, SeccompProfile, SeccompSettings, SecurityError, SupplementalGroups,
    masked_paths, readonly_paths, verify_run_as_non_root,
};

/// What a container's security context is set to: its own, completed from its pod's.
///
/// `SELinux` labels are left to the runtime.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerSecurity {
    /// Its namespaces.
    pub namespaces: Namespaces,
    /// The user that it runs as: the spec's, else the image's.
    pub user: ImageUser,
    /// The group that it runs as; `None` leaves that to the image.
    pub run_as_group: Option<i64>,
    /// Its other groups.
    pub supplemental_groups: SupplementalGroups,
    /// Capabilities that it gets beyond the runtime's.
    pub add_capabilities: Vec<String>,
    /// Capabilities of the runtime's that it does not get.
    pub drop_capabilities: Vec<String>,
    /// Whether it may do what root on the node may.
    pub privileged: bool,
    /// Whether its root file system cannot be written.
    pub readonly_rootfs: bool,
    /// Whether its processes can gain no rights that they were not started with.
    pub no_new_privs: bool,
    /// What it is not to see.
    pub masked_paths: Vec<String>,
    /// What it is not to change.
    pub readonly_paths: Vec<String>,
    /// Which system calls are let through.
    pub seccomp: SeccompProfile,
}

impl ContainerSecurity {
    /// The security context of a container of a pod.
    ///
    /// Answers to kubelet's `determineEffectiveSecurityContext`.
    ///
    /// # Errors
    ///
    /// If it would run as root and is not to, or asks for something that this agent does not do.
    pub fn of(
        pod: &Pod,
        container: &Container,
        image_user: &ImageUser,
        seccomp: &SeccompSettings,
    ) -> Result<Self, SecurityError> {
        verify_run_as_non_root(pod, container, image_user)?;
        let no_spec = PodSpec::default();
        let spec = pod.spec.as_ref().unwrap_or(&no_spec);
        let pods = spec.security_context.as_ref();
        let own = container.security_context.as_ref();
        refuse_app_armor(
            own.and_then(|context| context.app_armor_profile.as_ref())
                .or_else(|| pods.and_then(|context| context.app_armor_profile.as_ref())),
        )?;
        let user = own
            .and_then(|context| context.run_as_user)
            .or_else(|| pods.and_then(|context| context.run_as_user));
        let is = |flag: Option<bool>| flag == Some(true);
        let capabilities = own.and_then(|context| context.capabilities.as_ref());
        let proc_mount = own.and_then(|context| context.proc_mount.as_deref());
        Ok(Self {
            namespaces: Namespaces::of(spec)?,
            user: user.map_or_else(|| image_user.clone(), ImageUser::Uid),
            run_as_group: own
                .and_then(|context| context.run_as_group)
                .or_else(|| pods.and_then(|context| context.run_as_group)),
            supplemental_groups: SupplementalGroups::of(pods)?,
            add_capabilities: capabilities
                .and_then(|capabilities| capabilities.add.clone())
                .unwrap_or_default(),
            drop_capabilities: capabilities
                .and_then(|capabilities| capabilities.drop.clone())
                .unwrap_or_default(),
            privileged: is(own.and_then(|context| context.privileged)),
            readonly_rootfs: is(own.and_then(|context| context.read_only_root_filesystem)),
            no_new_privs: own.and_then(|context| context.allow_privilege_escalation) == Some(false),
            masked_paths: masked_paths(proc_mount)?,
            readonly_paths: readonly_paths(proc_mount)?,
            seccomp: seccomp.profile(
                own.and_then(|context| context.seccomp_profile.as_ref()),
                pods.and_then(|context| context.seccomp_profile.as_ref()),
            )?,
        })
    }
}
