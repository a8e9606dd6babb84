//! Reads of an informer's store.

use std::fmt;
use std::sync::Arc;

use kube_core::{Expression, Selector};
use kubewright_cache::{Labels, Object, ObjectKey};

use crate::informer::SharedInformer;

/// Reads an informer's store by label selector, namespace and name.
///
/// Cheap to clone.
/// It keeps a factory from stopping the informer.
///
/// # Guarantees
///
/// - No read waits for the writer, goes to the server, or decodes: what is listed is shared with
///   the store, its metadata is parsed, and [`Object::get`] decodes on demand.
/// - Objects are listed in the order of their keys, as of one moment.
///
/// # Example
///
/// ```
/// # use k8s_openapi::api::core::v1::Pod;
/// # use kubewright_informer::{Lister, NotFound, Object};
/// use kube_core::{Expression, Selector};
///
/// fn web_pods(pods: &Lister<Pod>) -> Vec<Object<Pod>> {
///     let selector = Selector::from(Expression::Equal("app".into(), "web".into()));
///     pods.namespaced("default").list(&selector)
/// }
///
/// fn is_leaving(pods: &Lister<Pod>, name: &str) -> Result<bool, NotFound> {
///     Ok(pods.namespaced("default").get(name)?.meta().is_being_deleted())
/// }
/// ```
///
/// Answers to client-go's generated listers.
pub struct Lister<K: 'static> {
    informer: SharedInformer<K>,
}

impl<K> Lister<K> {
    pub(crate) const fn new(informer: SharedInformer<K>) -> Self {
        Self { informer }
    }

    /// All objects.
    pub fn all(&self) -> Vec<Object<K>> {
        self.informer.store().snapshot().iter().cloned().collect()
    }

    /// The objects that the selector selects, in all namespaces.
    pub fn list(&self, selector: &Selector) -> Vec<Object<K>> {
        select(self.informer.store().snapshot().iter(), selector)
    }

    /// The object with this key.
    ///
    /// # Errors
    ///
    /// When the store has none.
    pub fn get(&self, key: &ObjectKey) -> Result<Object<K>, NotFound> {
        self.informer.store().get(key).ok_or_else(|| NotFound {
            resource: self.informer.name().into(),
            key: key.clone(),
        })
    }

    /// Reads within one namespace.
    pub fn namespaced(&self, namespace: &str) -> NamespaceLister<K> {
        NamespaceLister {
            lister: self.clone(),
            namespace: namespace.into(),
        }
    }
}

impl<K> Clone for Lister<K> {
    fn clone(&self) -> Self {
        Self {
            informer: self.informer.clone(),
        }
    }
}

impl<K> fmt::Debug for Lister<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lister")
            .field("resource", &self.informer.name())
            .finish_non_exhaustive()
    }
}

/// Reads an informer's store within one namespace; made by [`Lister::namespaced`].
///
/// It finds the namespace's objects by the order of keys, without looking at others.
pub struct NamespaceLister<K: 'static> {
    lister: Lister<K>,
    namespace: Arc<str>,
}

impl<K> NamespaceLister<K> {
    /// All objects of the namespace.
    pub fn all(&self) -> Vec<Object<K>> {
        self.lister.informer.store().namespace(&self.namespace)
    }

    /// The objects of the namespace that the selector selects.
    pub fn list(&self, selector: &Selector) -> Vec<Object<K>> {
        let snapshot = self.lister.informer.store().snapshot();
        select(snapshot.namespace(&self.namespace), selector)
    }

    /// The object of this name.
    ///
    /// # Errors
    ///
    /// When the store has none.
    pub fn get(&self, name: &str) -> Result<Object<K>, NotFound> {
        self.lister
            .get(&ObjectKey::namespaced(&self.namespace, name))
    }
}

impl<K> Clone for NamespaceLister<K> {
    fn clone(&self) -> Self {
        Self {
            lister: self.lister.clone(),
            namespace: Arc::clone(&self.namespace),
        }
    }
}

impl<K> fmt::Debug for NamespaceLister<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NamespaceLister")
            .field("resource", &self.lister.informer.name())
            .field("namespace", &self.namespace)
            .finish_non_exhaustive()
    }
}

/// The store has no object of that key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{resource} {key:?} not found")]
#[non_exhaustive]
pub struct NotFound {
    /// The informer that has no such object.
    pub resource: Arc<str>,
    /// The key asked for.
    pub key: ObjectKey,
}

fn select<'a, K: 'a>(
    objects: impl Iterator<Item = &'a Object<K>>,
    selector: &Selector,
) -> Vec<Object<K>> {
    // The selector gives its expressions away only whole.
    let expressions: Vec<_> = selector.clone().into_iter().collect();
    objects
        .filter(|object| {
            let labels = object.meta().labels();
            expressions
                .iter()
                .all(|expression| matches(expression, labels))
        })
        .cloned()
        .collect()
}

/// What [`kube_core::SelectorExt::matches`] says, on labels that are not in a map of strings.
fn matches(expression: &Expression, labels: Labels<'_>) -> bool {
    match expression {
        Expression::In(key, values) => labels.get(key).is_some_and(|value| values.contains(value)),
        Expression::NotIn(key, values) => {
            labels.get(key).is_none_or(|value| !values.contains(value))
        }
        Expression::Equal(key, value) => labels.get(key) == Some(value),
        Expression::NotEqual(key, value) => labels.get(key) != Some(value),
        Expression::Exists(key) => labels.get(key).is_some(),
        Expression::DoesNotExist(key) => labels.get(key).is_none(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use k8s_openapi::api::core::v1::ConfigMap;
    use kube_core::SelectorExt;
    use proptest::prelude::*;

    use super::*;

    fn word() -> impl Strategy<Value = String> {
        "[ab]{0,2}"
    }

    fn expression() -> impl Strategy<Value = Expression> {
        let values = || proptest::collection::btree_set(word(), 0..3);
        prop_oneof![
            (word(), values()).prop_map(|(key, values)| Expression::In(key, values)),
            (word(), values()).prop_map(|(key, values)| Expression::NotIn(key, values)),
            (word(), word()).prop_map(|(key, value)| Expression::Equal(key, value)),
            (word(), word()).prop_map(|(key, value)| Expression::NotEqual(key, value)),
            word().prop_map(Expression::Exists),
            word().prop_map(Expression::DoesNotExist),
        ]
    }

    proptest! {
        #[test]
        fn selection_is_that_of_kube_core(
            labels in proptest::collection::btree_map(word(), word(), 0..4),
            expressions in proptest::collection::vec(expression(), 0..4),
        ) {
            let labels: BTreeMap<String, String> = labels;
            let json = serde_json::json!({"metadata": {"name": "n", "labels": labels}});
            let object = Object::<ConfigMap>::from_json(json.to_string().as_bytes()).unwrap();
            let selector: Selector = expressions.into_iter().collect();
            let selected = !select([&object].into_iter(), &selector).is_empty();
            prop_assert_eq!(selected, selector.matches(&labels));
        }
    }

    #[test]
    fn an_empty_set_of_values_selects_nothing_or_all() {
        let object = Object::<ConfigMap>::from_json(br#"{"metadata":{"name":"n"}}"#).unwrap();
        let none = Expression::In("a".into(), BTreeSet::new());
        let all = Expression::NotIn("a".into(), BTreeSet::new());
        assert!(select([&object].into_iter(), &none.into()).is_empty());
        assert_eq!(select([&object].into_iter(), &all.into()).len(), 1);
    }
}
