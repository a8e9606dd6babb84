use std::collections::{BTreeMap, VecDeque};

use serde_json::{Value, json};
use tokio::sync::mpsc::UnboundedSender;

use crate::key::ObjectKey;
use crate::scan;
use crate::source::{EventKind, SourceError, Undecodable, WatchEvent};
use crate::version::ResourceVersion;

pub(super) type Sender = UnboundedSender<Result<WatchEvent, SourceError>>;

/// Objects as their JSON, their history, and those who watch.
#[derive(Debug, Default)]
pub(super) struct Collection {
    pub(super) version: u64,
    pub(super) objects: BTreeMap<ObjectKey, Vec<u8>>,
    /// The changes since `compacted`, as they were broadcast.
    history: VecDeque<Change>,
    pub(super) compacted: u64,
    uids: u64,
    watchers: Vec<Sender>,
}

#[derive(Clone, Debug)]
struct Change {
    version: u64,
    kind: EventKind,
    json: Vec<u8>,
}

/// Whether those who watch are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    Yes,
    No,
}

impl Collection {
    /// Creates or updates an object, giving it a version, and a uid unless it brings one.
    pub(super) fn apply(&mut self, mut object: Value, told: Told) -> ResourceVersion {
        self.version += 1;
        let key = key_of(&object);
        let before = self.objects.get(&key).map(|json| uid_of(json));
        let meta = &mut object["metadata"];
        meta["resourceVersion"] = json!(self.version.to_string());
        if meta["uid"].is_null() {
            meta["uid"] = match &before {
                Some(uid) => json!(uid),
                None => {
                    self.uids += 1;
                    json!(format!("uid-{}", self.uids))
                }
            };
        }
        let json = serde_json::to_vec(&object).expect("a JSON value serialises");
        self.put(key, json, told);
        ResourceVersion::from(self.version)
    }

    /// Puts any text in the place of an object, as a change.
    pub(super) fn apply_raw(&mut self, key: &ObjectKey, json: &[u8]) -> ResourceVersion {
        self.version += 1;
        self.put(key.clone(), json.to_vec(), Told::Yes);
        ResourceVersion::from(self.version)
    }

    fn put(&mut self, key: ObjectKey, json: Vec<u8>, told: Told) {
        let kind = match self.objects.insert(key, json.clone()) {
            Some(_) => EventKind::Modified,
            None => EventKind::Added,
        };
        self.tell(kind, json, told);
    }

    pub(super) fn delete(&mut self, key: &ObjectKey, told: Told) -> Option<ResourceVersion> {
        let json = self.objects.remove(key)?;
        self.version += 1;
        // The deletion has a version of its own, which a text that is no object cannot show.
        let json = match serde_json::from_slice::<Value>(&json) {
            Ok(mut object) if object["metadata"].is_object() => {
                object["metadata"]["resourceVersion"] = json!(self.version.to_string());
                serde_json::to_vec(&object).expect("a JSON value serialises")
            }
            _ => json,
        };
        self.tell(EventKind::Deleted, json, told);
        Some(ResourceVersion::from(self.version))
    }

    fn tell(&mut self, kind: EventKind, json: Vec<u8>, told: Told) {
        if told == Told::No {
            return;
        }
        let version = self.version;
        self.broadcast(|| Ok(event(kind, &json)));
        self.history.push_back(Change {
            version,
            kind,
            json,
        });
    }

    /// Sends to all who watch; those who went away are forgotten.
    pub(super) fn broadcast(&mut self, item: impl Fn() -> Result<WatchEvent, SourceError>) {
        self.watchers.retain(|watcher| watcher.send(item()).is_ok());
    }

    /// Ends all watches, after what is underway.
    pub(super) fn hang_up(&mut self) {
        self.watchers.clear();
    }

    pub(super) fn watchers(&mut self) -> usize {
        self.watchers.retain(|watcher| !watcher.is_closed());
        self.watchers.len()
    }

    /// Adds a watcher, who is first sent what happened after `version`.
    pub(super) fn watch_from(&mut self, version: u64, watcher: Sender) {
        for change in self
            .history
            .iter()
            .filter(|change| change.version > version)
        {
            if watcher.send(Ok(event(change.kind, &change.json))).is_err() {
                return;
            }
        }
        self.watchers.push(watcher);
    }

    /// Adds a watcher, who is first sent every object.
    pub(super) fn watch_all(&mut self, watcher: Sender, end: Option<WatchEvent>) {
        let objects = self.objects.values();
        let initial = objects.map(|json| event(EventKind::Added, json)).chain(end);
        for event in initial {
            if watcher.send(Ok(event)).is_err() {
                return;
            }
        }
        self.watchers.push(watcher);
    }

    /// Forgets the history.
    pub(super) fn compact(&mut self) {
        self.history.clear();
        self.compacted = self.version;
    }
}

fn event(kind: EventKind, json: &[u8]) -> WatchEvent {
    match scan::object(json) {
        Ok(object) => WatchEvent::scanned(kind, &object),
        Err(error) => WatchEvent::Undecodable(Undecodable::unreadable(error)),
    }
}

fn key_of(object: &Value) -> ObjectKey {
    let meta = &object["metadata"];
    ObjectKey::namespaced(
        meta["namespace"].as_str().unwrap_or_default(),
        meta["name"].as_str().expect("a test's object has a name"),
    )
}

fn uid_of(json: &[u8]) -> String {
    scan::object(json)
        .and_then(|object| object.uid())
        .map(|uid| uid.to_string())
        .unwrap_or_default()
}
