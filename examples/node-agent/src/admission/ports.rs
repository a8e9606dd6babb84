use std::collections::HashSet;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{ContainerPort, Pod};

use super::Rejection;
use crate::pod::{ContainerKind, containers};

/// The address that stands for all.
const ANY: &str = "0.0.0.0";

/// A port of the host that a pod wants for itself: address, protocol, number.
type HostPort = (String, String, i32);

/// A port of the host leads into one pod at most.
pub(super) fn check(pod: &Pod, others: &[Arc<Pod>]) -> Result<(), Rejection> {
    if has_free_ports(pod, others) {
        return Ok(());
    }
    Err(Rejection::predicate(
        "NodePorts",
        "node(s) didn't have free ports for the requested pod ports",
    ))
}

/// Whether no other pod of a node has one of the host's ports that a pod wants.
pub fn has_free_ports(pod: &Pod, others: &[Arc<Pod>]) -> bool {
    let wanted = host_ports(pod);
    if wanted.is_empty() {
        return true;
    }
    let taken: HashSet<_> = others.iter().flat_map(|other| host_ports(other)).collect();
    !wanted.iter().any(|port| is_taken(port, &taken))
}

fn is_taken((address, protocol, port): &HostPort, taken: &HashSet<HostPort>) -> bool {
    let mut taken = taken.iter();
    taken.any(|(other, of, number)| {
        of == protocol && number == port && (other == address || other == ANY || address == ANY)
    })
}

/// Those of all containers that stay, also of pods in the network of the host.
fn host_ports(pod: &Pod) -> Vec<HostPort> {
    let mut ports = Vec::new();
    for container in containers(pod) {
        let stays = matches!(
            container.kind,
            ContainerKind::Sidecar | ContainerKind::Regular
        );
        if stays {
            let all = container.spec.ports.iter().flatten();
            ports.extend(all.filter_map(host_port));
        }
    }
    ports
}

fn host_port(port: &ContainerPort) -> Option<HostPort> {
    let number = port.host_port.filter(|number| *number > 0)?;
    let or = |text: &Option<String>, default: &str| {
        let text = text.as_deref().filter(|text| !text.is_empty());
        text.unwrap_or(default).to_owned()
    };
    Some((or(&port.host_ip, ANY), or(&port.protocol, "TCP"), number))
}
