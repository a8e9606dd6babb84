//! Whether the agent is well.

use std::sync::Arc;
use std::time::Duration;

use node_agent::server::{HealthCheck, HealthChecks, HealthServer};
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
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
    let is_stale = Arc::new(Mutex::new(false));
    let check = HealthCheck::new("syncloop", {
        let is_stale = Arc::clone(&is_stale);
        move || match *is_stale.lock() {
            true => Err("sync Loop took longer than expected".to_owned()),
            false => Ok(()),
        }
    });
    let server = Served::with(FakeHost::default(), open(), |options| {
        options.health = HealthChecks::default().with(check);
    });
    let server = server.await;
    assert_eq!(server.get("/healthz").await.code, 200);
    assert_eq!(server.get("/healthz/syncloop").await.code, 200);

    *is_stale.lock() = true;
    let answered = server.get("/healthz").await;
    let report =
        "[+]ping ok\n[+]log ok\n[-]syncloop failed: reason withheld\nhealthz check failed\n";
    assert_eq!((answered.code, answered.text.as_str()), (500, report));
    let answered = server.get("/healthz/syncloop").await;
    let text = "internal server error: sync Loop took longer than expected\n";
    assert_eq!((answered.code, answered.text.as_str()), (500, text));
    assert_eq!(server.get("/healthz?exclude=syncloop").await.code, 200);
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
