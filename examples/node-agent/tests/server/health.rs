//! Whether the agent is well.

use std::sync::Arc;
use std::time::Duration;

use node_agent::server::{HealthCheck, HealthChecks, HealthServer, sync_loop_check};
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, advance, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::host::FakeHost;
use crate::{ANY_PORT, DEADLINE, Served, open};

/// Answers to `TestHealthCheck`.
#[tokio::test]
async fn health_check() {
    let server = Served::start(FakeHost::default()).await;
    let check = |target: &'static str, code: u16, text: &'static str| {
        let server = &server;
        async move {
            let answered = server.get(target).await;
            assert_eq!(
                (answered.code, answered.text.as_str()),
                (code, text),
                "{target}"
            );
        }
    };
    check("/healthz", 200, "ok").await;
    check("/healthz/", 200, "ok").await;
    check("/healthz/ping", 200, "ok").await;
    check("/healthz/log", 200, "ok").await;
    check("/healthz/nothing", 404, "404: Page Not Found").await;
    check(
        "/healthz?verbose",
        200,
        "[+]ping ok\n[+]log ok\nhealthz check passed\n",
    )
    .await;
    server.stop().await;
}

/// Answers to `TestSyncLoopCheck`.
#[tokio::test]
async fn sync_loop() {
    let last = Arc::new(Mutex::new(None));
    let check = sync_loop_check(Duration::from_secs(60), {
        let last = Arc::clone(&last);
        move || *last.lock()
    });
    let server = Served::with(FakeHost::default(), open(), |options| {
        options.health = HealthChecks::default().with(check);
    });
    let server = server.await;
    assert_eq!(
        server.get("/healthz").await.code,
        200,
        "it has not begun yet"
    );
    *last.lock() = Some(Instant::now());
    assert_eq!(server.get("/healthz/syncloop").await.code, 200);

    let Some(long_ago) = Instant::now().checked_sub(Duration::from_secs(600)) else {
        panic!("the machine was only just started");
    };
    *last.lock() = Some(long_ago);
    let answered = server.get("/healthz").await;
    let report =
        "[+]ping ok\n[+]log ok\n[-]syncloop failed: reason withheld\nhealthz check failed\n";
    assert_eq!((answered.code, answered.text.as_str()), (500, report));
    let answered = server.get("/healthz/syncloop").await;
    let text = "internal server error: sync Loop took longer than expected\n";
    assert_eq!((answered.code, answered.text.as_str()), (500, text));
    assert_eq!(server.get("/healthz?exclude=syncloop").await.code, 200);
}

/// How long the loop may be silent: 5 min, or twice the resync.
#[tokio::test(start_paused = true)]
async fn the_sync_loop_has_five_minutes_or_two_syncs() {
    for (resync, longest) in [(60, 300), (300, 600)] {
        let began = Instant::now();
        let check = sync_loop_check(Duration::from_secs(resync), move || Some(began));
        assert!(check.run().is_ok());
        advance(Duration::from_secs(longest)).await;
        assert!(check.run().is_ok());
        advance(Duration::from_secs(1)).await;
        assert!(check.run().is_err());
    }
}

#[tokio::test(start_paused = true)]
async fn the_health_server_comes_when_its_port_is_free() {
    let other = TcpListener::bind(ANY_PORT).await.unwrap();
    let address = other.local_addr().unwrap();
    let failing = HealthCheck::new("never", || Err("as it is".to_owned()));
    let server = HealthServer::new(address, HealthChecks::default().with(failing));
    let mut bound = server.bound();
    let token = CancellationToken::new();
    let mut running = JoinSet::new();
    running.spawn(server.run(token.clone()));
    sleep(Duration::from_secs(12)).await;
    assert_eq!(*bound.borrow(), None);
    drop(other);
    let freed = Instant::now();
    timeout(DEADLINE, bound.wait_for(Option::is_some))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        freed.elapsed(),
        Duration::from_secs(3),
        "it tries every 5 s"
    );
    tokio::time::resume();
    for (target, code) in [
        ("/healthz", "500"),
        ("/livez", "500"),
        ("/readyz/never", "500"),
        ("/readyz?exclude=never", "200"),
        ("/livez/ping", "200"),
        ("/pods", "404"),
    ] {
        let mut socket = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        let read = socket.read_to_string(&mut answer);
        timeout(DEADLINE, read).await.unwrap().unwrap();
        assert_eq!(answer.split(' ').nth(1), Some(code), "{target}: {answer}");
    }
    token.cancel();
    timeout(DEADLINE, running.join_next())
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}
