//! What engines decided, as CRI writes it.

use k8s_openapi::api::core::v1::Container;
use kubewright_cri::v1;
use kubewright_cri::v1::security_profile::ProfileType;

use crate::network::{DnsConfig, PortMapping, Protocol};
use crate::resources::ContainerResources;
use crate::security::{
    ContainerSecurity, ImageUser, NamespaceMode, Namespaces, SandboxSecurity, SeccompProfile,
    SupplementalGroupsPolicy,
};
use crate::volume::{ContainerMount, Propagation, VolumeAccess};

pub(super) fn dns_config(config: DnsConfig) -> v1::DnsConfig {
    v1::DnsConfig {
        servers: config.servers,
        searches: config.searches,
        options: config.options,
    }
}

pub(super) fn port_mapping(mapping: PortMapping) -> v1::PortMapping {
    let protocol = match mapping.protocol {
        Protocol::Tcp => v1::Protocol::Tcp,
        Protocol::Udp => v1::Protocol::Udp,
        Protocol::Sctp => v1::Protocol::Sctp,
    };
    v1::PortMapping {
        protocol: protocol.into(),
        container_port: mapping.container_port,
        host_port: mapping.host_port,
        host_ip: mapping.host_ip,
    }
}

pub(super) fn mount(mount: ContainerMount) -> v1::Mount {
    let propagation = match mount.propagation {
        Propagation::None => v1::MountPropagation::PropagationPrivate,
        Propagation::HostToContainer => v1::MountPropagation::PropagationHostToContainer,
        Propagation::Bidirectional => v1::MountPropagation::PropagationBidirectional,
    };
    v1::Mount {
        container_path: mount.container_path,
        host_path: mount.host_path.to_string_lossy().into_owned(),
        readonly: mount.access == VolumeAccess::ReadOnly,
        propagation: propagation.into(),
        ..v1::Mount::default()
    }
}

pub(super) fn resources(resources: ContainerResources) -> v1::LinuxContainerResources {
    v1::LinuxContainerResources {
        cpu_period: resources.cpu_period,
        cpu_quota: resources.cpu_quota,
        cpu_shares: i64::try_from(resources.cpu_shares).unwrap_or(i64::MAX),
        memory_limit_in_bytes: resources.memory_limit,
        oom_score_adj: resources.oom_score_adj,
        ..v1::LinuxContainerResources::default()
    }
}

pub(super) fn sandbox_security(security: &SandboxSecurity) -> v1::LinuxSandboxSecurityContext {
    let groups = &security.supplemental_groups;
    v1::LinuxSandboxSecurityContext {
        namespace_options: Some(namespaces(&security.namespaces)),
        run_as_user: number(security.run_as_user),
        run_as_group: number(security.run_as_group),
        supplemental_groups: groups.groups.clone(),
        supplemental_groups_policy: groups_policy(groups.policy).into(),
        seccomp: Some(seccomp(&security.seccomp)),
        privileged: security.privileged,
        ..v1::LinuxSandboxSecurityContext::default()
    }
}

pub(super) fn container_security(security: ContainerSecurity) -> v1::LinuxContainerSecurityContext {
    let (run_as_user, run_as_username) = match security.user {
        ImageUser::Uid(uid) => (Some(uid), String::new()),
        ImageUser::Name(name) => (None, name),
        ImageUser::Unset => (None, String::new()),
    };
    let policy = groups_policy(security.supplemental_groups.policy);
    v1::LinuxContainerSecurityContext {
        capabilities: Some(v1::Capability {
            add_capabilities: security.add_capabilities,
            drop_capabilities: security.drop_capabilities,
            ..v1::Capability::default()
        }),
        privileged: security.privileged,
        namespace_options: Some(namespaces(&security.namespaces)),
        run_as_user: number(run_as_user),
        run_as_username,
        run_as_group: number(security.run_as_group),
        readonly_rootfs: security.readonly_rootfs,
        supplemental_groups: security.supplemental_groups.groups,
        supplemental_groups_policy: policy.into(),
        no_new_privs: security.no_new_privs,
        masked_paths: security.masked_paths,
        readonly_paths: security.readonly_paths,
        seccomp: Some(seccomp(&security.seccomp)),
        ..v1::LinuxContainerSecurityContext::default()
    }
}

/// The user that an image says it runs as.
pub(super) fn image_user(image: &v1::Image) -> ImageUser {
    match &image.uid {
        Some(uid) => ImageUser::Uid(uid.value),
        None if image.username.is_empty() => ImageUser::Unset,
        None => ImageUser::Name(image.username.clone()),
    }
}

/// What is written to the environment of a container.
pub(super) fn variables(environment: crate::environment::Environment) -> Vec<v1::KeyValue> {
    let pairs = environment.into_iter();
    let pairs = pairs.map(|(key, value)| v1::KeyValue {
        key,
        value: value.into_bytes(),
    });
    pairs.collect()
}

/// Whether a container has an input, whether that ends with the first who uses it, and whether it
/// is a terminal.
pub(super) fn input(container: &Container) -> (bool, bool, bool) {
    let is = |flag: Option<bool>| flag == Some(true);
    (
        is(container.stdin),
        is(container.stdin_once),
        is(container.tty),
    )
}

fn number(number: Option<i64>) -> Option<v1::Int64Value> {
    number.map(|value| v1::Int64Value { value })
}

fn namespaces(namespaces: &Namespaces) -> v1::NamespaceOption {
    let mode = |mode: &NamespaceMode| -> i32 {
        let mode = match mode {
            NamespaceMode::Pod => v1::NamespaceMode::Pod,
            NamespaceMode::Container => v1::NamespaceMode::Container,
            NamespaceMode::Node => v1::NamespaceMode::Node,
            NamespaceMode::Target(_) => v1::NamespaceMode::Target,
        };
        mode.into()
    };
    let target_id = match &namespaces.pid {
        NamespaceMode::Target(id) => id.clone(),
        _ => String::new(),
    };
    v1::NamespaceOption {
        network: mode(&namespaces.network),
        pid: mode(&namespaces.pid),
        ipc: mode(&namespaces.ipc),
        target_id,
        ..v1::NamespaceOption::default()
    }
}

fn groups_policy(policy: SupplementalGroupsPolicy) -> v1::SupplementalGroupsPolicy {
    match policy {
        SupplementalGroupsPolicy::Merge => v1::SupplementalGroupsPolicy::Merge,
        SupplementalGroupsPolicy::Strict => v1::SupplementalGroupsPolicy::Strict,
    }
}

fn seccomp(profile: &SeccompProfile) -> v1::SecurityProfile {
    let (profile_type, localhost_ref) = match profile {
        SeccompProfile::Unconfined => (ProfileType::Unconfined, String::new()),
        SeccompProfile::RuntimeDefault => (ProfileType::RuntimeDefault, String::new()),
        SeccompProfile::Localhost(path) => {
            (ProfileType::Localhost, path.to_string_lossy().into_owned())
        }
    };
    v1::SecurityProfile {
        profile_type: profile_type.into(),
        localhost_ref,
    }
}
