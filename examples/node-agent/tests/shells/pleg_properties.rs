//! What holds for what is told of pods, whatever happens to them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use node_agent::pleg::{LifecycleChange, Pleg, PlegOptions, PodCache};
use node_agent::runtime::RuntimeState;
use node_agent::runtime::RuntimeState::{Created, Exited, Running, Unknown};
use proptest::prelude::*;

use crate::fixtures::{FakePods, observed, uid};

/// One look at the runtime: what it has, and the pods that cannot be looked at.
type Look = (BTreeMap<(u8, u8), RuntimeState>, BTreeSet<u8>);

fn look() -> impl Strategy<Value = Look> {
    let state = prop::sample::select(vec![Created, Running, Exited, Unknown]);
    let containers = prop::collection::btree_map((0..3u8, 0..3u8), state, 0..7);
    (containers, prop::collection::btree_set(0..3u8, 0..2))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..Default::default() })]

    /// Who goes by events alone knows what runs, but for pods that cannot be looked at.
    #[test]
    fn events_tell_what_runs(looks in prop::collection::vec(look(), 1..12)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (pods, cache) = (Arc::<FakePods>::default(), PodCache::new());
            let (pleg, mut driver, mut events) = Pleg::new(pods.clone(), cache.clone(), PlegOptions::default());
            // By events: what runs, and what is there and does not.
            let mut told: BTreeSet<(String, String)> = BTreeSet::new();
            let mut truth: BTreeMap<u8, BTreeSet<(String, String)>> = BTreeMap::new();
            for (containers, failing) in looks {
                let mut now = Vec::new();
                for of in 0..3u8 {
                    let containers = containers.iter().filter(|((pod, _), _)| *pod == of);
                    let containers: Vec<_> = containers.map(|((_, id), state)| (format!("{of}-{id}"), *state)).collect();
                    let is_there = !containers.is_empty();
                    if is_there && failing.contains(&of) {
                        pods.fail_observe(&of.to_string()).await;
                    }
                    let containers: Vec<_> = containers.iter().map(|(id, state)| (id.as_str(), *state)).collect();
                    if is_there {
                        now.push(observed(&of.to_string(), &containers));
                    }
                }
                pods.set(now.clone());
                driver.relist().await.unwrap();
                pods.clear_errors();
                while let Ok(event) = events.try_recv() {
                    let key = (event.pod.to_string(), event.container.to_string());
                    match event.change {
                        // It may have been in an unknown state meanwhile.
                        LifecycleChange::Started => { told.insert(key); }
                        LifecycleChange::Died | LifecycleChange::Removed => { told.remove(&key); }
                        LifecycleChange::Changed => prop_assert!(false, "nobody is told"),
                    }
                }
                for of in 0..3u8 {
                    let pod = now.iter().find(|pod| pod.uid == uid(&of.to_string()));
                    match (pod, cache.get(&uid(&of.to_string()))) {
                        (None, known) => { prop_assert!(known.is_none()); truth.remove(&of); }
                        (Some(_), Some(Err(_))) => prop_assert!(failing.contains(&of)),
                        (Some(pod), Some(Ok(known))) => {
                            prop_assert_eq!(pod, &*known);
                            let runs = pod.containers.iter().filter(|it| it.state == Running);
                            let runs = runs.map(|it| (of.to_string(), it.id.id.to_string()));
                            truth.insert(of, runs.collect());
                        }
                        (Some(_), None) => prop_assert!(false, "{} is not known", of),
                    }
                }
                // A container that is in an unknown state after it ran was not told to have died.
                let runs: BTreeSet<_> = truth.values().flatten().cloned().collect();
                prop_assert!(runs.is_subset(&told), "{:?} {:?}", runs, told);
                let unknown = told.difference(&runs);
                for (pod, id) in unknown {
                    let pod = now.iter().find(|it| it.uid == uid(pod));
                    let container = pod.and_then(|pod| pod.containers.iter().find(|it| &*it.id.id == id));
                    prop_assert!(container.is_some_and(|it| matches!(it.state, Unknown | Created)) || pod.is_some_and(|pod| failing.contains(&pod.uid.as_str().parse().unwrap())));
                }
                prop_assert_eq!(pleg.dropped(), 0);
            }
            Ok(())
        })?;
    }
}
