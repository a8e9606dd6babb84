//! Commands in containers.

use std::time::Duration;

use kubewright_cri::{Code, Error};
use kubewright_process_runtime::testing::is_alive;
use tokio::time::{Instant, timeout};

use crate::support::{DEADLINE, Host, until};

fn command(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

#[tokio::test]
async fn a_command_has_the_containers_surroundings() {
    let host = Host::start().await;
    let sandbox = host.sandbox("web").await;
    let id = host.run(&sandbox, "app", "sleep 1000").await;
    let answer = host
        .exec(
            &id,
            "pwd; echo $KUBEWRIGHT_CONTAINER_ID; echo bad >&2; exit 3",
        )
        .await;
    let root = host.container_dir(&id).join("root").canonicalize().unwrap();
    let expected = format!("{}\n{id}\n", root.display());
    assert_eq!(String::from_utf8(answer.stdout).unwrap(), expected);
    assert_eq!(answer.stderr, b"bad\n");
    assert_eq!(answer.exit_code, 3);
    assert_eq!(host.exec(&id, "cat; kill -KILL $$").await.exit_code, 137);
    host.end().await;
}

#[tokio::test]
async fn a_command_that_takes_too_long_is_ended_with_all_it_started() {
    let host = Host::start().await;
    let sandbox = host.sandbox("web").await;
    let id = host.run(&sandbox, "app", "sleep 1000").await;
    let script = "trap '' TERM; setsid sleep 1000 & echo $! > pid; wait";
    let path = host.container_dir(&id).join("root/pid");
    let mut limit = 1;
    let pid = loop {
        let start = Instant::now();
        let patience = Duration::from_secs(limit);
        let command = command(&["sh", "-c", script]);
        let exec = host.runtime.exec_sync(&id, command, Some(patience));
        let error = timeout(DEADLINE, exec).await.unwrap().unwrap_err();
        assert!(matches!(error, Error::DeadlineExceeded(_)), "{error}");
        let text = format!("timeout {limit}s exceeded: context deadline exceeded");
        assert!(error.message().contains(&text), "{error}");
        assert!(start.elapsed() >= patience);
        let pid = std::fs::read_to_string(&path).unwrap_or_default();
        match pid.trim().parse() {
            Ok(pid) => break pid,
            // On a machine that does much else it may not have come to that.
            Err(_) => limit *= 2,
        }
    };
    until("what it started is gone", || !is_alive(pid)).await;
    assert_eq!(
        host.exec(&id, "exit 0").await.exit_code,
        0,
        "the container goes on"
    );
    host.end().await;
}

#[tokio::test]
async fn a_command_that_cannot_be_run_is_an_error() {
    let host = Host::start().await;
    let sandbox = host.sandbox("web").await;
    let id = host.run(&sandbox, "app", "sleep 1000").await;
    let error = host
        .runtime
        .exec_sync(&id, command(&["no-such"]), None)
        .await
        .unwrap_err();
    let expected = "failed to exec in container: failed to start exec: exec: \"no-such\": executable file not found in $PATH";
    assert_eq!(error.message(), expected);
    host.runtime
        .stop_container(&id, Duration::ZERO)
        .await
        .unwrap();
    let error = host
        .runtime
        .exec_sync(&id, command(&["true"]), None)
        .await
        .unwrap_err();
    assert!(error.message().contains("CONTAINER_EXITED"), "{error}");
    let error = host
        .runtime
        .exec_sync("nobody", command(&["true"]), None)
        .await
        .unwrap_err();
    assert_eq!(error.code(), Code::NotFound);
    host.end().await;
}

#[tokio::test]
async fn output_beyond_what_an_answer_holds_is_cut() {
    let host = Host::start().await;
    let sandbox = host.sandbox("web").await;
    let id = host.run(&sandbox, "app", "sleep 1000").await;
    let answer = host.exec(&id, "head -c 20000000 /dev/zero; exit 2").await;
    assert_eq!(answer.exit_code, 2);
    assert_eq!(answer.stdout.len(), (16 << 20) - 1024);
    host.end().await;
}

#[tokio::test]
async fn a_command_that_leaves_something_behind_does_not_hang() {
    let host = Host::start().await;
    let sandbox = host.sandbox("web").await;
    let id = host.run(&sandbox, "app", "sleep 1000").await;
    let answer = host.exec(&id, "sleep 1000 & echo $!").await;
    let pid = String::from_utf8(answer.stdout)
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    assert!(is_alive(pid), "it is the container's now");
    host.runtime
        .stop_container(&id, Duration::from_secs(10))
        .await
        .unwrap();
    assert!(!is_alive(pid), "and ends with it");
    host.end().await;
}

#[tokio::test]
async fn commands_end_with_their_container() {
    let host = Host::start().await;
    let sandbox = host.sandbox("web").await;
    let id = host
        .run(&sandbox, "app", "until [ -e go ]; do sleep 0.01; done")
        .await;
    let answer = host.exec(&id, "touch go; sleep 1000").await;
    assert_eq!(answer.exit_code, 137);
    host.end().await;
}
