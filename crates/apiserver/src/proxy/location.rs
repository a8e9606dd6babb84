//! Where the kubelet of a node is reached.

use std::net::{IpAddr, SocketAddr};

use serde_json::Value;

use crate::error::ApiError;

/// The port of kubelets that do not report theirs.
const DEFAULT_PORT: u16 = 10_250;

/// Where a request goes: a kubelet on this machine, and what is asked of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Location {
    /// Always a loopback address.
    pub(crate) address: SocketAddr,
    /// Path and query.
    pub(crate) target: String,
}

impl Location {
    /// A path and query at the kubelet of a node.
    ///
    /// # Errors
    ///
    /// 500 for a node without an address, 501 for one that is not on this machine: this server
    /// contacts nobody else.
    pub(crate) fn at(node: &Value, target: String) -> Result<Self, ApiError> {
        let address = kubelet(node)?;
        if !address.ip().is_loopback() {
            let name = node["metadata"]["name"].as_str().unwrap_or_default();
            return Err(ApiError::unsupported(format!(
                "nodes on other machines: it is the policy of this embedded server to contact \
                 kubelets on loopback addresses only, and that of node {name:?} is at {address}"
            )));
        }
        Ok(Self { address, target })
    }

    /// The location as Go's clients write it.
    pub(crate) fn url(&self, scheme: &str) -> String {
        format!("{scheme}://{}{}", self.address, self.target)
    }
}

/// The address that a node reports of its kubelet.
fn kubelet(node: &Value) -> Result<SocketAddr, ApiError> {
    let status = &node["status"];
    let addresses = status["addresses"]
        .as_array()
        .map_or(&[][..], Vec::as_slice);
    let internal: Option<IpAddr> = addresses
        .iter()
        .filter(|address| address["type"] == "InternalIP")
        .find_map(|address| address["address"].as_str()?.parse().ok());
    let Some(ip) = internal else {
        let known: Vec<String> = addresses.iter().map(Value::to_string).collect();
        return Err(ApiError::unclassified(format!(
            "no preferred addresses found; known addresses: [{}]",
            known.join(" ")
        )));
    };
    let port = status["daemonEndpoints"]["kubeletEndpoint"]["Port"]
        .as_u64()
        .and_then(|port| u16::try_from(port).ok())
        .filter(|port| *port > 0)
        .unwrap_or(DEFAULT_PORT);
    Ok(SocketAddr::new(ip, port))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn node(addresses: &Value, port: &Value) -> Value {
        json!({
            "metadata": { "name": "n" },
            "status": { "addresses": addresses, "daemonEndpoints": { "kubeletEndpoint": { "Port": port } } },
        })
    }

    fn at(address: &str, port: &Value) -> Result<Location, ApiError> {
        let addresses = json!([
            { "type": "Hostname", "address": "n.example" },
            { "type": "InternalIP", "address": address },
        ]);
        Location::at(&node(&addresses, port), "/pods".to_owned())
    }

    #[test]
    fn a_kubelet_is_at_its_internal_address_and_port() {
        let url = |address, port| at(address, &port).unwrap().url("https");
        assert_eq!(url("127.0.0.1", json!(443)), "https://127.0.0.1:443/pods");
        assert_eq!(url("127.3.2.1", json!(0)), "https://127.3.2.1:10250/pods");
        assert_eq!(url("::1", Value::Null), "https://[::1]:10250/pods");
    }

    #[test]
    fn other_machines_are_not_contacted() {
        for address in [
            "10.0.0.1",
            "0.0.0.0",
            "169.254.169.254",
            "::ffff:127.0.0.1",
            "fe80::1",
        ] {
            let error = at(address, &json!(10250)).unwrap_err();
            assert_eq!(error.code(), 501, "{address}");
            let text = error.to_string();
            assert!(text.contains("policy of this embedded server"), "{text}");
            assert!(text.contains(address), "{text}");
        }
    }

    #[test]
    fn a_node_without_an_address_is_told_of_with_those_it_has() {
        for addresses in [
            json!([{ "type": "Hostname", "address": "127.0.0.1" }]),
            Value::Null,
        ] {
            let error = Location::at(&node(&addresses, &json!(1)), String::new()).unwrap_err();
            assert_eq!((error.code().as_u16(), error.reason()), (500, None));
            assert!(
                error
                    .to_string()
                    .starts_with("no preferred addresses found; known addresses: [")
            );
        }
    }
}
