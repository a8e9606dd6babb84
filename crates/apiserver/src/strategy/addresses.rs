//! The addresses of services: cluster IPs and node ports that no other service has.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use serde_json::{Value, json};

use crate::error::Cause;

/// Cluster IPs are taken from `10.96.0.0/12`; its first address belongs to the API server.
const NETWORK: u32 = u32::from_be_bytes([10, 96, 0, 0]);
const ADDRESSES: u32 = 1 << 20;
const NODE_PORTS: std::ops::RangeInclusive<u64> = 30_000..=32_767;

/// Gives a service the cluster IP and the node ports that its type asks for.
///
/// `others` are the services that there are; call it where no other service can come between.
///
/// # Errors
///
/// If the service asks for an address that another service has.
pub(crate) fn allocate_addresses<'a>(
    service: &mut Value,
    others: impl IntoIterator<Item = &'a Value>,
) -> Result<(), Vec<Cause>> {
    let mut taken = Taken::default();
    let uid = service["metadata"]["uid"].clone();
    for other in others {
        if other["metadata"]["uid"] != uid {
            taken.add(other);
        }
    }
    let mut causes = Vec::new();
    let spec = &mut service["spec"];
    match spec["type"].as_str() {
        Some("ExternalName") => {
            if let Some(spec) = spec.as_object_mut() {
                for field in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
                    spec.remove(field);
                }
            }
            return Ok(());
        }
        _ => cluster_ip(spec, &taken, &mut causes),
    }
    node_ports(spec, &mut taken, &mut causes);
    match causes.is_empty() {
        true => Ok(()),
        false => Err(causes),
    }
}

/// Keeps the addresses that a service has where a change of it does not speak of them.
pub(super) fn keep(new: &mut Value, old: &Value) {
    let (new, old) = (&mut new["spec"], &old["spec"]);
    if new["type"] == "ExternalName" || old["type"] == "ExternalName" {
        return;
    }
    for field in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
        if new[field].is_null() && !old[field].is_null() {
            new[field] = old[field].clone();
        }
    }
    let has_node_ports =
        |spec: &Value| matches!(spec["type"].as_str(), Some("NodePort" | "LoadBalancer"));
    if !has_node_ports(new) || !has_node_ports(old) {
        return;
    }
    let same = |a: &Value, b: &Value| a["port"] == b["port"] && a["protocol"] == b["protocol"];
    for port in new["ports"].as_array_mut().into_iter().flatten() {
        let known = old["ports"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|other| same(port, other));
        if port["nodePort"].is_null()
            && let Some(known) = known
            && !known["nodePort"].is_null()
        {
            port["nodePort"] = known["nodePort"].clone();
        } else if port["nodePort"].is_null()
            && let Some(port) = port.as_object_mut()
        {
            port.remove("nodePort");
        }
    }
}

/// The addresses that services have.
#[derive(Default)]
struct Taken {
    ips: BTreeSet<Ipv4Addr>,
    ports: BTreeSet<u64>,
}

impl Taken {
    fn add(&mut self, service: &Value) {
        let spec = &service["spec"];
        let ips = spec["clusterIPs"].as_array().into_iter().flatten();
        self.ips
            .extend(ips.filter_map(|ip| ip.as_str()?.parse::<Ipv4Addr>().ok()));
        let ports = spec["ports"].as_array().into_iter().flatten();
        self.ports
            .extend(ports.filter_map(|port| port["nodePort"].as_u64()));
    }
}

fn cluster_ip(spec: &mut Value, taken: &Taken, causes: &mut Vec<Cause>) {
    let wanted = spec["clusterIP"]
        .as_str()
        .or_else(|| spec["clusterIPs"][0].as_str())
        .unwrap_or_default()
        .to_owned();
    let ip = match wanted.as_str() {
        "" => (1..ADDRESSES - 1)
            .map(|offset| Ipv4Addr::from(NETWORK + 1 + offset))
            .find(|ip| !taken.ips.contains(ip))
            .map(|ip| ip.to_string())
            .unwrap_or_default(),
        "None" => wanted,
        given => {
            if given
                .parse::<Ipv4Addr>()
                .is_ok_and(|ip| taken.ips.contains(&ip))
            {
                causes.push(Cause::invalid(
                    "spec.clusterIPs",
                    &json!([given]),
                    format!("failed to allocate IP {given}: provided IP is already allocated"),
                ));
            }
            wanted
        }
    };
    spec["clusterIP"] = ip.as_str().into();
    spec["clusterIPs"] = json!([ip]);
    if spec["ipFamilies"].is_null() {
        spec["ipFamilies"] = json!([if ip.contains(':') { "IPv6" } else { "IPv4" }]);
    }
    if spec["ipFamilyPolicy"].is_null() {
        spec["ipFamilyPolicy"] = "SingleStack".into();
    }
}

fn node_ports(spec: &mut Value, taken: &mut Taken, causes: &mut Vec<Cause>) {
    let needs_ports = match spec["type"].as_str() {
        Some("NodePort") => true,
        Some("LoadBalancer") => spec["allocateLoadBalancerNodePorts"] != false,
        _ => false,
    };
    for (index, port) in spec["ports"]
        .as_array_mut()
        .into_iter()
        .flatten()
        .enumerate()
    {
        match port["nodePort"].as_u64().unwrap_or(0) {
            0 if needs_ports => {
                if let Some(free) = NODE_PORTS.clone().find(|port| !taken.ports.contains(port)) {
                    taken.ports.insert(free);
                    port["nodePort"] = free.into();
                }
            }
            0 => {
                if let Some(port) = port.as_object_mut() {
                    port.remove("nodePort");
                }
            }
            given if !NODE_PORTS.contains(&given) => causes.push(Cause::invalid(
                format!("spec.ports[{index}].nodePort"),
                &given.into(),
                "provided port is not in the valid range. The range of valid ports is 30000-32767",
            )),
            given if !taken.ports.insert(given) => causes.push(Cause::invalid(
                format!("spec.ports[{index}].nodePort"),
                &given.into(),
                "provided port is already allocated",
            )),
            _ => {}
        }
    }
}

#[cfg(test)]
#[expect(clippy::needless_pass_by_value, reason = "calls read better")]
mod tests {
    use super::*;

    fn service(uid: &str, spec: Value) -> Value {
        json!({"metadata": {"uid": uid}, "spec": spec})
    }

    #[test]
    fn services_get_addresses_that_no_other_has() {
        let mut first = service("1", json!({"type": "ClusterIP", "ports": [{"port": 80}]}));
        allocate_addresses(&mut first, []).unwrap();
        let mut second = service(
            "2",
            json!({"type": "NodePort", "ports": [{"port": 80}, {"port": 81}]}),
        );
        allocate_addresses(&mut second, [&first]).unwrap();
        assert_ne!(first["spec"]["clusterIP"], second["spec"]["clusterIP"]);
        assert_eq!(
            first["spec"]["clusterIPs"],
            json!([first["spec"]["clusterIP"]])
        );
        assert_eq!(first["spec"]["ports"], json!([{"port": 80}]));
        let ports = |service: &Value| -> Vec<u64> {
            let ports = service["spec"]["ports"].as_array().unwrap();
            ports
                .iter()
                .map(|port| port["nodePort"].as_u64().unwrap())
                .collect()
        };
        let mut third = service("3", json!({"type": "NodePort", "ports": [{"port": 80}]}));
        allocate_addresses(&mut third, [&first, &second]).unwrap();
        let mut all = ports(&second);
        all.extend(ports(&third));
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 3);
        let again = third.clone();
        allocate_addresses(&mut third, [&first, &second, &again]).unwrap();
        assert_eq!(third, again, "a service does not stand in its own way");
    }

    #[test]
    fn what_is_taken_cannot_be_asked_for() {
        let mut first = service("1", json!({"type": "NodePort", "ports": [{"port": 80}]}));
        allocate_addresses(&mut first, []).unwrap();
        let mut second = first.clone();
        second["metadata"]["uid"] = "2".into();
        let causes = allocate_addresses(&mut second, [&first]).unwrap_err();
        let fields: Vec<&str> = causes.iter().map(|cause| cause.field.as_str()).collect();
        assert_eq!(fields, ["spec.clusterIPs", "spec.ports[0].nodePort"]);
    }

    #[test]
    fn headless_services_and_names_have_no_address() {
        let mut headless = service("1", json!({"type": "ClusterIP", "clusterIP": "None"}));
        allocate_addresses(&mut headless, []).unwrap();
        assert_eq!(headless["spec"]["clusterIPs"], json!(["None"]));
        let mut name = service("2", json!({"type": "ExternalName", "externalName": "x"}));
        allocate_addresses(&mut name, []).unwrap();
        assert_eq!(name["spec"].get("clusterIP"), None);
    }

    #[test]
    fn a_change_that_does_not_speak_of_addresses_keeps_them() {
        let mut old = service(
            "1",
            json!({"type": "NodePort", "ports": [{"port": 80, "protocol": "TCP"}]}),
        );
        allocate_addresses(&mut old, []).unwrap();
        let mut new = service(
            "1",
            json!({"type": "NodePort", "ports": [{"port": 80, "protocol": "TCP"}, {"port": 81, "protocol": "TCP"}]}),
        );
        keep(&mut new, &old);
        allocate_addresses(&mut new, [&old]).unwrap();
        assert_eq!(new["spec"]["clusterIP"], old["spec"]["clusterIP"]);
        assert_eq!(new["spec"]["ports"][0], old["spec"]["ports"][0]);
        assert!(new["spec"]["ports"][1]["nodePort"].is_u64());
    }
}
