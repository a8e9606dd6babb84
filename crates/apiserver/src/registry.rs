//! The resources that the server serves: those of Kubernetes, and those that definitions add while it runs.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use parking_lot::RwLock;
use serde::Deserialize;

use crate::resource::{Origin, Resource, StorageId, Subresource};
use crate::schema::definitions;

/// All resources, by group, version and plural; one snapshot is one consistent view.
#[derive(Debug)]
pub(crate) struct Registry {
    current: RwLock<Arc<Resources>>,
}

/// The resources at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Resources {
    by_path: BTreeMap<(String, String, String), Arc<Resource>>,
}

impl Registry {
    /// The resources of Kubernetes 1.36.
    pub(crate) fn kubernetes() -> Self {
        Self {
            current: RwLock::new(Arc::new(BUILT_IN.clone())),
        }
    }

    /// The resources as they are now.
    pub(crate) fn resources(&self) -> Arc<Resources> {
        Arc::clone(&self.current.read())
    }

    /// Changes the set of resources in one step; readers see all of the change or none of it.
    pub(crate) fn update(&self, change: impl FnOnce(&mut Resources)) {
        let mut current = self.current.write();
        let mut next = Resources::clone(&current);
        change(&mut next);
        *current = Arc::new(next);
    }
}

impl Resources {
    pub(crate) fn get(&self, group: &str, version: &str, plural: &str) -> Option<&Arc<Resource>> {
        self.by_path
            .get(&(group.to_owned(), version.to_owned(), plural.to_owned()))
    }

    /// All resources, ordered by group, version and plural.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Resource>> {
        self.by_path.values()
    }

    pub(crate) fn insert(&mut self, resource: Resource) {
        let path = (
            resource.group.clone(),
            resource.version.clone(),
            resource.plural.clone(),
        );
        self.by_path.insert(path, Arc::new(resource));
    }

    /// Removes all versions of a resource.
    pub(crate) fn remove(&mut self, storage: &StorageId) {
        self.by_path
            .retain(|_, resource| resource.storage != *storage);
    }
}

static BUILT_IN: LazyLock<Resources> = LazyLock::new(|| {
    let facts: Facts = serde_json::from_str(include_str!("../data/resources.json"))
        .expect("data/resources.json is part of this crate and tested");
    let mut resources = Resources::default();
    for fact in facts.resources {
        resources.insert(fact.into_resource());
    }
    resources
});

#[derive(Deserialize)]
struct Facts {
    resources: Vec<Fact>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Fact {
    group: String,
    version: String,
    name: String,
    singular: String,
    kind: String,
    namespaced: bool,
    verbs: Vec<String>,
    short_names: Vec<String>,
    categories: Vec<String>,
    subresources: Vec<Subresource>,
}

impl Fact {
    fn into_resource(self) -> Resource {
        // Events have two faces over one set of objects.
        let storage_group = match (self.group.as_str(), self.name.as_str()) {
            ("events.k8s.io", "events") => "",
            (group, _) => group,
        };
        Resource {
            storage: StorageId {
                group: storage_group.to_owned(),
                plural: self.name.clone(),
            },
            since: 0,
            list_kind: format!("{}List", self.kind),
            origin: Origin::BuiltIn {
                definition: definitions()
                    .of_kind(&self.group, &self.version, &self.kind)
                    .map(str::to_owned),
            },
            group: self.group,
            version: self.version,
            plural: self.name,
            singular: self.singular,
            kind: self.kind,
            namespaced: self.namespaced,
            verbs: self.verbs,
            short_names: self.short_names,
            categories: self.categories,
            subresources: self.subresources,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kubernetes_resources_are_found_by_group_version_and_plural() {
        let resources = Registry::kubernetes().resources();
        let sets = resources.get("apps", "v1", "replicasets").unwrap();
        assert_eq!(sets.kind, "ReplicaSet");
        assert_eq!(sets.api_version(), "apps/v1");
        assert!(sets.subresource("scale").is_some());
        assert!(resources.get("apps", "v1beta1", "replicasets").is_none());
        assert_eq!(
            resources.get("", "v1", "events").unwrap().storage,
            resources
                .get("events.k8s.io", "v1", "events")
                .unwrap()
                .storage,
        );
    }
}
