use std::collections::HashSet;

use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::core::v1::Pod;
use kubewright_cache::{Index, Metadata, Object, ObjectKey, OwnerReference, Store, StoreError};

use crate::owner::KIND;
use crate::pod::PodView;
use crate::set_facts::SetFacts;

/// The index of pods that no controller owns, by namespace.
const ORPHANS: &str = "orphans";

/// The two caches the controller lives on, and the questions it asks them.
///
/// Cheap to clone. Each question is answered by an index; only [`Caches::sets_selecting`] and
/// [`Caches::related_pods`] look at a whole namespace, and not at the objects' bodies.
#[derive(Clone, Debug)]
pub struct Caches {
    /// All sets.
    pub sets: Store<ReplicaSet>,
    /// All pods.
    pub pods: Store<Pod>,
    facts: SetFacts,
}

/// Whether pods without a controller are asked for as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Orphans {
    /// They are.
    Included,
    /// They are not.
    Excluded,
}

impl Caches {
    /// The caches, with the indexes that the controller needs.
    ///
    /// # Errors
    ///
    /// When `pods` has an index of the same name already.
    pub fn new(sets: Store<ReplicaSet>, pods: Store<Pod>) -> Result<Self, StoreError> {
        let namespace_of_orphan = |pod: &Metadata| match pod.controller_of() {
            Some(_) => Vec::new(),
            None => pod.namespace().map(str::to_owned).into_iter().collect(),
        };
        pods.add_index(ORPHANS, Index::on_meta(namespace_of_orphan))?;
        Ok(Self {
            sets,
            pods,
            facts: SetFacts::default(),
        })
    }

    /// What is remembered of the sets' specs.
    pub const fn facts(&self) -> &SetFacts {
        &self.facts
    }

    /// The pods that `owner` controls, and if asked for those of its namespace that nobody does.
    ///
    /// Answers to `FilterPodsByOwner` of Kubernetes 1.36.
    pub fn pods_by_owner(&self, owner: &Metadata, orphans: Orphans) -> Vec<Object<Pod>> {
        let pods = self.pods.snapshot();
        let refers = |reference: OwnerReference<'_>| {
            reference.kind == KIND && reference.name == owner.name()
        };
        let owned = pods.owned_by(owner.uid()).filter(|pod| {
            let meta = pod.meta();
            meta.namespace() == owner.namespace() && meta.controller_of().is_some_and(refers)
        });
        let orphans = match (orphans, owner.namespace()) {
            (Orphans::Included, Some(namespace)) => Some(namespace),
            _ => None,
        };
        // The index was added when this was made.
        let orphans = orphans.and_then(|namespace| pods.by_index(ORPHANS, namespace).ok());
        owned
            .chain(orphans.into_iter().flatten())
            .cloned()
            .collect()
    }

    /// The set that a reference from an object in `namespace` means: of the right kind and name,
    /// and the same incarnation.
    pub fn referred(
        &self,
        namespace: Option<&str>,
        reference: OwnerReference<'_>,
    ) -> Option<Object<ReplicaSet>> {
        if reference.kind != KIND {
            return None;
        }
        let key = ObjectKey::namespaced(namespace.unwrap_or_default(), reference.name);
        let set = self.sets.get(&key)?;
        (set.meta().uid() == reference.uid).then_some(set)
    }

    /// The sets that would adopt a pod by its labels.
    ///
    /// A pod without labels is selected by none, and a set with an empty or invalid selector
    /// selects none.
    pub fn sets_selecting(&self, pod: &Metadata) -> Vec<Object<ReplicaSet>> {
        let (Some(namespace), false) = (pod.namespace(), pod.labels().is_empty()) else {
            return Vec::new();
        };
        let sets = self.sets.snapshot();
        let selecting = sets.namespace(namespace).filter(|set| {
            let facts = self.facts.of(set);
            let selector = facts.selector.as_ref();
            selector.is_some_and(|it| !it.is_empty() && it.matches(|key| pod.label(key)))
        });
        selecting.cloned().collect()
    }

    /// The sets with the same controller as `set`, itself among them; none if it has none.
    pub fn siblings(&self, set: &Metadata) -> Vec<Object<ReplicaSet>> {
        match set.controller_of() {
            Some(controller) => self.sets.owned_by(controller.uid),
            None => Vec::new(),
        }
    }

    /// The pods that the [siblings](Self::siblings) of `set` select, each once.
    pub fn related_pods(&self, set: &Metadata) -> Vec<PodView> {
        let pods = self.pods.snapshot();
        let mut seen = HashSet::new();
        let mut related = Vec::new();
        for sibling in self.siblings(set) {
            let facts = self.facts.of(&sibling);
            let (Some(selector), Some(namespace)) = (&facts.selector, sibling.meta().namespace())
            else {
                continue;
            };
            let selected = pods.namespace(namespace).filter(|pod| {
                let meta = pod.meta();
                selector.matches(|key| meta.label(key)) && seen.insert(meta.uid().clone())
            });
            related.extend(selected.cloned().map(PodView::new));
        }
        related
    }
}
