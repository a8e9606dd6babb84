//! The statuses of containers.

use node_agent::pod::PodUid;
use node_agent::status::StartFailure;
use serde_json::{Value, json};

use crate::fixtures::{State, add, at, base_pod, id, in_sandbox, pod, set};
use crate::statuses::Made;

/// A pod with one container, after some runs of it, the oldest first.
fn made(policy: &str, runs: &[State]) -> Made {
    let pod = pod(json!({"restartPolicy": policy, "containers": [{"name": "a", "image": "web"}]}));
    let mut observed = in_sandbox(&pod);
    for (number, state) in (0..).zip(runs) {
        add(&mut observed, &pod, "a", *state);
        let newest = &mut observed.containers[0];
        newest.restart_count = number;
        newest.id = id(&number.to_string());
    }
    Made::of(pod, observed)
}

fn first(made: &Made) -> Value {
    serde_json::to_value(&made.status().container_statuses.unwrap()[0]).unwrap()
}

/// The state in a word, with the exit code or the reason.
fn word(state: &Value) -> String {
    let Some((word, rest)) = state.as_object().and_then(|it| it.iter().next()) else {
        return "none".into();
    };
    match (&rest["exitCode"], &rest["reason"]) {
        (Value::Number(code), _) => format!("{word} {code}"),
        (_, Value::String(reason)) => format!("{word} {reason}"),
        _ => word.clone(),
    }
}

fn words(made: &Made) -> (String, String, i64) {
    let status = first(made);
    let count = status["restartCount"].as_i64().unwrap();
    (word(&status["state"]), word(&status["lastState"]), count)
}

fn told(state: &str, last: &str, count: i64) -> (String, String, i64) {
    (state.into(), last.into(), count)
}

#[test]
fn convert_to_api_container_statuses() {
    use State::{Created, Exited, Running, Unknown};
    let cases: [(&[State], _); 8] = [
        (&[], told("waiting ContainerCreating", "none", 0)),
        (&[Created], told("waiting", "none", 0)),
        (&[Running], told("running", "none", 0)),
        (&[Exited(3)], told("terminated 3", "none", 0)),
        (&[Exited(3), Running], told("running", "terminated 3", 1)),
        (
            &[Exited(1), Exited(2), Running],
            told("running", "terminated 2", 2),
        ),
        (
            &[Exited(1), Exited(2)],
            told("terminated 2", "terminated 1", 1),
        ),
        (&[Unknown], told("waiting", "none", 0)),
    ];
    for (runs, expected) in cases {
        assert_eq!(words(&made("Always", runs)), expected, "{runs:?}");
    }
    let ended = first(&made("Always", &[Exited(3)]));
    assert_eq!(
        ended["state"]["terminated"],
        json!({"exitCode": 3, "containerID": "test://0",
            "startedAt": at(2).to_string(), "finishedAt": at(3).to_string()})
    );
}

#[test]
fn restarts_that_were_told_are_not_taken_back() {
    use State::{Created, Exited};
    let before = made("Always", &[Exited(1), Created]);
    assert_eq!(words(&before), told("waiting", "terminated 1", 1));
    // The agent was killed before it started the container, and the next one removes that.
    let mut made = made("Always", &[Exited(1)]);
    made.previous = before.status();
    assert_eq!(words(&made), told("terminated 1", "none", 1));
}

#[test]
fn containers_that_the_runtime_lost_have_ended() {
    let mut made = made("Always", &[State::Running]);
    made.previous = made.status();
    made.observed.containers.clear();
    assert_eq!(
        words(&made),
        told("waiting ContainerCreating", "terminated 137", 1)
    );
    assert_eq!(
        made.status().phase.as_deref(),
        Some("Running"),
        "it is not a pod that never ran"
    );
    let status = first(&made);
    assert_eq!(
        status["lastState"]["terminated"]["reason"],
        "ContainerStatusUnknown"
    );

    // What is being deleted is not restarted.
    let time = k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(at(9));
    made.pod.metadata.deletion_timestamp = Some(time);
    assert_eq!(
        words(&made),
        told("waiting ContainerCreating", "terminated 137", 0)
    );

    // The status that was told of it last says how it ended.
    let mut ended = self::made("Never", &[State::Exited(3)]);
    ended.previous = ended.status();
    ended.observed.containers.clear();
    assert_eq!(words(&ended), told("terminated 3", "none", 0));

    // The runtime does not know whether one runs that was said to.
    let mut unknown = self::made("Always", &[State::Running]);
    unknown.previous = unknown.status();
    set(&mut unknown.observed.containers[0], State::Unknown);
    assert_eq!(words(&unknown), told("terminated 137", "none", 1));
}

#[test]
fn generate_api_pod_status_with_reason_cache() {
    let fail = |made: &mut Made, reason: &str| {
        let failure = StartFailure {
            reason: reason.into(),
            message: "because".into(),
        };
        made.failures.record(&PodUid::of(&made.pod), "a", failure);
    };
    let mut fresh = made("Always", &[]);
    fail(&mut fresh, "ErrImagePull");
    assert_eq!(words(&fresh), told("waiting ErrImagePull", "none", 0));
    assert_eq!(first(&fresh)["state"]["waiting"]["message"], "because");
    fresh.failures.started(&PodUid::of(&fresh.pod), "a");
    assert_eq!(words(&fresh), told("waiting ContainerCreating", "none", 0));

    for (policy, runs, expected) in [
        (
            "Always",
            &[State::Exited(0)][..],
            told("waiting CrashLoopBackOff", "terminated 0", 0),
        ),
        (
            "Always",
            &[State::Exited(1), State::Exited(2)],
            told("waiting CrashLoopBackOff", "terminated 2", 1),
        ),
        (
            "OnFailure",
            &[State::Exited(1)],
            told("waiting CrashLoopBackOff", "terminated 1", 0),
        ),
        (
            "OnFailure",
            &[State::Exited(0)],
            told("terminated 0", "none", 0),
        ),
        (
            "Never",
            &[State::Exited(1)],
            told("terminated 1", "none", 0),
        ),
        ("Always", &[State::Running], told("running", "none", 0)),
    ] {
        let mut made = made(policy, runs);
        fail(&mut made, "CrashLoopBackOff");
        assert_eq!(words(&made), expected, "{policy} {runs:?}");
    }
}

#[test]
fn init_containers_come_in_their_order_and_others_by_name() {
    let named = |name| json!({"name": name});
    let pod = pod(json!({
        "initContainers": [named("z"), {"name": "y", "restartPolicy": "Always"}, named("x")],
        "containers": [named("c"), named("b")],
        "ephemeralContainers": [named("f"), named("e")],
    }));
    let observed = in_sandbox(&pod);
    let status = Made::of(pod, observed).status();
    let names = |statuses: &Option<Vec<k8s_openapi::api::core::v1::ContainerStatus>>| {
        let each = statuses.iter().flatten();
        each.map(|it| it.name.clone()).collect::<Vec<_>>()
    };
    assert_eq!(names(&status.init_container_statuses), ["z", "y", "x"]);
    assert_eq!(names(&status.container_statuses), ["b", "c"]);
    assert_eq!(names(&status.ephemeral_container_statuses), ["e", "f"]);
    let waiting = &status.container_statuses.unwrap()[0].state;
    let waiting = waiting.as_ref().and_then(|it| it.waiting.as_ref());
    assert_eq!(
        waiting.and_then(|it| it.reason.as_deref()),
        Some("PodInitializing")
    );
}

#[test]
fn a_sidecar_that_crashes_tells_so_whatever_the_policy() {
    let pod = pod(json!({
        "restartPolicy": "Never",
        "initContainers": [{"name": "s", "restartPolicy": "Always"}],
        "containers": [{"name": "a"}],
    }));
    let mut observed = in_sandbox(&pod);
    add(&mut observed, &pod, "s", State::Exited(0));
    let mut made = Made::of(pod, observed);
    let failure = StartFailure {
        reason: "CrashLoopBackOff".into(),
        message: String::new(),
    };
    made.failures.record(&PodUid::of(&made.pod), "s", failure);
    let status = serde_json::to_value(made.status().init_container_statuses).unwrap();
    assert_eq!(word(&status[0]["state"]), "waiting CrashLoopBackOff");
    assert_eq!(word(&status[0]["lastState"]), "terminated 0");
}

#[test]
fn failures_are_forgotten_with_their_pod() {
    let pod = base_pod("Always");
    let uid = PodUid::of(&pod);
    let mut failures = node_agent::status::StartFailures::default();
    let failure = StartFailure {
        reason: "ErrImagePull".into(),
        message: "no".into(),
    };
    failures.record(&uid, "foo1", failure.clone());
    assert_eq!(failures.get(&uid, "foo1"), Some(&failure));
    assert_eq!(failures.get(&uid, "foo2"), None);
    failures.retain(|_| false);
    assert_eq!(failures.get(&uid, "foo1"), None);
}
