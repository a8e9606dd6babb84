use std::io;
use std::path::PathBuf;

use k8s_openapi::api::core::v1::Pod;
use kubewright_cri::{Error, v1};

use super::{NodeResources, RuntimeManager, convert};
use crate::Warning;
use crate::network::{
    DnsError, DnsSettings, HostnameError, PodHostname, ResolverConfig, ResolverError, port_mappings,
};
use crate::pod::{PodName, PodUid, is_host_network};
use crate::resources::{CgroupName, QosClass};
use crate::runtime::{sandbox_annotations, sandbox_labels};
use crate::security::{SandboxSecurity, SecurityError};

/// Why it cannot be said how a sandbox is to be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SandboxConfigError {
    /// The host's own resolver is not set up.
    #[error("cannot read {path}")]
    ResolvConf {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The host's own resolver is set up wrongly.
    #[error(transparent)]
    Resolver(#[from] ResolverError),
    /// It cannot be said where the pod resolves names.
    #[error(transparent)]
    Dns(#[from] DnsError),
    /// The pod cannot be given a host name.
    #[error(transparent)]
    Hostname(#[from] HostnameError),
    /// The pod cannot be given the security context that it asks for.
    #[error(transparent)]
    Security(#[from] SecurityError),
    /// The runtime did not say who manages cgroups.
    #[error("cannot tell who manages cgroups")]
    Cgroups(#[source] Error),
    /// The directory of the pod's logs could not be made.
    #[error("cannot make {path}")]
    LogDirectory {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// How a sandbox is to be made, and what is to be told about it.
pub(super) struct SandboxConfig {
    pub(super) config: v1::PodSandboxConfig,
    pub(super) warnings: Vec<Warning>,
}

impl RuntimeManager {
    /// How the sandbox of a pod is to be made.
    ///
    /// Answers to kubelet's `generatePodSandboxConfig`.
    pub(super) async fn sandbox_config(
        &self,
        pod: &Pod,
        facts: &NodeResources,
        attempt: u32,
    ) -> Result<SandboxConfig, SandboxConfigError> {
        let dns = self.dns_settings(facts)?.for_pod(pod)?;
        let warnings = dns.warnings.clone();
        let PodName { namespace, name } = PodName::of(pod);
        let hostname = if is_host_network(pod) {
            String::new()
        } else {
            PodHostname::of(pod, &self.settings().cluster_domain)?.sandbox_hostname()?
        };
        let security = SandboxSecurity::of(pod)?;
        let config = v1::PodSandboxConfig {
            metadata: Some(v1::PodSandboxMetadata {
                name: name.to_string(),
                uid: PodUid::of(pod).to_string(),
                namespace: namespace.to_string(),
                attempt,
            }),
            hostname,
            log_directory: self.log_directory(pod).to_string_lossy().into_owned(),
            dns_config: Some(convert::dns_config(dns)),
            port_mappings: port_mappings(pod)
                .into_iter()
                .map(convert::port_mapping)
                .collect(),
            labels: sandbox_labels(pod),
            annotations: sandbox_annotations(pod),
            linux: Some(v1::LinuxPodSandboxConfig {
                cgroup_parent: self.cgroup_parent(pod).await?,
                security_context: Some(convert::sandbox_security(&security)),
                sysctls: security.sysctls,
                ..v1::LinuxPodSandboxConfig::default()
            }),
        };
        Ok(SandboxConfig { config, warnings })
    }

    /// Where the runtime writes the logs of a pod.
    pub(super) fn log_directory(&self, pod: &Pod) -> PathBuf {
        let PodName { namespace, name } = PodName::of(pod);
        let uid = PodUid::of(pod);
        let logs = &self.settings().pod_logs_dir;
        logs.join(format!("{namespace}_{name}_{uid}"))
    }

    fn dns_settings(&self, facts: &NodeResources) -> Result<DnsSettings, SandboxConfigError> {
        let settings = self.settings();
        // It is read each time, since it may change with the networks that the host is in.
        let host = match &settings.resolv_conf {
            None => None,
            Some(path) => {
                let text = std::fs::read_to_string(path);
                let text = text.map_err(|source| SandboxConfigError::ResolvConf {
                    path: path.clone(),
                    source,
                })?;
                Some(ResolverConfig::parse(&text)?)
            }
        };
        Ok(DnsSettings {
            cluster_dns: settings.cluster_dns.clone(),
            cluster_domain: settings.cluster_domain.clone(),
            host,
            node_ips: facts.host_ips.clone(),
        })
    }

    async fn cgroup_parent(&self, pod: &Pod) -> Result<String, SandboxConfigError> {
        let settings = self.settings();
        if !settings.cgroups_per_qos {
            return Ok(String::new());
        }
        let driver = self.cgroup_driver().await;
        let driver = driver.map_err(SandboxConfigError::Cgroups)?;
        let root = &settings.cgroup_root;
        let cgroup = CgroupName::pod(root, QosClass::of(pod), &PodUid::of(pod));
        Ok(cgroup.path(driver))
    }
}
