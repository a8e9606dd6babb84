//! The objects that own others.

use std::borrow::Cow;

use k8s_openapi::{ClusterResourceScope, NamespaceResourceScope};
use kube_core::Resource;
use kubewright_cache::{Metadata, OwnerReference};
use kubewright_informer::ObjectKey;

/// Which owners of an object [`Controller::owns`](crate::Controller::owns) looks for.
///
/// Owners are told by group and kind; their version does not matter.
///
/// # Example
///
/// ```
/// use k8s_openapi::api::apps::v1::ReplicaSet;
/// use kubewright_controller::Owner;
///
/// // The ReplicaSet that manages a pod, but none that it merely belongs to.
/// let owner = Owner::controller::<ReplicaSet>();
/// // A custom resource that no type describes.
/// let website = Owner::controller_named("example.com", "Website");
/// ```
#[derive(Debug, Clone)]
pub struct Owner {
    group: Cow<'static, str>,
    kind: Cow<'static, str>,
    scope: Scope,
    role: Role,
}

#[derive(Debug, Clone, Copy)]
enum Scope {
    Namespaced,
    Cluster,
}

#[derive(Debug, Clone, Copy)]
enum Role {
    Controller,
    Any,
}

impl Owner {
    /// The owner of kind `K` that manages the object: its reference says `controller: true`.
    pub fn controller<K>() -> Self
    where
        K: Resource<DynamicType = (), Scope: OwnerScope>,
    {
        Self {
            group: Cow::Owned(K::group(&()).into_owned()),
            kind: Cow::Owned(K::kind(&()).into_owned()),
            scope: <K::Scope as OwnerScope>::SCOPE.0,
            role: Role::Controller,
        }
    }

    /// The namespaced owner of this group and kind that manages the object.
    pub fn controller_named(group: impl Into<String>, kind: impl Into<String>) -> Self {
        Self {
            group: Cow::Owned(group.into()),
            kind: Cow::Owned(kind.into()),
            scope: Scope::Namespaced,
            role: Role::Controller,
        }
    }

    /// The same, of a kind that lives in no namespace.
    #[must_use]
    pub fn cluster_scoped(mut self) -> Self {
        self.scope = Scope::Cluster;
        self
    }

    /// The same, whether or not it manages the object.
    #[must_use]
    pub fn managing_or_not(mut self) -> Self {
        self.role = Role::Any;
        self
    }

    /// The keys of the owners of an object.
    pub fn keys_of<'a>(&'a self, object: &'a Metadata) -> impl Iterator<Item = ObjectKey> + 'a {
        let namespace = match self.scope {
            Scope::Namespaced => object.namespace().unwrap_or_default(),
            Scope::Cluster => "",
        };
        let owners = object.owner_references();
        let sought = owners.filter(|owner| self.is_sought(owner));
        sought.map(move |owner| ObjectKey::namespaced(namespace, owner.name))
    }

    fn is_sought(&self, owner: &OwnerReference<'_>) -> bool {
        let group = owner
            .api_version
            .split_once('/')
            .map_or("", |(group, _)| group);
        let in_role = owner.controller || matches!(self.role, Role::Any);
        in_role && owner.kind == self.kind && group == self.group
    }
}

/// Where the objects of a kind live; known of the kinds of `k8s_openapi` and of custom resources.
pub trait OwnerScope: sealed::Sealed {
    #[doc(hidden)]
    const SCOPE: sealed::Opaque;
}

impl OwnerScope for NamespaceResourceScope {
    const SCOPE: sealed::Opaque = sealed::Opaque(Scope::Namespaced);
}

impl OwnerScope for ClusterResourceScope {
    const SCOPE: sealed::Opaque = sealed::Opaque(Scope::Cluster);
}

mod sealed {
    #[derive(Debug, Clone, Copy)]
    pub struct Opaque(pub(super) super::Scope);

    pub trait Sealed {}
    impl Sealed for super::NamespaceResourceScope {}
    impl Sealed for super::ClusterResourceScope {}
}
