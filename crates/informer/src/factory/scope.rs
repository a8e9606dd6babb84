//! Which part of a collection an informer mirrors.

use std::fmt;

use kube_client::Client;
use kube_core::{NamespaceScope, Resource};
use kubewright_cache::KubeListerWatcher;

/// Which objects of a type an informer mirrors: by default all, in all namespaces.
///
/// # Example
///
/// ```
/// use k8s_openapi::api::core::v1::Pod;
/// use kubewright_informer::Scope;
///
/// let scope = Scope::<Pod>::namespace("kube-system").labels("k8s-app=kube-dns");
/// assert_eq!(scope.to_string(), "pods in kube-system with labels k8s-app=kube-dns");
/// ```
///
/// Only types that have namespaces can be asked for in one:
///
/// ```compile_fail
/// # use k8s_openapi::api::core::v1::Node;
/// # use kubewright_informer::Scope;
/// let scope = Scope::<Node>::namespace("kube-system");
/// ```
pub struct Scope<K> {
    namespace: Option<Namespace<K>>,
    labels: Option<String>,
    fields: Option<String>,
}

/// The only namespace.
///
/// The function stands for the knowledge that `K` has namespaces, which only the call that made
/// the scope has.
struct Namespace<K> {
    name: String,
    source: fn(Client, &str) -> KubeListerWatcher<K>,
}

impl<K: Resource<DynamicType = ()>> Scope<K> {
    /// All objects, in all namespaces.
    pub const fn all() -> Self {
        Self {
            namespace: None,
            labels: None,
            fields: None,
        }
    }

    /// All objects of one namespace.
    pub fn namespace(name: impl Into<String>) -> Self
    where
        K::Scope: NamespaceScope,
    {
        Self {
            namespace: Some(Namespace {
                name: name.into(),
                source: KubeListerWatcher::namespaced,
            }),
            ..Self::all()
        }
    }

    /// Of these, only the objects that this label selector picks, such as `app=web,tier in (a,b)`.
    pub fn labels(mut self, selector: impl Into<String>) -> Self {
        self.labels = Some(selector.into());
        self
    }

    /// Of these, only the objects that this field selector picks, such as `spec.nodeName=node-1`.
    pub fn fields(mut self, selector: impl Into<String>) -> Self {
        self.fields = Some(selector.into());
        self
    }

    /// Where the objects come from.
    pub(super) fn source(self, client: Client) -> KubeListerWatcher<K> {
        let mut source = match self.namespace {
            Some(namespace) => (namespace.source)(client, &namespace.name),
            None => KubeListerWatcher::all(client),
        };
        if let Some(labels) = self.labels {
            source = source.labels(labels);
        }
        if let Some(fields) = self.fields {
            source = source.fields(fields);
        }
        source
    }
}

impl<K: Resource<DynamicType = ()>> Default for Scope<K> {
    fn default() -> Self {
        Self::all()
    }
}

impl<K> Clone for Scope<K> {
    fn clone(&self) -> Self {
        let namespace = self.namespace.as_ref().map(|namespace| Namespace {
            name: namespace.name.clone(),
            source: namespace.source,
        });
        Self {
            namespace,
            labels: self.labels.clone(),
            fields: self.fields.clone(),
        }
    }
}

impl<K: Resource<DynamicType = ()>> fmt::Display for Scope<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&K::plural(&()))?;
        let group = K::group(&());
        if !group.is_empty() {
            write!(f, ".{group}")?;
        }
        if let Some(namespace) = &self.namespace {
            write!(f, " in {}", namespace.name)?;
        }
        if let Some(labels) = &self.labels {
            write!(f, " with labels {labels}")?;
        }
        if let Some(fields) = &self.fields {
            write!(f, " with fields {fields}")?;
        }
        Ok(())
    }
}

impl<K: Resource<DynamicType = ()>> fmt::Debug for Scope<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scope({self})")
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::apps::v1::ReplicaSet;
    use k8s_openapi::api::core::v1::Pod;

    use super::*;

    #[test]
    fn a_scope_reads_like_a_sentence() {
        let scope = Scope::<Pod>::all();
        assert_eq!(scope.to_string(), "pods");
        let scope = scope.fields("spec.nodeName=n1");
        assert_eq!(scope.to_string(), "pods with fields spec.nodeName=n1");
        let scope = Scope::<ReplicaSet>::namespace("prod").labels("app=web");
        assert_eq!(
            scope.to_string(),
            "replicasets.apps in prod with labels app=web"
        );
    }

    /// `metadata.name=x` is a valid selector of either sort.
    #[test]
    fn labels_are_not_taken_for_fields() {
        let selector = "metadata.name=x";
        assert_ne!(
            Scope::<Pod>::all().labels(selector).to_string(),
            Scope::<Pod>::all().fields(selector).to_string()
        );
    }
}
