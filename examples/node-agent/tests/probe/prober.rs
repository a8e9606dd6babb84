//! What is made of one answer, and who is told; answers to `prober/prober_test.go`.

use k8s_openapi::api::core::v1::Pod;
use node_agent::event::{EventRecorder, EventType};
use node_agent::probe::{Answer, ProbeError, ProbeKind, ProbeOutcome, Prober, Target};
use serde_json::json;

use crate::fixtures::{Script, good, id, pod_with};

fn broken() -> Result<Answer, ProbeError> {
    Err(ProbeError::Answer("exec error".to_owned()))
}

/// Probes once; the result, the event and how often the target was asked.
async fn probe(
    kind: ProbeKind,
    pod: &Pod,
    script: &Script,
) -> (Option<ProbeOutcome>, Option<String>) {
    let (events, mut recorded) = EventRecorder::channel(8);
    let prober = Prober::new(script.clone(), events);
    let container = &pod.spec.as_ref().unwrap().containers[0];
    let id = id("id");
    let outcome = prober.probe(kind, pod, container, &id, "127.0.0.1");
    let outcome = outcome.await.ok();
    let event = recorded.try_recv().ok().map(|event| {
        assert_eq!(event.event_type, EventType::Warning);
        let path = event.object.field_path.unwrap();
        assert_eq!(path, "spec.containers{c}");
        format!("{} {}", event.reason, event.message)
    });
    assert!(recorded.try_recv().is_err());
    (outcome, event)
}

#[tokio::test(start_paused = true)]
async fn probe_table() {
    let exec = json!({"exec": {"command": ["true"]}});
    let failure = || Ok(Answer::Failure("no".into()));
    let warning = || Ok(Answer::Warning("hm".into()));
    for kind in ProbeKind::ALL {
        let unknown =
            format!("Unhealthy {kind} probe errored and resulted in unknown state: exec error");
        let table = [
            (vec![Ok(good())], Some(ProbeOutcome::Success), None, 1),
            (
                vec![warning()],
                Some(ProbeOutcome::Success),
                Some(format!("ProbeWarning {kind} probe warning: hm")),
                1,
            ),
            (
                vec![failure()],
                Some(ProbeOutcome::Failure),
                Some(format!("Unhealthy {kind} probe failed: no")),
                1,
            ),
            (vec![broken()], None, Some(unknown), 3),
            (
                vec![broken(), broken(), Ok(good())],
                Some(ProbeOutcome::Success),
                None,
                3,
            ),
            (
                vec![broken(), failure()],
                Some(ProbeOutcome::Failure),
                Some(format!("Unhealthy {kind} probe failed: no")),
                2,
            ),
        ];
        for (answers, outcome, event, asked) in table {
            let case = format!("{kind} {answers:?}");
            let script = Script::of(answers);
            let pod = pod_with(kind, exec.clone());
            let probed = probe(kind, &pod, &script).await;
            assert_eq!(probed, (outcome, event), "{case}");
            assert_eq!(script.asked(), asked, "{case}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn no_probe_is_a_success_and_one_that_asks_nothing_an_error() {
    let script = Script::always(Answer::Failure("no".into()));
    let pod = pod_with(ProbeKind::Liveness, json!({}));
    let readiness = probe(ProbeKind::Readiness, &pod, &script).await;
    assert_eq!(readiness, (Some(ProbeOutcome::Success), None));
    let (outcome, event) = probe(ProbeKind::Liveness, &pod, &script).await;
    assert_eq!(outcome, None);
    let expected = "Unhealthy Liveness probe errored and resulted in unknown state: missing probe handler for container \"c\"";
    assert_eq!(event.as_deref(), Some(expected));
    assert_eq!(script.asked(), 0);
}

/// Answers to `TestNewExecInContainer` and the expansion in `runProbe`.
#[tokio::test(start_paused = true)]
async fn commands_have_the_variables_that_need_no_looking_up() {
    let script = Script::always(good());
    let command =
        json!({"exec": {"command": ["sh", "$(A)", "$(B)", "$$(A)"]}, "timeoutSeconds": 7});
    let mut pod = pod_with(ProbeKind::Startup, command);
    let container = &mut pod.spec.as_mut().unwrap().containers[0];
    container.env = serde_json::from_value(json!([
        {"name": "A", "value": "1"},
        {"name": "B", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
    ]))
    .unwrap();
    probe(ProbeKind::Startup, &pod, &script).await;
    let question = &script.questions()[0];
    let command = ["sh", "1", "$(B)", "$(A)"].map(str::to_owned).to_vec();
    assert_eq!(question.target, Target::Exec(command));
    assert_eq!(question.timeout.as_secs(), 7);
    assert_eq!(question.container, id("id"));
}
