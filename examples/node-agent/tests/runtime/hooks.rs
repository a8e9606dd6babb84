//! What is run after containers start and before they are stopped.

use std::time::Duration;

use kubewright_cri::testing::{Behaviour, Exec};
use kubewright_cri::v1::ContainerState::{ContainerExited, ContainerRunning};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::time::Instant;

use crate::fixtures::{Harness, SECOND, app, pod};
use crate::taken_port::taken_port;

#[tokio::test(start_paused = true)]
async fn life_cycle_hook_exec_post_start() {
    let harness = Harness::new();
    let pod = pod(json!({"containers": [
        {"name": "a", "image": "i:1", "lifecycle": {"postStart": {"exec": {"command": ["hook", "x"]}}}},
        {"name": "b", "image": "i:1"},
    ]}));
    let (ran, runs) = std::sync::mpsc::channel();
    harness.fake.on_exec(move |container, command| {
        ran.send((container.to_owned(), command.to_vec())).unwrap();
        Exec {
            takes: 5 * SECOND,
            ..Exec::default()
        }
    });
    harness.sync_well(&pod).await;
    let command = ["hook".to_owned(), "x".to_owned()];
    assert_eq!(
        runs.try_recv().unwrap(),
        ("web/a".to_owned(), command.to_vec())
    );
    // The next container waits for the hook.
    let b = harness.fake.container("web", "b").unwrap();
    let a = harness.fake.container("web", "a").unwrap();
    assert_eq!(b.created_at - a.started_at, 5_000_000_000);
}

#[tokio::test(start_paused = true)]
async fn a_container_whose_post_start_hook_fails_is_killed() {
    let mut harness = Harness::new();
    let hooks = json!({"postStart": {"exec": {"command": ["hook"]}}});
    let pod = app(json!({"lifecycle": hooks}));
    harness.fake.on_exec(|_, _| Exec {
        exit_code: 1,
        stderr: b"a secret".to_vec(),
        ..Exec::default()
    });
    let result = harness.sync(&pod).await;
    let error = result.starts[0].result.clone().unwrap_err();
    assert_eq!(error.reason, "PostStartHookError");
    let message = "Exec lifecycle hook ([hook]) for Container \"app\" in Pod \
                   \"web_new(12345678)\" failed - error: command 'hook' exited with 1: a secret, \
                   message: \"a secret\"";
    assert_eq!(error.message, message);
    assert_eq!(
        harness.containers(),
        [("app".to_owned(), ContainerExited, 0)]
    );
    let events = harness.events();
    let told = [
        "Warning FailedPostStartHook{app}: PostStartHook failed",
        "Normal Killing{app}: FailedPostStartHook",
    ];
    assert_eq!(events[events.len() - 2..], told);
}

#[tokio::test(start_paused = true)]
async fn life_cycle_hook_exec_pre_stop() {
    let mut harness = Harness::new();
    let hooks = json!({"preStop": {"exec": {"command": ["hook"]}}});
    let pod = app(json!({"lifecycle": hooks}));
    harness.sync_well(&pod).await;
    // The hook's time is part of the grace.
    harness.fake.on_exec(|_, _| Exec {
        takes: 10 * SECOND,
        ..Exec::default()
    });
    harness.fake.take_calls();
    let observed = harness.observe(&pod).await;
    let start = Instant::now();
    harness
        .manager
        .kill_pod(Some(&pod), &observed, None)
        .await
        .unwrap();
    assert_eq!(start.elapsed(), 10 * SECOND);
    let calls = harness.fake.take_calls();
    let stop = calls
        .iter()
        .find(|call| call.method == "StopContainer")
        .unwrap();
    assert_eq!(stop.seconds, 20);
    let order: Vec<_> = calls.iter().map(|call| call.method).collect();
    let hook = order
        .iter()
        .position(|method| *method == "ExecSync")
        .unwrap();
    let stop = order
        .iter()
        .position(|method| *method == "StopContainer")
        .unwrap();
    assert!(hook < stop);
    harness.events();
}

#[tokio::test(start_paused = true)]
async fn a_pre_stop_hook_that_fails_or_takes_too_long_does_not_save_its_container() {
    for (exit_code, takes, told) in [(1, SECOND, true), (0, 100 * SECOND, false)] {
        let mut harness = Harness::new();
        let hooks = json!({"preStop": {"exec": {"command": ["hook"]}}});
        let pod = app(json!({"lifecycle": hooks}));
        harness.sync_well(&pod).await;
        harness.fake.on_exec(move |_, _| Exec {
            exit_code,
            takes,
            ..Exec::default()
        });
        harness.events();
        let observed = harness.observe(&pod).await;
        let start = Instant::now();
        harness
            .manager
            .kill_pod(Some(&pod), &observed, None)
            .await
            .unwrap();
        assert_eq!(start.elapsed(), takes.min(30 * SECOND));
        assert!(harness.observe(&pod).await.is_at_rest());
        let failed = "Warning FailedPreStopHook{app}: PreStopHook failed".to_owned();
        assert_eq!(harness.events().contains(&failed), told);
    }
}

#[tokio::test(start_paused = true)]
async fn life_cycle_hook_sleep() {
    let mut harness = Harness::new();
    let hooks =
        json!({"postStart": {"sleep": {"seconds": 3}}, "preStop": {"sleep": {"seconds": 4}}});
    let pod = app(json!({"lifecycle": hooks}));
    let start = Instant::now();
    harness.sync_well(&pod).await;
    assert_eq!(start.elapsed(), 3 * SECOND);
    let observed = harness.observe(&pod).await;
    let start = Instant::now();
    harness
        .manager
        .kill_pod(Some(&pod), &observed, None)
        .await
        .unwrap();
    assert_eq!(start.elapsed(), 4 * SECOND);
    harness.events();
}

#[tokio::test(start_paused = true)]
async fn a_hook_over_tcp_is_refused() {
    let harness = Harness::new();
    let hooks = json!({"postStart": {"tcpSocket": {"port": 80}}});
    let result = harness.sync(&app(json!({"lifecycle": hooks}))).await;
    let error = result.starts[0].result.clone().unwrap_err();
    assert_eq!(
        error.message,
        "Cannot run handler: invalid handler: tcpSocket is not a hook"
    );
    assert_eq!(
        harness.containers(),
        [("app".to_owned(), ContainerExited, 0)]
    );
}

/// Answers one request with this text, and tells its head.
async fn serve_once(answer: &'static str) -> (u16, impl Future<Output = String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let served = async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        stream.write_all(answer.as_bytes()).await.unwrap();
        String::from_utf8(head).unwrap()
    };
    (port, served)
}

#[tokio::test]
async fn life_cycle_hook_http_get() {
    // Any answer is one.
    for answer in [
        "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 500 Oh\r\ncontent-length: 0\r\n\r\n",
    ] {
        let harness = Harness::new();
        let (port, served) = serve_once(answer).await;
        let action = json!({
            "host": "127.0.0.1",
            "port": "web",
            "path": "/hook?x=1",
            "httpHeaders": [{"name": "X-Test", "value": "yes"}, {"name": "Host", "value": "a.example"}],
        });
        let pod = app(json!({
            "ports": [{"name": "web", "containerPort": port}],
            "lifecycle": {"postStart": {"httpGet": action}},
        }));
        let both = async { tokio::join!(harness.sync_well(&pod), served) };
        let ((), head) = tokio::time::timeout(Duration::from_secs(20), both)
            .await
            .unwrap();
        let head = head.to_lowercase();
        assert!(head.starts_with("get /hook?x=1 http/1.1\r\n"), "{head}");
        for header in [
            "x-test: yes",
            "host: a.example",
            "user-agent: kube-lifecycle/1.36",
            "accept: */*",
        ] {
            assert!(
                head.contains(&format!("\r\n{header}\r\n")),
                "{header}: {head}"
            );
        }
        assert_eq!(
            harness.containers(),
            [("app".to_owned(), ContainerRunning, 0)]
        );
    }
}

#[tokio::test]
async fn a_hook_goes_where_it_is_sent_on_to() {
    let harness = Harness::new();
    let moved = "HTTP/1.1 302 Found\r\nlocation: /there\r\ncontent-length: 0\r\n\r\n";
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let served = async move {
        let mut lines = Vec::new();
        for answer in [moved, "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"] {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            stream.write_all(answer.as_bytes()).await.unwrap();
            let head = String::from_utf8(head).unwrap();
            lines.extend(head.lines().next().map(str::to_owned));
        }
        lines
    };
    let action = json!({"host": "127.0.0.1", "port": port, "path": "/here"});
    let pod = app(json!({"lifecycle": {"postStart": {"httpGet": action}}}));
    let both = async { tokio::join!(harness.sync_well(&pod), served) };
    let both = tokio::time::timeout(Duration::from_secs(20), both).await;
    assert_eq!(
        both.unwrap().1,
        ["GET /here HTTP/1.1", "GET /there HTTP/1.1"]
    );
}

#[tokio::test]
async fn a_hook_over_http_that_nobody_answers_fails() {
    let harness = Harness::new();
    let (_taken, port) = taken_port();
    let action = json!({"host": "127.0.0.1", "port": port});
    let pod = app(json!({"lifecycle": {"postStart": {"httpGet": action}}}));
    let result = harness.sync(&pod).await;
    let error = result.starts[0].result.clone().unwrap_err();
    assert_eq!(error.reason, "PostStartHookError");
    assert!(error.message.contains("onnection refused"), "{error}");
}

#[tokio::test]
async fn a_port_that_the_container_does_not_name_is_refused() {
    let harness = Harness::new();
    let action = json!({"host": "127.0.0.1", "port": "nobody"});
    let pod = app(json!({"lifecycle": {"postStart": {"httpGet": action}}}));
    let result = harness.sync(&pod).await;
    let error = result.starts[0].result.clone().unwrap_err();
    assert!(
        error.message.ends_with("couldn't find port: \"nobody\""),
        "{error}"
    );
}

#[tokio::test]
async fn run_handler_https_failure_fallback() {
    let mut harness = Harness::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let served = async move {
        let answer = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        // To the handshake, whatever it says, and to the request.
        let mut last = Vec::new();
        for _ in 0..2 {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = vec![0; 4096];
            let read = stream.read(&mut head).await.unwrap();
            head.truncate(read);
            stream.write_all(answer).await.unwrap();
            last = head;
        }
        String::from_utf8(last).unwrap().to_lowercase()
    };
    let headers = json!([{"name": "Authorization", "value": "hidden"}]);
    let action =
        json!({"host": "127.0.0.1", "port": port, "scheme": "HTTPS", "httpHeaders": headers});
    let pod = app(json!({"lifecycle": {"postStart": {"httpGet": action}}}));
    let both = async { tokio::join!(harness.sync_well(&pod), served) };
    let ((), head) = tokio::time::timeout(Duration::from_secs(20), both)
        .await
        .unwrap();
    assert!(head.starts_with("get / http/1.1\r\n"), "{head}");
    assert!(!head.contains("hidden"));
    assert!(
        harness
            .reasons()
            .contains(&"LifecycleHTTPFallback".to_owned())
    );
}

#[tokio::test(start_paused = true)]
async fn a_hook_that_is_under_way_ends_with_the_sync() {
    let harness = Harness::new();
    let hooks = json!({"postStart": {"sleep": {"seconds": 1000}}});
    let pod = app(json!({"lifecycle": hooks}));
    harness.fake.behave("app", Behaviour::ignores_stop());
    let observed = harness.observe(&pod).await;
    let token = tokio_util::sync::CancellationToken::new();
    let start = Instant::now();
    let cancel = async {
        tokio::time::sleep(SECOND).await;
        token.cancel();
    };
    let (result, ()) = tokio::join!(harness.sync_until(&pod, &observed, &token), cancel);
    assert_eq!(start.elapsed(), SECOND);
    assert!(result.has_acted && result.error.is_some());
}
