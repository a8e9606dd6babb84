//! What the server serves, told to clients: groups, versions and resources.
//!
//! Clients ask in one of two ways: the legacy documents, one for each version of a group, or the
//! aggregated ones, all groups in one. Both name the most preferred group and version first.

mod aggregated;
mod legacy;
pub(crate) mod order;

pub(crate) use aggregated::{CONTENT_TYPE as AGGREGATED, wanted as wants_aggregated};
pub(crate) use legacy::{api_versions, group, groups, resources};

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use crate::registry::Resources;
use crate::resource::Resource;

/// The core group, aggregated: the answer of `/api`.
pub(crate) fn aggregated_core(served: &Resources) -> Value {
    aggregated::list(&Catalogue::of(served), str::is_empty)
}

/// All other groups, aggregated: the answer of `/apis`.
pub(crate) fn aggregated_groups(served: &Resources) -> Value {
    aggregated::list(&Catalogue::of(served), |group| !group.is_empty())
}

/// The resources by group and version, the most preferred first.
struct Catalogue<'a> {
    groups: Vec<Group<'a>>,
}

struct Group<'a> {
    name: &'a str,
    versions: Vec<Version<'a>>,
}

struct Version<'a> {
    name: &'a str,
    /// By plural.
    resources: Vec<&'a Resource>,
}

impl<'a> Catalogue<'a> {
    fn of(served: &'a Resources) -> Self {
        let mut groups: BTreeMap<&str, BTreeMap<&str, Vec<&Resource>>> = BTreeMap::new();
        for resource in served.iter().map(Arc::as_ref) {
            let versions = groups.entry(&resource.group).or_default();
            versions
                .entry(&resource.version)
                .or_default()
                .push(resource);
        }
        let mut groups: Vec<Group<'_>> = groups
            .into_iter()
            .map(|(name, versions)| {
                let mut versions: Vec<Version<'_>> = versions
                    .into_iter()
                    .map(|(name, resources)| Version { name, resources })
                    .collect();
                versions.sort_by(|a, b| order::versions(a.name, b.name));
                Group { name, versions }
            })
            .collect();
        groups.sort_by_key(|group| order::group(group.name));
        Self { groups }
    }

    fn group(&self, name: &str) -> Option<&Group<'a>> {
        self.groups.iter().find(|group| group.name == name)
    }
}

impl Group<'_> {
    /// `apps/v1`, or `v1` for the core group.
    fn group_version(&self, version: &Version<'_>) -> String {
        match self.name {
            "" => version.name.to_owned(),
            group => format!("{group}/{}", version.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::registry::Registry;

    fn served() -> Arc<Resources> {
        Registry::kubernetes().resources()
    }

    fn named<'a>(list: &'a Value, key: &str, name: &str) -> &'a Value {
        list.as_array()
            .unwrap()
            .iter()
            .find(|item| item[key] == name)
            .unwrap_or(&Value::Null)
    }

    #[test]
    fn resources_are_told_with_their_subresources() {
        let list = resources(&served(), "apps", "v1").unwrap();
        assert_eq!(
            (&list["kind"], &list["apiVersion"]),
            (&json!("APIResourceList"), &json!("v1"))
        );
        let set = named(&list["resources"], "name", "replicasets");
        assert_eq!(set["singularName"], "replicaset");
        assert_eq!(set["shortNames"], json!(["rs"]));
        assert_eq!(set["categories"], json!(["all"]));
        assert!(set["storageVersionHash"].is_string());
        assert_eq!(
            named(&list["resources"], "name", "replicasets/scale"),
            &json!({"name": "replicasets/scale", "singularName": "", "namespaced": true, "group": "autoscaling",
                    "version": "v1", "kind": "Scale", "verbs": ["get", "patch", "update"]})
        );
        assert!(resources(&served(), "apps", "v9").is_none());
    }

    #[test]
    fn the_core_list_names_no_version_of_itself() {
        let list = resources(&served(), "", "v1").unwrap();
        assert_eq!(list["groupVersion"], "v1");
        assert!(list.get("apiVersion").is_none());
        assert!(
            named(&list["resources"], "name", "bindings")
                .get("storageVersionHash")
                .is_none()
        );
        assert_eq!(api_versions()["versions"], json!(["v1"]));
    }

    #[test]
    fn the_preferred_group_and_version_come_first() {
        let groups = groups(&served());
        let names: Vec<&str> = groups["groups"]
            .as_array()
            .unwrap()
            .iter()
            .map(|g| g["name"].as_str().unwrap())
            .collect();
        assert_eq!(
            &names[..3],
            ["apiregistration.k8s.io", "apps", "events.k8s.io"]
        );
        assert!(!names.contains(&""));
        let autoscaling = named(&groups["groups"], "name", "autoscaling");
        assert_eq!(
            autoscaling["preferredVersion"],
            json!({"groupVersion": "autoscaling/v2", "version": "v2"})
        );
        assert_eq!(autoscaling["versions"].as_array().unwrap().len(), 2);
        assert_eq!(group(&served(), "apps").unwrap()["kind"], "APIGroup");
        assert!(group(&served(), "nope").is_none());
    }

    #[test]
    fn the_aggregated_documents_tell_the_same() {
        let core = aggregated_core(&served());
        assert_eq!(core["items"].as_array().unwrap().len(), 1);
        assert_eq!(core["items"][0]["metadata"], json!({}));
        let groups = aggregated_groups(&served());
        assert_eq!(groups["apiVersion"], "apidiscovery.k8s.io/v2");
        let policy = groups["items"]
            .as_array()
            .unwrap()
            .iter()
            .find(|g| g["metadata"]["name"] == "policy")
            .unwrap();
        assert_eq!(
            policy["versions"],
            json!([{"version": "v1", "freshness": "Current", "resources": [{
                "resource": "poddisruptionbudgets",
                "responseKind": {"group": "", "version": "", "kind": "PodDisruptionBudget"},
                "scope": "Namespaced",
                "singularResource": "poddisruptionbudget",
                "shortNames": ["pdb"],
                "verbs": ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"],
                "subresources": [{
                    "subresource": "status",
                    "responseKind": {"group": "", "version": "", "kind": "PodDisruptionBudget"},
                    "verbs": ["get", "patch", "update"],
                }],
            }]}])
        );
        let told: usize = [&core, &groups]
            .iter()
            .flat_map(|list| list["items"].as_array().unwrap())
            .flat_map(|group| group["versions"].as_array().unwrap())
            .map(|version| version["resources"].as_array().unwrap().len())
            .sum();
        assert_eq!(told, served().iter().count());
    }

    #[test]
    fn aggregated_discovery_is_for_those_who_ask_for_it() {
        let kubectl =
            "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json";
        assert!(wants_aggregated(Some(kubectl)));
        for accept in [
            None,
            Some("application/json"),
            Some("*/*"),
            Some("application/json;g=apidiscovery.k8s.io;v=v3;as=APIGroupDiscoveryList"),
        ] {
            assert!(!wants_aggregated(accept), "{accept:?}");
        }
    }
}
