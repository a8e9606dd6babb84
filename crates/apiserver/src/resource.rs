//! One resource that the server serves, in one version.

use std::sync::Arc;

use serde::Deserialize;

use crate::crd::CustomVersion;

/// A resource in one version: what discovery tells of it and where its objects are kept.
#[derive(Clone, Debug)]
pub(crate) struct Resource {
    pub(crate) group: String,
    pub(crate) version: String,
    /// The plural, as it stands in paths: `replicasets`.
    pub(crate) plural: String,
    pub(crate) singular: String,
    pub(crate) kind: String,
    pub(crate) list_kind: String,
    pub(crate) namespaced: bool,
    pub(crate) verbs: Vec<String>,
    pub(crate) short_names: Vec<String>,
    pub(crate) categories: Vec<String>,
    pub(crate) subresources: Vec<Subresource>,
    /// Where its objects are kept: all versions of a resource, and resources that are two names of one thing, share it.
    pub(crate) storage: StorageId,
    pub(crate) origin: Origin,
    /// The revision at which the resource took the form that it has.
    pub(crate) since: u64,
}

/// A subresource as discovery shows it; empty group and version mean those of the resource.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Subresource {
    pub(crate) name: String,
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) kind: String,
    pub(crate) verbs: Vec<String>,
}

/// The place where the objects of a resource are kept, whatever version they are read in.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct StorageId {
    pub(crate) group: String,
    pub(crate) plural: String,
}

/// Where a resource comes from.
#[derive(Clone, Debug)]
pub(crate) enum Origin {
    /// Part of Kubernetes: the name of its OpenAPI definition, if its kind has one.
    BuiltIn { definition: Option<String> },
    /// Added by a `CustomResourceDefinition`.
    Custom(Arc<CustomVersion>),
}

impl Resource {
    /// `group/version`, or `v1` for the core group.
    pub(crate) fn api_version(&self) -> String {
        match self.group.as_str() {
            "" => self.version.clone(),
            group => format!("{group}/{}", self.version),
        }
    }

    /// `replicasets.apps`, or `pods` for the core group: how error messages name it.
    ///
    /// What is kept under another group is named by that one.
    pub(crate) fn qualified(&self) -> String {
        match self.storage.group.as_str() {
            "" => self.plural.clone(),
            group => format!("{}.{group}", self.plural),
        }
    }

    /// `widgets.example.com`: the name of the definition of a custom resource.
    pub(crate) fn storage_name(&self) -> String {
        format!("{}.{}", self.storage.plural, self.storage.group)
    }

    pub(crate) fn has_verb(&self, verb: &str) -> bool {
        self.verbs.iter().any(|v| v == verb)
    }

    pub(crate) fn subresource(&self, name: &str) -> Option<&Subresource> {
        self.subresources.iter().find(|s| s.name == name)
    }
}
