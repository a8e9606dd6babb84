//! The phase of a pod, by the statuses of its containers.

use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use node_agent::status::{Course, pod_phase};
use serde_json::{Value, json};

use crate::fixtures::pod;

#[expect(
    clippy::needless_pass_by_value,
    reason = "tables write states in place"
)]
pub(crate) fn status(name: &str, state: Value, last: Value) -> ContainerStatus {
    serde_json::from_value(json!({
        "name": name, "image": "", "imageID": "", "ready": false, "restartCount": 0,
        "state": state, "lastState": last,
    }))
    .unwrap()
}

pub(crate) fn running(name: &str) -> ContainerStatus {
    status(name, json!({"running": {}}), json!({}))
}

pub(crate) fn started(name: &str) -> ContainerStatus {
    ContainerStatus {
        started: Some(true),
        ..running(name)
    }
}

pub(crate) fn ended(name: &str, code: i32) -> ContainerStatus {
    status(name, json!({"terminated": {"exitCode": code}}), json!({}))
}

pub(crate) fn waiting(name: &str) -> ContainerStatus {
    status(name, json!({"waiting": {}}), json!({}))
}

/// It waits to be restarted.
pub(crate) fn again(name: &str, code: i32) -> ContainerStatus {
    status(
        name,
        json!({"waiting": {}}),
        json!({"terminated": {"exitCode": code}}),
    )
}

/// A pod with containers `a` and `b`, and these init containers.
fn pod_of(policy: &str, init: &Value) -> Pod {
    pod(json!({
        "restartPolicy": policy,
        "initContainers": init,
        "containers": [{"name": "a"}, {"name": "b"}],
    }))
}

type Case = (&'static str, Vec<ContainerStatus>, &'static str);

/// Checks a table twice: the pod goes on, and it is over, where that makes another phase.
fn check(policy: &str, init: &Value, cases: Vec<Case>, over: &[(&str, &str)]) {
    let pod = pod_of(policy, init);
    for (case, statuses, expected) in cases {
        let phase = pod_phase(&pod, &statuses, Course::Ongoing);
        assert_eq!(phase, expected, "{policy}: {case}");
        let at_the_end = over.iter().find(|(name, _)| *name == case);
        let expected = at_the_end.map_or(expected, |(_, phase)| phase);
        let phase = pod_phase(&pod, &statuses, Course::Over);
        assert_eq!(phase, expected, "{policy}: {case}, and that is the end");
    }
}

fn regular_cases(done: &'static str, failed: &'static str, mixed: &'static str) -> Vec<Case> {
    vec![
        ("nothing is known", vec![], "Pending"),
        ("all run", vec![running("a"), running("b")], "Running"),
        ("all are done", vec![ended("a", 0), ended("b", 0)], done),
        ("all failed", vec![ended("a", 1), ended("b", 1)], failed),
        ("one failed", vec![ended("a", 0), ended("b", 1)], mixed),
        ("one runs", vec![running("a"), ended("b", 0)], "Running"),
        (
            "one runs, one failed",
            vec![running("a"), ended("b", 1)],
            "Running",
        ),
        ("one is unknown", vec![running("a")], "Pending"),
        (
            "one waits for its first run",
            vec![running("a"), waiting("b")],
            "Pending",
        ),
        (
            "one waits to run again",
            vec![running("a"), again("b", 1)],
            "Running",
        ),
        (
            "a status says nothing",
            vec![running("a"), status("b", json!({}), json!({}))],
            "Pending",
        ),
    ]
}

#[test]
fn pod_phase_with_restart_always() {
    let over = [
        ("all are done", "Succeeded"),
        ("all failed", "Failed"),
        ("one failed", "Failed"),
    ];
    check(
        "Always",
        &json!([]),
        regular_cases("Running", "Running", "Running"),
        &over,
    );
    let both = vec![(
        "all wait to run again",
        vec![again("a", 1), again("b", 1)],
        "Running",
    )];
    check(
        "Always",
        &json!([]),
        both,
        &[("all wait to run again", "Failed")],
    );
}

#[test]
fn pod_phase_with_restart_never() {
    check(
        "Never",
        &json!([]),
        regular_cases("Succeeded", "Failed", "Failed"),
        &[],
    );
}

#[test]
fn pod_phase_with_restart_on_failure() {
    let over = [("all failed", "Failed"), ("one failed", "Failed")];
    check(
        "OnFailure",
        &json!([]),
        regular_cases("Succeeded", "Running", "Running"),
        &over,
    );
}

#[test]
fn a_static_pod_is_never_over() {
    let mut pod = pod_of("Always", &json!([]));
    let source = ("kubernetes.io/config.source".to_owned(), "file".to_owned());
    pod.metadata.annotations = Some([source].into());
    let statuses = [ended("a", 1), ended("b", 0)];
    assert_eq!(pod_phase(&pod, &statuses, Course::Over), "Running");
}

fn init_cases(failed: &'static str) -> Vec<Case> {
    let and = |mut init: Vec<ContainerStatus>, regular: [ContainerStatus; 2]| {
        init.extend(regular);
        init
    };
    let wait = || [waiting("a"), waiting("b")];
    let run = || [running("a"), running("b")];
    vec![
        ("init is unknown", wait().into(), "Pending"),
        ("init runs", and(vec![running("i")], wait()), "Pending"),
        ("init failed", and(vec![ended("i", 1)], wait()), failed),
        (
            "init waits to run again",
            and(vec![again("i", 1)], wait()),
            failed,
        ),
        (
            "init waits for its first run",
            and(vec![waiting("i")], wait()),
            "Pending",
        ),
        (
            "init is done, regular ones wait",
            and(vec![ended("i", 0)], wait()),
            "Pending",
        ),
        (
            "init is done, regular ones run",
            and(vec![ended("i", 0)], run()),
            "Running",
        ),
        (
            "init is forgotten, regular ones run",
            run().into(),
            "Running",
        ),
    ]
}

#[test]
fn pod_phase_with_restart_always_init_containers() {
    check(
        "Always",
        &json!([{"name": "i"}]),
        init_cases("Pending"),
        &[],
    );
}

#[test]
fn pod_phase_with_restart_never_init_containers() {
    check("Never", &json!([{"name": "i"}]), init_cases("Failed"), &[]);
}

#[test]
fn pod_phase_with_restart_on_failure_init_containers() {
    check(
        "OnFailure",
        &json!([{"name": "i"}]),
        init_cases("Pending"),
        &[],
    );
}

#[test]
fn pod_phase_with_restart_always_and_pod_has_run() {
    let init = json!([{"name": "i"}, {"name": "s", "restartPolicy": "Always"}]);
    let cases = vec![
        (
            "init runs once more beside a regular one",
            vec![running("i"), started("s"), running("a"), running("b")],
            "Running",
        ),
        (
            "the sidecar restarts",
            vec![ended("i", 0), running("s"), running("a"), running("b")],
            "Running",
        ),
        (
            "the sidecar failed",
            vec![ended("i", 0), ended("s", 1), running("a"), running("b")],
            "Running",
        ),
        (
            "init runs once more in a new sandbox",
            vec![running("i"), waiting("s"), again("a", 0), again("b", 0)],
            "Pending",
        ),
    ];
    check("Always", &init, cases, &[]);
}

fn sidecar_cases(done: &'static str, failed: &'static str) -> Vec<Case> {
    let wait = [waiting("a"), waiting("b")];
    let run = [running("a"), running("b")];
    let with = |sidecar: ContainerStatus, regular: &[ContainerStatus]| {
        [std::slice::from_ref(&sidecar), regular].concat()
    };
    vec![
        ("the sidecar is unknown", wait.clone().into(), "Pending"),
        (
            "the sidecar is unknown beside running ones",
            run.clone().into(),
            "Pending",
        ),
        (
            "the sidecar has not started",
            with(running("s"), &wait),
            "Pending",
        ),
        ("the sidecar started", with(started("s"), &wait), "Pending"),
        (
            "the sidecar started, and all run",
            with(started("s"), &run),
            "Running",
        ),
        (
            "the sidecar waits for its first run",
            with(waiting("s"), &wait),
            "Pending",
        ),
        (
            "the sidecar waits to run again",
            with(again("s", 1), &run),
            "Running",
        ),
        (
            "the sidecar runs, all are done",
            with(started("s"), &[ended("a", 0), ended("b", 0)]),
            "Running",
        ),
        (
            "the sidecar failed, all are done",
            with(ended("s", 137), &[ended("a", 0), ended("b", 0)]),
            done,
        ),
        (
            "the sidecar is done, one failed",
            with(ended("s", 0), &[ended("a", 0), ended("b", 1)]),
            failed,
        ),
    ]
}

#[test]
fn pod_phase_with_restart_always_restartable_init_containers() {
    let init = json!([{"name": "s", "restartPolicy": "Always"}]);
    let over = [
        ("the sidecar failed, all are done", "Succeeded"),
        ("the sidecar is done, one failed", "Failed"),
    ];
    check("Always", &init, sidecar_cases("Running", "Running"), &over);
}

#[test]
fn pod_phase_with_restart_never_restartable_init_containers() {
    let init = json!([{"name": "s", "restartPolicy": "Always"}]);
    check("Never", &init, sidecar_cases("Succeeded", "Failed"), &[]);
}

#[test]
fn pod_phase_with_restart_on_failure_restartable_init_containers() {
    let init = json!([{"name": "s", "restartPolicy": "Always"}]);
    let over = [("the sidecar is done, one failed", "Failed")];
    check(
        "OnFailure",
        &init,
        sidecar_cases("Succeeded", "Running"),
        &over,
    );
}
