//! Who owns whom.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde_json::{Value, json};

use crate::core::{FOREGROUND, ORPHAN};
use crate::registry::Resources;
use crate::resource::{Resource, StorageId};
use crate::store::{Key, Stored};

pub(super) type Uid = Arc<str>;

/// All objects and the references between them, as of the last change that was seen.
///
/// Invariant: `dependents` has an entry for exactly those uids that some object refers to.
#[derive(Debug, Default)]
pub(super) struct Graph {
    nodes: HashMap<Uid, Node>,
    dependents: HashMap<Uid, Dependents>,
    /// What is served, by `apiVersion` and kind.
    kinds: HashMap<String, HashMap<String, Kind>>,
}

/// One object, as far as it matters for who owns whom.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) resource: Arc<Resource>,
    pub(super) key: Key,
    pub(super) revision: u64,
    pub(super) owners: Vec<Owner>,
    pub(super) phase: Phase,
    /// Whether it is to orphan its dependents, or to wait for them, when it is deleted.
    pub(super) orphans: bool,
    pub(super) foreground: bool,
}

/// A reference to an owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) uid: Uid,
    api_version: String,
    kind: String,
    name: String,
    blocks: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Living,
    /// It is being deleted, and what it waits for is not the garbage collector's business.
    Deleted,
    /// It is being deleted, and its dependents are to forget it before.
    Orphaning,
    /// It is being deleted, and dependents that block it are to go before.
    Foreground,
}

/// What an owner is to its dependent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// There.
    Solid,
    /// Being deleted, and waiting for its dependents to go first.
    Waiting,
    /// Being deleted, and waiting for its dependents to forget it.
    Orphaning,
    /// Gone, or never there: no object has this uid and is what the reference says.
    Absent,
    /// Of a kind that is not served, or in no namespace that the dependent could mean.
    Undecided,
}

/// The objects that refer to one uid.
#[derive(Debug, Default)]
struct Dependents {
    /// Each with the number of its references: a broken client may write several.
    all: BTreeMap<Uid, usize>,
    /// How many of the references block the owner's deletion.
    blocking: usize,
    /// Whether an object of this uid was seen to go.
    gone: bool,
}

#[derive(Clone, Debug)]
struct Kind {
    storage: StorageId,
    namespaced: bool,
}

impl Graph {
    pub(super) fn get(&self, uid: &str) -> Option<&Node> {
        self.nodes.get(uid)
    }

    /// Takes note of an object's state, and tells which objects this may matter to.
    pub(super) fn put(&mut self, uid: Uid, node: Node, mut tell: impl FnMut(Uid)) {
        let old = self.nodes.remove(&uid);
        let old_owners = old.as_ref().map_or(&[][..], |old| &old.owners);
        let changed = old.as_ref().is_none_or(|old| old.phase != node.phase);
        if old_owners != node.owners {
            for owner in &node.owners {
                self.link(&uid, owner);
            }
            for owner in old_owners {
                self.unlink(&uid, owner);
                tell(Arc::clone(&owner.uid));
            }
        }
        if changed || old_owners != node.owners {
            tell(Arc::clone(&uid));
        }
        if changed && matches!(node.phase, Phase::Orphaning | Phase::Foreground) {
            self.each_dependent(&uid, &mut tell);
        }
        self.nodes.insert(uid, node);
    }

    /// Takes note that an object is gone, and tells which objects this may matter to.
    pub(super) fn remove(&mut self, uid: &str, mut tell: impl FnMut(Uid)) {
        let Some((uid, node)) = self.nodes.remove_entry(uid) else {
            return;
        };
        for owner in &node.owners {
            self.unlink(&uid, owner);
            tell(Arc::clone(&owner.uid));
        }
        if let Some(dependents) = self.dependents.get_mut(&uid) {
            dependents.gone = true;
            self.each_dependent(&uid, tell);
        }
    }

    pub(super) fn learn_kinds(&mut self, resources: &Resources) {
        self.kinds.clear();
        for resource in resources.iter().filter(|resource| resource.has_verb("get")) {
            let kind = Kind {
                storage: resource.storage.clone(),
                namespaced: resource.namespaced,
            };
            let kinds = self.kinds.entry(resource.api_version()).or_default();
            kinds.insert(resource.kind.clone(), kind);
        }
    }

    /// What `owner` is to `dependent`.
    pub(super) fn standing(&self, dependent: &Node, owner: &Owner) -> Standing {
        let found = self.nodes.get(&owner.uid);
        if found.is_some_and(|found| found.phase == Phase::Orphaning) {
            return Standing::Orphaning;
        }
        let kinds = self.kinds.get(&owner.api_version);
        let Some(kind) = kinds.and_then(|kinds| kinds.get(&owner.kind)) else {
            let gone = self.dependents.get(&owner.uid).is_some_and(|d| d.gone);
            return if gone {
                Standing::Absent
            } else {
                Standing::Undecided
            };
        };
        let namespace = dependent.key.namespace();
        if kind.namespaced && namespace.is_empty() {
            return Standing::Undecided;
        }
        let meant = |found: &&Node| {
            found.resource.storage == kind.storage
                && found.key.name() == owner.name
                && (!kind.namespaced || found.key.namespace() == namespace)
        };
        match found.filter(meant) {
            None => Standing::Absent,
            Some(found) if found.phase == Phase::Foreground => Standing::Waiting,
            Some(_) => Standing::Solid,
        }
    }

    pub(super) fn has_dependents(&self, uid: &str) -> bool {
        self.dependents.contains_key(uid)
    }

    /// Whether dependents hold up the deletion of an owner in the foreground.
    pub(super) fn is_blocked(&self, uid: &str) -> bool {
        self.dependents.get(uid).is_some_and(|d| d.blocking > 0)
    }

    pub(super) fn has_foreground_dependent(&self, uid: &str) -> bool {
        self.dependents.get(uid).is_some_and(|dependents| {
            let mut nodes = dependents.all.keys().filter_map(|uid| self.nodes.get(uid));
            nodes.any(|node| node.phase == Phase::Foreground)
        })
    }

    fn each_dependent(&self, uid: &str, tell: impl FnMut(Uid)) {
        if let Some(dependents) = self.dependents.get(uid) {
            dependents.all.keys().cloned().for_each(tell);
        }
    }

    fn link(&mut self, uid: &Uid, owner: &Owner) {
        let dependents = self.dependents.entry(Arc::clone(&owner.uid)).or_default();
        *dependents.all.entry(Arc::clone(uid)).or_default() += 1;
        dependents.blocking += usize::from(owner.blocks);
    }

    fn unlink(&mut self, uid: &Uid, owner: &Owner) {
        let Some(dependents) = self.dependents.get_mut(&owner.uid) else {
            return;
        };
        dependents.blocking -= usize::from(owner.blocks);
        if let Some(references) = dependents.all.get_mut(uid) {
            *references -= 1;
            if *references == 0 {
                dependents.all.remove(uid);
            }
        }
        if dependents.all.is_empty() {
            self.dependents.remove(&owner.uid);
        }
    }
}

impl Node {
    pub(super) fn read(resource: &Arc<Resource>, object: &Stored) -> (Uid, Self) {
        let value = object.value();
        let metadata = &value["metadata"];
        let has = |finalizer: &str| {
            let finalizers = metadata["finalizers"].as_array();
            finalizers.is_some_and(|finalizers| finalizers.iter().any(|held| held == finalizer))
        };
        let (orphans, foreground) = (has(ORPHAN), has(FOREGROUND));
        let owners = metadata["ownerReferences"].as_array();
        let node = Self {
            resource: Arc::clone(resource),
            key: object.key().clone(),
            revision: object.revision(),
            owners: owners.into_iter().flatten().map(Owner::read).collect(),
            phase: match object.is_terminating() {
                false => Phase::Living,
                true if orphans => Phase::Orphaning,
                true if foreground => Phase::Foreground,
                true => Phase::Deleted,
            },
            orphans,
            foreground,
        };
        (object.uid().into(), node)
    }

    /// Whether it holds up the deletion of any of its owners.
    pub(super) fn blocks(&self) -> bool {
        self.owners.iter().any(|owner| owner.blocks)
    }
}

impl Owner {
    fn read(reference: &Value) -> Self {
        let text = |field: &str| reference[field].as_str().unwrap_or_default();
        Self {
            uid: text("uid").into(),
            api_version: text("apiVersion").to_owned(),
            kind: text("kind").to_owned(),
            name: text("name").to_owned(),
            blocks: reference["blockOwnerDeletion"] == json!(true),
        }
    }
}
