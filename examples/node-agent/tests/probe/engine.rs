//! What a worker decides; answers to `prober/worker_test.go`.

use k8s_openapi::api::core::v1::{Pod, PodStatus};
use node_agent::moment::Moment;
use node_agent::pod::containers;
use node_agent::probe::{Next, ProbeEngine, ProbeKind, ProbeOutcome, ResultEffect};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::fixtures::{at, id, moment, pod_with, running, running_since, status};

use ProbeOutcome::{Failure, Success, Unknown};

/// An engine and what its results are.
struct Rig {
    kind: ProbeKind,
    engine: ProbeEngine,
    result: Option<ProbeOutcome>,
    now: Moment,
}

impl Rig {
    fn of(kind: ProbeKind, probe: Value) -> Self {
        Self::in_pod(kind, &pod_with(kind, probe), None)
    }

    /// `inherited` is the container that ran before the engine was made.
    fn in_pod(kind: ProbeKind, pod: &Pod, inherited: Option<&str>) -> Self {
        let container = containers(pod).next().unwrap();
        let probe = kind.of(&container.spec).unwrap().clone();
        Self {
            kind,
            engine: ProbeEngine::new(
                kind,
                pod,
                &container,
                &probe,
                inherited.map(id),
                moment(0).at,
            ),
            result: None,
            now: moment(100),
        }
    }

    /// One turn, in which the target would answer so.
    fn turn(&mut self, status: Option<&PodStatus>, answer: ProbeOutcome) -> Next {
        let (effects, next) = self.engine.look(status, self.now);
        for effect in effects {
            self.take(&effect);
        }
        if next == Next::Probe
            && let Some(effect) = self.engine.count(answer)
        {
            self.take(&effect);
        }
        next
    }

    fn take(&mut self, effect: &ResultEffect) {
        self.result = match effect {
            ResultEffect::Set(_, outcome) => Some(*outcome),
            ResultEffect::Forget(_) => None,
        };
    }

    /// A turn of a container that runs, and the result after it.
    fn probe(&mut self, answer: ProbeOutcome) -> Option<ProbeOutcome> {
        let is_started = self.kind != ProbeKind::Startup;
        self.turn(Some(&running("id", is_started)), answer);
        self.result
    }
}

fn initial(kind: ProbeKind) -> ProbeOutcome {
    match kind {
        ProbeKind::Liveness => Success,
        ProbeKind::Readiness => Failure,
        ProbeKind::Startup => Unknown,
    }
}

#[test]
fn do_probe() {
    let waiting = status(&json!({
        "name": "c", "containerID": "test://id", "state": {"waiting": {}},
    }));
    let terminated = status(&json!({
        "name": "c", "containerID": "test://id", "state": {"terminated": {"exitCode": 1}},
    }));
    let nameless = status(&json!({"name": "c", "state": {"waiting": {}}}));
    let other = status(&json!({"name": "other", "containerID": "test://id"}));
    let with_phase = |phase: &str| PodStatus {
        phase: Some(phase.into()),
        ..running("id", true)
    };
    for kind in ProbeKind::ALL {
        let is_started = kind != ProbeKind::Startup;
        let table = [
            ("no status", None, "Always", Next::Wait, None),
            (
                "failed",
                Some(with_phase("Failed")),
                "Always",
                Next::End,
                None,
            ),
            (
                "succeeded",
                Some(with_phase("Succeeded")),
                "Always",
                Next::End,
                None,
            ),
            ("other", Some(other.clone()), "Always", Next::Wait, None),
            ("no id", Some(nameless.clone()), "Always", Next::Wait, None),
            (
                "waiting",
                Some(waiting.clone()),
                "Always",
                Next::Wait,
                Some(Failure),
            ),
            (
                "terminated",
                Some(terminated.clone()),
                "Always",
                Next::Wait,
                Some(Failure),
            ),
            (
                "terminated for good",
                Some(terminated.clone()),
                "Never",
                Next::End,
                Some(Failure),
            ),
            (
                "running",
                Some(running("id", is_started)),
                "Always",
                Next::Probe,
                Some(Success),
            ),
        ];
        for (case, status, policy, next, result) in table {
            let mut pod = pod_with(kind, json!({"successThreshold": 1}));
            pod.spec.as_mut().unwrap().restart_policy = Some(policy.into());
            let mut rig = Rig::in_pod(kind, &pod, None);
            assert_eq!(rig.turn(status.as_ref(), Success), next, "{kind} {case}");
            assert_eq!(rig.result, result, "{kind} {case}");
        }
    }
}

#[test]
fn do_probe_of_a_pod_that_is_deleted() {
    for kind in ProbeKind::ALL {
        let mut pod = pod_with(kind, json!({"failureThreshold": 1}));
        pod.metadata.deletion_timestamp =
            Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(at(50)));
        let mut rig = Rig::in_pod(kind, &pod, None);
        let status = running("id", kind != ProbeKind::Startup);
        let next = rig.turn(Some(&status), Failure);
        let expected = match kind {
            ProbeKind::Readiness => (Next::Probe, Some(Failure)),
            ProbeKind::Liveness | ProbeKind::Startup => (Next::End, Some(Success)),
        };
        assert_eq!((next, rig.result), expected, "{kind}");
    }
}

#[test]
fn do_probe_of_a_sidecar_goes_on_though_its_pod_is_not_restarted() {
    let pod: Pod = serde_json::from_value(json!({
        "metadata": {"name": "web", "namespace": "ns", "uid": "7"},
        "spec": {
            "restartPolicy": "Never",
            "initContainers": [{"name": "c", "restartPolicy": "Always", "livenessProbe": {}}],
            "containers": [],
        },
    }))
    .unwrap();
    let ended = json!({
        "name": "c", "containerID": "test://id", "state": {"terminated": {"exitCode": 0}},
    });
    let mut ended = status(&ended);
    ended.init_container_statuses = ended.container_statuses.take();
    let mut rig = Rig::in_pod(ProbeKind::Liveness, &pod, None);
    assert_eq!(rig.turn(Some(&ended), Success), Next::Wait);
    assert_eq!(rig.result, Some(Failure));
}

#[test]
fn initial_delay() {
    for kind in ProbeKind::ALL {
        let mut rig = Rig::of(kind, json!({"initialDelaySeconds": 10}));
        let status = running("id", kind != ProbeKind::Startup);
        rig.now = moment(0);
        assert_eq!(rig.turn(Some(&status), Success), Next::Wait, "{kind}");
        assert_eq!(rig.result, Some(initial(kind)), "{kind}");
        rig.now = moment(9);
        assert_eq!(rig.turn(Some(&status), Success), Next::Wait, "{kind}");
        rig.now = moment(10);
        assert_eq!(rig.turn(Some(&status), Success), Next::Probe, "{kind}");
        assert_eq!(rig.result, Some(Success), "{kind}");
    }
}

#[test]
fn failure_threshold() {
    let mut rig = Rig::of(
        ProbeKind::Readiness,
        json!({"successThreshold": 1, "failureThreshold": 3}),
    );
    for _ in 0..2 {
        for _ in 0..3 {
            assert_eq!(rig.probe(Success), Some(Success));
        }
        for _ in 0..2 {
            assert_eq!(rig.probe(Failure), Some(Success), "below the threshold");
        }
        for _ in 0..2 {
            assert_eq!(rig.probe(Failure), Some(Failure));
        }
    }
}

#[test]
fn success_threshold() {
    let mut rig = Rig::of(
        ProbeKind::Readiness,
        json!({"successThreshold": 3, "failureThreshold": 1}),
    );
    for _ in 0..2 {
        assert_eq!(rig.probe(Failure), Some(Failure));
        for _ in 0..2 {
            assert_eq!(rig.probe(Success), Some(Failure), "below the threshold");
        }
        for _ in 0..2 {
            assert_eq!(rig.probe(Success), Some(Success));
        }
    }
}

#[test]
fn startup_probe_success_threshold() {
    let mut rig = Rig::of(
        ProbeKind::Startup,
        json!({"successThreshold": 1, "failureThreshold": 3}),
    );
    assert_eq!(rig.turn(Some(&running("id", false)), Success), Next::Probe);
    assert_eq!(rig.result, Some(Success));
    // It has started: the probe asks no more, whatever the answer would be.
    for _ in 0..5 {
        assert_eq!(rig.turn(Some(&running("id", true)), Failure), Next::Wait);
        assert_eq!(rig.result, Some(Success));
    }
}

#[test]
fn startup_probe_failure_threshold() {
    let mut rig = Rig::of(
        ProbeKind::Startup,
        json!({"successThreshold": 1, "failureThreshold": 3}),
    );
    for _ in 0..2 {
        assert_eq!(rig.probe(Failure), Some(Unknown));
    }
    assert_eq!(rig.probe(Failure), Some(Failure));
    // On hold until there is another container.
    for _ in 0..5 {
        assert_eq!(rig.turn(Some(&running("id", false)), Success), Next::Wait);
        assert_eq!(rig.result, Some(Failure));
    }
}

#[test]
fn on_hold_on_liveness_or_startup_check_failure() {
    for kind in [ProbeKind::Liveness, ProbeKind::Startup] {
        let started = kind != ProbeKind::Startup;
        let mut rig = Rig::of(kind, json!({"failureThreshold": 1}));
        assert_eq!(rig.probe(Failure), Some(Failure));
        let same = running("id", started);
        assert_eq!(rig.turn(Some(&same), Success), Next::Wait, "{kind}");
        assert_eq!(rig.result, Some(Failure), "{kind}");
        let next = running("next", started);
        assert_eq!(rig.turn(Some(&next), Success), Next::Probe, "{kind}");
        assert_eq!(rig.result, Some(Success), "{kind}");
    }
    // Readiness goes on: nobody replaces the container.
    let mut rig = Rig::of(ProbeKind::Readiness, json!({"failureThreshold": 1}));
    assert_eq!(rig.probe(Failure), Some(Failure));
    assert_eq!(rig.probe(Success), Some(Success));
}

/// Answers to `TestResultRunOnLivenessCheckFailure` and `TestResultRunOnStartupCheckFailure`: the
/// failures of one container are not counted for the next.
#[test]
fn result_run_on_liveness_and_startup_check_failure() {
    for kind in [ProbeKind::Liveness, ProbeKind::Startup] {
        let started = kind != ProbeKind::Startup;
        let mut rig = Rig::of(kind, json!({"failureThreshold": 3}));
        for expected in [initial(kind), initial(kind), Failure] {
            assert_eq!(rig.probe(Failure), Some(expected), "{kind}");
        }
        let next = running("next", started);
        for expected in [initial(kind), initial(kind), Failure] {
            rig.turn(Some(&next), Failure);
            assert_eq!(rig.result, Some(expected), "{kind}");
        }
    }
}

#[test]
fn liveness_probe_disabled_by_started() {
    for kind in [ProbeKind::Liveness, ProbeKind::Readiness] {
        let mut rig = Rig::of(kind, json!({"failureThreshold": 1}));
        let next = rig.turn(Some(&running("id", false)), Failure);
        assert_eq!((next, rig.result), (Next::Wait, Some(initial(kind))));
        let next = rig.turn(Some(&running("id", true)), Failure);
        assert_eq!((next, rig.result), (Next::Probe, Some(Failure)));
    }
}

#[test]
fn startup_probe_disabled_by_started() {
    let mut rig = Rig::of(ProbeKind::Startup, json!({"failureThreshold": 1}));
    let next = rig.turn(Some(&running("id", false)), Success);
    assert_eq!((next, rig.result), (Next::Probe, Some(Success)));
    let next = rig.turn(Some(&running("id", true)), Failure);
    assert_eq!((next, rig.result), (Next::Wait, Some(Success)));
}

/// A container that ran before the agent did has no result until its probe answers.
#[test]
fn change_container_status_on_kubelet_restart() {
    for kind in [ProbeKind::Liveness, ProbeKind::Readiness] {
        for (inherited, result) in [(None, Some(initial(kind))), (Some("id"), None)] {
            let pod = pod_with(kind, json!({"initialDelaySeconds": 200}));
            let mut rig = Rig::in_pod(kind, &pod, inherited);
            let next = rig.turn(Some(&running("id", true)), Failure);
            assert_eq!((next, rig.result), (Next::Wait, result), "{kind}");
        }
    }
    let pod = pod_with(ProbeKind::Readiness, json!({"failureThreshold": 1}));
    let mut rig = Rig::in_pod(ProbeKind::Readiness, &pod, Some("id"));
    assert_eq!(rig.probe(Failure), Some(Failure));
    // A container that is new has its result at once.
    let waiting = json!({"name": "c", "containerID": "test://n", "state": {"waiting": {}}});
    rig.turn(Some(&status(&waiting)), Success);
    assert_eq!(rig.result, Some(Failure));
    assert_eq!(rig.engine.container(), Some(&id("n")));
}

/// The delay is that of the clock which nobody sets: the agent's may show another time than the
/// runtime's, and may be set.
#[test]
fn initial_delays_do_not_hang_on_clocks() {
    const PROBED_AT: i64 = 20;
    for (ahead, jump) in [(0, 0), (7200, 0), (-7200, 0), (0, 7200), (0, -7200)] {
        let probe = json!({"initialDelaySeconds": PROBED_AT});
        let mut rig = Rig::of(ProbeKind::Liveness, probe);
        let mut probed = Vec::new();
        // It is made at 1 s, seen in the next look, and runs by its runtime since then.
        for second in (0..60).step_by(2) {
            let set = if second > 10 { jump } else { 0 };
            rig.now = Moment {
                wall: at(second + ahead + set),
                at: moment(second).at,
            };
            let status = running_since("id", 1);
            let status = (second > 0).then_some(&status);
            if rig.turn(status, Success) == Next::Probe {
                probed.push(second);
            }
        }
        // It is not known more exactly than from look to look when it was started.
        let first = probed[0];
        assert!(
            (PROBED_AT..=PROBED_AT + 3).contains(&first),
            "{ahead} {jump}: {first}"
        );
        assert!(
            probed.is_sorted() && probed.last() == Some(&58),
            "{ahead} {jump}"
        );
    }
}

proptest! {
    /// Against a naive model: the result is that of the last run of equal answers that was as long
    /// as its threshold.
    #[test]
    fn results_are_those_of_the_last_run_that_was_long_enough(
        answers in prop::collection::vec(any::<bool>(), 0..60),
        success in 1_usize..4,
        failure in 1_usize..4,
    ) {
        let mut rig = Rig::of(
            ProbeKind::Readiness,
            json!({"successThreshold": success, "failureThreshold": failure}),
        );
        for (index, answer) in answers.iter().enumerate() {
            let result = rig.probe(if *answer { Success } else { Failure });
            let ends = (0..=index).rev();
            let long_enough = ends.map(|end| &answers[..=end]).find_map(|seen| {
                let last = *seen.last().unwrap();
                let run = seen.iter().rev().take_while(|it| **it == last).count();
                (run >= if last { success } else { failure }).then_some(last)
            });
            let expected = if long_enough.unwrap_or(false) { Success } else { Failure };
            prop_assert_eq!(result, Some(expected));
        }
    }
}
