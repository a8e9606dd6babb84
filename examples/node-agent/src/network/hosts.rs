use std::net::IpAddr;

use k8s_openapi::api::core::v1::{Container, HostAlias};

use super::PodHostname;

const PATH: &str = "/etc/hosts";

/// Whether a container gets the hosts file of its pod: unless it mounts one itself, or the pod has
/// no address to put in.
pub fn is_hosts_file_managed(container: &Container, pod_ips: &[IpAddr]) -> bool {
    let mut mounts = container.volume_mounts.iter().flatten();
    !pod_ips.is_empty() && mounts.all(|mount| mount.mount_path != PATH)
}

/// The hosts file of a pod with a network of its own.
///
/// Answers to kubelet's `managedHostsFileContent`.
pub fn pod_hosts(pod_ips: &[IpAddr], hostname: &PodHostname, aliases: &[HostAlias]) -> String {
    let mut file = String::from(
        "# Kubernetes-managed hosts file.\n\
         127.0.0.1\tlocalhost\n\
         ::1\tlocalhost ip6-localhost ip6-loopback\n\
         fe00::0\tip6-localnet\n\
         fe00::0\tip6-mcastprefix\n\
         fe00::1\tip6-allnodes\n\
         fe00::2\tip6-allrouters\n",
    );
    for ip in pod_ips {
        let name = &hostname.name;
        file += &match hostname.fqdn() {
            Some(fqdn) => format!("{ip}\t{fqdn}\t{name}\n"),
            None => format!("{ip}\t{name}\n"),
        };
    }
    file + &alias_lines(aliases)
}

/// The hosts file of a pod in the host's network: that of the host, and the pod's aliases.
///
/// Answers to kubelet's `nodeHostsFileContent`.
pub fn host_network_hosts(host_file: &str, aliases: &[HostAlias]) -> String {
    format!(
        "# Kubernetes-managed hosts file (host network).\n{host_file}{}",
        alias_lines(aliases)
    )
}

fn alias_lines(aliases: &[HostAlias]) -> String {
    if aliases.is_empty() {
        return String::new();
    }
    let mut lines = String::from("\n# Entries added by HostAliases.\n");
    for alias in aliases {
        let names = alias.hostnames.as_deref().unwrap_or_default();
        lines.push_str(&alias.ip);
        lines.push('\t');
        lines.push_str(&names.join("\t"));
        lines.push('\n');
    }
    lines
}
