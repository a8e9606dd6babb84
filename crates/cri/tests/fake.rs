//! The runtime in memory: lives and deaths on tokio's clock, faults, and events.

use std::time::Duration;

use futures::StreamExt as _;
use kubewright_cri::testing::{Behaviour, FakeOptions, FakeRuntime, Fault};
use kubewright_cri::v1::{self, ContainerEventType, ContainerState, PodSandboxState};
use kubewright_cri::{Code, Error, Runtime};
use tokio::time::{Instant, advance, timeout};

mod support;

use support::{container, run, sandbox};

const SECOND: Duration = Duration::from_secs(1);

fn runtimes() -> (FakeRuntime, Runtime) {
    let fake = FakeRuntime::default();
    (fake.clone(), Runtime::in_process(fake))
}

fn state(fake: &FakeRuntime) -> ContainerState {
    let container = fake.container("web", "app");
    container.map_or(ContainerState::ContainerUnknown, |status| status.state())
}

#[tokio::test(start_paused = true)]
async fn a_container_exits_at_its_time_whether_or_not_anybody_looks() {
    let (fake, runtime) = runtimes();
    fake.behave("app", Behaviour::exits(10 * SECOND, 7));
    run(&runtime, "web", "app").await.unwrap();
    advance(9 * SECOND).await;
    assert_eq!(state(&fake), ContainerState::ContainerRunning);
    advance(100 * SECOND).await;
    let status = fake.container("web", "app").unwrap();
    assert_eq!(status.state(), ContainerState::ContainerExited);
    assert_eq!(status.exit_code, 7);
    assert_eq!(status.finished_at - status.started_at, 10_000_000_000);
}

#[tokio::test(start_paused = true)]
async fn a_container_that_ends_at_once_was_started() {
    let (fake, runtime) = runtimes();
    fake.behave("app", Behaviour::exits(Duration::ZERO, 0));
    run(&runtime, "web", "app").await.unwrap();
    let status = fake.container("web", "app").unwrap();
    assert_eq!(status.reason, "Completed");
    assert_eq!(status.started_at, status.finished_at);
}

#[tokio::test(start_paused = true)]
async fn the_sooner_of_an_exit_and_a_stop_comes_to_pass() {
    let (fake, runtime) = runtimes();
    let mut behaviour = Behaviour::exits(3 * SECOND, 0);
    behaviour.on_stop = Behaviour::ignores_stop().on_stop;
    fake.behave("app", behaviour);
    let (_, id) = run(&runtime, "web", "app").await.unwrap();
    let start = Instant::now();
    runtime.stop_container(&id, 30 * SECOND).await.unwrap();
    assert_eq!(start.elapsed(), 3 * SECOND);
    assert_eq!(fake.container("web", "app").unwrap().exit_code, 0);
}

#[tokio::test(start_paused = true)]
async fn a_stop_takes_its_course_when_nobody_waits_for_it() {
    let (fake, runtime) = runtimes();
    fake.behave("app", Behaviour::ignores_stop());
    let (_, id) = run(&runtime, "web", "app").await.unwrap();
    let stop = runtime.stop_container(&id, 30 * SECOND);
    timeout(SECOND, stop).await.unwrap_err();
    assert_eq!(state(&fake), ContainerState::ContainerRunning);
    advance(29 * SECOND).await;
    assert_eq!(state(&fake), ContainerState::ContainerExited);
}

#[tokio::test(start_paused = true)]
async fn names_are_taken_once() {
    let (_, runtime) = runtimes();
    let (id, _) = run(&runtime, "web", "app").await.unwrap();
    let again = runtime.run_pod_sandbox(sandbox("web"), "").await;
    assert!(matches!(again, Err(Error::AlreadyExists(_))));
    let again = runtime.create_container(&id, container("app"), sandbox("web"));
    assert!(matches!(again.await, Err(Error::AlreadyExists(_))));
    let mut next = container("app");
    next.metadata.as_mut().unwrap().attempt = 1;
    let next = runtime.create_container(&id, next, sandbox("web"));
    next.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_a_real_runtime_refuses_is_refused() {
    let (_, runtime) = runtimes();
    let (sandbox_id, id) = run(&runtime, "web", "app").await.unwrap();
    let twice = runtime.start_container(&id).await.unwrap_err();
    assert_eq!(twice.code(), Code::FailedPrecondition);
    let mut missing = container("other");
    missing.image = Some(support::image("missing"));
    let missing = runtime.create_container(&sandbox_id, missing, sandbox("web"));
    assert!(missing.await.unwrap_err().is_not_found());
    runtime.stop_pod_sandbox(&sandbox_id).await.unwrap();
    let late = runtime.create_container(&sandbox_id, container("late"), sandbox("web"));
    assert_eq!(late.await.unwrap_err().code(), Code::FailedPrecondition);

    let mut config = sandbox("host");
    config.hostname = "host".to_owned();
    config.linux = Some(v1::LinuxPodSandboxConfig {
        security_context: Some(v1::LinuxSandboxSecurityContext {
            namespace_options: Some(v1::NamespaceOption {
                network: v1::NamespaceMode::Node.into(),
                ..v1::NamespaceOption::default()
            }),
            ..v1::LinuxSandboxSecurityContext::default()
        }),
        ..v1::LinuxPodSandboxConfig::default()
    });
    let refused = runtime.run_pod_sandbox(config.clone(), "").await;
    assert_eq!(refused.unwrap_err().code(), Code::InvalidArgument);
    config.hostname.clear();
    let id = runtime.run_pod_sandbox(config, "").await.unwrap();
    let status = runtime.pod_sandbox_status(&id).await.unwrap();
    assert_eq!(status.status.unwrap().network.unwrap().ip, "");
}

#[tokio::test(start_paused = true)]
async fn a_refused_call_has_no_effect_and_a_lost_one_has() {
    let (fake, runtime) = runtimes();
    fake.fault("RunPodSandbox", Fault::unavailable());
    fake.fault("RunPodSandbox", Fault::Lost);
    for expected in [0, 1] {
        let lost = runtime.run_pod_sandbox(sandbox("web"), "").await;
        assert!(matches!(lost, Err(Error::Unavailable(_))));
        assert_eq!(fake.sandboxes().len(), expected);
    }
    let third = runtime.run_pod_sandbox(sandbox("web"), "").await;
    assert!(matches!(third, Err(Error::AlreadyExists(_))));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_given_up_before_it_took_effect_has_none() {
    let (fake, runtime) = runtimes();
    fake.fault("RunPodSandbox", Fault::Delayed(10 * SECOND));
    let run = runtime.run_pod_sandbox(sandbox("web"), "");
    timeout(SECOND, run).await.unwrap_err();
    advance(60 * SECOND).await;
    assert!(fake.sandboxes().is_empty());
}

#[tokio::test(start_paused = true)]
async fn forgotten_faults_do_not_come_to_pass() {
    let (fake, runtime) = runtimes();
    fake.fault("Version", Fault::unavailable());
    fake.clear_faults();
    runtime.version().await.unwrap();
}

#[tokio::test]
#[should_panic(expected = "CRI has no method \"StopContainers\"")]
async fn a_fault_of_no_method_is_a_mistake() {
    FakeRuntime::default().fault("StopContainers", Fault::Lost);
}

#[tokio::test(start_paused = true)]
async fn containers_go_on_while_the_runtime_is_away() {
    let (fake, runtime) = runtimes();
    fake.behave("app", Behaviour::exits(60 * SECOND, 1));
    run(&runtime, "web", "app").await.unwrap();
    fake.go_away();
    let error = runtime.list_containers(None).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable(_)), "{error}");
    advance(120 * SECOND).await;
    fake.come_back();
    let containers = runtime.list_containers(None).await.unwrap();
    assert_eq!(containers[0].state(), ContainerState::ContainerExited);
}

#[tokio::test(start_paused = true)]
async fn a_call_under_way_fails_when_the_runtime_goes_away() {
    let (fake, runtime) = runtimes();
    fake.fault("Version", Fault::Delayed(10 * SECOND));
    let interfere = async {
        tokio::time::sleep(SECOND).await;
        fake.go_away();
    };
    let (answer, ()) = tokio::join!(runtime.version(), interfere);
    assert!(matches!(answer, Err(Error::Unavailable(_))));
}

#[tokio::test(start_paused = true)]
async fn what_happens_to_containers_is_told_as_it_happens() {
    use ContainerEventType as What;

    let (fake, runtime) = runtimes();
    fake.behave("app", Behaviour::exits(10 * SECOND, 0));
    let mut events = runtime.container_events().await.unwrap();
    let (sandbox_id, id) = run(&runtime, "web", "app").await.unwrap();
    let start = Instant::now();
    for (what, of) in [
        (What::ContainerCreatedEvent, &sandbox_id),
        (What::ContainerStartedEvent, &sandbox_id),
        (What::ContainerCreatedEvent, &id),
        (What::ContainerStartedEvent, &id),
        (What::ContainerStoppedEvent, &id),
    ] {
        let event = events.next().await.unwrap().unwrap();
        assert_eq!(event.container_event_type(), what);
        assert_eq!(&event.container_id, of);
    }
    assert_eq!(start.elapsed(), 10 * SECOND);

    runtime.remove_pod_sandbox(&sandbox_id).await.unwrap();
    let mut told = Vec::new();
    for _ in 0..3 {
        let event = events.next().await.unwrap().unwrap();
        told.push(event.container_event_type());
    }
    assert_eq!(
        told,
        [
            What::ContainerStoppedEvent,
            What::ContainerDeletedEvent,
            What::ContainerDeletedEvent
        ]
    );
    fake.go_away();
    assert!(events.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_runtime_may_send_no_events() {
    let (fake, runtime) = runtimes();
    let lacks = kubewright_cri::Status::unimplemented("unknown method GetContainerEvents");
    fake.fault("GetContainerEvents", Fault::Refused(lacks));
    let error = runtime.container_events().await.unwrap_err();
    assert!(error.is_unimplemented());
}

#[tokio::test(start_paused = true)]
async fn a_container_and_a_sandbox_can_be_ended_from_outside() {
    let (fake, runtime) = runtimes();
    let (sandbox_id, id) = run(&runtime, "web", "app").await.unwrap();
    fake.exit(&id, 137);
    assert_eq!(fake.container("web", "app").unwrap().exit_code, 137);
    fake.lose_sandbox(&sandbox_id);
    assert_eq!(
        fake.sandboxes()[0].state(),
        PodSandboxState::SandboxNotready
    );
}

#[tokio::test(start_paused = true)]
async fn the_runtime_says_what_it_is_told_to_say_of_itself() {
    let (fake, runtime) = runtimes();
    fake.set_condition(v1::RuntimeCondition {
        r#type: "NetworkReady".to_owned(),
        status: false,
        reason: "NetworkPluginNotReady".to_owned(),
        ..v1::RuntimeCondition::default()
    });
    let conditions = runtime.status().await.unwrap().status.unwrap().conditions;
    let told: Vec<_> = conditions
        .iter()
        .map(|condition| (condition.r#type.as_str(), condition.status))
        .collect();
    assert_eq!(told, [("NetworkReady", false), ("RuntimeReady", true)]);
}

#[tokio::test(start_paused = true)]
async fn ids_come_from_the_seed() {
    let ids = async |seed: u64| {
        let mut options = FakeOptions::default();
        options.seed = seed;
        let runtime = Runtime::in_process(FakeRuntime::new(options));
        run(&runtime, "web", "app").await.unwrap()
    };
    assert_eq!(ids(1).await, ids(1).await);
    assert_ne!(ids(1).await, ids(2).await);
    assert_eq!(ids(1).await.0.len(), 64);
}

#[tokio::test(start_paused = true)]
async fn statistics_are_of_what_runs() {
    let (_, runtime) = runtimes();
    let (web, app) = run(&runtime, "web", "app").await.unwrap();
    assert_eq!(runtime.list_container_stats(None).await.unwrap().len(), 1);
    let stats = runtime.pod_sandbox_stats(&web).await.unwrap();
    assert_eq!(stats.linux.unwrap().containers.len(), 1);
    runtime.stop_container(&app, SECOND).await.unwrap();
    assert!(runtime.list_container_stats(None).await.unwrap().is_empty());
    let none = runtime.pod_sandbox_stats("missing").await.unwrap_err();
    assert!(none.is_not_found());
}

#[tokio::test(start_paused = true)]
async fn what_was_asked_for_is_told() {
    let (fake, runtime) = runtimes();
    let (sandbox_id, id) = run(&runtime, "web", "app").await.unwrap();
    let made_from = fake.sandbox_config(&sandbox_id).unwrap();
    assert_eq!(made_from.metadata.unwrap().name, "web");
    let made_from = fake.container_config(&id).unwrap();
    assert_eq!(made_from.metadata.unwrap().name, "app");
    assert_eq!(fake.container_config("other"), None);
    let auth = v1::AuthConfig {
        username: "me".to_owned(),
        ..v1::AuthConfig::default()
    };
    let image = v1::ImageSpec {
        image: "private".to_owned(),
        ..v1::ImageSpec::default()
    };
    fake.fault("PullImage", Fault::unavailable());
    let pull = || runtime.pull_image(image.clone(), Some(auth.clone()), None);
    assert!(pull().await.is_err());
    pull().await.unwrap();
    let pulls = fake.pulls().into_iter();
    let with = pulls.filter_map(|pull| Some(pull.auth?.username));
    assert_eq!(with.collect::<Vec<_>>(), ["me"]);
}
