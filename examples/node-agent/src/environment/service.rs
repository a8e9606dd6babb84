use std::collections::BTreeMap;
use std::net::Ipv6Addr;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Service, ServicePort};

use super::Environment;

/// The variables that tell a pod of a namespace where services are.
///
/// The API server's own service, `kubernetes` in `default`, is always told; those of the namespace
/// only if the pod has `enableServiceLinks`. Services without a cluster IP are left out.
///
/// Answers to kubelet's `getServiceEnvVarMap` and `envvars.FromServices`.
pub fn service_variables(
    services: &[Arc<Service>],
    namespace: &str,
    enable_service_links: bool,
) -> Environment {
    let mut told: BTreeMap<&str, (&Service, &str)> = BTreeMap::new();
    for service in services {
        let (Some(name), Some(ip)) = (service.metadata.name.as_deref(), cluster_ip(service)) else {
            continue;
        };
        let home = service.metadata.namespace.as_deref().unwrap_or_default();
        if home == namespace && enable_service_links {
            // A service of the pod's own namespace hides the API server's.
            told.insert(name, (service, ip));
        } else if home == "default" && name == "kubernetes" {
            told.entry(name).or_insert((service, ip));
        }
    }
    let mut variables = Environment::new();
    for (name, (service, ip)) in told {
        add(&mut variables, name, service, ip);
    }
    variables
}

fn cluster_ip(service: &Service) -> Option<&str> {
    let ip = service.spec.as_ref()?.cluster_ip.as_deref()?;
    (!ip.is_empty() && ip != "None").then_some(ip)
}

fn add(variables: &mut Environment, name: &str, service: &Service, ip: &str) {
    let ports = service.spec.as_ref().and_then(|spec| spec.ports.as_deref());
    let Some([first, ..]) = ports else {
        return;
    };
    let prefix = variable_name(name);
    let mut put = |suffix: &str, value: String| {
        variables.insert(format!("{prefix}{suffix}"), value);
    };
    put("_SERVICE_HOST", ip.to_owned());
    put("_SERVICE_PORT", first.port.to_string());
    for port in ports.into_iter().flatten() {
        if let Some(name) = port.name.as_deref().filter(|name| !name.is_empty()) {
            let suffix = format!("_SERVICE_PORT_{}", variable_name(name));
            put(&suffix, port.port.to_string());
        }
    }
    put("_PORT", url(first, ip));
    for port in ports.into_iter().flatten() {
        let protocol = protocol(port);
        let link = format!("_PORT_{}_{protocol}", port.port);
        put(&link, url(port, ip));
        put(&format!("{link}_PROTO"), protocol.to_lowercase());
        put(&format!("{link}_PORT"), port.port.to_string());
        put(&format!("{link}_ADDR"), ip.to_owned());
    }
}

fn variable_name(name: &str) -> String {
    name.to_uppercase().replace('-', "_")
}

fn protocol(port: &ServicePort) -> String {
    port.protocol.as_deref().unwrap_or("TCP").to_uppercase()
}

fn url(port: &ServicePort, ip: &str) -> String {
    let scheme = protocol(port).to_lowercase();
    match ip.parse::<Ipv6Addr>() {
        Ok(ip) => format!("{scheme}://[{ip}]:{}", port.port),
        Err(_) => format!("{scheme}://{ip}:{}", port.port),
    }
}
