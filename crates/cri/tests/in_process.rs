//! A runtime in the same process: the life of a pod, and how calls end.

use std::time::Duration;

use kubewright_cri::testing::{Behaviour, Exec, FakeRuntime, Fault};
use kubewright_cri::v1::{self, ContainerState, PodSandboxState};
use kubewright_cri::{Code, Error, Runtime, RuntimeOptions, Status};
use tokio::time::Instant;

mod support;

use support::{container, image, run, sandbox};

const MINUTE: Duration = Duration::from_secs(60);

fn runtimes() -> (FakeRuntime, Runtime) {
    let fake = FakeRuntime::default();
    (fake.clone(), Runtime::in_process(fake))
}

#[tokio::test(start_paused = true)]
async fn a_pod_lives_from_its_sandbox_to_its_removal() {
    let (fake, runtime) = runtimes();
    let sandbox_id = runtime.run_pod_sandbox(sandbox("web"), "").await.unwrap();
    let status = runtime.pod_sandbox_status(&sandbox_id).await.unwrap();
    let status = status.status.unwrap();
    assert_eq!(status.state(), PodSandboxState::SandboxReady);
    assert_eq!(status.network.unwrap().ip, "10.88.0.1");

    assert_eq!(runtime.image_status(image("busybox")).await.unwrap(), None);
    let pulled = runtime.pull_image(image("busybox"), None, None);
    let pulled = pulled.await.unwrap();
    let found = runtime.image_status(image("busybox")).await.unwrap();
    assert_eq!(found.unwrap().id, pulled);

    let id = runtime
        .create_container(&sandbox_id, container("app"), sandbox("web"))
        .await
        .unwrap();
    let created = runtime.container_status(&id).await.unwrap();
    assert_eq!(created.state(), ContainerState::ContainerCreated);
    assert_eq!(created.log_path, "/var/log/pods/web/app/0.log");
    assert_eq!((created.started_at, created.finished_at), (0, 0));

    runtime.start_container(&id).await.unwrap();
    runtime.stop_container(&id, MINUTE).await.unwrap();
    let stopped = runtime.container_status(&id).await.unwrap();
    assert_eq!(stopped.state(), ContainerState::ContainerExited);
    assert_eq!(stopped.exit_code, 143);
    assert_eq!(stopped.reason, "Error");

    runtime.stop_pod_sandbox(&sandbox_id).await.unwrap();
    runtime.remove_pod_sandbox(&sandbox_id).await.unwrap();
    assert!(runtime.list_pod_sandbox(None).await.unwrap().is_empty());
    assert!(runtime.list_containers(None).await.unwrap().is_empty());
    let error = runtime.container_status(&id).await.unwrap_err();
    assert!(error.is_not_found(), "{error}");
    assert_eq!(error.method(), "ContainerStatus");

    let calls: Vec<_> = fake.calls().iter().map(ToString::to_string).collect();
    assert_eq!(
        calls[..8],
        [
            "RunPodSandbox web",
            "PodSandboxStatus web",
            "ImageStatus busybox",
            "PullImage busybox",
            "ImageStatus busybox",
            "CreateContainer web/app",
            "ContainerStatus web/app",
            "StartContainer web/app",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn what_ends_or_removes_may_be_repeated() {
    let (_, runtime) = runtimes();
    let (sandbox_id, id) = run(&runtime, "web", "app").await.unwrap();
    for _ in 0..2 {
        runtime.stop_container(&id, MINUTE).await.unwrap();
    }
    for _ in 0..2 {
        runtime.remove_container(&id).await.unwrap();
    }
    for _ in 0..2 {
        runtime.stop_pod_sandbox(&sandbox_id).await.unwrap();
    }
    for _ in 0..2 {
        runtime.remove_pod_sandbox(&sandbox_id).await.unwrap();
    }
    for _ in 0..2 {
        runtime.remove_image(image("busybox")).await.unwrap();
    }
    runtime.stop_container(&id, MINUTE).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn lists_let_through_what_meets_all_of_a_filter() {
    let (_, runtime) = runtimes();
    let (web, app) = run(&runtime, "web", "app").await.unwrap();
    let (db, store) = run(&runtime, "db", "store").await.unwrap();
    runtime.stop_container(&store, MINUTE).await.unwrap();

    let containers = async |filter: v1::ContainerFilter| {
        let containers = runtime.list_containers(Some(filter)).await.unwrap();
        let ids = containers.into_iter().map(|container| container.id);
        ids.collect::<Vec<_>>()
    };
    let exited = Some(v1::ContainerStateValue {
        state: ContainerState::ContainerExited.into(),
    });
    let by_state = v1::ContainerFilter {
        state: exited,
        ..v1::ContainerFilter::default()
    };
    assert_eq!(containers(by_state.clone()).await, [store.as_str()]);
    let by_sandbox = v1::ContainerFilter {
        pod_sandbox_id: web.clone(),
        ..v1::ContainerFilter::default()
    };
    assert_eq!(containers(by_sandbox).await, [app.as_str()]);
    let of_both = v1::ContainerFilter {
        pod_sandbox_id: web.clone(),
        ..by_state
    };
    assert!(containers(of_both).await.is_empty());
    let by_id = v1::ContainerFilter {
        id: app[..10].to_owned(),
        ..v1::ContainerFilter::default()
    };
    assert_eq!(containers(by_id).await, [app]);

    let by_label = v1::PodSandboxFilter {
        label_selector: [("pod".to_owned(), "db".to_owned())].into(),
        ..v1::PodSandboxFilter::default()
    };
    let sandboxes = runtime.list_pod_sandbox(Some(by_label)).await.unwrap();
    assert_eq!(sandboxes.len(), 1);
    assert_eq!(sandboxes[0].id, db);
}

#[tokio::test(start_paused = true)]
async fn a_call_ends_with_its_timeout() {
    let (fake, runtime) = runtimes();
    fake.fault("Version", Fault::Delayed(10 * MINUTE));
    let start = Instant::now();
    let error = runtime.version().await.unwrap_err();
    assert_eq!(start.elapsed(), 2 * MINUTE);
    assert!(matches!(error, Error::DeadlineExceeded(_)), "{error}");
    assert_eq!(
        error.to_string(),
        "Version: too late: no answer within 120s"
    );
}

#[tokio::test(start_paused = true)]
async fn the_timeout_is_an_option() {
    let fake = FakeRuntime::default();
    let mut options = RuntimeOptions::default();
    options.timeout = Duration::from_millis(300);
    let runtime = Runtime::in_process_with(fake.clone(), options);
    fake.fault("Status", Fault::Delayed(MINUTE));
    let start = Instant::now();
    runtime.status().await.unwrap_err();
    assert_eq!(start.elapsed(), Duration::from_millis(300));
}

#[tokio::test(start_paused = true)]
async fn a_stop_may_take_its_grace_as_well() {
    let (fake, runtime) = runtimes();
    fake.behave("app", Behaviour::ignores_stop());
    let (_, id) = run(&runtime, "web", "app").await.unwrap();
    let start = Instant::now();
    runtime.stop_container(&id, 5 * MINUTE).await.unwrap();
    assert_eq!(start.elapsed(), 5 * MINUTE);
    assert_eq!(fake.container("web", "app").unwrap().exit_code, 137);
}

#[tokio::test(start_paused = true)]
async fn a_grace_may_be_longer_than_a_limit_can_be_written_down() {
    let (_, runtime) = runtimes();
    for grace in [i64::MAX.cast_unsigned(), u64::MAX] {
        let (_, id) = run(&runtime, &format!("web-{grace}"), "app").await.unwrap();
        let grace = Duration::from_secs(grace);
        runtime.stop_container(&id, grace).await.unwrap();
        runtime.stop_container(&id, Duration::MAX).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_grace_counts_in_whole_seconds() {
    let (fake, runtime) = runtimes();
    let (_, id) = run(&runtime, "web", "app").await.unwrap();
    let grace = Duration::from_millis(1500);
    runtime.stop_container(&id, grace).await.unwrap();
    assert_eq!(fake.calls().last().unwrap().seconds, 2);
}

#[tokio::test(start_paused = true)]
async fn a_pull_may_take_for_ever() {
    let (fake, runtime) = runtimes();
    fake.fault("PullImage", Fault::Delayed(600 * MINUTE));
    let start = Instant::now();
    let pulled = runtime.pull_image(image("large"), None, None);
    pulled.await.unwrap();
    assert_eq!(start.elapsed(), 600 * MINUTE);
}

#[tokio::test(start_paused = true)]
async fn commands_answer_what_they_wrote_and_how_they_ended() {
    let (fake, runtime) = runtimes();
    fake.on_exec(|subject, command| Exec {
        stdout: format!("{subject}: {}", command.join(" ")).into_bytes(),
        exit_code: 3,
        takes: Duration::from_secs(4),
        ..Exec::default()
    });
    let (_, id) = run(&runtime, "web", "app").await.unwrap();
    let command = || vec!["cat".to_owned(), "/ready".to_owned()];
    let second = Duration::from_secs(1);
    let answer = runtime.exec_sync(&id, command(), Some(5 * second));
    let answer = answer.await.unwrap();
    assert_eq!(answer.stdout, b"web/app: cat /ready");
    assert_eq!(answer.exit_code, 3);

    let start = Instant::now();
    let late = runtime.exec_sync(&id, command(), Some(second));
    let late = late.await.unwrap_err();
    assert!(matches!(late, Error::DeadlineExceeded(_)), "{late}");
    assert_eq!(start.elapsed(), second);

    runtime.stop_container(&id, MINUTE).await.unwrap();
    let dead = runtime.exec_sync(&id, command(), None).await.unwrap_err();
    assert_eq!(dead.code(), Code::FailedPrecondition);
}

#[tokio::test(start_paused = true)]
async fn what_the_runtime_lacks_is_unimplemented_by_name() {
    let (_, runtime) = runtimes();
    let (_, id) = run(&runtime, "web", "app").await.unwrap();
    let request = v1::AttachRequest {
        container_id: id,
        ..v1::AttachRequest::default()
    };
    let error = runtime.attach(request).await.unwrap_err();
    assert!(error.is_unimplemented());
    assert!(error.to_string().contains("Attach"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_message_above_the_limit_is_refused_and_the_next_call_goes_on() {
    let (_, runtime) = runtimes();
    let mut config = sandbox("web");
    let large = "x".repeat(kubewright_cri::MAX_MESSAGE_SIZE + 1);
    config.annotations.insert("large".to_owned(), large);
    let error = runtime.run_pod_sandbox(config, "").await.unwrap_err();
    assert!(matches!(error, Error::ResourceExhausted(_)), "{error:?}");
    assert_eq!(error.method(), "RunPodSandbox");
    runtime.version().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_answer_above_the_limit_is_refused_and_the_next_call_goes_on() {
    let (fake, runtime) = runtimes();
    let mut large = v1::Image {
        id: "large".to_owned(),
        ..v1::Image::default()
    };
    large.username = "x".repeat(kubewright_cri::MAX_MESSAGE_SIZE + 1);
    fake.add_image(large);
    let error = runtime.list_images(None).await.unwrap_err();
    assert!(matches!(error, Error::ResourceExhausted(_)), "{error:?}");
    runtime.version().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_answer_without_what_it_is_for_is_an_error() {
    let (fake, runtime) = runtimes();
    fake.add_image(v1::Image {
        repo_tags: vec!["nameless".to_owned()],
        ..v1::Image::default()
    });
    let pulled = runtime.pull_image(image("nameless"), None, None);
    let error = pulled.await.unwrap_err();
    assert_eq!(error.to_string(), "PullImage: the answer has no image_ref");
}

#[tokio::test(start_paused = true)]
async fn the_message_of_a_refusal_reaches_the_caller() {
    let (fake, runtime) = runtimes();
    let refusal = Status::resource_exhausted("no space left on device");
    fake.fault("RunPodSandbox", Fault::Refused(refusal));
    let error = runtime.run_pod_sandbox(sandbox("web"), "").await;
    let error = error.unwrap_err();
    assert!(matches!(error, Error::ResourceExhausted(_)));
    assert_eq!(error.message(), "no space left on device");
}
