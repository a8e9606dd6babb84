use std::net::IpAddr;

use k8s_openapi::api::core::v1::{Pod, PodDNSConfig};

use super::ResolverConfig;
use super::resolver::set_option;
use crate::warning::Warning;

/// Where the pods of this node resolve names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DnsSettings {
    /// The addresses of the cluster's name servers.
    pub cluster_dns: Vec<IpAddr>,
    /// The domain of the cluster, such as `cluster.local`.
    pub cluster_domain: String,
    /// The host's own settings; `None` if the agent is told to use no `resolv.conf`.
    pub host: Option<ResolverConfig>,
    /// The addresses of the node, which tell what loopback is where there is no `resolv.conf`.
    pub node_ips: Vec<IpAddr>,
}

/// Where one pod resolves names, and what is to be told about it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DnsConfig {
    /// The addresses of name servers; at most 3.
    pub servers: Vec<String>,
    /// The domains that short names are looked for in; at most 32, and 2048 characters.
    pub searches: Vec<String>,
    /// Options such as `ndots:5`.
    pub options: Vec<String>,
    /// About what was left out, or cannot be as the pod wants it.
    pub warnings: Vec<Warning>,
}

/// Why it cannot be said where a pod resolves names.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DnsError {
    /// The pod's policy is none that there is.
    #[error("invalid DNSPolicy={0}")]
    Policy(String),
}

/// Where a pod's settings start from.
enum Base {
    Cluster,
    Host,
    Nothing,
}

const MAX_SERVERS: usize = 3;
const MAX_SEARCHES: usize = 32;
const MAX_SEARCH_CHARACTERS: usize = 2048;

impl DnsSettings {
    /// Where a pod resolves names, by its `dnsPolicy` and `dnsConfig`.
    ///
    /// Answers to kubelet's `GetPodDNS`.
    ///
    /// # Errors
    ///
    /// If the policy is unknown.
    pub fn for_pod(&self, pod: &Pod) -> Result<DnsConfig, DnsError> {
        let spec = pod.spec.as_ref();
        let policy = spec.and_then(|spec| spec.dns_policy.as_deref());
        let is_host_network = spec.is_some_and(|spec| spec.host_network == Some(true));
        let mut config = match base(policy, is_host_network)? {
            Base::Nothing => DnsConfig::default(),
            Base::Host => self.host(),
            Base::Cluster if self.cluster_dns.is_empty() => {
                let policy = policy.unwrap_or("ClusterFirst");
                let message = format!(
                    "kubelet does not have ClusterDNS IP configured and cannot create Pod using \
                     \"{policy}\" policy. Falling back to \"Default\" policy."
                );
                let mut config = self.host();
                config
                    .warnings
                    .push(Warning::new("MissingClusterDNS", message));
                config
            }
            Base::Cluster => self.cluster(pod),
        };
        if let Some(more) = spec.and_then(|spec| spec.dns_config.as_ref()) {
            config.merge(more);
        }
        config.limit();
        Ok(config)
    }

    fn host(&self) -> DnsConfig {
        if let Some(host) = &self.host {
            return DnsConfig {
                servers: host.servers.clone(),
                searches: host.searches.clone(),
                options: host.options.clone(),
                warnings: Vec::new(),
            };
        }
        // A runtime that is told nothing takes the host's settings, which are not wanted here.
        let loopback = |ip: &IpAddr| match ip {
            IpAddr::V4(_) => "127.0.0.1",
            IpAddr::V6(_) => "::1",
        };
        let mut servers: Vec<_> = self.node_ips.iter().map(loopback).collect();
        if servers.is_empty() {
            servers.push("127.0.0.1");
        }
        DnsConfig {
            servers: servers.into_iter().map(str::to_owned).collect(),
            searches: vec![".".to_owned()],
            ..DnsConfig::default()
        }
    }

    fn cluster(&self, pod: &Pod) -> DnsConfig {
        let host = self.host.iter().flat_map(|host| host.searches.clone());
        let mut searches = Vec::new();
        let domain = &self.cluster_domain;
        if !domain.is_empty() {
            let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
            searches.push(format!("{namespace}.svc.{domain}"));
            searches.push(format!("svc.{domain}"));
            searches.push(domain.clone());
        }
        searches.extend(host);
        DnsConfig {
            servers: self.cluster_dns.iter().map(ToString::to_string).collect(),
            searches: without_duplicates(searches),
            options: vec!["ndots:5".to_owned()],
            warnings: Vec::new(),
        }
    }
}

fn base(policy: Option<&str>, is_host_network: bool) -> Result<Base, DnsError> {
    match policy {
        Some("None") => Ok(Base::Nothing),
        Some("ClusterFirstWithHostNet") => Ok(Base::Cluster),
        None | Some("" | "ClusterFirst") if !is_host_network => Ok(Base::Cluster),
        None | Some("" | "ClusterFirst" | "Default") => Ok(Base::Host),
        Some(other) => Err(DnsError::Policy(other.to_owned())),
    }
}

impl DnsConfig {
    /// Adds what the pod itself asks for; its options win.
    fn merge(&mut self, more: &PodDNSConfig) {
        let servers = more.nameservers.iter().flatten().cloned();
        self.servers.extend(servers);
        self.servers = without_duplicates(std::mem::take(&mut self.servers));
        let searches = more.searches.iter().flatten().cloned();
        self.searches.extend(searches);
        self.searches = without_duplicates(std::mem::take(&mut self.searches));
        for option in more.options.iter().flatten() {
            let Some(name) = option.name.as_deref().filter(|name| !name.is_empty()) else {
                continue;
            };
            let option = match option.value.as_deref().filter(|value| !value.is_empty()) {
                Some(value) => format!("{name}:{value}"),
                None => name.to_owned(),
            };
            set_option(&mut self.options, &option);
        }
    }

    /// Leaves out what resolvers would not read.
    fn limit(&mut self) {
        if self.servers.len() > MAX_SERVERS {
            self.servers.truncate(MAX_SERVERS);
            let message = format!(
                "Nameserver limits were exceeded, some nameservers have been omitted, the \
                 applied nameserver line is: {}",
                self.servers.join(" ")
            );
            self.warnings
                .push(Warning::new("DNSConfigForming", message));
        }
        let mut characters = 0;
        let mut fitting = 0;
        for search in &self.searches {
            // Each is followed by a space, but for the last.
            let needed = search.len() + usize::from(fitting > 0);
            if fitting == MAX_SEARCHES || characters + needed > MAX_SEARCH_CHARACTERS {
                break;
            }
            characters += needed;
            fitting += 1;
        }
        if fitting < self.searches.len() {
            self.searches.truncate(fitting);
            let message = format!(
                "Search Line limits were exceeded, some search paths have been omitted, the \
                 applied search line is: {}",
                self.searches.join(" ")
            );
            self.warnings
                .push(Warning::new("DNSConfigForming", message));
        }
    }
}

fn without_duplicates(texts: Vec<String>) -> Vec<String> {
    let mut kept: Vec<String> = Vec::with_capacity(texts.len());
    for text in texts {
        if !kept.contains(&text) {
            kept.push(text);
        }
    }
    kept
}
