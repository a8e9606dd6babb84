//! How the runtime is, and what that makes of the node.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use kubewright_cri::Runtime;
use kubewright_cri::testing::FakeRuntime;
use kubewright_cri::v1::{RuntimeCondition, RuntimeStatus, StatusResponse};
use node_agent::node::{CriObserver, NodeObserver as _, RuntimeHealth, RuntimeSync};
use tokio::time::{Instant, advance};

fn said(runtime: bool, network: bool) -> StatusResponse {
    let condition = |type_: &str, status| RuntimeCondition {
        r#type: type_.to_owned(),
        status,
        reason: "Why".to_owned(),
        message: "because".to_owned(),
    };
    let conditions = vec![
        condition("RuntimeReady", runtime),
        condition("NetworkReady", network),
    ];
    StatusResponse {
        status: Some(RuntimeStatus { conditions }),
        ..Default::default()
    }
}

#[tokio::test(start_paused = true)]
async fn update_node_status_with_runtime_state_error() {
    let health = RuntimeHealth::new();
    let see = |status: &StatusResponse| health.observe(Instant::now(), Ok(status));
    let problems = || health.problems(Instant::now());
    assert_eq!(
        problems(),
        ["container runtime status check may not have completed yet"]
    );
    assert_eq!(see(&said(true, true)), RuntimeSync::Up);
    assert_eq!(problems(), [""; 0]);
    // It is old news by and by.
    advance(Duration::from_secs(29)).await;
    assert_eq!(problems(), [""; 0]);
    advance(Duration::from_secs(1)).await;
    assert_eq!(problems(), ["container runtime is down"]);
    // No answer is no news.
    let error = {
        let fake = FakeRuntime::default();
        fake.go_away();
        Runtime::in_process(fake).status().await.unwrap_err()
    };
    assert_eq!(
        health.observe(Instant::now(), Err(&error)),
        RuntimeSync::Down
    );
    assert_eq!(see(&StatusResponse::default()), RuntimeSync::Down);
    assert_eq!(problems(), ["container runtime is down"]);

    assert_eq!(see(&said(true, true)), RuntimeSync::Up);
    // An empty answer says that nothing is ready.
    let empty = StatusResponse {
        status: Some(RuntimeStatus::default()),
        ..Default::default()
    };
    assert_eq!(see(&empty), RuntimeSync::Down);
    assert_eq!(problems().len(), 2);
    assert_eq!(see(&said(false, true)), RuntimeSync::Down);
    let not_ready = "container runtime not ready: RuntimeReady=false reason:Why message:because";
    assert_eq!(problems(), [not_ready]);
    assert_eq!(see(&said(true, false)), RuntimeSync::Up);
    assert_eq!(health.runtime_errors(Instant::now()), [""; 0]);
    let network =
        "container runtime network not ready: NetworkReady=false reason:Why message:because";
    assert_eq!(health.network_errors().as_deref(), Some(network));
    assert_eq!(see(&said(true, true)), RuntimeSync::Up);
    assert_eq!(problems(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn what_is_checked_counts() {
    let health = RuntimeHealth::new();
    let is_well = Arc::new(AtomicBool::new(true));
    let asked = Arc::clone(&is_well);
    health.add_check("PLEG", move || {
        let is_well = asked.load(Ordering::Relaxed);
        is_well.then_some(()).ok_or_else(|| "it sleeps".to_owned())
    });
    health.observe(Instant::now(), Ok(&said(true, true)));
    assert_eq!(health.problems(Instant::now()), [""; 0]);
    is_well.store(false, Ordering::Relaxed);
    assert_eq!(
        health.problems(Instant::now()),
        ["PLEG is not healthy: it sleeps"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_node_is_observed_through_its_runtime() {
    let fake = FakeRuntime::default();
    let runtime = Runtime::in_process(fake.clone());
    let health = RuntimeHealth::new();
    health.observe(Instant::now(), runtime.status().await.as_ref());
    let dir = tempfile::tempdir().unwrap();
    let observer = CriObserver::new(runtime, health, dir.path())
        .with_shutdown(|| Some("node is shutting down".to_owned()));
    let seen = observer.observe().await;
    assert_eq!(seen.problems, ["node is shutting down"]);
    assert!(seen.storage.is_some_and(|bytes| bytes > 0));
    assert!(seen.runtime_version.unwrap().contains("://"));

    // What cannot be asked is not known.
    fake.go_away();
    let seen = observer.observe().await;
    assert_eq!((seen.runtime_version, seen.images.len()), (None, 0));
}
