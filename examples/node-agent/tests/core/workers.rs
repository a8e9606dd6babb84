//! What updates do to workers, and what their turns come to.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use node_agent::pod::{PodName, PodUid};
use node_agent::runtime::ObservedPod;
use node_agent::status::Eviction;
use node_agent::worker::{
    Delay, Effect, Failure, Kill, KillCause, KnownWorker, Outcome, PodWorkers, Stage, Subject,
    Turn, UpdateKind, Waiter, Work, WorkerUpdate,
};

use crate::fixtures::{after, in_sandbox, running};
use crate::pods::{deleted, fixed, named, uid};

pub(crate) fn in_phase(mut pod: Pod, phase: &str) -> Pod {
    pod.status.get_or_insert_default().phase = Some(phase.into());
    pod
}

pub(crate) fn update(kind: UpdateKind, pod: Pod) -> WorkerUpdate {
    let subject = Subject::Configured {
        pod: Arc::new(pod),
        mirror: None,
    };
    WorkerUpdate {
        kind,
        subject,
        kill: None,
    }
}

pub(crate) fn kill(pod: Pod, grace: Option<u64>, waiter: u64) -> WorkerUpdate {
    let kill = Kill {
        cause: KillCause::Evicted,
        grace: grace.map(Duration::from_secs),
        status: Some(Eviction {
            reason: "Evicted".into(),
            message: "no room".into(),
            disruption: None,
        }),
        waiter: Some(Waiter(waiter)),
    };
    WorkerUpdate {
        kill: Some(kill),
        ..update(UpdateKind::Kill, pod)
    }
}

pub(crate) fn orphan(uid: &str, name: &str) -> WorkerUpdate {
    let observed = ObservedPod::unknown(PodUid::new(uid), PodName::new("ns", name));
    let subject = Subject::Orphan(Arc::new(observed));
    WorkerUpdate {
        kind: UpdateKind::Kill,
        subject,
        kill: None,
    }
}

/// Workers that are driven by hand.
#[derive(Default)]
pub(crate) struct Rig {
    pub(crate) workers: PodWorkers,
    now: i64,
}

impl Rig {
    pub(crate) fn update(&mut self, update: WorkerUpdate) -> Vec<Effect> {
        self.now += 1;
        self.workers.update(update, None, after(self.now))
    }

    pub(crate) fn begin(&mut self, of: &str) -> Turn {
        self.now += 1;
        self.workers.begin(&uid(of), after(self.now)).0
    }

    pub(crate) fn work(&mut self, of: &str) -> Work {
        match self.begin(of) {
            Turn::Work(work) => work,
            turn => panic!("{of} has no work: {turn:?}"),
        }
    }

    pub(crate) fn complete(&mut self, of: &str, work: &Work, outcome: Outcome) -> Vec<Effect> {
        self.now += 1;
        self.workers
            .complete(&uid(of), work, outcome, after(self.now))
    }

    /// A turn that goes well; returns the stage that it was of.
    pub(crate) fn turn(&mut self, of: &str) -> Stage {
        let work = self.work(of);
        self.complete(of, &work, Outcome::Done);
        work.stage()
    }

    pub(crate) fn stage(&self, of: &str) -> Option<(Stage, bool)> {
        let state = self.workers.get(&uid(of))?;
        Some((state.stage(), state.is_finished()))
    }

    pub(crate) fn grace(&self, of: &str) -> Option<u64> {
        let state = self.workers.get(&uid(of))?;
        state.grace().map(|grace| grace.as_secs())
    }
}

/// A worker after some turns.
pub(crate) fn rig(turns: usize, updates: Vec<WorkerUpdate>) -> Rig {
    let mut rig = Rig::default();
    for update in updates {
        rig.update(update);
    }
    for _ in 0..turns {
        rig.turn("1");
    }
    rig
}

use UpdateKind::{Create, Sync, Update};

#[test]
fn update_pod_for_runtime_pod() {
    let mut rig = Rig::default();
    let synced = WorkerUpdate {
        kind: Sync,
        ..orphan("1", "web")
    };
    assert_eq!(rig.update(synced), [], "it can only be killed");
    assert_eq!(rig.stage("1"), None);

    rig.update(orphan("1", "web"));
    let work = rig.work("1");
    assert!(matches!(&work, Work::TerminateOrphan(observed) if observed.uid == uid("1")));
    assert_eq!(
        rig.complete("1", &work, Outcome::Done),
        [Effect::Stop(uid("1"))]
    );
    assert_eq!(rig.stage("1"), None, "nothing is kept of it");

    // A source comes to have it while it is ended: the source's pod is ended.
    rig.update(orphan("1", "web"));
    rig.update(update(Update, named("1", "web")));
    let work = rig.work("1");
    assert!(matches!(&work, Work::Terminate { .. }), "{work:?}");
}

/// Answers to upstream's `PodStatusFunc`s, which are all called, and of which the last one has the
/// last word.
#[test]
fn who_kills_without_a_word_takes_nothing_from_what_is_told() {
    let mut rig = rig(1, vec![update(Create, named("1", "web"))]);
    rig.update(kill(named("1", "web"), Some(10), 7));
    let mut silent = kill(named("1", "web"), None, 8);
    silent.kill.as_mut().unwrap().status = None;
    rig.update(silent);
    let work = rig.work("1");
    let Work::Terminate { status, .. } = &work else {
        panic!("{work:?}");
    };
    assert_eq!(status.as_ref().map(|it| &*it.reason), Some("Evicted"));
    let effects = rig.complete("1", &work, Outcome::Done);
    let released = [7, 8].map(|waiter| Effect::Release(Waiter(waiter)));
    assert_eq!(effects[..2], released);
}

#[test]
fn update_pod_does_not_forget_sync_pod_kill() {
    let mut rig = rig(1, vec![update(Create, named("1", "web"))]);
    rig.update(kill(named("1", "web"), Some(10), 7));
    rig.update(update(Update, named("1", "web")));
    let work = rig.work("1");
    let Work::Terminate { grace, status, .. } = &work else {
        panic!("{work:?}");
    };
    assert_eq!(*grace, Some(Duration::from_secs(10)));
    assert_eq!(status.as_ref().map(|it| &*it.reason), Some("Evicted"));
    let effects = rig.complete("1", &work, Outcome::Done);
    assert_eq!(effects[0], Effect::Release(Waiter(7)));
    assert_eq!(
        effects.last(),
        Some(&Effect::Wake(uid("1"))),
        "it goes on by itself"
    );
    assert_eq!(rig.turn("1"), Stage::Terminated);
    assert_eq!(rig.begin("1"), Turn::Stop);
}

#[test]
fn terminal_phase_transition() {
    let mut rig = Rig::default();
    let pod = named("1", "web");
    rig.update(update(Create, pod.clone()));
    assert_eq!(rig.turn("1"), Stage::Sync);
    rig.update(update(Sync, in_phase(pod.clone(), "Running")));
    assert_eq!(rig.turn("1"), Stage::Sync);
    assert!(!rig.workers.is_pod_termination_requested(&uid("1")));

    // The pod ends by itself, or the API says so.
    let mut by_itself = Rig {
        workers: rig.workers.clone(),
        now: rig.now,
    };
    by_itself.update(update(Sync, pod.clone()));
    let work = by_itself.work("1");
    let effects = by_itself.complete("1", &work, Outcome::PodEnded);
    let now = Effect::Requeue(uid("1"), Delay::Exactly(Duration::ZERO));
    assert_eq!(effects, [now, Effect::Wake(uid("1"))]);
    rig.update(update(Update, in_phase(pod, "Failed")));
    for mut rig in [rig, by_itself] {
        assert!(rig.workers.is_pod_termination_requested(&uid("1")));
        assert_eq!(rig.turn("1"), Stage::Terminating);
        assert!(rig.workers.is_pod_known_terminated(&uid("1")));
        assert!(!rig.workers.should_pod_be_finished(&uid("1")));
        assert_eq!(rig.turn("1"), Stage::Terminated);
        assert!(rig.workers.should_pod_be_finished(&uid("1")));
    }
}

#[test]
fn pods_that_had_ended_before_the_agent_started_are_cleaned_up_after() {
    let pod = in_phase(named("1", "web"), "Succeeded");
    let mut at_rest = in_sandbox(&pod);
    at_rest.sandboxes[0].is_ready = false;
    for (observed, stage) in [
        (Some(at_rest), Stage::Terminated),
        (Some(in_sandbox(&pod)), Stage::Terminating),
        (Some(running(&pod)), Stage::Terminating),
        (None, Stage::Terminating),
    ] {
        let mut workers = PodWorkers::default();
        workers.update(update(Create, pod.clone()), observed.as_ref(), after(0));
        let (turn, _) = workers.begin(&uid("1"), after(1));
        assert!(
            matches!(&turn, Turn::Work(work) if work.stage() == stage),
            "{turn:?}"
        );
    }
}

#[test]
fn complete_work_enqueue() {
    let delays = [
        (Outcome::Done, Delay::Jittered(Duration::from_secs(60))),
        (Outcome::PodEnded, Delay::Exactly(Duration::ZERO)),
        (
            Outcome::Failed(Failure::NetworkNotReady),
            Delay::Jittered(Duration::from_secs(1)),
        ),
        (
            Outcome::Failed(Failure::Other),
            Delay::Jittered(Duration::from_secs(10)),
        ),
        (Outcome::Cancelled, Delay::Jittered(Duration::from_secs(10))),
        (
            Outcome::Failed(Failure::Backoff { expiry: after(23) }),
            Delay::Exactly(Duration::from_secs(20)),
        ),
        (
            Outcome::Failed(Failure::Backoff { expiry: after(300) }),
            Delay::Exactly(Duration::from_secs(60)),
        ),
        (
            Outcome::Failed(Failure::Backoff { expiry: after(0) }),
            Delay::Exactly(Duration::ZERO),
        ),
    ];
    for (outcome, delay) in delays {
        let mut rig = Rig::default();
        rig.update(update(Create, named("1", "web")));
        let work = rig.work("1");
        let effects = rig.complete("1", &work, outcome);
        assert_eq!(effects[0], Effect::Requeue(uid("1"), delay), "{outcome:?}");
    }
    let jittered = Delay::Jittered(Duration::from_secs(10));
    assert_eq!(jittered.with_chance(0.0), Duration::from_secs(10));
    assert_eq!(jittered.with_chance(1.0), Duration::from_secs(15));
    assert_eq!(
        Delay::Exactly(Duration::from_secs(3)).with_chance(1.0),
        Duration::from_secs(3)
    );
}

#[test]
fn an_update_that_comes_during_a_turn_is_next() {
    let mut rig = Rig::default();
    rig.update(update(Create, named("1", "web")));
    let work = rig.work("1");
    rig.update(update(Sync, named("1", "web")));
    rig.update(update(Update, named("1", "web")));
    let effects = rig.complete("1", &work, Outcome::Done);
    assert_eq!(effects.last(), Some(&Effect::Wake(uid("1"))));
    let Work::Sync { kind, .. } = rig.work("1") else {
        panic!("not synced")
    };
    assert_eq!(kind, Update, "only the newest is kept");
    assert_eq!(rig.begin("1"), Turn::Nothing);
}

#[test]
fn static_pod_exclusion() {
    let mut rig = Rig::default();
    for of in ["1", "2", "3"] {
        rig.update(update(Create, fixed(of, "web")));
    }
    rig.update(update(Create, named("4", "web")));
    assert_eq!(rig.turn("4"), Stage::Sync, "others are not concerned");
    assert_eq!(rig.begin("2"), Turn::NotYet, "the first comes first");
    assert_eq!(rig.turn("1"), Stage::Sync);
    assert_eq!(rig.begin("2"), Turn::NotYet, "the first runs");
    assert!(
        !rig.workers
            .is_static_pod_terminating(&PodName::new("ns", "web"))
    );

    // The second is removed before it has started.
    rig.update(WorkerUpdate {
        kind: UpdateKind::Kill,
        ..kill(fixed("2", "web"), None, 7)
    });
    let (turn, effects) = rig.workers.begin(&uid("2"), after(50));
    assert_eq!(turn, Turn::Stop);
    assert_eq!(
        effects,
        [Effect::Release(Waiter(7)), Effect::Stop(uid("2"))]
    );
    assert_eq!(rig.stage("2"), Some((Stage::Terminated, true)));

    rig.update(update(UpdateKind::Kill, fixed("1", "web")));
    assert!(
        rig.workers
            .is_static_pod_terminating(&PodName::new("ns", "web"))
    );
    assert_eq!(rig.turn("1"), Stage::Terminating);
    assert_eq!(rig.begin("3"), Turn::NotYet, "the first is still there");
    let work = rig.work("1");
    assert_eq!(
        rig.complete("1", &work, Outcome::Done),
        [Effect::Stop(uid("1")), Effect::Wake(uid("3"))],
        "the third has its turn"
    );
    assert_eq!(rig.turn("3"), Stage::Sync);
}

/// Whether a pod may start beside others of its name.
#[test]
fn allow_pod_start() {
    // What came before, and whether the pod `0` of the name `web`, the last to come, may start.
    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Before {
        /// A pod of the API server, that runs.
        Plain,
        /// A static pod of the name, that runs.
        Started,
        /// A static pod of the name, that has not begun.
        Waiting,
        /// A static pod of the name, that was ended before it began.
        Ended,
        /// A static pod of another name, that runs.
        Other,
    }
    use Before::{Ended, Other, Plain, Started, Waiting};
    let cases: [(bool, &[Before], bool); 11] = [
        (false, &[], true),
        (false, &[Plain], true),
        (false, &[Started], true),
        (true, &[], true),
        (true, &[Plain], true),
        (true, &[Other], true),
        (true, &[Started], false),
        (true, &[Waiting], false),
        (true, &[Ended, Ended], true),
        (true, &[Ended, Waiting], false),
        (true, &[Started, Waiting], false),
    ];
    for (is_static, before, allowed) in cases {
        let mut rig = Rig::default();
        for (number, kind) in before.iter().enumerate() {
            let of = format!("{}", number + 1);
            let name = if *kind == Other { "other" } else { "web" };
            let pod = match kind {
                Plain => named(&of, name),
                _ => fixed(&of, name),
            };
            rig.update(update(Create, pod.clone()));
            match kind {
                Plain | Started | Other => assert_eq!(rig.turn(&of), Stage::Sync),
                Waiting => {}
                Ended => {
                    rig.update(update(UpdateKind::Kill, pod));
                }
            }
        }
        let pod = if is_static {
            fixed("0", "web")
        } else {
            named("0", "web")
        };
        rig.update(update(Create, pod));
        let turn = rig.begin("0");
        let has_begun = matches!(turn, Turn::Work(Work::Sync { .. }));
        assert_eq!(has_begun, allowed, "{is_static} {before:?}: {turn:?}");
        if !allowed {
            assert_eq!(turn, Turn::NotYet, "it may start later");
        }
    }
}

/// Static pods of one name start in the order in which they came; which of them may is seen from
/// each of them.
#[test]
fn allow_static_pod_start() {
    // Whether one has started, those that wait in order, and those of them that are ended; then
    // which of those that wait may start.
    type Case = (
        bool,
        &'static [&'static str],
        &'static [&'static str],
        Option<&'static str>,
    );
    let cases: [Case; 7] = [
        (false, &["1"], &[], Some("1")),
        (false, &["1", "2"], &[], Some("1")),
        (false, &["1", "2", "3"], &["1"], Some("2")),
        (false, &["1", "2", "3"], &["1", "2"], Some("3")),
        (false, &["1", "2"], &["2"], Some("1")),
        (true, &["1", "2"], &[], None),
        (true, &["1", "2"], &["1"], None),
    ];
    for (has_started, waiting, ended, expected) in cases {
        // They are asked in any order: no other than the first gets anything by coming early.
        for reversed in [false, true] {
            let mut rig = Rig::default();
            if has_started {
                rig.update(update(Create, fixed("0", "web")));
                rig.turn("0");
            }
            for of in waiting {
                rig.update(update(Create, fixed(of, "web")));
            }
            for of in ended {
                rig.update(update(UpdateKind::Kill, fixed(of, "web")));
            }
            let mut asked: Vec<_> = waiting.iter().filter(|of| !ended.contains(of)).collect();
            if reversed {
                asked.reverse();
            }
            let begun: Vec<_> = asked
                .into_iter()
                .filter(|of| matches!(rig.begin(of), Turn::Work(Work::Sync { .. })))
                .copied()
                .collect();
            let expected: Vec<_> = expected.into_iter().collect();
            assert_eq!(begun, expected, "{has_started} {waiting:?} {ended:?}");
            // One that was ended before it began never does.
            for of in ended {
                assert_eq!(rig.begin(of), Turn::Stop);
            }
        }
    }
}

#[test]
fn static_pods_that_are_being_ended_are_not_waited_for() {
    let mut rig = Rig::default();
    for of in ["1", "2", "3"] {
        rig.update(update(Create, fixed(of, "web")));
    }
    // Nobody has woken the first two yet.
    for of in ["1", "2"] {
        rig.update(update(UpdateKind::Kill, fixed(of, "web")));
    }
    assert_eq!(rig.turn("3"), Stage::Sync);
    assert_eq!(rig.begin("1"), Turn::Stop);
}

#[test]
fn sync_known_pods() {
    let mut rig = Rig::default();
    for of in ["running", "ending", "done", "orphan", "new"] {
        rig.update(update(Create, named(of, of)));
    }
    rig.update(update(Create, fixed("static", "static")));
    for of in ["running", "ending", "done", "orphan", "static"] {
        rig.turn(of);
    }
    for of in ["ending", "done"] {
        rig.update(update(Update, deleted(named(of, of), 5)));
    }
    rig.turn("done");
    rig.turn("done");
    rig.update(orphan("runtime", "runtime"));

    assert!(
        rig.workers.could_have_running_containers(&uid("nobody")),
        "nobody has spoken yet"
    );
    assert!(!rig.workers.should_pod_content_be_removed(&uid("nobody")));
    let desired = ["running", "ending", "done", "static"].map(uid);
    let (known, effects) = rig
        .workers
        .sync_known_pods(&HashSet::from(desired), after(100));
    let worker = |stage| KnownWorker {
        stage,
        is_orphan: false,
        has_config: true,
    };
    let expected = [
        ("done", worker(Stage::Terminated)),
        ("ending", worker(Stage::Terminating)),
        (
            "orphan",
            KnownWorker {
                is_orphan: true,
                ..worker(Stage::Terminating)
            },
        ),
        ("running", worker(Stage::Sync)),
        (
            "runtime",
            KnownWorker {
                is_orphan: true,
                has_config: false,
                ..worker(Stage::Terminating)
            },
        ),
        ("static", worker(Stage::Sync)),
    ];
    assert_eq!(known, expected.map(|(of, worker)| (uid(of), worker)).into());
    let mut woken: Vec<_> = effects.iter().map(|effect| format!("{effect:?}")).collect();
    woken.sort();
    assert_eq!(woken.len(), 3, "{woken:?}");
    assert!(
        effects.contains(&Effect::Stop(uid("new"))),
        "it has never started"
    );
    assert!(effects.contains(&Effect::Wake(uid("orphan"))));
    assert_eq!(rig.begin("new"), Turn::Stop);
    assert_eq!(rig.grace("orphan"), Some(30));

    assert!(!rig.workers.could_have_running_containers(&uid("nobody")));
    assert!(rig.workers.should_pod_content_be_removed(&uid("nobody")));
    assert!(rig.workers.should_pod_runtime_be_removed(&uid("done")));
    assert!(rig.workers.should_pod_content_be_removed(&uid("done")));
    assert!(!rig.workers.should_pod_content_be_removed(&uid("running")));
    assert!(
        !rig.workers
            .should_pod_containers_be_terminating(&uid("ending")),
        "it has not seen it yet"
    );
    rig.turn("ending");
    assert!(
        rig.workers
            .should_pod_containers_be_terminating(&uid("ending"))
    );

    assert_eq!(rig.turn("orphan"), Stage::Terminating);
    assert_eq!(rig.turn("orphan"), Stage::Terminated);
    let (known, _) = rig.workers.sync_known_pods(&HashSet::new(), after(200));
    assert!(
        !known.contains_key(&uid("orphan")),
        "nobody has it, and it is finished"
    );
    assert!(!known.contains_key(&uid("done")));
}

#[test]
fn a_uid_that_comes_again_begins_anew() {
    let pod = || fixed("1", "web");
    let mut rig = rig(1, vec![update(Create, pod())]);
    rig.update(update(UpdateKind::Kill, pod()));
    assert_eq!(
        rig.update(update(Create, pod())),
        [],
        "it is still being ended"
    );
    let desired = HashSet::from([uid("1")]);
    let (known, _) = rig.workers.sync_known_pods(&desired, after(100));
    assert_eq!(known[&uid("1")].stage, Stage::Terminating);
    rig.turn("1");
    rig.turn("1");
    let (known, _) = rig.workers.sync_known_pods(&desired, after(101));
    assert!(known.is_empty(), "it is to be created");
    rig.update(update(Create, pod()));
    assert_eq!(rig.turn("1"), Stage::Sync);
}

#[test]
fn evicted_pods_leave_nothing_behind() {
    let mut rig = rig(1, vec![update(Create, named("1", "web"))]);
    assert!(!rig.workers.should_pod_content_be_removed(&uid("1")));
    rig.update(kill(named("1", "web"), None, 7));
    assert!(rig.workers.should_pod_content_be_removed(&uid("1")));
}

#[test]
fn a_sync_is_told_of_the_mirror() {
    let pod = Arc::new(fixed("1", "web"));
    let mirror = Arc::new(named("9", "web"));
    let mut rig = Rig::default();
    for known in [Some(mirror), None] {
        let subject = Subject::Configured {
            pod: pod.clone(),
            mirror: known.clone(),
        };
        rig.update(WorkerUpdate {
            kind: Sync,
            subject,
            kill: None,
        });
        let work = rig.work("1");
        assert!(matches!(&work, Work::Sync { mirror, .. } if *mirror == known));
        rig.complete("1", &work, Outcome::Done);
    }
}
