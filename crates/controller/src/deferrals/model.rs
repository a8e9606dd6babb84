//! Deferrals against a naive model that searches a list.

use std::time::Duration;

use kubewright_cache::ResourceVersion;
use kubewright_informer::ObjectKey;
use kubewright_workqueue::Cause;
use proptest::prelude::*;
use tokio::time::Instant;

use super::{Deferrals, Woken};
use crate::Triggers;
use crate::triggers::Change;

const STORES: usize = 2;

#[derive(Debug, Clone, Copy)]
enum Op {
    /// Key, store, version, and a trigger.
    Defer(usize, usize, u64, usize),
    Reached(usize, u64),
    Wait(u64),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (0..5_usize, 0..STORES, 0..30_u64, 0..3_usize)
            .prop_map(|(key, nth, version, trigger)| Op::Defer(key, nth, version, trigger)),
        4 => (0..STORES, 0..30_u64).prop_map(|(nth, version)| Op::Reached(nth, version)),
        2 => (1..40_u64).prop_map(Op::Wait),
    ]
}

#[derive(Debug, Clone)]
struct Waiting {
    key: ObjectKey,
    triggers: Triggers,
    nth: usize,
    version: u64,
    limit: Instant,
}

/// The keys of the woken, in an order of their own, with their triggers.
fn sorted(mut woken: Vec<Woken>) -> Vec<Woken> {
    woken.sort_by(|a, b| a.key.cmp(&b.key));
    woken
}

fn take(waiting: &mut Vec<Waiting>, is_over: impl Fn(&Waiting) -> bool) -> Vec<Woken> {
    let (over, left) = std::mem::take(waiting).into_iter().partition(is_over);
    *waiting = left;
    let over: Vec<Waiting> = over;
    let woken = over
        .into_iter()
        .map(|Waiting { key, triggers, .. }| Woken { key, triggers });
    sorted(woken.collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn deferrals_do_what_the_model_does(ops in prop::collection::vec(op(), 0..80)) {
        let mut deferrals = Deferrals::default();
        let mut waiting: Vec<Waiting> = Vec::new();
        let mut now = Instant::now();
        for op in ops {
            match op {
                Op::Defer(key, nth, version, trigger) => {
                    let key = ObjectKey::cluster(&format!("key-{key}"));
                    let triggers = Triggers::changed(trigger, Change::Updated);
                    let limit = now + Duration::from_secs(60);
                    deferrals.defer(&key, triggers, nth, &ResourceVersion::from(version), limit);
                    if let Some(found) = waiting.iter_mut().find(|it| it.key == key) {
                        found.triggers.merge(triggers);
                        (found.nth, found.version) = (nth, version);
                    } else {
                        waiting.push(Waiting { key, triggers, nth, version, limit });
                    }
                }
                Op::Reached(nth, version) => {
                    let woken = deferrals.reached(nth, &ResourceVersion::from(version));
                    let expected = take(&mut waiting, |it| it.nth == nth && it.version <= version);
                    prop_assert_eq!(sorted(woken), expected);
                }
                Op::Wait(seconds) => {
                    now += Duration::from_secs(seconds);
                    let woken = deferrals.expired(now);
                    let expected = take(&mut waiting, |it| it.limit <= now);
                    prop_assert_eq!(sorted(woken), expected);
                }
            }
            let earliest = waiting.iter().map(|it| it.limit).min();
            prop_assert_eq!(deferrals.next_limit(), earliest);
            prop_assert_eq!(deferrals.waiting.len(), waiting.len());
        }
    }
}

#[test]
fn asking_again_and_again_takes_no_memory() {
    let mut deferrals = Deferrals::default();
    let key = ObjectKey::cluster("web");
    let limit = Instant::now();
    for _ in 0..1000 {
        let version = ResourceVersion::from(7);
        deferrals.defer(&key, Triggers::asked(), 0, &version, limit);
    }
    assert_eq!(deferrals.by_version[0].len(), 1);
    assert_eq!(deferrals.by_limit.len(), 1);
}
