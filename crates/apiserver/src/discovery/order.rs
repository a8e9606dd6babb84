//! Which group and which version clients should prefer.

use std::cmp::{Ordering, Reverse};

/// The groups of Kubernetes from the most preferred to the least; groups that definitions add come after.
const GROUPS: [&str; 20] = [
    "",
    "apiregistration.k8s.io",
    "apps",
    "events.k8s.io",
    "authentication.k8s.io",
    "authorization.k8s.io",
    "autoscaling",
    "batch",
    "certificates.k8s.io",
    "networking.k8s.io",
    "policy",
    "rbac.authorization.k8s.io",
    "storage.k8s.io",
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "scheduling.k8s.io",
    "coordination.k8s.io",
    "node.k8s.io",
    "discovery.k8s.io",
    "resource.k8s.io",
];

/// Sorts groups: the most preferred first, those of equal preference by name.
pub(super) fn group(name: &str) -> (usize, &str) {
    let place = GROUPS.iter().position(|group| *group == name);
    (place.unwrap_or(GROUPS.len()), name)
}

/// Sorts versions: `v2`, `v1`, `v1beta2`, `v1beta1`, `v1alpha1`, then what is no such version, by name.
pub(crate) fn versions(a: &str, b: &str) -> Ordering {
    match (Kubelike::parse(a), Kubelike::parse(b)) {
        (Some(a), Some(b)) => b.cmp(&a),
        (a, b) => Reverse(a.is_some()).cmp(&Reverse(b.is_some())),
    }
    .then_with(|| a.cmp(b))
}

/// A version such as `v2beta1`; the greater the more preferred.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Kubelike {
    stability: Stability,
    major: u32,
    minor: u32,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stability {
    Alpha,
    Beta,
    Stable,
}

impl Kubelike {
    fn parse(version: &str) -> Option<Self> {
        let rest = version.strip_prefix('v')?;
        let digits = rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(rest.len());
        let (major, rest) = rest.split_at(digits);
        let (stability, minor) = if let Some(minor) = rest.strip_prefix("beta") {
            (Stability::Beta, minor)
        } else if let Some(minor) = rest.strip_prefix("alpha") {
            (Stability::Alpha, minor)
        } else if rest.is_empty() {
            (Stability::Stable, "0")
        } else {
            return None;
        };
        Some(Self {
            stability,
            major: major.parse().ok()?,
            minor: minor.parse().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::Registry;

    #[test]
    fn versions_are_preferred_as_kubernetes_prefers_them() {
        let mut sorted = vec![
            "foo10",
            "v1",
            "v3beta1",
            "v10",
            "v11alpha2",
            "v2",
            "foo1",
            "v10beta3",
            "v11beta2",
            "v12alpha1",
        ];
        sorted.sort_by(|a, b| versions(a, b));
        assert_eq!(
            sorted,
            [
                "v10",
                "v2",
                "v1",
                "v11beta2",
                "v10beta3",
                "v3beta1",
                "v12alpha1",
                "v11alpha2",
                "foo1",
                "foo10"
            ]
        );
    }

    #[test]
    fn groups_of_kubernetes_come_before_others() {
        let mut sorted = vec!["b.example.com", "policy", "a.example.com", "apps", ""];
        sorted.sort_by_key(|name| group(name));
        assert_eq!(
            sorted,
            ["", "apps", "policy", "a.example.com", "b.example.com"]
        );
    }

    #[test]
    fn every_group_of_kubernetes_has_its_place() {
        for resource in Registry::kubernetes().resources().iter() {
            let known = GROUPS.contains(&resource.group.as_str());
            // The least preferred of all: it may stand among those of definitions.
            assert!(
                known || resource.group == "flowcontrol.apiserver.k8s.io",
                "{}",
                resource.group
            );
        }
    }
}
