//! Which workers are removed once nobody has their pods, and what becomes of those that have ended.

use std::collections::HashSet;

use node_agent::worker::{Effect, Stage, UpdateKind, WorkerUpdate};

use crate::fixtures::after;
use crate::pods::{deleted, fixed, named, uid};
use crate::workers::{Rig, in_phase, orphan, rig, update};

use UpdateKind::{Create, Kill, Sync, Update};

/// What becomes of a worker.
#[derive(Debug, PartialEq)]
enum Fate {
    /// It goes on as it is.
    Stays,
    /// It is woken to end its pod, or to go on with that.
    Ends(Stage),
    /// It is gone.
    Removed,
}

/// A case: what it is called, the worker `1`, whether a source has its pod, and what becomes of it.
type Case = (&'static str, Rig, bool, Fate);

#[test]
fn remove_terminated_worker() {
    use Fate::{Ends, Removed, Stays};

    let pod = || named("1", "web");
    let created = || update(Create, pod());
    let gone = || update(Update, deleted(pod(), 20));
    let orphan = || orphan("1", "web");
    let again = |mut rig: Rig, update: WorkerUpdate| {
        rig.update(update);
        rig
    };
    // Another static pod of the name has started, or comes first.
    let behind_another = |turns| {
        let mut rig = Rig::default();
        rig.update(update(Create, fixed("0", "web")));
        for _ in 0..turns {
            rig.turn("0");
        }
        again(rig, update(Create, fixed("1", "web")))
    };
    let cases: Vec<Case> = vec![
        ("one that waits", rig(0, vec![created()]), true, Stays),
        ("one that runs", rig(1, vec![created()]), true, Stays),
        (
            "one that is finished",
            rig(2, vec![created(), gone()]),
            true,
            Stays,
        ),
        (
            "one that is finished, and is created anew",
            again(rig(2, vec![created(), gone()]), created()),
            true,
            Removed,
        ),
        (
            "one that is being ended, and is created anew",
            again(rig(0, vec![created(), gone()]), created()),
            true,
            Stays,
        ),
        (
            "one that waits, and nobody has",
            rig(0, vec![created()]),
            false,
            Removed,
        ),
        (
            "one that waits for another that runs, and nobody has",
            behind_another(1),
            false,
            Removed,
        ),
        (
            "one that waits for another that waits, and nobody has",
            behind_another(0),
            false,
            Removed,
        ),
        (
            "one that waits for another, and a source has",
            behind_another(1),
            true,
            Stays,
        ),
        (
            "one that runs, and nobody has",
            rig(1, vec![created()]),
            false,
            Ends(Stage::Terminating),
        ),
        (
            "one that runs, was updated, and nobody has",
            again(rig(1, vec![created()]), update(Sync, pod())),
            false,
            Ends(Stage::Terminating),
        ),
        (
            "one that is being ended, and nobody has",
            again(rig(1, vec![created()]), gone()),
            false,
            Ends(Stage::Terminating),
        ),
        (
            "one of the runtime alone, that is being ended",
            rig(0, vec![orphan()]),
            false,
            Ends(Stage::Terminating),
        ),
        (
            "one that has ended, and nobody has",
            rig(1, vec![created(), gone()]),
            false,
            Ends(Stage::Terminated),
        ),
        (
            "one that is finished, and nobody has",
            rig(2, vec![created(), gone()]),
            false,
            Removed,
        ),
    ];
    for (case, mut rig, is_desired, expected) in cases {
        let desired: HashSet<_> = [uid("0")].into_iter().collect();
        let desired = match is_desired {
            true => &desired | &HashSet::from([uid("1")]),
            false => desired,
        };
        let (known, effects) = rig.workers.sync_known_pods(&desired, after(1000));
        let is_woken = effects.contains(&Effect::Wake(uid("1")));
        let fate = match known.get(&uid("1")) {
            None => Removed,
            Some(worker) if is_woken => Ends(worker.stage),
            Some(_) => Stays,
        };
        assert_eq!(fate, expected, "{case}");
        assert_eq!(
            known.contains_key(&uid("1")),
            rig.stage("1").is_some(),
            "{case}"
        );
        assert!(
            known
                .get(&uid("0"))
                .is_none_or(|it| it.stage == Stage::Sync)
        );
    }
}

#[test]
fn update_pod_with_terminated_pod() {
    let mut rig = Rig::default();
    rig.update(update(Create, in_phase(named("done", "done"), "Succeeded")));
    rig.update(update(Create, named("running", "running")));
    rig.update(orphan("orphan", "orphan"));
    assert_eq!(rig.turn("done"), Stage::Terminating);
    assert_eq!(rig.turn("running"), Stage::Sync);
    assert_eq!(rig.turn("orphan"), Stage::Terminating);
    let is_known = |of| rig.workers.is_pod_known_terminated(&uid(of));
    assert!(is_known("done"));
    assert!(!is_known("running"));
    // Nothing is kept of what only the runtime had, and what there was may be removed.
    assert_eq!(rig.stage("orphan"), None);
    assert!(!is_known("orphan"));
    let desired = ["done", "running"].map(uid);
    rig.workers
        .sync_known_pods(&HashSet::from(desired), after(1000));
    assert!(rig.workers.should_pod_runtime_be_removed(&uid("orphan")));
}

/// A pod that has ended is not ended again since the runtime still tells of it.
#[test]
fn update_pod_for_terminated_runtime_pod() {
    let ended = update(Update, deleted(named("1", "web"), 20));
    let mut rig = rig(1, vec![update(Create, named("1", "web")), ended]);
    for _ in 0..2 {
        assert_eq!(rig.update(orphan("1", "web")), []);
        assert_eq!(rig.stage("1"), Some((Stage::Terminated, false)));
    }
    assert_eq!(rig.turn("1"), Stage::Terminated);
    assert_eq!(rig.update(orphan("1", "web")), []);
    assert_eq!(rig.stage("1"), Some((Stage::Terminated, true)));
    rig.update(update(Kill, named("1", "web")));
    assert_eq!(rig.stage("1"), Some((Stage::Terminated, true)));
}
