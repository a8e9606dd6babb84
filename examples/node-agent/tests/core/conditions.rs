//! The conditions of a pod.

use k8s_openapi::api::core::v1::{ContainerStatus, PodCondition};
use node_agent::status::{
    containers_ready_condition, initialized_condition, ready_condition,
    ready_to_start_containers_condition,
};
use serde_json::json;

use crate::fixtures::{base_pod, in_sandbox, pod};
use crate::phase::{ended, running, started, waiting};

/// A case: what it is called, the statuses, the phase, what is told.
type Case = (
    &'static str,
    Option<Vec<ContainerStatus>>,
    &'static str,
    (&'static str, &'static str, &'static str),
);

fn told(condition: &PodCondition) -> (&str, &str, &str) {
    let text = |text: &Option<String>| text.clone().unwrap_or_default().leak() as &str;
    (
        condition.status.clone().leak(),
        text(&condition.reason),
        text(&condition.message),
    )
}

fn ready(name: &str) -> ContainerStatus {
    ContainerStatus {
        ready: true,
        ..started(name)
    }
}

fn done(name: &str) -> ContainerStatus {
    ContainerStatus {
        ready: true,
        ..ended(name, 0)
    }
}

#[test]
fn generate_containers_ready_condition() {
    let pod = pod(json!({
        "initContainers": [{"name": "i"}, {"name": "s", "restartPolicy": "Always"}],
        "containers": [{"name": "a"}, {"name": "b"}],
    }));
    let unready = "ContainersNotReady";
    let cases: [Case; 8] = [
        (
            "nothing is known",
            None,
            "Running",
            ("False", "UnknownContainerStatuses", ""),
        ),
        (
            "all are ready",
            Some(vec![ready("s"), ready("a"), ready("b")]),
            "Running",
            ("True", "", ""),
        ),
        (
            "one is unknown",
            Some(vec![ready("s"), ready("a")]),
            "Running",
            ("False", unready, "containers with unknown status: [b]"),
        ),
        (
            "two are not ready",
            Some(vec![running("s"), ready("a"), running("b")]),
            "Running",
            ("False", unready, "containers with unready status: [s b]"),
        ),
        (
            "one of each",
            Some(vec![ready("s"), running("a")]),
            "Running",
            (
                "False",
                unready,
                "containers with unknown status: [b], containers with unready status: [a]",
            ),
        ),
        (
            "succeeded",
            Some(vec![ended("s", 0), ended("a", 0), ended("b", 0)]),
            "Succeeded",
            ("False", "PodCompleted", ""),
        ),
        (
            "succeeded, and one is unknown",
            Some(vec![ready("s"), ready("a")]),
            "Succeeded",
            ("False", unready, "containers with unknown status: [b]"),
        ),
        (
            "failed",
            Some(vec![ready("s"), ready("a"), ready("b")]),
            "Failed",
            ("False", "PodFailed", ""),
        ),
    ];
    for (case, statuses, phase, expected) in cases {
        let condition = containers_ready_condition(&pod, statuses.as_deref(), phase);
        assert_eq!(condition.type_, "ContainersReady");
        assert_eq!(told(&condition), expected, "{case}");
        let condition = ready_condition(&pod, statuses.as_deref(), &[], phase);
        assert_eq!(condition.type_, "Ready");
        assert_eq!(told(&condition), expected, "{case}");
    }
}

#[test]
fn generate_pod_ready_condition() {
    let pod = pod(json!({
        "containers": [{"name": "a"}],
        "readinessGates": [{"conditionType": "example.com/lit"}, {"conditionType": "example.com/fed"}],
    }));
    let condition = |type_: &str, status: &str| PodCondition {
        type_: type_.into(),
        status: status.into(),
        ..Default::default()
    };
    let check = |conditions: &[PodCondition]| {
        let condition = ready_condition(&pod, Some(&[ready("a")]), conditions, "Running");
        let (status, reason, message) = told(&condition);
        (status.to_owned(), reason.to_owned(), message.to_owned())
    };
    let (lit, fed) = ("example.com/lit", "example.com/fed");
    let open = [condition(lit, "True"), condition(fed, "True")];
    assert_eq!(check(&open), ("True".into(), String::new(), String::new()));
    let closed = check(&[condition(lit, "False")]);
    assert_eq!(
        (&*closed.0, &*closed.1),
        ("False", "ReadinessGatesNotReady")
    );
    assert_eq!(
        closed.2,
        "the status of pod readiness gate \"example.com/lit\" is not \"True\", but False, \
         corresponding condition of pod readiness gate \"example.com/fed\" does not exist."
    );
}

#[test]
fn generate_pod_initialized_condition() {
    let pod = pod(json!({
        "initContainers": [{"name": "i"}, {"name": "s", "restartPolicy": "Always"}],
        "containers": [{"name": "a"}],
    }));
    let not = "ContainersNotInitialized";
    let cases: [Case; 8] = [
        (
            "nothing is known",
            None,
            "Pending",
            ("False", "UnknownContainerStatuses", ""),
        ),
        (
            "init runs",
            Some(vec![running("i"), waiting("s")]),
            "Pending",
            ("False", not, "containers with incomplete status: [i s]"),
        ),
        (
            "the sidecar is unknown",
            Some(vec![done("i")]),
            "Pending",
            ("False", not, "containers with unknown status: [s]"),
        ),
        (
            "the sidecar has not started",
            Some(vec![done("i"), running("s")]),
            "Pending",
            ("False", not, "containers with incomplete status: [s]"),
        ),
        (
            "all are done",
            Some(vec![done("i"), started("s")]),
            "Pending",
            ("True", "", ""),
        ),
        (
            "a regular one has run",
            Some(vec![running("i"), running("s"), ended("a", 1)]),
            "Running",
            ("True", "", ""),
        ),
        (
            "succeeded",
            Some(vec![done("i"), ended("s", 0), ended("a", 0)]),
            "Succeeded",
            ("True", "PodCompleted", ""),
        ),
        (
            "failed",
            Some(vec![ended("i", 1), waiting("s")]),
            "Failed",
            ("False", not, "containers with incomplete status: [i s]"),
        ),
    ];
    for (case, statuses, phase, expected) in cases {
        let condition = initialized_condition(&pod, statuses.as_deref(), phase);
        assert_eq!(condition.type_, "Initialized");
        assert_eq!(told(&condition), expected, "{case}");
    }
    let plain = base_pod("Always");
    assert_eq!(
        told(&initialized_condition(&plain, None, "Pending")),
        ("True", "", "")
    );
}

#[test]
fn generate_pod_ready_to_start_containers_condition() {
    let mut pod = base_pod("Always");
    pod.metadata.generation = Some(3);
    let mut observed = in_sandbox(&pod);
    let condition = ready_to_start_containers_condition(&pod, &observed);
    assert_eq!(
        (&*condition.type_, &*condition.status),
        ("PodReadyToStartContainers", "True")
    );
    assert_eq!(condition.observed_generation, Some(3));
    observed.sandboxes[0].is_ready = false;
    assert_eq!(
        ready_to_start_containers_condition(&pod, &observed).status,
        "False"
    );
    observed.sandboxes.clear();
    assert_eq!(
        ready_to_start_containers_condition(&pod, &observed).status,
        "False"
    );
}
