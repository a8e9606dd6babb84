//! What cannot be honoured without isolation.
//!
//! What asks for more than a process of this user has, or for another identity, is refused.
//! What asks for less is accepted and told, since no container here is confined anyway.

use kubewright_cri::v1;
use v1::security_profile::ProfileType;
use v1::{MountPropagation, NamespaceMode};

/// Whom the runtime runs as, and so all its containers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Identity {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

impl Identity {
    pub(crate) fn own() -> Self {
        Self {
            uid: rustix::process::getuid().as_raw(),
            gid: rustix::process::getgid().as_raw(),
        }
    }

    fn is_root(self) -> bool {
        self.uid == 0
    }
}

/// Refuses a sandbox that wants what is not to be had.
pub(crate) fn check_sandbox(
    config: &v1::PodSandboxConfig,
    handler: &str,
    identity: Identity,
) -> Result<(), String> {
    if !handler.is_empty() {
        return Err(format!("no runtime for {handler:?} is configured"));
    }
    if let Some(mapping) = config.port_mappings.iter().find(|port| port.host_port > 0) {
        let port = mapping.host_port;
        return Err(unsupported(&format!("hostPort {port}")));
    }
    let Some(linux) = &config.linux else {
        return Ok(());
    };
    if let Some(name) = linux.sysctls.keys().next() {
        return Err(unsupported(&format!("sysctl {name}")));
    }
    let Some(security) = &linux.security_context else {
        return Ok(());
    };
    check_namespaces(security.namespace_options.as_ref())?;
    check_privileged(security.privileged, identity)
}

/// Refuses a container that wants what is not to be had.
pub(crate) fn check_container(
    config: &v1::ContainerConfig,
    identity: Identity,
) -> Result<(), String> {
    let linux = config.linux.as_ref();
    let Some(security) = linux.and_then(|linux| linux.security_context.as_ref()) else {
        return Ok(());
    };
    check_namespaces(security.namespace_options.as_ref())?;
    check_privileged(security.privileged, identity)?;
    let Identity { uid, gid } = identity;
    if let Some(user) = security.run_as_user.as_ref().map(|user| user.value)
        && user != i64::from(uid)
    {
        return Err(format!(
            "{}; it runs everything as its own user {uid}",
            unsupported(&format!("runAsUser {user}"))
        ));
    }
    if let Some(group) = security.run_as_group.as_ref().map(|group| group.value)
        && group != i64::from(gid)
    {
        return Err(format!(
            "{}; it runs everything as its own group {gid}",
            unsupported(&format!("runAsGroup {group}"))
        ));
    }
    let name = &security.run_as_username;
    let is_own = name.is_empty() || (name == "root" && identity.is_root());
    if !is_own {
        return Err(unsupported(&format!("user {name:?}")));
    }
    let capabilities = security.capabilities.as_ref();
    if let Some(capability) = capabilities.and_then(|all| all.add_capabilities.first())
        && !identity.is_root()
    {
        return Err(unsupported(&format!("capability {capability}")));
    }
    Ok(())
}

/// What a container asks for and does not get, without being refused.
pub(crate) fn ignored(config: &v1::ContainerConfig) -> Vec<&'static str> {
    let mut ignored = Vec::new();
    let mut note = |is_asked: bool, what: &'static str| {
        if is_asked {
            ignored.push(what);
        }
    };
    let mounts = &config.mounts;
    note(
        mounts.iter().any(|mount| mount.readonly),
        "read-only mounts",
    );
    let propagation =
        |mount: &v1::Mount| mount.propagation() != MountPropagation::PropagationPrivate;
    note(mounts.iter().any(propagation), "mount propagation");
    let Some(linux) = &config.linux else {
        return ignored;
    };
    if let Some(resources) = &linux.resources {
        note(resources.cpu_quota > 0, "the CPU limit");
        note(resources.memory_limit_in_bytes > 0, "the memory limit");
    }
    let Some(security) = &linux.security_context else {
        return ignored;
    };
    note(security.readonly_rootfs, "readOnlyRootFilesystem");
    note(security.no_new_privs, "allowPrivilegeEscalation: false");
    note(
        !security.supplemental_groups.is_empty(),
        "supplemental groups",
    );
    note(security.selinux_options.is_some(), "SELinux options");
    let capabilities = security.capabilities.as_ref();
    note(
        capabilities.is_some_and(|all| !all.drop_capabilities.is_empty()),
        "dropped capabilities",
    );
    let confines = |profile: Option<&v1::SecurityProfile>| {
        profile.is_some_and(|profile| profile.profile_type() != ProfileType::Unconfined)
    };
    note(confines(security.seccomp.as_ref()), "the seccomp profile");
    note(confines(security.apparmor.as_ref()), "the AppArmor profile");
    ignored
}

fn check_namespaces(namespaces: Option<&v1::NamespaceOption>) -> Result<(), String> {
    let users = namespaces.and_then(|namespaces| namespaces.userns_options.as_ref());
    match users {
        Some(users) if users.mode() != NamespaceMode::Node => Err(unsupported("a user namespace")),
        _ => Ok(()),
    }
}

fn check_privileged(is_privileged: bool, identity: Identity) -> Result<(), String> {
    if is_privileged && !identity.is_root() {
        return Err(unsupported("privileged, unless it runs as root"));
    }
    Ok(())
}

fn unsupported(what: &str) -> String {
    format!("the process runtime does not support {what}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const USER: Identity = Identity {
        uid: 1000,
        gid: 1000,
    };
    const ROOT: Identity = Identity { uid: 0, gid: 0 };

    fn container(security: v1::LinuxContainerSecurityContext) -> v1::ContainerConfig {
        v1::ContainerConfig {
            linux: Some(v1::LinuxContainerConfig {
                security_context: Some(security),
                ..v1::LinuxContainerConfig::default()
            }),
            ..v1::ContainerConfig::default()
        }
    }

    fn as_user(value: i64) -> v1::ContainerConfig {
        container(v1::LinuxContainerSecurityContext {
            run_as_user: Some(v1::Int64Value { value }),
            ..v1::LinuxContainerSecurityContext::default()
        })
    }

    #[test]
    fn another_identity_is_refused_and_the_own_is_not() {
        assert_eq!(check_container(&as_user(1000), USER), Ok(()));
        let refusal = check_container(&as_user(65534), USER).unwrap_err();
        assert!(refusal.contains("runAsUser 65534"), "{refusal}");
        assert!(check_container(&as_user(1000), ROOT).is_err());
    }

    #[test]
    fn more_than_the_user_has_is_refused() {
        let security = v1::LinuxContainerSecurityContext {
            privileged: true,
            ..v1::LinuxContainerSecurityContext::default()
        };
        assert!(check_container(&container(security.clone()), USER).is_err());
        assert!(check_container(&container(security), ROOT).is_ok());
        let security = v1::LinuxContainerSecurityContext {
            capabilities: Some(v1::Capability {
                add_capabilities: vec!["NET_ADMIN".to_owned()],
                ..v1::Capability::default()
            }),
            ..v1::LinuxContainerSecurityContext::default()
        };
        let refusal = check_container(&container(security), USER).unwrap_err();
        assert!(refusal.contains("NET_ADMIN"), "{refusal}");
    }

    #[test]
    fn less_than_the_user_has_is_accepted_and_told() {
        let mut config = container(v1::LinuxContainerSecurityContext {
            readonly_rootfs: true,
            no_new_privs: true,
            ..v1::LinuxContainerSecurityContext::default()
        });
        config.mounts.push(v1::Mount {
            readonly: true,
            ..v1::Mount::default()
        });
        assert_eq!(check_container(&config, USER), Ok(()));
        assert_eq!(
            ignored(&config),
            [
                "read-only mounts",
                "readOnlyRootFilesystem",
                "allowPrivilegeEscalation: false"
            ]
        );
    }

    #[test]
    fn sandboxes_get_no_ports_sysctls_or_handlers() {
        let mut config = v1::PodSandboxConfig::default();
        assert_eq!(check_sandbox(&config, "", USER), Ok(()));
        assert!(
            check_sandbox(&config, "kata", USER)
                .unwrap_err()
                .contains("kata")
        );
        config.port_mappings.push(v1::PortMapping {
            container_port: 80,
            ..v1::PortMapping::default()
        });
        assert_eq!(check_sandbox(&config, "", USER), Ok(()));
        config.port_mappings[0].host_port = 8080;
        assert!(
            check_sandbox(&config, "", USER)
                .unwrap_err()
                .contains("hostPort 8080")
        );
    }
}
