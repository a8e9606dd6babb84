use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, Pod};
use kubewright_cri::v1;

use super::start::Start;
use super::{RuntimeManager, convert};
use crate::Warning;
use crate::environment::{
    DownwardApi, Environment, EnvironmentError, EnvironmentMaker, MadeEnvironment, expand_all,
};
use crate::network::{
    HostnameError, PodHostname, host_network_hosts, is_hosts_file_managed, pod_hosts,
};
use crate::pod::{ContainerKind, PodContainer, is_host_network, is_static};
use crate::resources::{ContainerResources, ResourceSettings};
use crate::runtime::image::EnsuredImage;
use crate::runtime::{container_annotations, container_labels};
use crate::security::{ContainerSecurity, SeccompProfile, SeccompSettings, SecurityError};
use crate::volume::{MountMaker, VolumeError};

/// All that a container is made from.
#[derive(Clone, Copy)]
pub(super) struct ContainerConfigParts<'a> {
    pub(super) start: &'a Start<'a>,
    pub(super) container: &'a PodContainer<'a>,
    pub(super) image: &'a EnsuredImage,
    pub(super) restart_count: u32,
    /// How long the next one is to wait after the end of this one.
    pub(super) restart_delay: Option<Duration>,
}

/// How a container is to be made, and what is to be told about it.
pub(super) struct ContainerConfig {
    pub(super) config: v1::ContainerConfig,
    pub(super) warnings: Vec<Warning>,
}

/// Why it cannot be said how a container is to be made.
#[derive(Debug, thiserror::Error)]
pub(super) enum ContainerConfigError {
    #[error("unable to find target container {0}")]
    NoTarget(String),
    #[error("create container log directory {path} failed")]
    LogDirectory { path: PathBuf, source: io::Error },
    #[error("cannot read {path}")]
    HostsFile { path: PathBuf, source: io::Error },
    #[error("cannot write the container's hook or ports down")]
    Annotations(#[from] serde_json::Error),
    #[error(transparent)]
    Environment(#[from] EnvironmentError),
    #[error(transparent)]
    Hostname(#[from] HostnameError),
    #[error(transparent)]
    Security(#[from] SecurityError),
    #[error(transparent)]
    Volume(#[from] VolumeError),
}

impl RuntimeManager {
    /// How a container is to be made; the files that it needs are made here.
    ///
    /// Answers to kubelet's `generateContainerConfig`.
    pub(super) fn container_config(
        &self,
        parts: ContainerConfigParts<'_>,
    ) -> Result<ContainerConfig, ContainerConfigError> {
        let ContainerConfigParts {
            start,
            container,
            image,
            restart_count,
            restart_delay,
        } = parts;
        let pod = start.request.pod;
        let spec: &Container = &container.spec;
        let MadeEnvironment {
            variables,
            warnings,
        } = environment(start, spec)?;
        let mut security = self.container_security(pod, spec, image)?;
        if let Some(target) = target(pod, container) {
            let target = start.request.observed.container(target);
            let target = target.ok_or_else(|| no_target(pod, container))?;
            security.namespaces = security.namespaces.with_target(&*target.id.id);
        }
        let mounts = self.mounts(start, spec, &variables, restart_count)?;
        let log_directory = self.log_directory(pod).join(&spec.name);
        if let Err(source) = fs::create_dir_all(&log_directory) {
            let path = log_directory;
            return Err(ContainerConfigError::LogDirectory { path, source });
        }
        let expanded = |texts: &Option<Vec<String>>| {
            expand_all(texts.as_deref().unwrap_or_default(), &variables)
        };
        let (stdin, stdin_once, tty) = convert::input(spec);
        let resources = ContainerResources::of(pod, spec, self.resource_settings(start));
        let config = v1::ContainerConfig {
            metadata: Some(v1::ContainerMetadata {
                name: spec.name.clone(),
                attempt: restart_count,
            }),
            image: Some(v1::ImageSpec {
                image: image.id.clone(),
                user_specified_image: spec.image.clone().unwrap_or_default(),
                ..v1::ImageSpec::default()
            }),
            command: expanded(&spec.command),
            args: expanded(&spec.args),
            working_dir: spec.working_dir.clone().unwrap_or_default(),
            mounts,
            devices: Vec::new(),
            labels: container_labels(pod, spec),
            annotations: container_annotations(pod, spec, restart_count, restart_delay)?,
            log_path: format!("{}/{restart_count}.log", spec.name),
            stdin,
            stdin_once,
            tty,
            linux: Some(v1::LinuxContainerConfig {
                resources: Some(convert::resources(resources)),
                security_context: Some(convert::container_security(security)),
            }),
            envs: convert::variables(variables),
        };
        Ok(ContainerConfig { config, warnings })
    }

    fn mounts(
        &self,
        start: &Start<'_>,
        spec: &Container,
        variables: &Environment,
        restart_count: u32,
    ) -> Result<Vec<v1::Mount>, ContainerConfigError> {
        let pod = start.request.pod;
        let directories = self.directories(pod);
        let maker = MountMaker {
            directories: &directories,
            volumes: start.request.volumes,
            mounter: &self.inner.dependencies.mounter,
        };
        let mut mounts = maker.volume_mounts(spec, variables)?;
        if is_hosts_file_managed(spec, &start.pod_ips) {
            mounts.push(maker.hosts_mount(&self.hosts(start)?)?);
        }
        mounts.extend(maker.termination_log_mount(spec, restart_count)?);
        Ok(mounts.into_iter().map(convert::mount).collect())
    }

    /// The pod's hosts file.
    fn hosts(&self, start: &Start<'_>) -> Result<String, ContainerConfigError> {
        let pod = start.request.pod;
        let spec = pod.spec.as_ref();
        let aliases = spec.and_then(|spec| spec.host_aliases.as_deref());
        let aliases = aliases.unwrap_or_default();
        if !is_host_network(pod) {
            let hostname = PodHostname::of(pod, &self.settings().cluster_domain)?;
            return Ok(pod_hosts(&start.pod_ips, &hostname, aliases));
        }
        let path = &self.settings().hosts_file;
        match fs::read_to_string(path) {
            Ok(of_host) => Ok(host_network_hosts(&of_host, aliases)),
            Err(source) => Err(ContainerConfigError::HostsFile {
                path: path.clone(),
                source,
            }),
        }
    }

    fn container_security(
        &self,
        pod: &Pod,
        spec: &Container,
        image: &EnsuredImage,
    ) -> Result<ContainerSecurity, SecurityError> {
        let seccomp = SeccompSettings {
            profile_root: self.settings().root_dir.join("seccomp"),
            default: match self.settings().seccomp_default {
                true => SeccompProfile::RuntimeDefault,
                false => SeccompProfile::Unconfined,
            },
        };
        let user = image.status.as_ref().map(convert::image_user);
        ContainerSecurity::of(pod, spec, &user.unwrap_or_default(), &seccomp)
    }

    fn resource_settings(&self, start: &Start<'_>) -> ResourceSettings {
        let settings = self.settings();
        let period = settings
            .cpu_cfs_quota
            .then_some(settings.cpu_cfs_quota_period);
        ResourceSettings::new(start.facts.memory_capacity).with_quota(period)
    }
}

fn environment(start: &Start<'_>, spec: &Container) -> Result<MadeEnvironment, EnvironmentError> {
    let maker = EnvironmentMaker {
        downward: DownwardApi {
            pod: start.request.pod,
            pod_ips: &start.pod_ips,
            host_ips: &start.facts.host_ips,
            allocatable: &start.facts.allocatable,
        },
        objects: start.request.objects,
        is_static: is_static(start.request.pod),
    };
    maker.make(spec)
}

/// The container whose processes an ephemeral one looks at.
fn target<'a>(pod: &'a Pod, container: &PodContainer<'_>) -> Option<&'a str> {
    if container.kind != ContainerKind::Ephemeral {
        return None;
    }
    let ephemeral = pod.spec.as_ref()?.ephemeral_containers.as_ref()?;
    let target = ephemeral
        .get(container.index)?
        .target_container_name
        .as_deref();
    target.filter(|target| !target.is_empty())
}

fn no_target(pod: &Pod, container: &PodContainer<'_>) -> ContainerConfigError {
    let target = target(pod, container).unwrap_or_default();
    ContainerConfigError::NoTarget(target.to_owned())
}
