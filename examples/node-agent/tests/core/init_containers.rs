//! What is done about init containers and sidecars.

use k8s_openapi::api::core::v1::Pod;
use node_agent::probe::{ProbeKind, ProbeOutcome};
use node_agent::runtime::{
    ContainerId, ObservedPod, SandboxAction, compute_pod_actions, superseded_init_containers,
};
use serde_json::{Value, json};

use crate::fixtures::{State, add, id, in_sandbox, pod, set};

/// What is expected, in short.
#[derive(Debug, Default, PartialEq)]
struct Expected {
    kill_pod: bool,
    create_sandbox: bool,
    init: Vec<usize>,
    regular: Vec<usize>,
    kill: Vec<String>,
}

/// A case: what it is called, the policy, the containers there are, what is done.
type Case = (
    &'static str,
    &'static str,
    Vec<(&'static str, State)>,
    Expected,
);

fn compute(
    pod: &Pod,
    observed: &ObservedPod,
    probes: &impl Fn(ProbeKind, &ContainerId) -> Option<ProbeOutcome>,
) -> Expected {
    let actions = compute_pod_actions(pod, observed, probes);
    let kill = actions.containers_to_kill.iter();
    Expected {
        kill_pod: actions.kill_pod,
        create_sandbox: matches!(actions.sandbox, SandboxAction::Create { .. }),
        init: actions.init_containers_to_start,
        regular: actions.containers_to_start,
        kill: kill.map(|it| it.name.to_string()).collect(),
    }
}

/// A pod with three init containers and three regular ones.
fn init_pod(policy: &str, init: &Value) -> Pod {
    let named = |name| json!({"name": name, "image": "busybox"});
    let init = ["init1", "init2", "init3"].map(|name| {
        let mut container = named(name);
        for (key, value) in init.as_object().unwrap() {
            container[key] = value.clone();
        }
        container
    });
    pod(json!({
        "restartPolicy": policy,
        "initContainers": init,
        "containers": [named("foo1"), named("foo2"), named("foo3")],
    }))
}

fn observe(pod: &Pod, containers: &[(&str, State)]) -> ObservedPod {
    let mut observed = in_sandbox(pod);
    for (name, state) in containers {
        add(&mut observed, pod, name, *state);
    }
    observed
}

const DONE: State = State::Exited(0);
const ALL_DONE: [(&str, State); 3] = [("init1", DONE), ("init2", DONE), ("init3", DONE)];

fn starts(init: &[usize]) -> Expected {
    Expected {
        init: init.into(),
        ..Default::default()
    }
}

#[test]
fn compute_pod_actions_with_init_containers() {
    let all = || Expected {
        regular: vec![0, 1, 2],
        ..Default::default()
    };
    let killed = || Expected {
        kill_pod: true,
        ..Default::default()
    };
    let cases: Vec<Case> = vec![
        (
            "all done: regular ones start",
            "Always",
            ALL_DONE.into(),
            all(),
        ),
        (
            "none was started: the first starts",
            "Always",
            vec![],
            starts(&[0]),
        ),
        (
            "the first is done: the second starts",
            "Always",
            vec![("init1", DONE)],
            starts(&[1]),
        ),
        (
            "one runs: it is waited for",
            "Always",
            vec![("init1", DONE), ("init2", State::Running)],
            starts(&[]),
        ),
        (
            "one failed: it restarts under Always",
            "Always",
            vec![
                ("init1", DONE),
                ("init2", DONE),
                ("init3", State::Exited(111)),
            ],
            starts(&[2]),
        ),
        (
            "one failed: it restarts under OnFailure",
            "OnFailure",
            vec![("init1", DONE), ("init2", State::Exited(111))],
            starts(&[1]),
        ),
        (
            "one failed: the pod is killed under Never",
            "Never",
            vec![("init1", DONE), ("init2", State::Exited(111))],
            killed(),
        ),
        (
            "one is unknown: it is killed and starts",
            "Always",
            vec![("init1", DONE), ("init2", State::Unknown)],
            Expected {
                init: vec![1],
                kill: vec!["init2".into()],
                ..Default::default()
            },
        ),
        (
            "one is unknown: it is killed and starts under OnFailure",
            "OnFailure",
            vec![("init1", State::Unknown)],
            Expected {
                init: vec![0],
                kill: vec!["init1".into()],
                ..Default::default()
            },
        ),
        (
            "one is unknown: the pod is killed under Never",
            "Never",
            vec![("init1", DONE), ("init2", State::Unknown)],
            killed(),
        ),
        (
            "one was made and not started: it starts",
            "Never",
            vec![("init1", DONE), ("init2", State::Created)],
            starts(&[1]),
        ),
        (
            "the runtime forgot all but the last: it proves them",
            "Always",
            vec![("init3", DONE)],
            all(),
        ),
        (
            "the runtime forgot all, but a regular one runs",
            "Always",
            vec![("foo1", State::Running)],
            Expected {
                regular: vec![1, 2],
                ..Default::default()
            },
        ),
        (
            "the runtime forgot all, but a regular one was made",
            "Always",
            vec![("foo1", State::Created)],
            all(),
        ),
        (
            "regular ones that ended are of another sandbox",
            "Always",
            vec![("foo1", DONE)],
            starts(&[0]),
        ),
    ];
    for (case, policy, containers, expected) in cases {
        let pod = init_pod(policy, &json!({}));
        let observed = observe(&pod, &containers);
        assert_eq!(compute(&pod, &observed, &|_, _| None), expected, "{case}");
    }
}

#[test]
fn compute_pod_actions_with_init_containers_and_no_sandbox() {
    let created = || Expected {
        kill_pod: true,
        create_sandbox: true,
        init: vec![0],
        ..Default::default()
    };
    let abandoned = || Expected {
        kill_pod: true,
        ..Default::default()
    };
    let finished = [("foo1", DONE), ("foo2", DONE), ("foo3", DONE)];
    let cases: Vec<Case> = vec![
        (
            "a new pod starts from the first",
            "Always",
            vec![],
            created(),
        ),
        (
            "all start anew under Always",
            "Always",
            ALL_DONE.into(),
            created(),
        ),
        (
            "an initialization that failed starts anew under OnFailure",
            "OnFailure",
            vec![("init1", State::Exited(1))],
            created(),
        ),
        (
            "an initialization is not tried again under Never",
            "Never",
            vec![("init1", DONE)],
            abandoned(),
        ),
        (
            "a pod that never had a container starts under Never",
            "Never",
            vec![],
            created(),
        ),
        (
            "what failed starts anew under OnFailure",
            "OnFailure",
            [
                ALL_DONE.as_slice(),
                &[("foo1", DONE), ("foo2", State::Exited(1)), ("foo3", DONE)],
            ]
            .concat(),
            created(),
        ),
        (
            "nothing is left to do under OnFailure",
            "OnFailure",
            [ALL_DONE, finished].concat(),
            abandoned(),
        ),
        (
            "nothing is left to do, and init containers are forgotten",
            "OnFailure",
            finished.into(),
            abandoned(),
        ),
    ];
    check_without_sandbox(&json!({}), cases);
}

/// The cases of a pod whose sandbox is there and not ready.
fn check_without_sandbox(init: &Value, cases: Vec<Case>) {
    for (case, policy, containers, expected) in cases {
        let pod = init_pod(policy, init);
        let mut observed = observe(&pod, &containers);
        observed.sandboxes[0].is_ready = false;
        assert_eq!(compute(&pod, &observed, &|_, _| None), expected, "{case}");
    }
}

#[test]
fn compute_pod_actions_with_restartable_init_containers() {
    let all = |init: &[usize]| Expected {
        init: init.into(),
        regular: vec![0, 1, 2],
        ..Default::default()
    };
    let run = State::Running;
    let running = [("init1", run), ("init2", run), ("init3", run)];
    let regular = [("foo1", run), ("foo2", run), ("foo3", run)];
    let ended = [("foo1", DONE), ("foo2", DONE), ("foo3", DONE)];
    let cases: Vec<Case> = vec![
        (
            "none was started: the first starts",
            "Always",
            vec![],
            starts(&[0]),
        ),
        (
            "the first runs: the second starts",
            "Always",
            vec![("init1", run)],
            starts(&[1]),
        ),
        (
            "all run: regular ones start",
            "Always",
            running.into(),
            all(&[]),
        ),
        (
            "all is well",
            "Always",
            [running, regular].concat(),
            starts(&[]),
        ),
        (
            "one that ended restarts, whatever the policy",
            "Never",
            [
                &[("init1", run), ("init2", State::Exited(0)), ("init3", run)][..],
                &regular,
            ]
            .concat(),
            starts(&[1]),
        ),
        (
            "one that failed restarts",
            "OnFailure",
            [
                &[("init1", State::Exited(1)), ("init2", run), ("init3", run)][..],
                &regular,
            ]
            .concat(),
            starts(&[0]),
        ),
        (
            "one that failed restarts while the pod starts, and the next waits",
            "Always",
            vec![("init1", run), ("init2", State::Exited(1))],
            starts(&[1]),
        ),
        (
            "the last ended: it restarts, and regular ones wait",
            "Always",
            vec![("init1", run), ("init2", run), ("init3", DONE)],
            starts(&[2]),
        ),
        (
            "all are gone beside a running pod",
            "Always",
            regular.into(),
            starts(&[0, 1, 2]),
        ),
        (
            "one is unknown",
            "Always",
            [
                &[("init1", run), ("init2", State::Unknown), ("init3", run)][..],
                &regular,
            ]
            .concat(),
            Expected {
                init: vec![1],
                kill: vec!["init2".into()],
                ..Default::default()
            },
        ),
        (
            "one is unknown under Never",
            "Never",
            [
                &[("init1", run), ("init2", State::Unknown), ("init3", run)][..],
                &regular,
            ]
            .concat(),
            Expected {
                init: vec![1],
                kill: vec!["init2".into()],
                ..Default::default()
            },
        ),
        (
            "one was made and not started",
            "Always",
            vec![("init1", run), ("init2", State::Created)],
            starts(&[1]),
        ),
        (
            "they keep no pod alive that is done",
            "OnFailure",
            [
                &[("init1", run), ("init2", run), ("init3", run)][..],
                &ended,
            ]
            .concat(),
            Expected {
                kill_pod: true,
                ..Default::default()
            },
        ),
        (
            "nor are they restarted then",
            "Never",
            [
                &[("init1", State::Exited(1)), ("init2", run), ("init3", run)][..],
                &ended,
            ]
            .concat(),
            Expected {
                kill_pod: true,
                ..Default::default()
            },
        ),
    ];
    for (case, policy, containers, expected) in cases {
        let pod = init_pod(policy, &json!({"restartPolicy": "Always"}));
        let observed = observe(&pod, &containers);
        assert_eq!(compute(&pod, &observed, &|_, _| None), expected, "{case}");
    }
}

/// The rows of upstream's table of restartable init containers whose sandbox is not ready.
#[test]
fn compute_pod_actions_with_restartable_init_containers_and_no_sandbox() {
    let created = || Expected {
        kill_pod: true,
        create_sandbox: true,
        init: vec![0],
        ..Default::default()
    };
    let failed = || {
        vec![
            ("init1", State::Exited(1)),
            ("init2", State::Running),
            ("init3", State::Running),
        ]
    };
    let cases: Vec<Case> = vec![
        (
            "one failed: only the pod is killed under Never",
            "Never",
            failed(),
            Expected {
                kill_pod: true,
                ..Default::default()
            },
        ),
        (
            "none was ever there: all start even under Never",
            "Never",
            vec![],
            created(),
        ),
        (
            "one failed: all start anew under OnFailure",
            "OnFailure",
            failed(),
            created(),
        ),
        (
            "one failed: all start anew under Always",
            "Always",
            failed(),
            created(),
        ),
    ];
    check_without_sandbox(&json!({"restartPolicy": "Always"}), cases);
}

#[test]
fn compute_pod_actions_with_probed_restartable_init_containers() {
    let run = State::Running;
    let probed = json!({
        "restartPolicy": "Always",
        "startupProbe": {"exec": {"command": ["up"]}},
        "livenessProbe": {"exec": {"command": ["alive"]}},
    });
    let pod = init_pod("Always", &probed);
    let first = observe(&pod, &[("init1", run)]);
    let startup = |outcome| {
        move |kind, _: &ContainerId| (kind == ProbeKind::Startup).then_some(outcome).flatten()
    };
    assert_eq!(
        compute(&pod, &first, &startup(None)),
        starts(&[]),
        "not probed yet"
    );
    let unknown = startup(Some(ProbeOutcome::Unknown));
    assert_eq!(compute(&pod, &first, &unknown), starts(&[]), "not up yet");
    let success = startup(Some(ProbeOutcome::Success));
    assert_eq!(compute(&pod, &first, &success), starts(&[1]), "up");
    let failure = startup(Some(ProbeOutcome::Failure));
    let restarted = Expected {
        init: vec![0],
        kill: vec!["init1".into()],
        ..Default::default()
    };
    assert_eq!(
        compute(&pod, &first, &failure),
        restarted,
        "failed to come up"
    );

    let all = observe(
        &pod,
        &[
            ("init1", run),
            ("init2", run),
            ("init3", run),
            ("foo1", run),
            ("foo2", run),
            ("foo3", run),
        ],
    );
    let dying = |kind, of: &ContainerId| match kind {
        ProbeKind::Liveness if *of == id("init2-id") => Some(ProbeOutcome::Failure),
        _ => Some(ProbeOutcome::Success),
    };
    let restarted = Expected {
        init: vec![1],
        kill: vec!["init2".into()],
        ..Default::default()
    };
    assert_eq!(compute(&pod, &all, &dying), restarted, "failed to live");

    // One that is not alive lets the next one start all the same.
    let dying = |kind, _: &ContainerId| match kind {
        ProbeKind::Liveness => Some(ProbeOutcome::Failure),
        _ => Some(ProbeOutcome::Success),
    };
    let both = Expected {
        init: vec![0, 1],
        kill: vec!["init1".into()],
        ..Default::default()
    };
    assert_eq!(compute(&pod, &first, &dying), both, "up and not alive");
}

#[test]
fn an_image_changed_replaces_a_sidecar_but_no_init_container_that_is_done() {
    let change = |init: &Value| {
        let mut pod = init_pod("Always", init);
        let run = State::Running;
        let state = if init.get("restartPolicy").is_some() {
            run
        } else {
            DONE
        };
        let observed = observe(
            &pod,
            &[
                ("init1", state),
                ("init2", state),
                ("init3", state),
                ("foo1", run),
                ("foo2", run),
                ("foo3", run),
            ],
        );
        let init = pod.spec.as_mut().unwrap().init_containers.as_mut().unwrap();
        init[1].image = Some("newer".into());
        compute(&pod, &observed, &|_, _| None)
    };
    assert_eq!(change(&json!({})), starts(&[]));
    let replaced = Expected {
        init: vec![1],
        kill: vec!["init2".into()],
        ..Default::default()
    };
    assert_eq!(change(&json!({"restartPolicy": "Always"})), replaced);
}

#[test]
fn prune_init_containers() {
    let pod = init_pod("Always", &json!({}));
    let mut observed = in_sandbox(&pod);
    let mut number = 0;
    let mut push = |name, state| {
        add(&mut observed, &pod, name, state);
        set(&mut observed.containers[0], state);
        number += 1;
        observed.containers[0].id = id(&number.to_string());
    };
    push("init1", State::Exited(1));
    push("init1", State::Unknown);
    push("init1", DONE);
    push("init2", DONE);
    push("init2", State::Running);
    push("foo1", DONE);
    push("foo1", DONE);
    // Newest first: of init1 the third stays, of init2 the one that ended stays beside the one that runs.
    assert_eq!(
        superseded_init_containers(&pod, &observed),
        [id("2"), id("1")]
    );
}
