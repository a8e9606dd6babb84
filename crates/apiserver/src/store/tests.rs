//! The store against a naive model that keeps every state there ever was.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const HISTORY: usize = 6;

/// A store that keeps nothing decoded.
fn store() -> Store {
    let history = Bounds {
        changes: HISTORY,
        bytes: usize::MAX,
    };
    Store::with(history, Decoded::with_budget(0))
}

fn id(resource: u8) -> StorageId {
    StorageId {
        group: String::new(),
        plural: format!("things{resource}"),
    }
}

fn key(name: u8) -> Key {
    Key::new(if name < 3 { "a" } else { "b" }, &format!("n{name}"))
}

#[derive(Clone, Debug)]
enum Step {
    Put {
        resource: u8,
        name: u8,
        data: u8,
    },
    Remove {
        resource: u8,
        name: u8,
    },
    /// Counted back from the newest revision.
    Compact {
        back: u64,
    },
    /// A cursor of the resource is opened, at a revision counted back from the newest.
    Watch {
        resource: u8,
        back: u64,
    },
    /// Every open cursor reads at most so many changes.
    Read {
        limit: usize,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let (resource, name) = (0..2_u8, 0..5_u8);
    prop_oneof![
        6 => (resource.clone(), name.clone(), any::<u8>())
            .prop_map(|(resource, name, data)| Step::Put { resource, name, data }),
        3 => (resource.clone(), name).prop_map(|(resource, name)| Step::Remove { resource, name }),
        1 => (0..8_u64).prop_map(|back| Step::Compact { back }),
        2 => (resource, 0..8_u64).prop_map(|(resource, back)| Step::Watch { resource, back }),
        3 => (1..4_usize).prop_map(|limit| Step::Read { limit }),
    ]
}

type Objects = BTreeMap<String, (u64, u8)>;

/// All states, and all changes, since the beginning.
#[derive(Default)]
struct Model {
    revision: u64,
    states: BTreeMap<u64, [Objects; 2]>,
    changes: [Vec<(u64, String)>; 2],
    compacted: u64,
}

impl Model {
    fn new() -> Self {
        let mut model = Self {
            revision: 1,
            ..Self::default()
        };
        model.states.insert(1, Default::default());
        model
    }

    fn now(&self) -> &[Objects; 2] {
        &self.states[&self.revision]
    }

    fn change(&mut self, resource: u8, text: String, apply: impl FnOnce(&mut Objects, u64)) {
        let mut state = self.now().clone();
        self.revision += 1;
        apply(&mut state[usize::from(resource)], self.revision);
        self.states.insert(self.revision, state);
        self.changes[usize::from(resource)].push((self.revision, text));
    }

    /// The oldest revision from which all changes of the resource are still known.
    fn oldest(&self, resource: u8) -> u64 {
        let kept: Vec<u64> = self.changes[usize::from(resource)]
            .iter()
            .map(|(revision, _)| *revision)
            .collect();
        let evicted = kept
            .len()
            .checked_sub(HISTORY + 1)
            .map_or(0, |last| kept[last]);
        evicted.max(self.compacted)
    }
}

struct Reader {
    resource: u8,
    cursor: Cursor,
    /// What the model says that it has yet to read.
    from: u64,
}

fn text(event: &Event) -> String {
    match &event.change {
        Change::Added(after) => format!("+{}={}", after.key(), after.value()["data"]),
        Change::Modified { before, after } => format!(
            "~{}={}->{}",
            after.key(),
            before.value()["data"],
            after.value()["data"]
        ),
        Change::Deleted(before) => format!("-{}={}", before.key(), before.value()["data"]),
    }
}

fn objects(snapshot: &Snapshot) -> Objects {
    snapshot
        .range(None, None)
        .map(|object| {
            let data = object.value()["data"].as_u64().unwrap();
            let data = u8::try_from(data).unwrap();
            (object.key().to_string(), (object.revision(), data))
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_store_is_as_the_model(steps in prop::collection::vec(step(), 1..80)) {
        let store = Arc::new(store());
        let mut model = Model::new();
        let mut readers: Vec<Reader> = Vec::new();
        for step in steps {
            match step {
                Step::Put { resource, name, data } => {
                    let value = json!({ "metadata": {}, "data": data });
                    let written = store.commit(|transaction| transaction.put(&id(resource), key(name), value));
                    let name = key(name).to_string();
                    let before = model.now()[usize::from(resource)].get(&name).map(|(_, data)| *data);
                    let text = match before {
                        None => format!("+{name}={data}"),
                        Some(before) => format!("~{name}={before}->{data}"),
                    };
                    model.change(resource, text, |objects, revision| {
                        objects.insert(name, (revision, data));
                    });
                    prop_assert_eq!(written.revision(), model.revision);
                    let said: Value = written.value()["metadata"]["resourceVersion"].clone();
                    prop_assert_eq!(said, model.revision.to_string());
                }
                Step::Remove { resource, name } => {
                    let removed = store.commit(|transaction| transaction.remove(&id(resource), &key(name)));
                    let name = key(name).to_string();
                    match model.now()[usize::from(resource)].get(&name).copied() {
                        None => prop_assert!(removed.is_none()),
                        Some((_, data)) => {
                            model.change(resource, format!("-{name}={data}"), |objects, _| {
                                objects.remove(&name);
                            });
                            prop_assert_eq!(removed.unwrap().1, model.revision);
                        }
                    }
                }
                Step::Compact { back } => {
                    let revision = model.revision.saturating_sub(back);
                    store.compact(revision);
                    model.compacted = model.compacted.max(revision);
                }
                Step::Watch { resource, back } => {
                    let from = model.revision.saturating_sub(back);
                    let cursor = store.watch(&id(resource), from);
                    let oldest = model.oldest(resource);
                    prop_assert_eq!(cursor.is_ok(), from >= oldest, "from {} of {}", from, oldest);
                    match cursor {
                        Ok(cursor) => readers.push(Reader { resource, cursor, from }),
                        Err(why) => prop_assert_eq!(why.oldest, oldest),
                    }
                }
                Step::Read { limit } => {
                    let mut going_on = Vec::new();
                    for mut reader in readers {
                        let pending: Vec<(u64, String)> = model.changes[usize::from(reader.resource)]
                            .iter()
                            .filter(|(revision, _)| *revision > reader.from)
                            .cloned()
                            .collect();
                        match reader.cursor.read(limit) {
                            Ok(events) => {
                                let read: Vec<(u64, String)> = events
                                    .iter()
                                    .map(|event| (event.revision, text(event)))
                                    .collect();
                                prop_assert_eq!(&read[..], &pending[..limit.min(pending.len())]);
                                let caught_up = pending.len() <= limit;
                                reader.from = match read.last() {
                                    Some((last, _)) if !caught_up => *last,
                                    _ => model.revision,
                                };
                                prop_assert_eq!(reader.cursor.position(), reader.from);
                                going_on.push(reader);
                            }
                            Err(_) => {
                                // Something that it had yet to read is gone, or was compacted away.
                                let next = pending.first().map(|(revision, _)| *revision);
                                prop_assert!(next.is_some_and(|next| next <= model.oldest(reader.resource)));
                            }
                        }
                    }
                    readers = going_on;
                }
            }
            prop_assert_eq!(store.revision(), model.revision);
            for resource in 0..2 {
                let state = &model.now()[usize::from(resource)];
                let snapshot = store.snapshot(&id(resource));
                prop_assert_eq!(&objects(&snapshot), state);
                prop_assert_eq!(snapshot.revision(), model.revision);
                for (revision, state) in model.states.range(model.revision.saturating_sub(10)..) {
                    let past = store.snapshot_at(&id(resource), *revision);
                    prop_assert_eq!(past.is_ok(), *revision >= model.oldest(resource));
                    if let Ok(past) = past {
                        prop_assert_eq!(&objects(&past), &state[usize::from(resource)]);
                        prop_assert_eq!(past.revision(), *revision);
                    }
                }
            }
        }
    }
}

#[test]
fn a_range_is_a_namespace_from_a_place_on() {
    let store = store();
    for (namespace, name) in [
        ("a", "x"),
        ("a", "y"),
        ("a-b", "x"),
        ("b", "a"),
        ("ab", "z"),
    ] {
        let value = json!({ "metadata": {} });
        store.commit(|transaction| transaction.put(&id(0), Key::new(namespace, name), value));
    }
    let snapshot = store.snapshot(&id(0));
    let names = |namespace, from| -> Vec<String> {
        let range = snapshot.range(namespace, from);
        range.map(|object| object.key().to_string()).collect()
    };
    assert_eq!(names(None, None), ["a-b/x", "a/x", "a/y", "ab/z", "b/a"]);
    assert_eq!(names(Some("a"), None), ["a/x", "a/y"]);
    assert_eq!(names(Some("a"), Some("a/y")), ["a/y"]);
    assert_eq!(names(Some("b"), Some("a/y")), ["b/a"]);
    assert_eq!(names(None, Some("a/xx")), ["a/y", "ab/z", "b/a"]);
    assert_eq!(names(Some("c"), None), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_cursor_sleeps_until_its_resource_changes() {
    let store = Arc::new(store());
    let put = |resource| {
        let value = json!({ "metadata": {} });
        store.commit(|transaction| transaction.put(&id(resource), key(0), value));
    };
    let mut cursor = store.watch(&id(0), store.revision()).unwrap();
    let moment = std::time::Duration::from_millis(1);
    put(1);
    assert!(tokio::time::timeout(moment, cursor.ready()).await.is_err());
    put(0);
    cursor.ready().await;
    cursor.ready().await;
    assert_eq!(cursor.read(8).unwrap().len(), 1);
    assert!(tokio::time::timeout(moment, cursor.ready()).await.is_err());
}
