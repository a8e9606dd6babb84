use k8s_openapi::api::core::v1::Pod;

use super::{ContainerKind, containers};

/// A pod asks for a behaviour that the agent does not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("container {container:?}: {field} is not supported")]
pub struct UnsupportedField {
    /// Which container asks.
    pub container: String,
    /// For what.
    pub field: &'static str,
}

/// Checks that a pod asks for no life of containers that the agent would not give them.
///
/// Restart policies of single containers (but for sidecars) and restart rules are not supported.
///
/// # Errors
///
/// The first field that asks for it.
pub fn check_supported(pod: &Pod) -> Result<(), UnsupportedField> {
    for container in containers(pod) {
        let spec = &container.spec;
        let field = if spec.restart_policy_rules.is_some() {
            "restartPolicyRules"
        } else if container.kind != ContainerKind::Sidecar && spec.restart_policy.is_some() {
            "restartPolicy"
        } else {
            continue;
        };
        let container = spec.name.clone();
        return Err(UnsupportedField { container, field });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn restart_rules_and_policies_of_containers_are_refused() {
        let check = |spec| {
            let pod: Pod = serde_json::from_value(serde_json::json!({"spec": spec})).unwrap();
            check_supported(&pod).map_err(|error| error.to_string())
        };
        let sidecar = serde_json::json!({"initContainers": [{"name": "s", "restartPolicy": "Always"}], "containers": []});
        assert_eq!(check(sidecar), Ok(()));
        let policy = serde_json::json!({"containers": [{"name": "a", "restartPolicy": "Never"}]});
        let refused = r#"container "a": restartPolicy is not supported"#;
        assert_eq!(check(policy), Err(refused.into()));
        let rules = serde_json::json!({"containers": [{"name": "a", "restartPolicyRules": []}]});
        let refused = r#"container "a": restartPolicyRules is not supported"#;
        assert_eq!(check(rules), Err(refused.into()));
    }
}
