//! The garbage collector: what has owners goes when they do.
//!
//! It answers to upstream's `garbagecollector`: an object whose owners are all absent is deleted;
//! an owner that is deleted in the foreground stays until the dependents that block it are gone;
//! one that orphans stays until its dependents have forgotten it.

mod graph;

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::time::Instant;

use self::graph::{Graph, Node, Phase, Standing, Uid};
use super::action::Operation;
use super::{Action, Backlog, Engine, Seen, Ticket, Verdict};
use crate::core::{FOREGROUND, ORPHAN};
use crate::registry::Resources;
use crate::strategy::Propagation;

/// The engine. Its tickets are uids.
#[derive(Debug, Default)]
pub(super) struct Collector {
    graph: Graph,
    /// Dependents with an owner of a kind that is not served: nobody knows whether it is there.
    undecided: BTreeSet<Uid>,
}

impl Engine for Collector {
    fn observe(&mut self, seen: &Seen, _now: Instant, backlog: &mut Backlog) {
        // Nobody owns events, and there are many.
        let storage = &seen.resource.storage;
        if storage.group.is_empty() && storage.plural == "events" {
            return;
        }
        match seen.change.after() {
            Some(object) => {
                let (uid, node) = Node::read(&seen.resource, object);
                self.graph.put(uid, node, |uid| backlog.push(uid));
            }
            None => {
                let Some(last) = seen.change.before() else {
                    return;
                };
                self.undecided.remove(last.uid());
                self.graph.remove(last.uid(), |uid| backlog.push(uid));
            }
        }
    }

    fn resources_changed(&mut self, resources: &Arc<Resources>, backlog: &mut Backlog) {
        self.graph.learn_kinds(resources);
        for uid in std::mem::take(&mut self.undecided) {
            backlog.push(uid);
        }
    }

    fn decide(&mut self, uid: &Ticket, _now: Instant) -> Verdict {
        let Some(node) = self.graph.get(uid) else {
            return Verdict::Rest;
        };
        let operation = match node.phase {
            Phase::Living => match self.judge(uid, node) {
                Judgement::Keep => return Verdict::Rest,
                Judgement::Undecided => {
                    self.undecided.insert(Arc::clone(uid));
                    return Verdict::Rest;
                }
                Judgement::Do(operation) => operation,
            },
            Phase::Deleted => return Verdict::Rest,
            Phase::Orphaning if self.graph.has_dependents(uid) => return Verdict::Rest,
            Phase::Orphaning => release(uid, ORPHAN),
            Phase::Foreground if self.graph.is_blocked(uid) => return Verdict::Rest,
            Phase::Foreground => release(uid, FOREGROUND),
        };
        Verdict::Act(Action {
            resource: Arc::clone(&node.resource),
            key: node.key.clone(),
            operation,
        })
    }
}

/// What is to become of an object that nobody has deleted.
enum Judgement {
    Keep,
    Undecided,
    Do(Operation),
}

impl Collector {
    fn judge(&self, uid: &Uid, node: &Node) -> Judgement {
        let mut solid = false;
        let mut undecided = false;
        let (mut absent, mut waiting, mut orphaning) = (Vec::new(), Vec::new(), Vec::new());
        for owner in &node.owners {
            match self.graph.standing(node, owner) {
                Standing::Solid => solid = true,
                Standing::Undecided => undecided = true,
                Standing::Absent => absent.push(Arc::clone(&owner.uid)),
                Standing::Waiting => waiting.push(Arc::clone(&owner.uid)),
                Standing::Orphaning => orphaning.push(Arc::clone(&owner.uid)),
            }
        }
        if !orphaning.is_empty() {
            return Judgement::Do(disown(uid, orphaning));
        }
        if undecided {
            return Judgement::Undecided;
        }
        if node.owners.is_empty() {
            return Judgement::Keep;
        }
        if solid {
            absent.append(&mut waiting);
            return match absent.is_empty() {
                true => Judgement::Keep,
                false => Judgement::Do(disown(uid, absent)),
            };
        }
        let propagation = if !waiting.is_empty() && self.graph.has_dependents(uid) {
            // In a circle of owners each would wait for the next.
            if node.blocks() && self.graph.has_foreground_dependent(uid) {
                return Judgement::Do(unblock(uid));
            }
            Propagation::Foreground
        } else if node.orphans {
            Propagation::Orphan
        } else if node.foreground {
            Propagation::Foreground
        } else {
            Propagation::Background
        };
        Judgement::Do(Operation::Delete {
            uid: Arc::clone(uid),
            revision: Some(node.revision),
            propagation: Some(propagation),
            grace_period: None,
        })
    }
}

/// Takes the references to `owners` from an object.
fn disown(uid: &Uid, owners: Vec<Uid>) -> Operation {
    Operation::amend(uid, move |object, _| {
        let Some(metadata) = object["metadata"].as_object_mut() else {
            return;
        };
        let Some(references) = metadata
            .get_mut("ownerReferences")
            .and_then(Value::as_array_mut)
        else {
            return;
        };
        references.retain(|reference| !owners.iter().any(|uid| reference["uid"] == **uid));
        if references.is_empty() {
            metadata.remove("ownerReferences");
        }
    })
}

/// Lets the owners of an object go before it.
fn unblock(uid: &Uid) -> Operation {
    Operation::amend(uid, |object, _| {
        let references = object["metadata"]["ownerReferences"].as_array_mut();
        for reference in references.into_iter().flatten() {
            if reference["blockOwnerDeletion"] == json!(true) {
                reference["blockOwnerDeletion"] = json!(false);
            }
        }
    })
}

/// Takes a finalizer from an object.
fn release(uid: &Uid, finalizer: &'static str) -> Operation {
    Operation::amend(uid, move |object, _| {
        let Some(metadata) = object["metadata"].as_object_mut() else {
            return;
        };
        let Some(finalizers) = metadata.get_mut("finalizers").and_then(Value::as_array_mut) else {
            return;
        };
        finalizers.retain(|held| held != finalizer);
        if finalizers.is_empty() {
            metadata.remove("finalizers");
        }
    })
}
