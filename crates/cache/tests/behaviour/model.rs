//! Random histories against naive models.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use futures::FutureExt;
use k8s_openapi::api::core::v1::ConfigMap;
use kubewright_cache::testing::FakeSource;
use kubewright_cache::{
    Compression, Delta, DeltaFifo, Event, FifoConfig, Index, Object, ResourceVersion, Store,
    StoreConfig, Uid,
};
use proptest::prelude::*;
use serde_json::json;
use tokio::time::sleep;

use crate::rig::{Rig, busy, expired, internal, key, seconds, unreachable};

/// An object as the model knows it.
#[derive(Clone, Debug, PartialEq)]
struct Model {
    uid: u8,
    version: u64,
    label: u8,
    owner: u8,
}

#[derive(Clone, Debug)]
enum Step {
    Put {
        key: u8,
        recreate: bool,
        label: u8,
        owner: u8,
    },
    Delete {
        key: u8,
    },
    /// A picture of the objects whose bit is set, changed where the other bit is.
    Replace {
        present: u16,
        changed: u16,
    },
    Sync,
    Bookmark,
    /// Takes this many batches out.
    Pop(u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let key = 0_u8..12;
    let step = prop_oneof![
        8 => (key.clone(), prop::bool::weighted(0.2), 0_u8..3, 0_u8..3).prop_map(
            |(key, recreate, label, owner)| Step::Put { key, recreate, label, owner }
        ),
        3 => key.prop_map(|key| Step::Delete { key }),
        1 => (any::<u16>(), any::<u16>())
            .prop_map(|(present, changed)| Step::Replace { present, changed }),
        1 => Just(Step::Sync),
        1 => Just(Step::Bookmark),
        3 => (1_u8..4).prop_map(Step::Pop),
    ];
    prop::collection::vec(step, 1..80)
}

fn name(key: u8) -> String {
    format!("n{}/o{key:02}", key % 3)
}

fn encode(key: u8, model: &Model) -> Object<ConfigMap> {
    let owner =
        json!([{"kind": "R", "name": "r", "uid": format!("r{}", model.owner), "controller": true}]);
    let meta = json!({
        "namespace": format!("n{}", key % 3),
        "name": format!("o{key:02}"),
        "uid": format!("u{}", model.uid),
        "resourceVersion": model.version.to_string(),
        "labels": {"l": format!("l{}", model.label)},
        "ownerReferences": owner,
    });
    Object::from_json(json!({ "metadata": meta }).to_string().as_bytes()).unwrap()
}

/// A source's history, turned into deltas as a watch would.
#[derive(Default)]
struct History {
    version: u64,
    objects: BTreeMap<u8, Model>,
}

impl History {
    fn delta(&mut self, step: &Step) -> Option<Delta<ConfigMap>> {
        self.version += 1;
        let version = self.version;
        Some(match *step {
            Step::Put {
                key,
                recreate,
                label,
                owner,
            } => {
                let before = self.objects.get(&key);
                let uid = before.map_or(0, |model| model.uid) + u8::from(recreate);
                let model = Model {
                    uid,
                    version,
                    label,
                    owner,
                };
                let object = encode(key, &model);
                match self.objects.insert(key, model) {
                    Some(_) => Delta::Updated(object),
                    None => Delta::Added(object),
                }
            }
            Step::Delete { key } => {
                let mut model = self.objects.remove(&key)?;
                model.version = version;
                Delta::Deleted(encode(key, &model))
            }
            Step::Replace { present, changed } => {
                let was = std::mem::take(&mut self.objects);
                let picture = (0..12).filter(|key| present & 1 << key != 0);
                self.objects = picture
                    .map(|key| match was.get(&key) {
                        Some(model) if changed & 1 << key == 0 => (key, model.clone()),
                        before => {
                            let uid = before.map_or(9, |model| model.uid);
                            (
                                key,
                                Model {
                                    uid,
                                    version,
                                    label: 0,
                                    owner: 0,
                                },
                            )
                        }
                    })
                    .collect();
                Delta::Replaced {
                    items: self
                        .objects
                        .iter()
                        .map(|(key, model)| encode(*key, model))
                        .collect(),
                    undecodable: Vec::new(),
                    version: ResourceVersion::from(version),
                }
            }
            Step::Sync => Delta::Sync,
            Step::Bookmark => Delta::Bookmark {
                version: ResourceVersion::from(version),
            },
            Step::Pop(_) => return None,
        })
    }
}

/// What a handler that believes every event knows; panics when an event makes no sense.
#[derive(Default)]
struct Believer(BTreeMap<String, (Uid, ResourceVersion)>);

impl Believer {
    fn hear(&mut self, event: &Event<ConfigMap>) {
        let name = event.key().to_string();
        let identity = |object: &Object<ConfigMap>| {
            (
                object.meta().uid().clone(),
                object.meta().resource_version().clone(),
            )
        };
        match event {
            Event::Added { object, .. } => {
                let before = self.0.insert(name, identity(object));
                assert_eq!(before, None, "added twice: {event:?}");
            }
            Event::Updated { old, new } => {
                assert_eq!(old.meta().uid(), new.meta().uid());
                let before = self.0.insert(name, identity(new));
                assert_eq!(before, Some(identity(old)), "{event:?}");
            }
            Event::Deleted { object, .. } => {
                let (uid, _) = self.0.remove(&name).expect("deleted what was there");
                assert_eq!(&uid, object.meta().uid());
            }
        }
    }
}

fn assert_store_is(store: &Store<ConfigMap>, objects: &BTreeMap<u8, Model>) {
    let snapshot = store.snapshot();
    let names = |picked: &dyn Fn(&u8, &Model) -> bool| {
        let picked = objects.iter().filter(|(key, model)| picked(key, model));
        let mut names: Vec<String> = picked
            .map(|(key, model)| format!("{}@{}", name(*key), model.version))
            .collect();
        names.sort();
        names
    };
    let shown = |objects: Vec<&Object<ConfigMap>>| -> Vec<String> {
        objects
            .into_iter()
            .map(|object| format!("{object:?}"))
            .collect()
    };
    assert_eq!(shown(snapshot.iter().collect()), names(&|_, _| true));
    for number in 0..4_u8 {
        let namespace = format!("n{number}");
        assert_eq!(
            shown(snapshot.namespace(&namespace).collect()),
            names(&|key, _| key % 3 == number)
        );
        let owner = Uid::from(&*format!("r{number}"));
        assert_eq!(
            shown(snapshot.owned_by(&owner).collect()),
            names(&|_, model| model.owner == number)
        );
        let label = format!("l{number}");
        assert_eq!(
            shown(snapshot.by_index("l", &label).unwrap().collect()),
            names(&|_, model| model.label == number)
        );
    }
    let values: Vec<_> = snapshot.index_values("l").unwrap().collect();
    let mut expected: Vec<_> = objects
        .values()
        .map(|model| format!("l{}", model.label))
        .collect();
    expected.sort();
    expected.dedup();
    assert_eq!(values, expected, "no value without objects");
}

fn by_label() -> Index<ConfigMap> {
    Index::on_meta(|meta| meta.label("l").map(str::to_owned).into_iter().collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Whatever a source's history, however the log is batched and compressed: the store ends up
    /// with the source's state, its indexes agree with it, and its events are a consistent story.
    #[test]
    fn log_and_store_follow_the_source(
        steps in steps(),
        batch in 1_usize..6,
        compress in any::<bool>(),
    ) {
        let mut config = FifoConfig::default();
        config.batch = NonZeroUsize::new(batch).unwrap();
        config.compression = if compress { Compression::PerKey } else { Compression::None };
        let fifo = DeltaFifo::new(config);
        let (mut writer, store) = Store::<ConfigMap>::new(StoreConfig::default());
        store.add_index("l", by_label()).unwrap();

        let mut history = History::default();
        let mut states = vec![(0, BTreeMap::new())];
        let mut believer = Believer::default();
        let mut pop = |fifo: &DeltaFifo<ConfigMap>| {
            let mut batch = fifo.pop_batch().now_or_never().unwrap().unwrap();
            for event in writer.apply_batch(&mut batch) {
                believer.hear(&event);
            }
        };
        for step in &steps {
            if let Step::Pop(count) = step {
                for _ in 0..*count {
                    if !fifo.is_empty() {
                        pop(&fifo);
                    }
                }
                // At the version it claims, the store is what the source was, at least in what
                // has not changed since.
                let reached = store.resource_version().map_or(0, |v| v.to_string().parse().unwrap());
                let (_, then) = states.iter().rev().find(|(version, _)| *version <= reached).unwrap();
                if compress {
                    for (key, model) in then {
                        let untouched = history.objects.get(key) == Some(model);
                        let seen = store.get(name(*key));
                        let version = ResourceVersion::from(model.version);
                        let right = seen.is_some_and(|seen| *seen.meta().resource_version() == version);
                        prop_assert!(!untouched || right, "{}", name(*key));
                    }
                } else {
                    assert_store_is(&store, then);
                }
            } else if let Some(delta) = history.delta(step) {
                fifo.push(delta).now_or_never().unwrap().unwrap();
                states.push((history.version, history.objects.clone()));
            }
        }
        while !fifo.is_empty() {
            pop(&fifo);
        }
        assert_store_is(&store, &history.objects);
        let believed: Vec<_> = believer.0.keys().cloned().collect();
        let mut names: Vec<_> = history.objects.keys().map(|key| name(*key)).collect();
        names.sort();
        prop_assert_eq!(believed, names);
    }
}

/// What may happen to a source while it is reflected.
#[derive(Clone, Debug)]
enum Act {
    Apply(u8),
    Delete(u8),
    ApplyUnseen(u8),
    DeleteUnseen(u8),
    /// The object's text becomes unreadable.
    Spoil(u8),
    Bookmark,
    Compact,
    EndWatches,
    FailWatches(u8),
    Sleep(u16),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let key = 0_u8..10;
    let act = prop_oneof![
        8 => key.clone().prop_map(Act::Apply),
        4 => key.clone().prop_map(Act::Delete),
        1 => key.clone().prop_map(Act::ApplyUnseen),
        1 => key.clone().prop_map(Act::DeleteUnseen),
        1 => key.prop_map(Act::Spoil),
        1 => Just(Act::Bookmark),
        1 => Just(Act::Compact),
        1 => Just(Act::EndWatches),
        2 => (0_u8..4).prop_map(Act::FailWatches),
        4 => (0_u16..3000).prop_map(Act::Sleep),
    ];
    prop::collection::vec(act, 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Answers to client-go's `TestHammerController`, `TestUpdate` and `TestResetWatch`: whatever is
    /// done to a source, once it is quiet the store has its state.
    #[test]
    fn a_reflected_store_converges(acts in acts(), streaming in any::<bool>()) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let source = FakeSource::new();
            let rig = Rig::configured(source.clone(), |reflector, _| {
                if streaming {
                    reflector.initial_list = kubewright_cache::InitialList::Streaming;
                }
            });
            let named = |key: u8| format!("o{key}");
            for act in acts {
                match act {
                    Act::Apply(key) => drop(source.apply(crate::rig::object(&named(key)))),
                    Act::Delete(name) => drop(source.delete(&key(&named(name)))),
                    Act::ApplyUnseen(key) => {
                        source.apply_unseen(crate::rig::object(&named(key)));
                    }
                    Act::DeleteUnseen(name) => drop(source.delete_unseen(&key(&named(name)))),
                    Act::Spoil(name) => {
                        let name = named(name);
                        let text = format!(r#"{{"metadata": {{"name": "{name}", "labels": 5}}}}"#);
                        source.apply_raw(&key(&name), text);
                    }
                    Act::Bookmark => source.bookmark(),
                    Act::Compact => source.compact(),
                    Act::EndWatches => source.end_watches(),
                    Act::FailWatches(kind) => source.fail_watches(|| match kind {
                        0 => expired(),
                        1 => busy(),
                        2 => internal(),
                        _ => unreachable(),
                    }),
                    Act::Sleep(milliseconds) => {
                        sleep(std::time::Duration::from_millis(milliseconds.into())).await;
                    }
                }
            }
            // What was not told needs a list to be found; what was spoilt needs to be whole.
            for key in 0..10 {
                if rig.store.snapshot().undecodable(named(key)).is_some() {
                    source.apply(crate::rig::object(&named(key)));
                }
            }
            sleep(seconds(90)).await;
            source.fail_watches(expired);
            sleep(seconds(90)).await;
            for name in 0..10 {
                source.apply(crate::rig::object(&named(name)));
                if name % 2 == 0 {
                    source.delete(&key(&named(name)));
                }
            }
            sleep(seconds(90)).await;
            let objects: Vec<String> = rig.objects();
            let names: Vec<_> = objects.iter().map(|object| &object[..2]).collect();
            assert_eq!(names, ["o1", "o3", "o5", "o7", "o9"]);
            assert_eq!(rig.store.resource_version(), Some(source.version()));
            assert_eq!(source.open_watches(), 1);
            rig.stop().await;
        });
    }
}
