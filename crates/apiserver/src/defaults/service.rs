//! Defaults of services. Their addresses are given out by the server: see [`crate::strategy`].

use serde_json::{Value, json};

use super::fill::{fill, items};

/// How long a client stays with the pod that served it, in seconds.
const AFFINITY_SECONDS: u32 = 10_800;

pub(super) fn service(object: &mut Value) {
    let spec = &mut object["spec"];
    fill(spec, "sessionAffinity", "None");
    if spec["sessionAffinity"] == "ClientIP" {
        if spec
            .pointer("/sessionAffinityConfig/clientIP/timeoutSeconds")
            .is_none()
        {
            spec["sessionAffinityConfig"] =
                json!({"clientIP": {"timeoutSeconds": AFFINITY_SECONDS}});
        }
    } else if let Some(spec) = spec.as_object_mut() {
        spec.remove("sessionAffinityConfig");
    }
    fill(spec, "type", "ClusterIP");
    for port in items(spec, "ports") {
        fill(port, "protocol", "TCP");
        if port["targetPort"] == 0 || port["targetPort"] == "" {
            port["targetPort"] = Value::Null;
        }
        let number = port["port"].clone();
        fill(port, "targetPort", number);
    }
    let kind = spec["type"].as_str().unwrap_or_default().to_owned();
    let is_open = matches!(kind.as_str(), "NodePort" | "LoadBalancer")
        || kind == "ClusterIP"
            && spec["externalIPs"]
                .as_array()
                .is_some_and(|ips| !ips.is_empty());
    if is_open {
        fill(spec, "externalTrafficPolicy", "Cluster");
    }
    if matches!(kind.as_str(), "NodePort" | "LoadBalancer" | "ClusterIP") {
        fill(spec, "internalTrafficPolicy", "Cluster");
    }
    if kind == "LoadBalancer" {
        fill(spec, "allocateLoadBalancerNodePorts", true);
        for ingress in items(&mut object["status"]["loadBalancer"], "ingress") {
            if ingress["ip"].is_string() {
                fill(ingress, "ipMode", "VIP");
            }
        }
    }
}
