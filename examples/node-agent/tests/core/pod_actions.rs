//! What is done about regular containers and sandboxes.

use k8s_openapi::api::core::v1::Pod;
use node_agent::probe::{ProbeKind, ProbeOutcome};
use node_agent::runtime::{
    ContainerId, KillReason, ObservedPod, PodActions, SandboxAction, compute_pod_actions,
    unneeded_init_containers,
};
use serde_json::json;

use crate::fixtures::{State, add, base_pod, id, in_sandbox, pod, running, set};

/// Nobody probes.
fn none(_: ProbeKind, _: &ContainerId) -> Option<ProbeOutcome> {
    None
}

/// What is expected, in short.
#[derive(Debug, PartialEq)]
struct Expected<'a> {
    kill_pod: bool,
    /// The attempt of the sandbox to make.
    sandbox: Option<u32>,
    start: &'a [usize],
    kill: &'a [&'a str],
}

const NOTHING: Expected<'_> = Expected {
    kill_pod: false,
    sandbox: None,
    start: &[],
    kill: &[],
};

fn check(case: &str, actions: &PodActions, expected: &Expected<'_>) {
    let kill: Vec<_> = actions
        .containers_to_kill
        .iter()
        .map(|it| &*it.name)
        .collect();
    let seen = Expected {
        kill_pod: actions.kill_pod,
        sandbox: match actions.sandbox {
            SandboxAction::Create { attempt, .. } => Some(attempt),
            _ => None,
        },
        start: &actions.containers_to_start,
        kill: &kill,
    };
    assert_eq!(&seen, expected, "{case}");
    assert_eq!(actions.init_containers_to_start, [] as [usize; 0], "{case}");
    assert_eq!(actions.is_empty(), *expected == NOTHING, "{case}");
}

/// A case: what it is called, the policy, what happened to the pod that ran, what is done.
type Case = (
    &'static str,
    &'static str,
    fn(&mut Pod, &mut ObservedPod),
    Expected<'static>,
);

fn exit(observed: &mut ObservedPod, codes: [Option<i32>; 3]) {
    for (container, code) in observed.containers.iter_mut().zip(codes) {
        if let Some(code) = code {
            set(container, State::Exited(code));
        }
    }
}

/// Upstream's `TestComputePodActions`, without its rows of resizes in place and restart rules.
#[test]
fn compute_pod_actions_table() {
    let cases: &[Case] = &[
        ("everything is good", "Always", |_, _| {}, NOTHING),
        (
            "a new pod gets a sandbox and all containers",
            "Always",
            |_, observed| {
                observed.sandboxes.clear();
                observed.containers.clear();
            },
            Expected {
                kill_pod: true,
                sandbox: Some(0),
                start: &[0, 1, 2],
                kill: &[],
            },
        ),
        (
            "exited containers restart under Always",
            "Always",
            |_, observed| exit(observed, [Some(0), Some(111), None]),
            Expected {
                start: &[0, 1],
                ..NOTHING
            },
        ),
        (
            "failed containers restart under OnFailure",
            "OnFailure",
            |_, observed| exit(observed, [Some(0), Some(111), None]),
            Expected {
                start: &[1],
                ..NOTHING
            },
        ),
        (
            "no containers restart under Never",
            "Never",
            |_, observed| exit(observed, [Some(0), Some(111), None]),
            NOTHING,
        ),
        (
            "a pod that is being deleted starts nothing",
            "Always",
            |pod, observed| {
                let time = crate::fixtures::at(5);
                pod.metadata.deletion_timestamp =
                    Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(time));
                exit(observed, [Some(0), Some(111), None]);
            },
            NOTHING,
        ),
        (
            "a dead sandbox is made again with all containers under Always",
            "Always",
            |_, observed| observed.sandboxes[0].is_ready = false,
            Expected {
                kill_pod: true,
                sandbox: Some(1),
                start: &[0, 1, 2],
                kill: &[],
            },
        ),
        (
            "a dead sandbox is made again with all containers under OnFailure",
            "OnFailure",
            |_, observed| observed.sandboxes[0].is_ready = false,
            Expected {
                kill_pod: true,
                sandbox: Some(1),
                start: &[0, 1, 2],
                kill: &[],
            },
        ),
        (
            "a dead sandbox is made again without what succeeded under OnFailure",
            "OnFailure",
            |_, observed| {
                observed.sandboxes[0].is_ready = false;
                exit(observed, [None, Some(0), None]);
            },
            Expected {
                kill_pod: true,
                sandbox: Some(1),
                start: &[0, 2],
                kill: &[],
            },
        ),
        (
            "two ready sandboxes are one too many",
            "Always",
            |_, observed| {
                let mut newer = observed.sandboxes[0].clone();
                newer.attempt = 1;
                observed.sandboxes.insert(0, newer);
            },
            Expected {
                kill_pod: true,
                sandbox: Some(2),
                start: &[0, 1, 2],
                kill: &[],
            },
        ),
        (
            "a sandbox in the wrong network is made again",
            "Always",
            |_, observed| observed.sandboxes[0].is_host_network = true,
            Expected {
                kill_pod: true,
                sandbox: Some(1),
                start: &[0, 1, 2],
                kill: &[],
            },
        ),
        (
            "a sandbox without an address is made again",
            "Always",
            |_, observed| {
                observed.sandboxes[0].lacks_address = true;
                observed.sandboxes[0].ips.clear();
            },
            Expected {
                kill_pod: true,
                sandbox: Some(1),
                start: &[0, 1, 2],
                kill: &[],
            },
        ),
        (
            "a sandbox whose address cannot be read is left alone",
            "Always",
            |_, observed| observed.sandboxes[0].ips.clear(),
            NOTHING,
        ),
        (
            "a sandbox of the host's network needs no address",
            "Always",
            |pod, observed| {
                pod.spec.as_mut().unwrap().host_network = Some(true);
                observed.sandboxes[0].is_host_network = true;
                observed.sandboxes[0].lacks_address = true;
                observed.sandboxes[0].ips.clear();
            },
            NOTHING,
        ),
        (
            "a container whose image changed is replaced",
            "Never",
            |pod, _| pod.spec.as_mut().unwrap().containers[1].image = Some("newer".into()),
            Expected {
                start: &[1],
                kill: &["foo2"],
                ..NOTHING
            },
        ),
        (
            "no sandbox for a pod that is done under Never",
            "Never",
            |_, observed| {
                observed.sandboxes[0].is_ready = false;
                exit(observed, [Some(1), Some(2), Some(0)]);
            },
            Expected {
                kill_pod: true,
                ..NOTHING
            },
        ),
        (
            "no sandbox for a pod that ran under Never",
            "Never",
            |_, observed| {
                observed.sandboxes[0].is_ready = false;
                exit(observed, [Some(1), None, None]);
            },
            Expected {
                kill_pod: true,
                ..NOTHING
            },
        ),
        (
            "a sandbox for a pod under Never that never had a container",
            "Never",
            |_, observed| {
                observed.sandboxes[0].is_ready = false;
                observed.sandboxes[0].attempt = 1;
                observed.containers.clear();
            },
            Expected {
                kill_pod: true,
                sandbox: Some(2),
                start: &[0, 1, 2],
                kill: &[],
            },
        ),
        (
            "a sandbox that is gone altogether is made again even under Never",
            "Never",
            |_, observed| {
                observed.sandboxes.clear();
                exit(observed, [Some(1), None, None]);
            },
            Expected {
                kill_pod: true,
                sandbox: Some(0),
                start: &[0, 1, 2],
                kill: &[],
            },
        ),
        (
            "no sandbox for a pod that succeeded under OnFailure",
            "OnFailure",
            |_, observed| {
                observed.sandboxes[0].is_ready = false;
                exit(observed, [Some(0); 3]);
            },
            Expected {
                kill_pod: true,
                ..NOTHING
            },
        ),
        (
            "a container in unknown state is killed and started",
            "Always",
            |_, observed| set(&mut observed.containers[1], State::Unknown),
            Expected {
                start: &[1],
                kill: &["foo2"],
                ..NOTHING
            },
        ),
        (
            "a container that was made and not started is started",
            "Never",
            |_, observed| set(&mut observed.containers[1], State::Created),
            Expected {
                start: &[1],
                ..NOTHING
            },
        ),
        (
            "a pod all of whose containers are done is killed",
            "OnFailure",
            |_, observed| exit(observed, [Some(0); 3]),
            Expected {
                kill_pod: true,
                ..NOTHING
            },
        ),
        (
            "the newest container of a name counts",
            "Always",
            |_, observed| {
                let mut older = observed.containers[1].clone();
                set(&mut older, State::Exited(1));
                observed.containers.push(older);
            },
            NOTHING,
        ),
    ];
    for (case, policy, happened, expected) in cases {
        let mut pod = base_pod(policy);
        let mut observed = running(&pod);
        happened(&mut pod, &mut observed);
        check(case, &compute_pod_actions(&pod, &observed, &none), expected);
    }
}

#[test]
fn compute_pod_actions_for_failed_probes() {
    for (kind, reason) in [
        (ProbeKind::Liveness, KillReason::LivenessProbe),
        (ProbeKind::Startup, KillReason::StartupProbe),
    ] {
        for (policy, start) in [("Always", &[1][..]), ("OnFailure", &[1]), ("Never", &[])] {
            let pod = base_pod(policy);
            let probes = |asked: ProbeKind, of: &ContainerId| {
                let failed = asked == kind && *of == id("foo2-id");
                failed.then_some(ProbeOutcome::Failure)
            };
            let actions = compute_pod_actions(&pod, &running(&pod), &probes);
            let expected = Expected {
                start,
                kill: &["foo2"],
                ..NOTHING
            };
            check(policy, &actions, &expected);
            assert_eq!(actions.containers_to_kill[0].reason, reason);
        }
        // Readiness, and what is not known, kill nobody.
        let pod = base_pod("Always");
        for outcome in [ProbeOutcome::Unknown, ProbeOutcome::Success] {
            let probes = |_: ProbeKind, _: &ContainerId| Some(outcome);
            check(
                "alive",
                &compute_pod_actions(&pod, &running(&pod), &probes),
                &NOTHING,
            );
        }
        let unready = |asked, _: &ContainerId| {
            (asked == ProbeKind::Readiness).then_some(ProbeOutcome::Failure)
        };
        check(
            "unready",
            &compute_pod_actions(&pod, &running(&pod), &unready),
            &NOTHING,
        );
    }
}

#[test]
fn compute_pod_actions_says_why() {
    let mut pod = base_pod("Always");
    let observed = running(&pod);
    pod.spec.as_mut().unwrap().containers[0].image = Some("newer".into());
    let probes = |kind, of: &ContainerId| {
        let failed = kind == ProbeKind::Liveness && *of == id("foo2-id");
        failed.then_some(ProbeOutcome::Failure)
    };
    let actions = compute_pod_actions(&pod, &observed, &probes);
    let messages: Vec<_> = actions
        .containers_to_kill
        .iter()
        .map(|it| &it.message)
        .collect();
    assert_eq!(
        messages,
        [
            "Container foo1 definition changed, will be restarted",
            "Container foo2 failed liveness probe, will be restarted",
        ]
    );
}

#[test]
fn compute_pod_actions_with_init_and_ephemeral_containers() {
    let pod = pod(json!({
        "restartPolicy": "Always",
        "initContainers": [{"name": "init1", "image": "busybox"}],
        "containers": [{"name": "foo1", "image": "busybox"}],
        "ephemeralContainers": [{"name": "debug", "image": "busybox"}],
    }));
    let compute = |observed: &ObservedPod| {
        let actions = compute_pod_actions(&pod, observed, &none);
        (
            actions.kill_pod,
            actions.ephemeral_containers_to_start,
            actions.init_containers_to_start,
            actions.containers_to_start,
        )
    };

    let mut observed = running(&pod);
    assert_eq!(
        compute(&observed),
        (false, vec![0], vec![], vec![]),
        "it starts beside a running pod"
    );
    add(&mut observed, &pod, "debug", State::Running);
    assert_eq!(
        compute(&observed),
        (false, vec![], vec![], vec![]),
        "it runs"
    );
    set(&mut observed.containers[0], State::Exited(42));
    assert_eq!(
        compute(&observed),
        (false, vec![], vec![], vec![]),
        "it is never restarted"
    );
    set(&mut observed.containers[0], State::Unknown);
    assert_eq!(
        compute(&observed),
        (false, vec![], vec![], vec![]),
        "nor when it is unknown"
    );

    let mut initializing = in_sandbox(&pod);
    add(&mut initializing, &pod, "init1", State::Running);
    assert_eq!(
        compute(&initializing),
        (false, vec![0], vec![], vec![]),
        "it does not wait for others"
    );

    observed.sandboxes.clear();
    assert_eq!(
        compute(&observed),
        (true, vec![], vec![0], vec![]),
        "a new sandbox comes first"
    );

    initializing.sandboxes[0].is_ready = false;
    assert_eq!(
        unneeded_init_containers(&pod, &initializing),
        [id("init1-id")]
    );
}
