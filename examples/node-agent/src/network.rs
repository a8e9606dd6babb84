//! What a pod sees of the network: its host name, its hosts file, and where it resolves names.

mod dns;
mod hostname;
mod hosts;
mod resolver;

pub use dns::{DnsConfig, DnsError, DnsSettings};
pub use hostname::{HostnameError, PodHostname};
pub use hosts::{host_network_hosts, is_hosts_file_managed, pod_hosts};
pub use resolver::{ResolverConfig, ResolverError};
