//! What a pod sees of the network: its host name, its hosts file, where it resolves
//! names, and the ports that lead into it.

mod dns;
mod hostname;
mod hosts;
mod ports;
mod resolver;

pub use dns::{DnsConfig, DnsError, DnsSettings};
pub use hostname::{HostnameError, PodHostname};
pub use hosts::{host_network_hosts, is_hosts_file_managed, pod_hosts};
pub use ports::{PortMapping, Protocol, port_mappings};
pub use resolver::{ResolverConfig, ResolverError};
