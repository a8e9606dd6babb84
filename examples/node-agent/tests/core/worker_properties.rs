//! What holds for workers whatever happens to them.

use std::collections::{HashMap, HashSet};

use node_agent::pod::PodUid;
use node_agent::worker::{Effect, Failure, Outcome, PodWorkers, Stage, Turn, UpdateKind, Work};
use proptest::prelude::*;

use crate::fixtures::after;
use crate::pods::{deleted, fixed, named};
use crate::workers::{kill, orphan, update};

/// Something that happens.
#[derive(Clone, Debug)]
enum Step {
    Update(u8, UpdateKind),
    Delete(u8, u8),
    Kill(u8, Option<u8>),
    Orphan(u8),
    Begin(u8),
    Complete(u8, bool),
    PodEnded(u8),
    Prune(u8),
}

fn step() -> impl Strategy<Value = Step> {
    let kind = prop::sample::select(vec![
        UpdateKind::Create,
        UpdateKind::Update,
        UpdateKind::Sync,
    ]);
    let of = 0..4u8;
    prop_oneof![
        3 => (of.clone(), kind).prop_map(|(of, kind)| Step::Update(of, kind)),
        1 => (of.clone(), 0..40u8).prop_map(|(of, grace)| Step::Delete(of, grace)),
        1 => (of.clone(), prop::option::of(0..40u8)).prop_map(|(of, grace)| Step::Kill(of, grace)),
        1 => of.clone().prop_map(Step::Orphan),
        6 => of.clone().prop_map(Step::Begin),
        6 => (of.clone(), prop::bool::weighted(0.8)).prop_map(|(of, is_well)| Step::Complete(of, is_well)),
        1 => of.prop_map(Step::PodEnded),
        1 => (0..16u8).prop_map(Step::Prune),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..Default::default() })]

    /// Pods 0 and 1 are static and have one name; pods 2 and 3 are not.
    #[test]
    fn workers_go_one_way(steps in prop::collection::vec(step(), 1..80)) {
        let uid = |of: u8| PodUid::new(of.to_string());
        let pod = |of: u8| match of {
            0 | 1 => fixed(&of.to_string(), "web"),
            _ => named(&of.to_string(), &format!("web-{of}")),
        };
        let mut workers = PodWorkers::default();
        // The turns that run, and what was seen last of each life of a uid.
        let mut turns: HashMap<u8, Work> = HashMap::new();
        let mut seen: HashMap<u8, (Stage, Option<std::time::Duration>, bool)> = HashMap::new();
        let (mut asked, mut released, mut waiters) = (HashSet::new(), HashSet::new(), 0u64);

        for (now, step) in (0..).zip(steps) {
            let now = after(now);
            let (of, effects) = match step {
                Step::Update(of, kind) => (of, workers.update(update(kind, pod(of)), None, now)),
                Step::Delete(of, grace) => {
                    let pod = deleted(pod(of), grace.into());
                    (of, workers.update(update(UpdateKind::Update, pod), None, now))
                }
                Step::Kill(of, grace) => {
                    waiters += 1;
                    asked.insert(waiters);
                    let kill = kill(pod(of), grace.map(u64::from), waiters);
                    (of, workers.update(kill, None, now))
                }
                Step::Orphan(of) => {
                    let name = if of < 2 { "web".to_owned() } else { format!("web-{of}") };
                    (of, workers.update(orphan(&of.to_string(), &name), None, now))
                }
                Step::Begin(of) if turns.contains_key(&of) => continue,
                Step::Begin(of) => {
                    let (turn, effects) = workers.begin(&uid(of), now);
                    if let Turn::Work(work) = turn {
                        let before = seen.get(&of).map(|(stage, ..)| *stage);
                        prop_assert!(before.is_none_or(|before| work.stage() >= before));
                        turns.insert(of, work);
                    }
                    (of, effects)
                }
                Step::Complete(of, _) | Step::PodEnded(of) if !turns.contains_key(&of) => continue,
                Step::Complete(of, is_well) => {
                    let work = turns.remove(&of).unwrap();
                    let failed = Outcome::Failed(Failure::Other);
                    let outcome = if is_well { Outcome::Done } else { failed };
                    (of, workers.complete(&uid(of), &work, outcome, now))
                }
                Step::PodEnded(of) => {
                    let work = turns.remove(&of).unwrap();
                    (of, workers.complete(&uid(of), &work, Outcome::PodEnded, now))
                }
                Step::Prune(desired) => {
                    let desired: HashSet<_> = (0..4).filter(|of| desired & (1 << of) != 0).map(uid).collect();
                    (0, workers.sync_known_pods(&desired, now).1)
                }
            };
            for effect in &effects {
                if let Effect::Release(waiter) = effect {
                    prop_assert!(asked.contains(&waiter.0));
                    prop_assert!(released.insert(waiter.0), "released twice");
                }
                if let Effect::Wake(woken) = effect {
                    prop_assert!(workers.get(woken).is_some_and(|state| !state.is_finished()));
                }
            }
            prop_assert!(of < 4);

            let mut running_statics = 0;
            for of in 0..4 {
                let Some(state) = workers.get(&uid(of)) else {
                    // A life is over; nothing of it runs on.
                    seen.remove(&of);
                    turns.remove(&of);
                    continue;
                };
                let (stage, grace, is_finished) = (state.stage(), state.grace(), state.is_finished());
                if let Some((old_stage, old_grace, was_finished)) = seen.insert(of, (stage, grace, is_finished)) {
                    prop_assert!(stage >= old_stage, "{of} went back");
                    prop_assert!(is_finished || !was_finished, "{of} was finished");
                    prop_assert!(old_grace.is_none_or(|old| grace.is_some_and(|new| new <= old)), "{of} got more time");
                }
                prop_assert!(!is_finished || stage == Stage::Terminated);
                prop_assert_eq!(stage == Stage::Terminating, workers.is_pod_termination_requested(&uid(of)) && !workers.is_pod_known_terminated(&uid(of)));
                let is_sync = matches!(turns.get(&of), Some(Work::Sync { .. }));
                running_statics += usize::from(of < 2 && is_sync);
            }
            prop_assert!(running_statics <= 1, "two static pods of one name run");
        }
    }
}
