//! From the sandbox to the exit code: what becomes of containers, and of what they start.

use std::time::Duration;

use futures::StreamExt as _;
use futures::future::join_all;
use kubewright_cri::v1::{self, ContainerEventType, ContainerState, PodSandboxState};
use kubewright_cri::{Code, Error};
use kubewright_process_runtime::testing::is_alive;
use rustix::process::{Pid, Signal, kill_process};
use tokio::time::{Instant, timeout};

use crate::support::{DEADLINE, Host, container, image, until};

const LONG: Duration = Duration::from_secs(1000);

#[tokio::test]
async fn a_container_is_created_runs_and_ends() {
    let host = Host::start().await;
    let sandbox = host.sandbox("web").await;
    let script = "until [ -e go ]; do sleep 0.01; done; exit 3";
    let id = host
        .create(&sandbox, container("app", script))
        .await
        .unwrap();
    assert_eq!(
        host.status(&id).await.state(),
        ContainerState::ContainerCreated
    );
    host.runtime.start_container(&id).await.unwrap();
    let status = host.status(&id).await;
    assert_eq!(status.state(), ContainerState::ContainerRunning);
    assert!(status.created_at <= status.started_at && status.started_at > 0);
    std::fs::write(host.container_dir(&id).join("root/go"), "").unwrap();
    let status = host.exited(&id).await;
    assert_eq!((status.exit_code, status.reason.as_str()), (3, "Error"));
    assert!(status.finished_at > status.started_at);
    assert_eq!(status.image.unwrap().image, "docker.io/library/host:latest");
    assert_eq!(status.image_ref, "process:docker.io/library/host:latest");
    let error = host.runtime.start_container(&id).await.unwrap_err();
    assert!(error.message().contains("CONTAINER_EXITED"), "{error}");
    host.runtime.remove_container(&id).await.unwrap();
    host.runtime.remove_container(&id).await.unwrap();
    assert!(
        host.runtime
            .container_status(&id)
            .await
            .unwrap_err()
            .is_not_found()
    );
    host.end().await;
}

#[tokio::test]
async fn the_process_of_a_container_is_told_where_other_runtimes_tell_it() {
    let host = Host::start().await;
    let sandbox = host.sandbox("web").await;
    let id = host.run(&sandbox, "app", "exec sleep 1000").await;
    let info = host.runtime.container_info(&id).await.unwrap();
    let info: serde_json::Value = serde_json::from_str(&info["info"]).unwrap();
    let pid = i32::try_from(info["pid"].as_i64().unwrap()).unwrap();
    assert!(is_alive(pid));
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
    assert_eq!(host.exited(&id).await.exit_code, 137);
    let missing = host.runtime.container_info("nobody").await.unwrap_err();
    assert!(missing.is_not_found());
    host.end().await;
}

#[tokio::test]
async fn exit_codes_are_those_of_container_runtimes() {
    let host = Host::start().await;
    let sandbox = host.sandbox("web").await;
    for (name, script, code, reason) in [
        ("ok", "exit 0", 0, "Completed"),
        ("fails", "exit 255", 255, "Error"),
        ("killed", "kill -KILL $$", 137, "Error"),
        ("aborted", "kill -ABRT $$", 134, "Error"),
        ("terminated", "kill -TERM $$", 143, "Error"),
    ] {
        let id = host.run(&sandbox, name, script).await;
        let status = host.exited(&id).await;
        assert_eq!(
            (status.exit_code, status.reason.as_str()),
            (code, reason),
            "{name}"
        );
    }
    host.end().await;
}

#[tokio::test]
async fn what_cannot_be_started_is_told_and_known() {
    let host = Host::start().await;
    let sandbox = host.sandbox("web").await;
    let file = host.dir.path().join("file").display().to_string();
    std::fs::write(&file, "").unwrap();
    let denied = format!("exec: {file:?}: permission denied");
    for (name, command, text) in [
        (
            "path",
            "no-such-program",
            "exec: \"no-such-program\": executable file not found in $PATH",
        ),
        (
            "file",
            "/no/such",
            "exec: \"/no/such\": stat /no/such: no such file or directory",
        ),
        ("mode", file.as_str(), denied.as_str()),
    ] {
        let mut config = container(name, "");
        config.command = vec![command.to_owned()];
        let id = host.create(&sandbox, config).await.unwrap();
        let error = host.runtime.start_container(&id).await.unwrap_err();
        assert!(error.message().contains(text), "{error}");
        let status = host.status(&id).await;
        assert_eq!(status.state(), ContainerState::ContainerExited);
        assert_eq!(
            (status.exit_code, status.reason.as_str()),
            (128, "StartError")
        );
        assert!(status.message.contains(text), "{status:?}");
    }
    let mut config = container("none", "");
    config.command.clear();
    let error = host.create(&sandbox, config).await.unwrap_err();
    assert_eq!(error.message(), "no command specified");
    host.end().await;
}

#[tokio::test]
async fn a_container_that_is_asked_to_stop_ends_in_its_own_way() {
    let host = Host::start().await;
    let sandbox = host.sandbox("web").await;
    let polite = "trap 'exit 7' TERM; touch ready; while :; do sleep 0.01; done";
    let id = host.run_until_ready(&sandbox, "polite", polite).await;
    host.runtime.stop_container(&id, LONG).await.unwrap();
    assert_eq!(host.status(&id).await.exit_code, 7);
    let id = host.run(&sandbox, "plain", "sleep 1000").await;
    host.runtime.stop_container(&id, LONG).await.unwrap();
    assert_eq!(host.status(&id).await.exit_code, 143);
    host.runtime.stop_container(&id, LONG).await.unwrap();
    host.runtime
        .stop_container("no such container", LONG)
        .await
        .unwrap();
    host.end().await;
}

#[tokio::test]
async fn a_container_that_ignores_sigterm_is_killed_after_its_grace() {
    let host = Host::start().await;
    let sandbox = host.sandbox("web").await;
    let deaf = "trap '' TERM; touch ready; sleep 1000";
    let id = host.run_until_ready(&sandbox, "deaf", deaf).await;
    let start = Instant::now();
    host.runtime
        .stop_container(&id, Duration::from_secs(1))
        .await
        .unwrap();
    assert!(start.elapsed() >= Duration::from_secs(1));
    assert_eq!(host.status(&id).await.exit_code, 137);
    let id = host.run_until_ready(&sandbox, "at-once", deaf).await;
    host.runtime
        .stop_container(&id, Duration::ZERO)
        .await
        .unwrap();
    assert_eq!(host.status(&id).await.exit_code, 137);
    host.end().await;
}

#[tokio::test]
async fn a_second_stop_shortens_the_grace_of_the_first() {
    let host = Host::start().await;
    let sandbox = host.sandbox("web").await;
    let deaf = "trap '' TERM; touch ready; sleep 1000";
    let id = host.run_until_ready(&sandbox, "deaf", deaf).await;
    let first = host.runtime.stop_container(&id, LONG);
    let second = host.runtime.stop_container(&id, Duration::from_secs(1));
    let (first, second) = timeout(DEADLINE, async { tokio::join!(first, second) })
        .await
        .unwrap();
    first.unwrap();
    second.unwrap();
    assert_eq!(host.status(&id).await.exit_code, 137);
    host.end().await;
}

#[tokio::test]
async fn an_image_says_what_its_containers_are_stopped_with() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(
        dir.path().join("image.json"),
        r#"{"StopSignal": "SIGUSR1"}"#,
    )
    .unwrap();
    let host = Host::start_with(|options| {
        let image = kubewright_process_runtime::ImageRecord::from_directory("web", dir.path());
        options.images.push(image.unwrap());
    })
    .await;
    let sandbox = host.sandbox("web").await;
    let script = "trap 'exit 9' USR1; trap '' TERM; touch ready; while :; do sleep 0.01; done";
    let mut config = container("app", script);
    config.image = Some(image("web"));
    let id = host.run_config(&sandbox, config).await;
    let ready = host.container_dir(&id).join("root/ready");
    until("the container is ready", || ready.exists()).await;
    host.runtime.stop_container(&id, LONG).await.unwrap();
    assert_eq!(host.status(&id).await.exit_code, 9);
    host.end().await;
}

#[tokio::test]
async fn what_a_container_leaves_behind_is_killed() {
    let host = Host::start().await;
    let sandbox = host.sandbox("web").await;
    // One in the background, one that no group or session holds, and one that hides its origin.
    let script = "trap '' TERM; sleep 1000 & echo $! > a; setsid sleep 1000 & echo $! > b; \
                  (env -i setsid sleep 1000 & echo $! > c); echo done > ready; exit 5";
    let id = host.run(&sandbox, "app", script).await;
    assert_eq!(host.exited(&id).await.exit_code, 5);
    for name in ["a", "b", "c"] {
        let path = host.container_dir(&id).join("root").join(name);
        let pid = std::fs::read_to_string(path)
            .unwrap()
            .trim()
            .parse()
            .unwrap();
        assert!(!is_alive(pid), "{name}");
    }
    host.end().await;
}

#[tokio::test]
async fn stopping_a_sandbox_ends_its_containers_and_removing_it_removes_them() {
    let host = Host::start().await;
    let sandbox = host.sandbox("web").await;
    let id = host.run(&sandbox, "app", "sleep 1000").await;
    host.runtime.stop_pod_sandbox(&sandbox).await.unwrap();
    host.runtime.stop_pod_sandbox(&sandbox).await.unwrap();
    assert_eq!(host.status(&id).await.exit_code, 137);
    let status = host.runtime.pod_sandbox_status(&sandbox).await.unwrap();
    let status = status.status.unwrap();
    assert_eq!(status.state(), PodSandboxState::SandboxNotready);
    assert_eq!(status.network.unwrap().ip, "");
    let error = host
        .create(&sandbox, container("late", "exit 0"))
        .await
        .unwrap_err();
    assert!(error.message().contains("not ready"), "{error}");
    host.runtime.remove_pod_sandbox(&sandbox).await.unwrap();
    host.runtime.remove_pod_sandbox(&sandbox).await.unwrap();
    assert!(host.runtime.list_containers(None).await.unwrap().is_empty());
    assert!(
        host.runtime
            .list_pod_sandbox(None)
            .await
            .unwrap()
            .is_empty()
    );
    host.end().await;
}

/// Whoever starts a container holds its sandbox, and whoever removes a sandbox holds its containers.
#[tokio::test]
async fn a_container_is_started_while_its_sandbox_is_removed() {
    let host = Host::start().await;
    for round in 0..10 {
        let sandbox = host.sandbox(&format!("web{round}")).await;
        let mut containers = Vec::new();
        for name in 0..8 {
            let config = container(&format!("app{name}"), "exec sleep 1000");
            containers.push(host.create(&sandbox, config).await.unwrap());
        }
        let removed = host.runtime.remove_pod_sandbox(&sandbox);
        // It may be in time or too late.
        let started = join_all(containers.iter().rev().map(async |id| {
            while let Err(error) = host.runtime.start_container(id).await {
                if error.is_not_found() {
                    break;
                }
            }
        }));
        let both = async { tokio::join!(removed, started) };
        let (removed, _) = timeout(DEADLINE, both)
            .await
            .expect("neither waits for the other");
        removed.unwrap();
    }
    host.end().await;
}

#[tokio::test]
async fn names_are_taken_until_their_owners_are_removed() {
    let host = Host::start().await;
    let sandbox = host.sandbox("web").await;
    let error = host
        .runtime
        .run_pod_sandbox(host.pod("web"), "")
        .await
        .unwrap_err();
    assert!(matches!(error, Error::AlreadyExists(_)), "{error}");
    let id = host.run(&sandbox, "app", "exit 0").await;
    let error = host
        .create(&sandbox, container("app", "exit 0"))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::AlreadyExists(_)), "{error}");
    host.runtime.remove_container(&id).await.unwrap();
    host.run(&sandbox, "app", "exit 0").await;
    host.end().await;
}

#[tokio::test]
async fn lists_are_filtered() {
    let host = Host::start().await;
    let (web, db) = (host.sandbox("web").await, host.sandbox("db").await);
    let app = host.run(&web, "app", "sleep 1000").await;
    let done = host.run(&db, "done", "exit 0").await;
    host.exited(&done).await;
    let list = async |filter| {
        let listed = host.runtime.list_containers(Some(filter)).await.unwrap();
        listed.into_iter().map(|it| it.id).collect::<Vec<_>>()
    };
    let none = v1::ContainerFilter::default;
    let running = v1::ContainerStateValue {
        state: ContainerState::ContainerRunning.into(),
    };
    let by_state = v1::ContainerFilter {
        state: Some(running),
        ..none()
    };
    assert_eq!(list(by_state).await, std::slice::from_ref(&app));
    let by_sandbox = v1::ContainerFilter {
        pod_sandbox_id: db.clone(),
        ..none()
    };
    assert_eq!(list(by_sandbox).await, std::slice::from_ref(&done));
    let label = [("container".to_owned(), "app".to_owned())].into();
    let by_label = v1::ContainerFilter {
        label_selector: label,
        ..none()
    };
    assert_eq!(list(by_label).await, [app]);
    let by_id = v1::ContainerFilter {
        id: done[..12].to_owned(),
        ..none()
    };
    assert_eq!(list(by_id).await, [done]);
    host.runtime.stop_pod_sandbox(&db).await.unwrap();
    let filter = v1::PodSandboxFilter {
        state: Some(v1::PodSandboxStateValue {
            state: PodSandboxState::SandboxReady.into(),
        }),
        ..v1::PodSandboxFilter::default()
    };
    let ready = host.runtime.list_pod_sandbox(Some(filter)).await.unwrap();
    assert_eq!(ready.len(), 1);
    assert_eq!(ready[0].id, web);
    host.end().await;
}

#[tokio::test]
async fn events_tell_what_happens_as_it_happens() {
    let host = Host::start().await;
    let mut events = host.runtime.container_events().await.unwrap();
    let sandbox = host.sandbox("web").await;
    let id = host.run(&sandbox, "app", "exit 4").await;
    let mut told = Vec::new();
    while told.len() < 5 {
        let event = timeout(DEADLINE, events.next())
            .await
            .unwrap()
            .unwrap()
            .unwrap();
        told.push((event.container_id.clone(), event.container_event_type()));
        if event.container_event_type() == ContainerEventType::ContainerStoppedEvent {
            assert_eq!(event.containers_statuses[0].exit_code, 4);
            assert_eq!(event.pod_sandbox_status.unwrap().id, sandbox);
        }
    }
    use ContainerEventType::{ContainerCreatedEvent as Created, ContainerDeletedEvent as Deleted};
    use ContainerEventType::{ContainerStartedEvent as Started, ContainerStoppedEvent as Stopped};
    let of = |id: &String, what| (id.clone(), what);
    assert_eq!(told[..2], [of(&sandbox, Created), of(&sandbox, Started)]);
    assert_eq!(
        told[2..],
        [of(&id, Created), of(&id, Started), of(&id, Stopped)]
    );
    host.runtime.remove_pod_sandbox(&sandbox).await.unwrap();
    for expected in [
        of(&sandbox, Stopped),
        of(&id, Deleted),
        of(&sandbox, Deleted),
    ] {
        let event = timeout(DEADLINE, events.next())
            .await
            .unwrap()
            .unwrap()
            .unwrap();
        assert_eq!(
            (event.container_id.clone(), event.container_event_type()),
            expected
        );
    }
    host.end().await;
}

#[tokio::test]
async fn many_containers_live_and_die_at_once() {
    let host = Host::start().await;
    let pods: Vec<_> = (0..20).map(|number| format!("pod-{number}")).collect();
    let runs = pods.iter().map(async |pod| {
        let sandbox = host.sandbox(pod).await;
        let id = host.run(&sandbox, "app", "sleep 1000").await;
        host.runtime.stop_container(&id, LONG).await.unwrap();
        assert_eq!(host.status(&id).await.exit_code, 143);
        host.runtime.remove_pod_sandbox(&sandbox).await.unwrap();
    });
    timeout(DEADLINE, join_all(runs)).await.unwrap();
    assert!(host.runtime.list_containers(None).await.unwrap().is_empty());
    host.end().await;
}

#[tokio::test]
async fn a_runtime_that_has_ended_refuses_calls() {
    let host = Host::start().await;
    let sandbox = host.sandbox("web").await;
    let id = host.run(&sandbox, "app", "sleep 1000").await;
    let stop = host.runtime.stop_container(&id, LONG);
    let exec = host.runtime.exec_sync(&id, vec!["true".to_owned()], None);
    host.processes.close().await;
    let (stop, exec) = timeout(DEADLINE, async { tokio::join!(stop, exec) })
        .await
        .unwrap();
    assert_eq!(stop.unwrap_err().code(), Code::Unavailable);
    assert_eq!(exec.unwrap_err().code(), Code::Unavailable);
    let error = host
        .create(&sandbox, container("app", "exit 0"))
        .await
        .unwrap_err();
    assert_eq!(error.code(), Code::Unavailable);
}

/// What cannot be removed keeps nothing else, and all of it is told.
#[tokio::test]
async fn what_cannot_be_removed_does_not_keep_the_rest() {
    let host = Host::start().await;
    let mut stuck = Vec::new();
    for name in ["a", "b", "c", "d"] {
        let sandbox = host.sandbox(name).await;
        if matches!(name, "b" | "c") {
            // Where a file is to be removed there is a directory.
            let record = host
                .root()
                .join("sandboxes")
                .join(&sandbox)
                .join("record.json");
            std::fs::remove_file(&record).unwrap();
            std::fs::create_dir(&record).unwrap();
            stuck.push(record);
        }
    }
    let error = host.processes.shutdown().await.unwrap_err().to_string();
    assert_eq!(
        error.matches("failed to remove sandbox").count(),
        2,
        "{error}"
    );
    let left = host.runtime.list_pod_sandbox(None).await.unwrap();
    assert_eq!(left.len(), 2);
    for record in stuck {
        std::fs::remove_dir(record).unwrap();
    }
    host.end().await;
}
