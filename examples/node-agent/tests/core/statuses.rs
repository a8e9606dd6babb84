//! The status of a pod as a whole.

use k8s_openapi::api::core::v1::{Pod, PodStatus};
use node_agent::probe::{ProbeKind, ProbeOutcome, ProbeResults};
use node_agent::runtime::{ContainerId, ObservedPod};
use node_agent::status::{Course, Eviction, StartFailures, StatusInputs, api_status};
use serde_json::{Value, json};

use crate::fixtures::{State, base_pod, in_sandbox, pod, running, set};

/// What a status is made of.
pub(crate) struct Made {
    pub(crate) pod: Pod,
    pub(crate) observed: ObservedPod,
    pub(crate) previous: PodStatus,
    pub(crate) course: Course,
    pub(crate) failures: StartFailures,
    pub(crate) eviction: Option<Eviction>,
    pub(crate) host_ips: Vec<&'static str>,
}

impl Made {
    pub(crate) fn of(pod: Pod, observed: ObservedPod) -> Self {
        Self {
            pod,
            observed,
            previous: PodStatus::default(),
            course: Course::Ongoing,
            failures: StartFailures::default(),
            eviction: None,
            host_ips: vec!["192.0.2.1"],
        }
    }

    pub(crate) fn status(&self) -> PodStatus {
        self.probed(&|_: ProbeKind, _: &ContainerId| None)
    }

    pub(crate) fn probed(&self, probes: &dyn ProbeResults) -> PodStatus {
        let host_ips: Vec<_> = self.host_ips.iter().map(|ip| ip.parse().unwrap()).collect();
        api_status(&StatusInputs {
            pod: &self.pod,
            observed: &self.observed,
            previous: &self.previous,
            course: self.course,
            failures: &self.failures,
            probes,
            eviction: self.eviction.as_ref(),
            qos_class: "BestEffort",
            host_ips: &host_ips,
        })
    }
}

fn conditions(status: &PodStatus) -> Value {
    let each = status.conditions.iter().flatten();
    each.map(|it| (it.type_.clone(), Value::from(it.status.clone())))
        .collect()
}

#[test]
fn generate_api_pod_status_of_a_running_pod() {
    let made = Made::of(base_pod("Always"), running(&base_pod("Always")));
    let status = made.status();
    assert_eq!(status.phase.as_deref(), Some("Running"));
    assert_eq!(status.qos_class.as_deref(), Some("BestEffort"));
    assert_eq!(
        conditions(&status),
        json!({"PodReadyToStartContainers": "True", "Initialized": "True", "Ready": "True",
            "ContainersReady": "True", "PodScheduled": "True"})
    );
    let wire = serde_json::to_value(&status).unwrap();
    assert_eq!(wire["hostIP"], "192.0.2.1");
    assert_eq!(wire["hostIPs"], json!([{"ip": "192.0.2.1"}]));
    assert_eq!(wire["podIP"], "10.0.0.1");
    assert_eq!(wire["podIPs"], json!([{"ip": "10.0.0.1"}]));
    let first = &wire["containerStatuses"][0];
    assert_eq!(first["containerID"], "test://foo1-id");
    assert_eq!(
        (&first["started"], &first["ready"]),
        (&json!(true), &json!(true))
    );
}

#[test]
fn generate_api_pod_status_terminal_phases() {
    // The phase of the source, of the status before, and what comes of it for a pod that runs.
    let cases = [
        (None, None, "Running"),
        (Some("Pending"), Some("Running"), "Running"),
        (Some("Running"), Some("Failed"), "Failed"),
        (Some("Failed"), Some("Running"), "Failed"),
        (Some("Succeeded"), Some("Failed"), "Succeeded"),
        (Some("Succeeded"), None, "Succeeded"),
    ];
    for (source, previous, expected) in cases {
        let mut made = Made::of(base_pod("Always"), running(&base_pod("Always")));
        let with = |phase: Option<&str>, reason: &str| PodStatus {
            phase: phase.map(str::to_owned),
            reason: Some(reason.into()),
            ..Default::default()
        };
        made.pod.status = Some(with(source, "Source"));
        made.previous = with(previous, "Previous");
        let status = made.status();
        assert_eq!(
            status.phase.as_deref(),
            Some(expected),
            "{source:?} {previous:?}"
        );
        let kept = (previous == Some(expected)).then_some("Previous");
        assert_eq!(status.reason.as_deref(), kept, "{source:?} {previous:?}");
    }
}

#[test]
fn generate_api_pod_status_with_reason_of_an_eviction() {
    let mut made = Made::of(base_pod("Always"), running(&base_pod("Always")));
    made.eviction = Some(Eviction {
        reason: "DeadlineExceeded".into(),
        message: "too long".into(),
        disruption: None,
    });
    let status = made.status();
    assert_eq!(status.phase.as_deref(), Some("Failed"));
    assert_eq!(status.reason.as_deref(), Some("DeadlineExceeded"));
    assert_eq!(conditions(&status)["Ready"], "False");
    assert!(
        conditions(&status)["DisruptionTarget"].is_null(),
        "it is the pod's own doing"
    );
    // What has ended well stays so, whoever has said it.
    made.pod.status.get_or_insert_default().phase = Some("Succeeded".into());
    assert_eq!(made.status().phase.as_deref(), Some("Succeeded"));
    made.pod.status = None;
    made.previous.phase = Some("Succeeded".into());
    let status = made.status();
    assert_eq!(status.phase.as_deref(), Some("Succeeded"));
    assert_eq!(status.reason, None);
}

/// Its containers may do as they are asked to, and end with 0.
#[test]
fn a_pod_that_the_node_ended_has_failed_however_its_containers_end() {
    let mut observed = running(&base_pod("Always"));
    for container in &mut observed.containers {
        set(container, State::Exited(0));
    }
    let mut made = Made::of(base_pod("Always"), observed);
    made.course = Course::Over;
    assert_eq!(made.status().phase.as_deref(), Some("Succeeded"));
    made.eviction = Some(Eviction {
        reason: "Evicted".into(),
        message: "the node was low".into(),
        disruption: Some("no room".into()),
    });
    // The status of the turn that ended it, and of the one that cleans up.
    for _ in 0..2 {
        let status = made.status();
        assert_eq!(status.phase.as_deref(), Some("Failed"));
        assert_eq!(status.reason.as_deref(), Some("Evicted"));
        assert_eq!(status.message.as_deref(), Some("the node was low"));
        assert_eq!(conditions(&status)["DisruptionTarget"], "True");
        made.previous = status;
        made.eviction = None;
    }
    // Nor is it told anew by somebody who comes later.
    made.eviction = Some(Eviction {
        reason: "DeadlineExceeded".into(),
        message: "too long".into(),
        disruption: None,
    });
    assert_eq!(made.status().reason.as_deref(), Some("Evicted"));
}

/// Answers to the conditions that `TestGenerateAPIPodStatus..` has of pods that the node ends.
#[test]
fn generate_api_pod_status_with_disruption_target() {
    let mut made = Made::of(base_pod("Always"), running(&base_pod("Always")));
    made.pod.metadata.generation = Some(3);
    made.eviction = Some(Eviction {
        reason: "Evicted".into(),
        message: "the node was low".into(),
        disruption: Some("no room".into()),
    });
    let target = |status: &PodStatus| {
        let conditions = status.conditions.iter().flatten();
        let mut targets = conditions.filter(|it| it.type_ == "DisruptionTarget");
        let target = serde_json::to_value(targets.next()).unwrap();
        assert!(targets.next().is_none(), "it is there once");
        target
    };
    let status = made.status();
    let expected = json!({
        "type": "DisruptionTarget", "status": "True", "reason": "TerminationByKubelet",
        "message": "no room", "observedGeneration": 3,
    });
    assert_eq!(target(&status), expected);
    // What somebody else has said before is not true any more, and what was said once stays.
    let others = json!([{"type": "DisruptionTarget", "status": "False", "reason": "Other"}]);
    made.pod.status = Some(serde_json::from_value(json!({"conditions": others})).unwrap());
    assert_eq!(target(&made.status()), expected);
    made.eviction = None;
    made.previous = status;
    assert_eq!(target(&made.status()), expected);
}

#[test]
fn generate_api_pod_status_keeps_conditions_of_others() {
    let mut made = Made::of(base_pod("Always"), running(&base_pod("Always")));
    let conditions_of = |value| {
        let status: PodStatus = serde_json::from_value(json!({"conditions": value})).unwrap();
        status
    };
    made.pod.status = Some(conditions_of(json!([
        {"type": "example.com/lit", "status": "True"},
        {"type": "Ready", "status": "False"},
    ])));
    made.previous = conditions_of(json!([{"type": "DisruptionTarget", "status": "True"}]));
    let seen = conditions(&made.status());
    assert_eq!(seen["example.com/lit"], "True");
    assert_eq!(seen["DisruptionTarget"], "True");
    assert_eq!(seen["Ready"], "True");
}

#[test]
fn generate_api_pod_status_pod_ips() {
    let ips = |host_network: bool, host: &[&'static str], pod_ips: &[&str], previous: &[&str]| {
        let pod = pod(json!({"hostNetwork": host_network, "containers": []}));
        let mut made = Made::of(pod.clone(), in_sandbox(&pod));
        made.host_ips = host.to_vec();
        made.observed.ips = pod_ips.iter().map(|ip| ip.parse().unwrap()).collect();
        let previous: Vec<_> = previous.iter().map(|ip| json!({"ip": ip})).collect();
        made.previous = serde_json::from_value(json!({"podIPs": previous})).unwrap();
        let status = made.status();
        let ips = status.pod_ips.unwrap_or_default();
        assert_eq!(status.pod_ip, ips.first().map(|ip| ip.ip.clone()));
        ips.into_iter().map(|ip| ip.ip).collect::<Vec<_>>()
    };
    assert_eq!(
        ips(
            false,
            &["192.0.2.1"],
            &["10.0.0.1", "10.0.0.2", "fd00::1"],
            &[]
        ),
        ["10.0.0.1", "fd00::1"]
    );
    assert_eq!(
        ips(false, &["2001:db8::1"], &["10.0.0.1", "fd00::1"], &[]),
        ["fd00::1", "10.0.0.1"]
    );
    assert_eq!(ips(false, &[], &["10.0.0.1"], &[]), ["10.0.0.1"]);
    assert_eq!(ips(true, &["192.0.2.1"], &[], &[]), ["192.0.2.1"]);
    assert_eq!(
        ips(true, &["192.0.2.1", "2001:db8::1"], &[], &[]),
        ["192.0.2.1", "2001:db8::1"]
    );
    assert_eq!(
        ips(true, &["192.0.2.9", "2001:db8::1"], &[], &["192.0.2.1"]),
        ["192.0.2.1", "2001:db8::1"]
    );
    assert_eq!(
        ips(true, &["192.0.2.9"], &[], &["192.0.2.1"]),
        ["192.0.2.1"]
    );
}

#[test]
fn probes_say_who_has_started_and_is_ready() {
    let pod = pod(json!({
        "initContainers": [{"name": "i"}],
        "containers": [{
            "name": "a",
            "startupProbe": {"exec": {"command": ["up"]}},
            "readinessProbe": {"exec": {"command": ["ready"]}},
        }],
    }));
    let observed = running(&pod);
    let seen = |made: &Made, startup, readiness| {
        let status = made.probed(&|kind, _: &ContainerId| match kind {
            ProbeKind::Startup => startup,
            ProbeKind::Readiness => readiness,
            ProbeKind::Liveness => None,
        });
        let regular = &status.container_statuses.unwrap()[0];
        (regular.started, regular.ready)
    };
    let (success, failure) = (Some(ProbeOutcome::Success), Some(ProbeOutcome::Failure));
    let mut made = Made::of(pod, observed);
    assert_eq!(seen(&made, None, None), (Some(false), false));
    assert_eq!(seen(&made, failure, success), (Some(false), false));
    assert_eq!(seen(&made, success, None), (Some(true), false));
    assert_eq!(seen(&made, success, failure), (Some(true), false));
    assert_eq!(seen(&made, success, success), (Some(true), true));

    // An agent that is started later believes what was said, until a probe says otherwise.
    made.previous = made.probed(&|_: ProbeKind, _: &ContainerId| success);
    assert_eq!(seen(&made, None, None), (Some(true), true));
    assert_eq!(seen(&made, None, failure), (Some(true), false));
    made.observed.containers[0].id = crate::fixtures::id("another");
    assert_eq!(
        seen(&made, None, None),
        (Some(false), false),
        "it was said of another one"
    );

    set(&mut made.observed.containers[0], State::Exited(0));
    assert_eq!(seen(&made, success, success), (Some(false), false));
    let init = made.status().init_container_statuses.unwrap();
    assert!(!init[0].ready, "an init container that is not done");
}
