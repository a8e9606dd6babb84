//! What an update does to a worker, by what the worker has done so far.

use node_agent::worker::{Effect, Stage, UpdateKind, Waiter, WorkerUpdate};

use crate::pods::{deleted, named, uid};
use crate::workers::{Rig, in_phase, kill, orphan, rig, update};

use UpdateKind::{Create, Sync, Update};

/// A case: what it is called, the worker, the update, what comes of it, the stage and whether it is
/// finished, and the grace in seconds.
type Case = (
    &'static str,
    Rig,
    WorkerUpdate,
    Vec<Effect>,
    (Stage, bool),
    Option<u64>,
);

/// Upstream's `TestUpdatePod`. The rows of a pod that has ended and is found in the runtime, and of one
/// of the runtime alone, are also those of `TestUpdatePodForTerminatedRuntimePod`.
#[test]
fn update_pod() {
    let pod = || named("1", "web");
    let wake = || Effect::Wake(uid("1"));
    let cancel = || Effect::Cancel(uid("1"));
    let running = || rig(1, vec![update(Create, pod())]);
    let terminating = || {
        rig(
            0,
            vec![update(Create, pod()), update(Update, deleted(pod(), 20))],
        )
    };
    let terminated = || {
        rig(
            1,
            vec![update(Create, pod()), update(Update, deleted(pod(), 20))],
        )
    };
    let finished = || {
        rig(
            2,
            vec![update(Create, pod()), update(Update, deleted(pod(), 20))],
        )
    };
    let release = || Effect::Release(Waiter(7));
    let (sync, ending, cleaning, over) = (
        (Stage::Sync, false),
        (Stage::Terminating, false),
        (Stage::Terminated, false),
        (Stage::Terminated, true),
    );

    let cases: Vec<Case> = vec![
        (
            "a new pod is started",
            Rig::default(),
            update(Create, pod()),
            vec![wake()],
            sync,
            None,
        ),
        (
            "a new pod that is deleted is ended",
            Rig::default(),
            update(Create, deleted(pod(), 20)),
            vec![wake(), cancel()],
            ending,
            Some(20),
        ),
        (
            "a new pod that failed and may run is ended",
            Rig::default(),
            update(Create, in_phase(pod(), "Failed")),
            vec![wake(), cancel()],
            ending,
            Some(30),
        ),
        (
            "a pod that runs is synced",
            running(),
            update(Sync, pod()),
            vec![wake()],
            sync,
            None,
        ),
        (
            "a pod that runs is deleted",
            running(),
            update(Update, deleted(pod(), 20)),
            vec![wake(), cancel()],
            ending,
            Some(20),
        ),
        (
            "a pod that runs is said to have failed",
            running(),
            update(Update, in_phase(pod(), "Failed")),
            vec![wake(), cancel()],
            ending,
            Some(30),
        ),
        (
            "a pod that runs is said to have succeeded",
            running(),
            update(Update, in_phase(pod(), "Succeeded")),
            vec![wake(), cancel()],
            ending,
            Some(30),
        ),
        (
            "a pod that runs is killed",
            running(),
            kill(pod(), Some(10), 7),
            vec![wake(), cancel()],
            ending,
            Some(10),
        ),
        (
            "a pod that runs is removed",
            running(),
            update(UpdateKind::Kill, pod()),
            vec![wake(), cancel()],
            ending,
            Some(30),
        ),
        (
            "how to kill is of no use to who is not killed",
            running(),
            WorkerUpdate {
                kind: Sync,
                ..kill(pod(), Some(10), 7)
            },
            vec![release(), wake()],
            sync,
            None,
        ),
        (
            "the end is expedited",
            terminating(),
            kill(pod(), Some(5), 7),
            vec![wake(), cancel()],
            ending,
            Some(5),
        ),
        (
            "the end is not put off",
            terminating(),
            kill(pod(), Some(50), 7),
            vec![wake()],
            ending,
            Some(20),
        ),
        (
            "a pod that ends is updated",
            terminating(),
            update(Update, pod()),
            vec![wake()],
            ending,
            Some(20),
        ),
        (
            "a pod that ends is created anew",
            terminating(),
            update(Create, pod()),
            vec![],
            ending,
            Some(20),
        ),
        (
            "a pod that has ended is killed",
            terminated(),
            kill(pod(), Some(5), 7),
            vec![release(), wake()],
            cleaning,
            Some(20),
        ),
        (
            "a pod that has ended is found in the runtime",
            terminated(),
            orphan("1", "web"),
            vec![],
            cleaning,
            Some(20),
        ),
        (
            "a pod that is finished is updated",
            finished(),
            update(Update, pod()),
            vec![],
            over,
            Some(20),
        ),
        (
            "a pod that is finished is killed",
            finished(),
            kill(pod(), None, 7),
            vec![release()],
            over,
            Some(20),
        ),
        (
            "a pod that is finished is created anew",
            finished(),
            update(Create, pod()),
            vec![],
            over,
            Some(20),
        ),
        (
            "a pod of the runtime alone is ended",
            Rig::default(),
            orphan("1", "web"),
            vec![wake(), cancel()],
            ending,
            Some(1),
        ),
        (
            "a pod that is known is found in the runtime",
            running(),
            orphan("1", "web"),
            vec![wake(), cancel()],
            ending,
            Some(30),
        ),
    ];
    for (case, mut rig, update, effects, stage, grace) in cases {
        assert_eq!(rig.update(update), effects, "{case}");
        assert_eq!(rig.stage("1"), Some(stage), "{case}");
        assert_eq!(rig.grace("1"), grace, "{case}");
    }
}
