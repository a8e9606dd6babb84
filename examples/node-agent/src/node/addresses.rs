use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use k8s_openapi::api::core::v1::NodeAddress;

/// Whether a node may be reached at a loopback address only, as on a machine that plays cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loopback {
    /// It may.
    Allowed,
    /// Others are to reach it.
    Refused,
}

/// An address that a node cannot be reached at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NodeIpError {
    /// It is a loopback address.
    #[error("nodeIP can't be loopback address: {0}")]
    Loopback(IpAddr),
    /// It is one of many machines.
    #[error("nodeIP can't be a multicast address: {0}")]
    Multicast(IpAddr),
    /// It holds on one link only.
    #[error("nodeIP can't be a link-local unicast address: {0}")]
    LinkLocal(IpAddr),
    /// It is no address in particular.
    #[error("nodeIP can't be an all zeros address: {0}")]
    Unspecified(IpAddr),
    /// It is not this machine's.
    #[error("node IP: {0} not found in the host's network interfaces")]
    NotHere(IpAddr),
}

/// Where pods and others reach a node.
pub fn node_addresses(hostname: &str, node_ip: Option<IpAddr>) -> Vec<NodeAddress> {
    let address = |type_: &str, address: String| NodeAddress {
        type_: type_.to_owned(),
        address,
    };
    let ip = node_ip.map(|ip| address("InternalIP", ip.to_string()));
    let hostname = address("Hostname", hostname.to_owned());
    ip.into_iter().chain([hostname]).collect()
}

/// The address of this machine that others see: the one that packets to far away come from.
///
/// `None` if the machine has no way out, unless it may be reached at a loopback address only.
pub fn detect_node_ip(loopback: Loopback) -> Option<IpAddr> {
    // A socket that is connected has found its way; nothing is sent. These addresses belong to no
    // machine, which is what they are for.
    let far: [(IpAddr, IpAddr); 2] = [
        (
            Ipv4Addr::UNSPECIFIED.into(),
            Ipv4Addr::new(203, 0, 113, 1).into(),
        ),
        (
            Ipv6Addr::UNSPECIFIED.into(),
            Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into(),
        ),
    ];
    let found = far.into_iter().find_map(|(any, far)| {
        let socket = UdpSocket::bind(SocketAddr::new(any, 0)).ok()?;
        socket.connect(SocketAddr::new(far, 9)).ok()?;
        let ip = socket.local_addr().ok()?.ip();
        check(ip, Loopback::Refused).ok().map(|()| ip)
    });
    found.or_else(|| (loopback == Loopback::Allowed).then_some(Ipv4Addr::LOCALHOST.into()))
}

/// Whether a node can be reached at an address, which is to be this machine's.
///
/// Answers to kubelet's `validateNodeIP`.
///
/// # Errors
///
/// It cannot.
pub fn validate_node_ip(ip: IpAddr, loopback: Loopback) -> Result<(), NodeIpError> {
    check(ip, loopback)?;
    // Only an address of the machine can be listened at.
    let socket = UdpSocket::bind(SocketAddr::new(ip, 0));
    socket.map(drop).map_err(|_| NodeIpError::NotHere(ip))
}

fn check(ip: IpAddr, loopback: Loopback) -> Result<(), NodeIpError> {
    let is_link_local = match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    };
    if ip.is_loopback() && loopback == Loopback::Refused {
        Err(NodeIpError::Loopback(ip))
    } else if ip.is_multicast() {
        Err(NodeIpError::Multicast(ip))
    } else if is_link_local {
        Err(NodeIpError::LinkLocal(ip))
    } else if ip.is_unspecified() {
        Err(NodeIpError::Unspecified(ip))
    } else {
        Ok(())
    }
}
