//! How a new status meets the one before.

use k8s_openapi::api::core::v1::{ContainerStatus, Pod, PodStatus};
use node_agent::status::{Containers, finish, merge, settle};
use serde_json::{Value, json};

use crate::fixtures::{at, base_pod, pod};
use crate::phase::{again, ended, running, started, waiting};

fn status(value: Value) -> PodStatus {
    serde_json::from_value(value).unwrap()
}

fn condition(type_: &str, status: &str) -> Value {
    json!({"type": type_, "status": status})
}

/// The phase, its reason and the conditions of a merged status.
fn merged(old: Value, new: Value, containers: Containers) -> (Value, Value, Vec<String>) {
    let (old, new) = (status(old), status(new));
    let merged = merge(&base_pod("Never"), &old, new, containers, at(100));
    let wire = serde_json::to_value(&merged).unwrap();
    let each = merged.conditions.iter().flatten();
    let told = each.map(|it| {
        let reason = it.reason.as_deref().map(|reason| format!(" {reason}"));
        format!("{}={}{}", it.type_, it.status, reason.unwrap_or_default())
    });
    (
        wire["phase"].clone(),
        wire["reason"].clone(),
        told.collect(),
    )
}

#[test]
fn merge_pod_status() {
    use Containers::{MayRun, Stopped};
    let old = json!({"phase": "Running", "reason": "Old", "conditions": [condition("example.com/lit", "True"), condition("Ready", "True"), condition("PodScheduled", "True")]});
    let with = |phase: &str, conditions: Vec<Value>| json!({"phase": phase, "reason": "New", "conditions": conditions});
    let ready = || {
        vec![
            condition("Ready", "True"),
            condition("ContainersReady", "True"),
        ]
    };

    // Of the new status only the agent's own conditions count, of the old one only those of others.
    let new = with(
        "Running",
        vec![
            condition("Ready", "False"),
            condition("example.com/lit", "False"),
            condition("example.com/fed", "True"),
        ],
    );
    assert_eq!(
        merged(old.clone(), new, MayRun).2,
        ["example.com/lit=True", "Ready=False"]
    );

    // A phase that is not terminal is told with its reason.
    let (phase, reason, _) = merged(old.clone(), with("Running", vec![]), MayRun);
    assert_eq!((phase, reason), (json!("Running"), json!("New")));

    // A terminal phase is withheld while containers may run.
    let (phase, reason, conditions) = merged(old.clone(), with("Failed", ready()), MayRun);
    assert_eq!((phase, reason), (json!("Running"), json!("Old")));
    assert_eq!(
        conditions,
        ["example.com/lit=True", "Ready=True", "ContainersReady=True"]
    );

    // When they do not, it is told, and the pod is not ready.
    for (end, why) in [("Failed", "PodFailed"), ("Succeeded", "PodCompleted")] {
        let (phase, reason, conditions) = merged(old.clone(), with(end, ready()), Stopped);
        assert_eq!((phase, reason), (json!(end), json!("New")));
        let unready = [
            format!("Ready=False {why}"),
            format!("ContainersReady=False {why}"),
        ];
        assert_eq!(conditions[1..], unready);
    }

    // A terminal phase that was told stays told.
    let over = json!({"phase": "Failed"});
    assert_eq!(merged(over, with("Failed", ready()), MayRun).0, "Failed");

    // That a pod is disrupted is told with its end, not before.
    let disrupted = || vec![condition("DisruptionTarget", "True")];
    let (_, _, conditions) = merged(old.clone(), with("Failed", disrupted()), Stopped);
    assert_eq!(
        conditions,
        ["example.com/lit=True", "DisruptionTarget=True"]
    );
    let (_, _, conditions) = merged(old.clone(), with("Failed", disrupted()), MayRun);
    assert_eq!(conditions, ["example.com/lit=True"]);
    let (_, _, conditions) = merged(old.clone(), with("Running", disrupted()), MayRun);
    assert_eq!(conditions, ["example.com/lit=True"]);

    // It is said of the time when it is told, unless it was told before.
    let since = |old: Value| {
        let mut target = condition("DisruptionTarget", "True");
        target["lastTransitionTime"] = json!(at(7).to_string());
        let new = status(with("Failed", vec![target]));
        let merged = merge(&base_pod("Never"), &status(old), new, Stopped, at(100));
        let mut conditions = merged.conditions.into_iter().flatten();
        let told = conditions.find(|it| it.type_ == "DisruptionTarget");
        told.unwrap().last_transition_time.unwrap().0
    };
    assert_eq!(since(old), at(100));
    let mut told = condition("DisruptionTarget", "True");
    told["lastTransitionTime"] = json!(at(5).to_string());
    assert_eq!(
        since(json!({"phase": "Running", "conditions": [told]})),
        at(5)
    );
}

#[test]
fn settled_statuses_keep_their_times() {
    let pod = base_pod("Always");
    let old = status(json!({
        "startTime": at(0).to_string(),
        "conditions": [
            {"type": "Ready", "status": "True", "lastTransitionTime": at(1).to_string()},
            {"type": "ContainersReady", "status": "True", "lastTransitionTime": at(1).to_string()},
        ],
    }));
    let lit = json!({"type": "example.com/lit", "status": "True", "lastTransitionTime": at(5).to_string()});
    let new = status(json!({"conditions": [
        condition("Ready", "False"), condition("ContainersReady", "True"), condition("Initialized", "True"), lit,
    ]}));
    let now = at(9) + jiff::SignedDuration::from_millis(700);
    let settled = settle(&pod, &old, new.clone(), now).unwrap();
    let times: Vec<_> = settled
        .conditions
        .iter()
        .flatten()
        .map(|it| it.last_transition_time.as_ref().unwrap().0)
        .collect();
    assert_eq!(times, [at(9), at(1), at(9), at(5)]);
    assert_eq!(settled.start_time.as_ref().unwrap().0, at(0));

    let first = settle(&pod, &PodStatus::default(), new, now).unwrap();
    assert_eq!(first.start_time.as_ref().unwrap().0, at(9));
    assert_eq!(
        settle(&pod, &first, first.clone(), at(100)),
        Ok(first),
        "it changes no more"
    );
}

#[test]
fn last_words_are_cut() {
    let pod = base_pod("Always");
    let said = |bytes: usize| ContainerStatus {
        state: serde_json::from_value(
            json!({"terminated": {"exitCode": 1, "message": "ü".repeat(bytes / 2)}}),
        )
        .unwrap(),
        ..ended("foo1", 1)
    };
    let new = PodStatus {
        container_statuses: Some(vec![said(12_000), said(20_000), said(4_000)]),
        ..Default::default()
    };
    let settled = settle(&pod, &PodStatus::default(), new, at(0)).unwrap();
    let lengths = settled.container_statuses.iter().flatten().map(|it| {
        let end = it.state.as_ref().unwrap().terminated.as_ref().unwrap();
        end.message.as_ref().unwrap().len()
    });
    assert_eq!(lengths.collect::<Vec<_>>(), [4096, 4096, 4000]);
}

#[test]
fn check_container_state_transition() {
    let check = |policy: &str, old: ContainerStatus, new: ContainerStatus| {
        let pod = pod(json!({
            "restartPolicy": policy,
            "initContainers": [{"name": "i"}, {"name": "s", "restartPolicy": "Always"}],
            "containers": [{"name": "a"}],
        }));
        let of = |it: ContainerStatus| {
            let is_regular = it.name == "a";
            let list = Some(vec![it]);
            if is_regular {
                PodStatus {
                    container_statuses: list,
                    ..Default::default()
                }
            } else {
                PodStatus {
                    init_container_statuses: list,
                    ..Default::default()
                }
            }
        };
        settle(&pod, &of(old), of(new), at(0))
            .map(|_| ())
            .map_err(|error| error.container)
    };
    for name in ["a", "i"] {
        let refused = Err(name.to_owned());
        for (policy, code, expected) in [
            ("Always", 0, Ok(())),
            ("Always", 1, Ok(())),
            ("OnFailure", 0, refused.clone()),
            ("OnFailure", 1, Ok(())),
            ("Never", 0, refused.clone()),
            ("Never", 1, refused),
        ] {
            for new in [running(name), waiting(name), again(name, code)] {
                assert_eq!(
                    check(policy, ended(name, code), new),
                    expected,
                    "{policy} {code} {name}"
                );
            }
            assert_eq!(check(policy, ended(name, code), ended(name, code)), Ok(()));
            assert_eq!(check(policy, running(name), waiting(name)), Ok(()));
        }
    }
    assert_eq!(
        check("Never", ended("s", 0), running("s")),
        Ok(()),
        "a sidecar restarts"
    );
}

/// A pod with an init container, a sidecar and two regular ones, finished with these statuses.
fn finished(
    init: Vec<ContainerStatus>,
    regular: Vec<ContainerStatus>,
) -> (Vec<Option<i32>>, Vec<Option<i32>>, String) {
    let pod = pod(json!({
        "initContainers": [{"name": "i"}, {"name": "s", "restartPolicy": "Always"}],
        "containers": [{"name": "a"}, {"name": "b"}],
    }));
    finished_of(&pod, init, regular, "Running")
}

fn finished_of(
    pod: &Pod,
    init: Vec<ContainerStatus>,
    regular: Vec<ContainerStatus>,
    phase: &str,
) -> (Vec<Option<i32>>, Vec<Option<i32>>, String) {
    let before = PodStatus {
        phase: Some(phase.into()),
        init_container_statuses: Some(init),
        container_statuses: Some(regular),
        ..Default::default()
    };
    let status = finish(pod, before);
    let codes = |statuses: Option<Vec<ContainerStatus>>| {
        let each = statuses.unwrap().into_iter();
        each.map(|it| Some(it.state?.terminated?.exit_code))
            .collect()
    };
    (
        codes(status.init_container_statuses),
        codes(status.container_statuses),
        status.phase.unwrap(),
    )
}

#[test]
fn terminate_pod_default_unknown_status() {
    let unseen = Some(137);
    let failed = || "Failed".to_owned();
    assert_eq!(
        finished(
            vec![ended("i", 0), started("s")],
            vec![running("a"), ended("b", 3)]
        ),
        (vec![Some(0), unseen], vec![unseen, Some(3)], failed()),
        "who ran has ended"
    );
    assert_eq!(
        finished(
            vec![ended("i", 0), waiting("s")],
            vec![waiting("a"), waiting("b")]
        ),
        (vec![Some(0), None], vec![None, None], failed()),
        "who was never started has not"
    );
    assert_eq!(
        finished(
            vec![waiting("i"), waiting("s")],
            vec![waiting("a"), waiting("b")]
        ),
        (vec![unseen, None], vec![None, None], failed()),
        "the first was tried"
    );
    assert_eq!(
        finished(
            vec![again("i", 1), waiting("s")],
            vec![waiting("a"), waiting("b")]
        )
        .0,
        [Some(1), None],
        "it was to be restarted"
    );
    let plain = pod(json!({"containers": [{"name": "a"}]}));
    assert_eq!(
        finished_of(&plain, vec![], vec![waiting("a")], "Pending"),
        (vec![], vec![unseen], failed()),
        "nothing kept it from starting"
    );
}

/// Containers that wait and were never started still do when the pod is finished.
#[test]
fn terminate_pod_waiting() {
    let mut pod = pod(json!({
        "initContainers": [{"name": "one"}, {"name": "two"}, {"name": "three"}],
        "containers": [{"name": "a"}, {"name": "b"}],
    }));
    let waits = |name: &str| {
        let state = json!({"waiting": {"reason": "PodInitializing", "message": "not yet"}});
        ContainerStatus {
            state: serde_json::from_value(state).unwrap(),
            ..waiting(name)
        }
    };
    let before = PodStatus {
        phase: Some("Pending".into()),
        init_container_statuses: Some(vec![again("one", 2), running("two"), waits("three")]),
        container_statuses: Some(vec![waits("a"), waits("b")]),
        ..Default::default()
    };
    let status = finish(&pod, before.clone());
    assert_eq!(status.phase.as_deref(), Some("Failed"));
    let init = status.init_container_statuses.unwrap();
    // Upstream tells 137 of this one as well, though it is known how it ended.
    assert_eq!(init[0].state, again("one", 2).last_state);
    let unseen = init[1].state.as_ref().unwrap().terminated.as_ref().unwrap();
    assert_eq!(unseen.exit_code, 137);
    assert_eq!(unseen.reason.as_deref(), Some("ContainerStatusUnknown"));
    assert_eq!(init[2], waits("three"));
    assert_eq!(status.container_statuses, before.container_statuses);

    // Without init containers nothing kept them from being started.
    pod.spec.as_mut().unwrap().init_containers = None;
    let before = PodStatus {
        init_container_statuses: None,
        ..before
    };
    for seen in finish(&pod, before).container_statuses.unwrap() {
        let ended = seen.state.unwrap().terminated.unwrap();
        assert_eq!(ended.exit_code, 137);
    }
}

#[test]
fn terminate_pod_ensures_terminal_phase() {
    let mut pod = pod(json!({"containers": [{"name": "a"}]}));
    let phase = |pod: &Pod, phase| finished_of(pod, vec![], vec![ended("a", 0)], phase).2;
    for (before, expected) in [
        ("Pending", "Failed"),
        ("Running", "Failed"),
        ("Failed", "Failed"),
        ("Succeeded", "Succeeded"),
    ] {
        assert_eq!(phase(&pod, before), expected);
    }
    pod.metadata.annotations = Some([("kubernetes.io/config.source".into(), "file".into())].into());
    assert_eq!(
        phase(&pod, "Running"),
        "Running",
        "a static pod starts anew"
    );
}

#[test]
fn claims_are_left_to_those_who_made_them() {
    let old = status(json!({
        "resourceClaimStatuses": [{"name": "gpu", "resourceClaimName": "gpu-1"}],
        "extendedResourceClaimStatus": {"resourceClaimName": "gpu-2", "requestMappings": []},
    }));
    let merged = merge(
        &base_pod("Never"),
        &old,
        PodStatus::default(),
        Containers::MayRun,
        at(100),
    );
    assert_eq!(merged.resource_claim_statuses, old.resource_claim_statuses);
    assert_eq!(
        merged.extended_resource_claim_status,
        old.extended_resource_claim_status
    );
}
