use std::collections::BTreeMap;
use std::net::IpAddr;

use k8s_openapi::api::core::v1::{Container, Pod, ResourceFieldSelector};
use kubewright_quantity::Quantity;

use super::EnvironmentError;
use crate::resources::{Amounts, amount};

/// What a pod may know of itself and its containers' resources.
#[derive(Clone, Copy, Debug)]
pub struct DownwardApi<'a> {
    /// The pod.
    pub pod: &'a Pod,
    /// The addresses of the pod, the primary one first; those of the host for a pod in its network.
    pub pod_ips: &'a [IpAddr],
    /// The addresses of the host, the primary one first.
    pub host_ips: &'a [IpAddr],
    /// What the node has to give; limits that a container does not have default to it.
    pub allocatable: &'a Amounts,
}

impl DownwardApi<'_> {
    /// The value of a field, for an environment variable.
    ///
    /// # Errors
    ///
    /// If the downward API does not offer the field.
    pub fn variable(&self, path: &str) -> Result<String, EnvironmentError> {
        let spec = self.pod.spec.as_ref();
        let text = |text: Option<&String>| text.cloned().unwrap_or_default();
        let first = |ips: &[IpAddr]| ips.first().map(ToString::to_string).unwrap_or_default();
        let all = |ips: &[IpAddr]| {
            let ips: Vec<_> = ips.iter().map(ToString::to_string).collect();
            ips.join(",")
        };
        Ok(match path {
            "spec.nodeName" => text(spec.and_then(|spec| spec.node_name.as_ref())),
            "spec.serviceAccountName" => {
                text(spec.and_then(|spec| spec.service_account_name.as_ref()))
            }
            "status.hostIP" => first(self.host_ips),
            "status.hostIPs" => all(self.host_ips),
            "status.podIP" => first(self.pod_ips),
            "status.podIPs" => all(self.pod_ips),
            _ => return self.field(path),
        })
    }

    /// The value of a field of the metadata, which is all that a volume is offered.
    ///
    /// Answers to upstream's `fieldpath.ExtractFieldPathAsString`.
    ///
    /// # Errors
    ///
    /// If the downward API does not offer the field.
    pub fn field(&self, path: &str) -> Result<String, EnvironmentError> {
        let metadata = &self.pod.metadata;
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        if let Some((path, key)) = subscript(path) {
            let map = match path {
                "metadata.annotations" if is_qualified(&key.to_lowercase()) => {
                    &metadata.annotations
                }
                "metadata.labels" if is_qualified(key) => &metadata.labels,
                _ => return Err(EnvironmentError::Subscript(format!("{path}['{key}']"))),
            };
            let value = map.as_ref().and_then(|map| map.get(key));
            return Ok(value.cloned().unwrap_or_default());
        }
        Ok(match path {
            "metadata.annotations" => lines(metadata.annotations.as_ref()),
            "metadata.labels" => lines(metadata.labels.as_ref()),
            "metadata.name" => text(&metadata.name),
            "metadata.namespace" => text(&metadata.namespace),
            "metadata.uid" => text(&metadata.uid),
            _ => return Err(EnvironmentError::Field(path.to_owned())),
        })
    }

    /// The value of a resource of a container: of the one that the selector names, else of `own`.
    ///
    /// A limit that the container does not have is that of the node; the value is divided by the
    /// divisor and rounded up, exactly.
    ///
    /// # Errors
    ///
    /// If there is no such container or resource, or the divisor is no quantity.
    pub fn resource(
        &self,
        selector: &ResourceFieldSelector,
        own: Option<&Container>,
    ) -> Result<String, EnvironmentError> {
        let container = match selector.container_name.as_deref() {
            None | Some("") => own.ok_or_else(|| EnvironmentError::NoContainer(String::new()))?,
            Some(name) => self.container(name)?,
        };
        let unsupported = || EnvironmentError::Resource(selector.resource.clone());
        let (list, name) = selector.resource.split_once('.').ok_or_else(unsupported)?;
        let offered = ["cpu", "memory", "ephemeral-storage"].contains(&name);
        if !offered && !name.starts_with("hugepages-") {
            return Err(unsupported());
        }
        let resources = container.resources.as_ref();
        let given = match list {
            "limits" => amount(
                resources.and_then(|resources| resources.limits.as_ref()),
                name,
            )
            .filter(|limit| !limit.is_zero())
            .or_else(|| self.allocatable.get(name).copied().filter(|_| offered)),
            "requests" => amount(
                resources.and_then(|resources| resources.requests.as_ref()),
                name,
            ),
            _ => return Err(unsupported()),
        };
        let given = given.unwrap_or(Quantity::ZERO);
        let divisor = divisor(selector)?;
        let (value, divisor) = if name == "cpu" {
            (given.milli_value(), divisor.milli_value())
        } else {
            (given.value(), divisor.value())
        };
        Ok(divided_rounding_up(value, divisor).to_string())
    }

    fn container(&self, name: &str) -> Result<&Container, EnvironmentError> {
        let spec = self.pod.spec.iter();
        spec.flat_map(|spec| {
            spec.containers
                .iter()
                .chain(spec.init_containers.iter().flatten())
        })
        .find(|container| container.name == name)
        .ok_or_else(|| EnvironmentError::NoContainer(name.to_owned()))
    }
}

fn divisor(selector: &ResourceFieldSelector) -> Result<Quantity, EnvironmentError> {
    let Some(text) = &selector.divisor else {
        return Ok(Quantity::whole(1));
    };
    let divisor = Quantity::parse(&text.0);
    let divisor = divisor.map_err(|_| EnvironmentError::Divisor(text.0.clone()))?;
    if divisor.is_negative() {
        return Err(EnvironmentError::Divisor(text.0.clone()));
    }
    Ok(if divisor.is_zero() {
        Quantity::whole(1)
    } else {
        divisor
    })
}

fn divided_rounding_up(value: i64, divisor: i64) -> i64 {
    let rest = value % divisor;
    value / divisor + i64::from(rest > 0)
}

/// Splits `metadata.labels['key']` into the field and the key.
fn subscript(path: &str) -> Option<(&str, &str)> {
    path.strip_suffix("']")?.split_once("['")
}

/// A map as lines of `key="value"`, in the order of keys.
fn lines(map: Option<&BTreeMap<String, String>>) -> String {
    let lines = map.into_iter().flatten();
    let lines: Vec<_> = lines
        .map(|(key, value)| format!("{key}={}", quoted(value)))
        .collect();
    lines.join("\n")
}

/// A text in double quotes, with Go's escapes, since programs read it back with those.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{b}' => out.push_str("\\v"),
            c if c.is_ascii_control() => out.push_str(&format!("\\x{:02x}", u32::from(c))),
            c if c.is_control() => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Whether a text is the key of a label: an optional DNS name, a slash and a short name.
fn is_qualified(key: &str) -> bool {
    let (prefix, name) = match key.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, key),
    };
    let is_name = |text: &str, inner: &[u8], max: usize| {
        let alphanumeric = |byte: &u8| byte.is_ascii_alphanumeric();
        let bytes = text.as_bytes();
        bytes.len() <= max
            && bytes.first().is_some_and(alphanumeric)
            && bytes.last().is_some_and(alphanumeric)
            && bytes
                .iter()
                .all(|byte| alphanumeric(byte) || inner.contains(byte))
    };
    let is_prefix = |prefix: &str| {
        prefix.len() <= 253
            && prefix
                .split('.')
                .all(|label| is_name(label, b"-", 63) && label == label.to_lowercase())
    };
    is_name(name, b"-_.", 63) && prefix.is_none_or(is_prefix)
}
