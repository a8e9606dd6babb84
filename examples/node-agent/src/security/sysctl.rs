use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::PodSpec;

use super::SecurityError;

/// Settings of the kernel that are a pod's own, and by which it cannot harm the node or other pods.
const SAFE: [&str; 12] = [
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ping_group_range",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.tcp_wmem",
];

/// The settings of the kernel that a pod asks for, by their names with dots.
///
/// Answers to kubelet's `sysctl` package, of which this agent has the safe set.
///
/// # Errors
///
/// If one is not safe, or would be the node's because the pod shares what it is about.
pub fn sysctls(spec: &PodSpec) -> Result<BTreeMap<String, String>, SecurityError> {
    let context = spec.security_context.as_ref();
    let asked = context.and_then(|context| context.sysctls.as_deref());
    let asked = asked.unwrap_or_default().iter();
    let checked = asked.map(|sysctl| {
        let name = with_dots(&sysctl.name);
        let is_shared = match name.split('.').next() {
            Some("net") => spec.host_network == Some(true),
            _ => spec.host_ipc == Some(true),
        };
        if is_shared || !SAFE.contains(&&*name) {
            return Err(SecurityError::Sysctl(name));
        }
        Ok((name, sysctl.value.clone()))
    });
    checked.collect()
}

/// A name whose parts are separated by slashes, with dots; the two then change places.
fn with_dots(name: &str) -> String {
    match name.find(['.', '/']) {
        Some(first) if name[first..].starts_with('/') => {
            let swapped = name.chars().map(|c| match c {
                '/' => '.',
                '.' => '/',
                c => c,
            });
            swapped.collect()
        }
        _ => name.to_owned(),
    }
}
