//! The end of namespaces: their content goes first, then what holds them, then they.
//!
//! It answers to upstream's namespace controller: pods go before everything else, what remains is
//! told in the conditions of the namespace, and the finalizer `kubernetes` is taken from
//! `spec.finalizers` once nothing remains.

mod report;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use self::report::Report;
use super::action::Operation;
use super::{Action, Backlog, Engine, Seen, Ticket, Verdict};
use crate::resource::{Resource, StorageId};
use crate::store::{Key, Stored};
use crate::strategy::Propagation;

/// How often the conditions of a namespace are brought up to date at most.
const REPORT_INTERVAL: Duration = Duration::from_secs(5);
/// The finalizer that is taken when nothing remains.
const FINALIZER: &str = "kubernetes";

/// The engine. Its tickets are the names of namespaces.
#[derive(Debug, Default)]
pub(super) struct Namespaces {
    contents: HashMap<Ticket, Contents>,
    ending: HashMap<Ticket, Ending>,
    kinds: Kinds,
}

/// The objects in one namespace.
#[derive(Debug, Default)]
struct Contents {
    items: BTreeMap<Place, Item>,
    /// Those that nobody has deleted yet.
    living: BTreeSet<Place>,
}

/// Where an object stands in the order of deletion: pods first, then kind by kind.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    kind: KindId,
    key: Key,
}

#[derive(Debug)]
struct Item {
    uid: Arc<str>,
    finalizers: Vec<Box<str>>,
}

/// A namespace that is being deleted.
#[derive(Debug)]
struct Ending {
    resource: Arc<Resource>,
    uid: Arc<str>,
    /// What was reported last, and when.
    reported: Option<(Report, Instant)>,
}

impl Engine for Namespaces {
    fn observe(&mut self, seen: &Seen, _now: Instant, backlog: &mut Backlog) {
        let resource = &seen.resource;
        let Some(object) = seen.change.after().or(seen.change.before()) else {
            return;
        };
        let exists = seen.change.after().is_some();
        if resource.namespaced {
            self.observe_content(resource, object, exists);
            if let Some((name, _)) = self.ending.get_key_value(object.key().namespace()) {
                backlog.push(Arc::clone(name));
            }
        } else if is_namespaces(resource) {
            let name: Ticket = object.key().name().into();
            if !exists || !is_ending(object) {
                self.ending.remove(&name);
            } else if !self.ending.contains_key(&name) {
                let ending = Ending {
                    resource: Arc::clone(resource),
                    uid: object.uid().into(),
                    reported: None,
                };
                self.ending.insert(Arc::clone(&name), ending);
                backlog.push(name);
            }
        }
    }

    fn decide(&mut self, name: &Ticket, now: Instant) -> Verdict {
        let Some(ending) = self.ending.get_mut(name) else {
            return Verdict::Rest;
        };
        let empty = Contents::default();
        let contents = self.contents.get(name).unwrap_or(&empty);
        if let Some(place) = contents.next() {
            let item = &contents.items[place];
            return Verdict::Act(Action {
                resource: Arc::clone(self.kinds.resource(place.kind)),
                key: place.key.clone(),
                operation: Operation::Delete {
                    uid: Arc::clone(&item.uid),
                    revision: None,
                    propagation: Some(Propagation::Background),
                    grace_period: None,
                },
            });
        }
        let operation = if contents.items.is_empty() {
            Operation::amend(&ending.uid, |namespace, _| {
                if let Some(finalizers) = namespace["spec"]["finalizers"].as_array_mut() {
                    finalizers.retain(|finalizer| finalizer != FINALIZER);
                }
            })
        } else {
            if let Some((_, at)) = &ending.reported
                && now < *at + REPORT_INTERVAL
            {
                return Verdict::Later(*at + REPORT_INTERVAL);
            }
            let report = contents.report(&self.kinds);
            if matches!(&ending.reported, Some((last, _)) if *last == report) {
                return Verdict::Rest;
            }
            ending.reported = Some((report.clone(), now));
            Operation::amend(&ending.uid, move |namespace, now| {
                report.write(namespace, now);
            })
        };
        Verdict::Act(Action {
            resource: Arc::clone(&ending.resource),
            key: Key::new("", name),
            operation,
        })
    }
}

impl Namespaces {
    fn observe_content(&mut self, resource: &Arc<Resource>, object: &Stored, exists: bool) {
        let place = Place {
            kind: self.kinds.id(resource),
            key: object.key().clone(),
        };
        let namespace = object.key().namespace();
        if !exists {
            if let Some(contents) = self.contents.get_mut(namespace) {
                contents.living.remove(&place);
                contents.items.remove(&place);
                if contents.items.is_empty() {
                    self.contents.remove(namespace);
                }
            }
            return;
        }
        if !self.contents.contains_key(namespace) {
            self.contents.insert(namespace.into(), Contents::default());
        }
        let Some(contents) = self.contents.get_mut(namespace) else {
            return;
        };
        if object.is_terminating() {
            contents.living.remove(&place);
        } else {
            contents.living.insert(place.clone());
        }
        let value = object.value();
        let finalizers = value["metadata"]["finalizers"].as_array();
        let finalizers = finalizers.into_iter().flatten().filter_map(Value::as_str);
        let item = Item {
            uid: object.uid().into(),
            finalizers: finalizers.map(Box::from).collect(),
        };
        contents.items.insert(place, item);
    }
}

impl Contents {
    /// The next object to delete: no other kind before all pods are gone.
    fn next(&self) -> Option<&Place> {
        let next = self.living.first()?;
        let pods_remain = self
            .items
            .first_key_value()
            .is_some_and(|(place, _)| place.kind == PODS);
        (next.kind == PODS || !pods_remain).then_some(next)
    }

    fn report(&self, kinds: &Kinds) -> Report {
        let mut report = Report::default();
        for (place, item) in &self.items {
            let resource = kinds.resource(place.kind).qualified();
            report.count(resource, item.finalizers.iter().map(AsRef::as_ref));
        }
        report
    }
}

/// A kind of content; its order is that of deletion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct KindId(usize);

const PODS: KindId = KindId(0);

/// The kinds of content that were seen, numbered.
#[derive(Debug, Default)]
struct Kinds {
    ids: HashMap<StorageId, KindId>,
    resources: BTreeMap<KindId, Arc<Resource>>,
}

impl Kinds {
    fn id(&mut self, resource: &Arc<Resource>) -> KindId {
        if let Some(id) = self.ids.get(&resource.storage) {
            return *id;
        }
        let is_pods = resource.storage.group.is_empty() && resource.plural == "pods";
        let id = match is_pods {
            true => PODS,
            false => KindId(1 + self.ids.len()),
        };
        self.ids.insert(resource.storage.clone(), id);
        self.resources.insert(id, Arc::clone(resource));
        id
    }

    fn resource(&self, id: KindId) -> &Arc<Resource> {
        &self.resources[&id]
    }
}

pub(super) fn is_namespaces(resource: &Resource) -> bool {
    resource.storage.group.is_empty() && resource.plural == "namespaces"
}

/// Whether a namespace is being deleted and waits for its content.
fn is_ending(namespace: &Stored) -> bool {
    let value = namespace.value();
    let finalizers = value["spec"]["finalizers"].as_array();
    let held = finalizers.is_some_and(|held| held.iter().any(|held| held == FINALIZER));
    namespace.is_terminating() && held
}
