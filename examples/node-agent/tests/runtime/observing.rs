//! What is told of pods by what the runtime holds.

use std::fs;
use std::net::IpAddr;

use kubewright_cri::testing::{Behaviour, Exec, Fault};
use kubewright_cri::v1;
use kubewright_cri::{Error, Runtime, Status};
use node_agent::config::Config;
use node_agent::pod::{PodName, PodUid};
use node_agent::runtime::{PodRuntime, RuntimeSettings, RuntimeState};
use serde_json::json;
use tokio::time::advance;

use crate::fixtures::{Harness, SECOND, app};

#[tokio::test(start_paused = true)]
async fn to_kube_container_status() {
    let harness = Harness::new();
    let pod = app(json!({}));
    harness.fake.behave("app", Behaviour::exits(10 * SECOND, 3));
    // It was made, and no more than that.
    harness.fake.fault("StartContainer", Fault::unavailable());
    harness.sync(&pod).await;
    let container = harness.observe(&pod).await.containers.remove(0);
    assert_eq!(container.state, RuntimeState::Created);
    assert_eq!((container.started_at, container.finished_at), (None, None));

    // It runs.
    advance(SECOND).await;
    harness.sync_well(&pod).await;
    let started_at = harness.clock.now();
    let container = harness.observe(&pod).await.containers.remove(0);
    assert_eq!(container.state, RuntimeState::Running);
    assert_eq!(
        container.id.to_string(),
        format!("fake://{}", container.id.id)
    );
    assert_eq!(&*container.name, "app");
    assert_eq!(
        (container.started_at, container.finished_at),
        (Some(started_at), None)
    );
    assert_eq!(
        (&*container.image, container.restart_count),
        ("busybox:1", 0)
    );
    assert!(container.image_id.starts_with("sha256:"));
    let spec = &pod.spec.as_ref().unwrap().containers[0];
    assert_eq!(container.hash, node_agent::runtime::container_hash(spec));

    // It has ended.
    advance(20 * SECOND).await;
    let container = harness.observe(&pod).await.containers.remove(0);
    assert_eq!(container.state, RuntimeState::Exited);
    assert_eq!((container.exit_code, &*container.reason), (3, "Error"));
    let finished_at = started_at + jiff::SignedDuration::from_secs(10);
    assert_eq!(container.finished_at, Some(finished_at));
}

#[tokio::test(start_paused = true)]
async fn last_words_are_read_from_the_file_or_else_from_the_log() {
    // The policy, the exit code, what is in the file and the log; what is told.
    let log = "2024-01-01T00:00:00Z stdout F from the log\n";
    let fallback = "FallbackToLogsOnError";
    let cases = [
        ("File", 1, "from the file", log, "from the file"),
        ("File", 0, "from the file", log, "from the file"),
        ("File", 1, "", log, ""),
        (fallback, 1, "from the file", log, "from the file"),
        (fallback, 1, "", log, "from the log\n"),
        (fallback, 0, "", log, ""),
        (fallback, 0, "from the file", log, "from the file"),
    ];
    for (policy, code, file, log, told) in cases {
        let harness = Harness::new();
        let pod = app(json!({
            "terminationMessagePath": "/dev/termination-log",
            "terminationMessagePolicy": policy,
        }));
        harness.sync_well(&pod).await;
        let kubelet = harness.root.path().join("kubelet/pods/12345678");
        fs::write(kubelet.join("containers/app/0"), file).unwrap();
        let logs = harness.root.path().join("pods/new_web_12345678/app");
        fs::write(logs.join("0.log"), log).unwrap();
        harness.fake.exit(&harness.id("web", "app").id, code);
        let container = harness.observe(&pod).await.containers.remove(0);
        assert_eq!(container.message, told, "{policy} {code} {file:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn no_more_than_4_kib_of_last_words_are_told_and_those_are_the_last() {
    let harness = Harness::new();
    let pod = app(json!({"terminationMessagePath": "/words"}));
    harness.sync_well(&pod).await;
    let file = harness
        .root
        .path()
        .join("kubelet/pods/12345678/containers/app/0");
    fs::write(file, format!("{}end", "x".repeat(5000))).unwrap();
    harness.fake.exit(&harness.id("web", "app").id, 1);
    let message = harness.observe(&pod).await.containers.remove(0).message;
    assert_eq!(message.len(), 4096);
    assert!(message.ends_with("xend"));
}

#[tokio::test(start_paused = true)]
async fn addresses_are_those_of_the_newest_sandbox_while_it_is_ready() {
    let harness = Harness::new();
    let pod = app(json!({}));
    harness.sync_well(&pod).await;
    let sandbox = harness.ready_sandboxes().pop().unwrap();
    let ip: IpAddr = sandbox.network.unwrap().ip.parse().unwrap();
    let observed = harness.observe(&pod).await;
    assert_eq!(observed.ips, [ip]);
    harness.fake.lose_sandbox(&sandbox.id);
    assert!(harness.observe(&pod).await.ips.is_empty());
    advance(SECOND).await;
    harness.sync_well(&pod).await;
    let observed = harness.observe(&pod).await;
    assert_ne!(observed.ips, [ip]);
    let attempts: Vec<_> = observed.sandboxes.iter().map(|it| it.attempt).collect();
    assert_eq!(attempts, [1, 0]);
    let restarts: Vec<_> = observed
        .containers
        .iter()
        .map(|it| it.restart_count)
        .collect();
    assert_eq!(restarts, [1, 0]);
}

#[tokio::test(start_paused = true)]
async fn what_vanishes_while_it_is_asked_for_is_left_out() {
    let harness = Harness::new();
    let pod = app(json!({}));
    harness.sync_well(&pod).await;
    for method in ["ContainerStatus", "PodSandboxStatus"] {
        let gone = Status::not_found("it is gone");
        harness.fake.fault(method, Fault::Refused(gone));
    }
    let observed = harness.observe(&pod).await;
    assert!(observed.containers.is_empty() && observed.sandboxes.is_empty());
    harness.fake.fault("ContainerStatus", Fault::unavailable());
    let (uid, name) = (PodUid::of(&pod), PodName::of(&pod));
    assert!(harness.manager.observe(&uid, &name).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn pods_are_listed_by_their_labels_and_what_is_nobodys_is_left_out() {
    let harness = Harness::new();
    let pod = app(json!({}));
    harness.sync_well(&pod).await;
    let runtime = Runtime::in_process(harness.fake.clone());
    let foreign = v1::PodSandboxConfig {
        metadata: Some(v1::PodSandboxMetadata {
            name: "foreign".to_owned(),
            ..v1::PodSandboxMetadata::default()
        }),
        ..v1::PodSandboxConfig::default()
    };
    let sandbox = runtime.run_pod_sandbox(foreign.clone(), "").await.unwrap();
    let container = v1::ContainerConfig {
        metadata: Some(v1::ContainerMetadata::default()),
        image: harness.config("web", "app").image,
        ..v1::ContainerConfig::default()
    };
    let made = runtime.create_container(&sandbox, container, foreign);
    made.await.unwrap();
    let pods = harness.manager.list_pods().await.unwrap();
    let [listed] = &pods[..] else {
        panic!("{pods:?}");
    };
    assert_eq!(listed.uid, PodUid::of(&pod));
    assert_eq!(listed.name, PodName::of(&pod));
    assert!(listed.is_running());
    assert_eq!(listed.sandboxes.len(), 1);
    let [container] = &listed.containers[..] else {
        panic!("{listed:?}");
    };
    assert_eq!(container.id, harness.id("web", "app"));
    assert_eq!(container.sandbox, listed.sandboxes[0].id);
    assert!(container.image_id.starts_with("sha256:"));
}

#[tokio::test(start_paused = true)]
async fn an_annotation_that_cannot_be_read_costs_only_what_it_says() {
    let harness = Harness::new();
    let pod = app(json!({}));
    harness.sync_well(&pod).await;
    let mut config = harness.config("web", "app");
    let key = "io.kubernetes.container.preStopHandler";
    config.annotations.insert(key.to_owned(), "{".to_owned());
    config.metadata.as_mut().unwrap().attempt = 9;
    let sandbox = harness.ready_sandboxes().pop().unwrap();
    let runtime = Runtime::in_process(harness.fake.clone());
    let made_from = harness.sandbox_config();
    advance(SECOND).await;
    let made = runtime.create_container(&sandbox.id, config, made_from);
    made.await.unwrap();
    let observed = harness.observe(&pod).await;
    assert_eq!(observed.containers.len(), 2);
    assert_eq!(observed.containers[0].hash, observed.containers[1].hash);
}

#[tokio::test(start_paused = true)]
async fn the_runtime_says_who_it_is() {
    let harness = Harness::new();
    let identity = harness.manager.identity().await.unwrap();
    assert_eq!((&*identity.name, &*identity.api_version), ("fake", "v1"));
}

#[tokio::test(start_paused = true)]
async fn commands_are_run_to_their_end() {
    let harness = Harness::new();
    harness.sync_well(&app(json!({}))).await;
    harness.fake.on_exec(|_, command| Exec {
        stdout: command.join(" ").into_bytes(),
        exit_code: 4,
        takes: 3 * SECOND,
        ..Exec::default()
    });
    let id = harness.id("web", "app").id;
    let command = || vec!["echo".to_owned(), "hello".to_owned()];
    let manager = &harness.manager;
    let ended = manager
        .exec_in_container(&id, command(), None)
        .await
        .unwrap();
    assert_eq!((ended.exit_code, &*ended.stdout), (4, &b"echo hello"[..]));
    let late = manager
        .exec_in_container(&id, command(), Some(SECOND))
        .await;
    assert!(matches!(late, Err(Error::DeadlineExceeded(_))));
}

#[test]
fn without_a_configuration_the_settings_are_those_of_the_agent() {
    let of_agent = RuntimeSettings::from(&Config::default());
    let mut expected = RuntimeSettings::default();
    expected.cluster_domain.clone_from(&of_agent.cluster_domain);
    assert_eq!(format!("{of_agent:?}"), format!("{expected:?}"));
    let mut config = Config::default();
    config.serialize_image_pulls = false;
    assert_eq!(RuntimeSettings::from(&config).max_parallel_pulls, None);
}
