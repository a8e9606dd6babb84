use k8s_openapi::api::core::v1::Pod;

use crate::pod::is_sidecar;

/// A port of the host that leads into a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortMapping {
    /// Of which protocol.
    pub protocol: Protocol,
    /// The port in the pod.
    pub container_port: i32,
    /// The port of the host.
    pub host_port: i32,
    /// The address of the host; empty for all.
    pub host_ip: String,
}

/// A protocol that has ports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// TCP, unless told otherwise.
    #[default]
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

/// The ports of the host that lead into a pod, of all containers that stay.
///
/// None for a pod in the host's network, whose ports are the host's already.
/// Answers to kubelet's `MakePortMappings`.
pub fn port_mappings(pod: &Pod) -> Vec<PortMapping> {
    let Some(spec) = &pod.spec else {
        return Vec::new();
    };
    if spec.host_network == Some(true) {
        return Vec::new();
    }
    let sidecars = spec.init_containers.iter().flatten();
    let sidecars = sidecars.filter(|init| is_sidecar(init));
    let containers = sidecars.chain(&spec.containers);
    let ports = containers.flat_map(|container| container.ports.iter().flatten());
    let mappings = ports.filter_map(|port| {
        Some(PortMapping {
            protocol: match port.protocol.as_deref() {
                Some("UDP") => Protocol::Udp,
                Some("SCTP") => Protocol::Sctp,
                _ => Protocol::Tcp,
            },
            container_port: port.container_port,
            host_port: port.host_port.filter(|port| *port > 0)?,
            host_ip: port.host_ip.clone().unwrap_or_default(),
        })
    });
    mappings.collect()
}
