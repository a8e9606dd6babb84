//! The three clients: what one has waiting delays no other.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Node};
use kube_client::api::{Api, PostParams};
use kubewright_apiserver::ApiServer;
use kubewright_apiserver::faults::{Fault, Rule};
use node_agent::client::{ClientLimits, Clients};
use node_agent::config::{Config, Rate};
use parking_lot::Mutex;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::world::{clock, server};

async fn with_node() -> (ApiServer, Clients) {
    let server = server(&clock());
    let clients = Clients::in_process(server.service(), &ClientLimits::default());
    let node = serde_json::from_value(json!({"metadata": {"name": "n"}})).unwrap();
    let nodes: Api<Node> = Api::all(clients.heartbeat.client());
    nodes.create(&PostParams::default(), &node).await.unwrap();
    (server, clients)
}

#[tokio::test(start_paused = true)]
async fn heartbeats_are_not_delayed_by_a_flood_of_pod_traffic() {
    let (_server, clients) = with_node().await;
    let start = Instant::now();
    let mut flood = JoinSet::new();
    for _ in 0..3000 {
        let maps: Api<ConfigMap> = Api::default_namespaced(clients.main.clone());
        flood.spawn(async move { maps.get_opt("x").await.unwrap() });
    }
    for second in 0..58 {
        let nodes: Api<Node> = Api::all(clients.heartbeat.client());
        let before = Instant::now();
        nodes.get("n").await.unwrap();
        assert_eq!(
            before.elapsed(),
            Duration::ZERO,
            "a heartbeat waited in second {second}"
        );
        // Nor do events wait for pods.
        let events: Api<ConfigMap> = Api::default_namespaced(clients.events.clone());
        events.get_opt("x").await.unwrap();
        assert_eq!(before.elapsed(), Duration::ZERO);
        sleep(Duration::from_secs(1)).await;
    }
    let is_on = !flood.is_empty() && flood.try_join_next().is_some();
    assert!(is_on);
    while flood.join_next().await.is_some() {}
    // 100 at once, the rest 50 a second.
    assert_eq!(start.elapsed().as_millis() / 10, 5800);
}

#[tokio::test(start_paused = true)]
async fn requests_wait_for_their_turn_in_order() {
    let limits = ClientLimits {
        api: Rate {
            per_second: 2,
            burst: 3,
        },
        ..Default::default()
    };
    let server = server(&clock());
    let clients = Clients::in_process(server.service(), &limits);
    let order = Arc::new(Mutex::new(Vec::new()));
    let start = Instant::now();
    let mut tasks = JoinSet::new();
    for number in 0..7_u32 {
        let (order, client) = (Arc::clone(&order), clients.main.clone());
        tasks.spawn(async move {
            let maps: Api<ConfigMap> = Api::default_namespaced(client);
            maps.get_opt("x").await.unwrap();
            order.lock().push((number, start.elapsed().as_millis()));
        });
    }
    while tasks.join_next().await.is_some() {}
    let expected = [
        (0, 0),
        (1, 0),
        (2, 0),
        (3, 500),
        (4, 1000),
        (5, 1500),
        (6, 2000),
    ];
    let near: Vec<_> = order
        .lock()
        .iter()
        .map(|(n, at)| (*n, at / 10 * 10))
        .collect();
    assert_eq!(near, expected);
}

#[tokio::test(start_paused = true)]
async fn without_a_rate_there_is_no_limit() {
    let limits = ClientLimits {
        api: Rate {
            per_second: 0,
            burst: 0,
        },
        ..Default::default()
    };
    let server = server(&clock());
    let clients = Clients::in_process(server.service(), &limits);
    let start = Instant::now();
    for _ in 0..500 {
        let maps: Api<ConfigMap> = Api::default_namespaced(clients.main.clone());
        maps.get_opt("x").await.unwrap();
    }
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_heartbeat_ends_when_it_is_of_no_use_any_more() {
    let (server, clients) = with_node().await;
    let hang = Rule::new(Fault::Delay(Duration::from_secs(3600)));
    server.faults().add(hang.resource("nodes"));
    let nodes: Api<Node> = Api::all(clients.heartbeat.client());
    let start = Instant::now();
    nodes.get("n").await.unwrap_err();
    assert_eq!(start.elapsed().as_secs(), 10);
    // The others wait.
    let nodes: Api<Node> = Api::all(clients.main.clone());
    let waits = timeout(Duration::from_secs(60), nodes.get("n")).await;
    assert!(waits.is_err());
}

#[test]
fn limits_of_a_configuration() {
    let mut config = Config::default();
    assert_eq!(ClientLimits::of(&config), ClientLimits::default());
    config.node_lease_duration = Duration::from_secs(4);
    let limits = ClientLimits::of(&config);
    assert_eq!(limits.heartbeat_timeout, Duration::from_secs(4));
}

/// A server of one node that counts connections made and closed.
async fn serve(listener: TcpListener, made: Arc<AtomicUsize>, closed: watch::Sender<usize>) {
    let mut connections = JoinSet::new();
    let closed = Arc::new(closed);
    while let Ok((mut connection, _)) = listener.accept().await {
        made.fetch_add(1, Ordering::Relaxed);
        let closed = Arc::clone(&closed);
        connections.spawn(async move {
            let mut request = vec![0; 16 * 1024];
            while connection
                .read(&mut request)
                .await
                .is_ok_and(|read| read > 0)
            {
                let body = r#"{"apiVersion":"v1","kind":"Node","metadata":{"name":"n"}}"#;
                let answer = format!(
                    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\
                     content-length: {}\r\n\r\n{body}",
                    body.len()
                );
                connection.write_all(answer.as_bytes()).await.unwrap();
            }
            closed.send_modify(|count| *count += 1);
        });
    }
}

/// A client of heartbeats that may take so long.
fn patient_for(limit: Duration, listener: &TcpListener) -> Clients {
    let address = listener.local_addr().unwrap();
    let config = kube_client::Config::new(format!("http://{address}").parse().unwrap());
    let limits = ClientLimits {
        heartbeat_timeout: limit,
        ..ClientLimits::default()
    };
    Clients::connect(&config, &limits).unwrap()
}

#[tokio::test]
async fn a_heartbeat_finds_the_connection_of_the_one_before() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let limit = Duration::from_secs(3);
    let clients = patient_for(limit, &listener);
    let made = Arc::new(AtomicUsize::new(0));
    let mut tasks = JoinSet::new();
    tasks.spawn(serve(listener, Arc::clone(&made), watch::channel(0).0));
    let nodes: Api<Node> = Api::all(clients.heartbeat.client());
    for _ in 0..3 {
        nodes.get("n").await.unwrap();
        // Between two of them, a connection is idle for longer than one may take.
        sleep(limit + limit / 10).await;
    }
    assert_eq!(made.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_heartbeat_whose_answer_stalls_ends() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let clients = patient_for(Duration::from_millis(100), &listener);
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let (mut connection, _) = listener.accept().await.unwrap();
        let half = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{";
        connection.write_all(half).await.unwrap();
        std::future::pending::<()>().await;
    });
    let nodes: Api<Node> = Api::all(clients.heartbeat.client());
    let ended = timeout(Duration::from_secs(20), nodes.get("n")).await;
    ended.expect("in time").unwrap_err();
}

#[tokio::test]
async fn repeated_failure_closes_the_connections_of_heartbeats() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let made = Arc::new(AtomicUsize::new(0));
    let (close, mut closed) = watch::channel(0);
    let mut tasks = JoinSet::new();
    tasks.spawn(serve(listener, Arc::clone(&made), close));

    let config = kube_client::Config::new(format!("http://{address}").parse().unwrap());
    let clients = Clients::connect(&config, &ClientLimits::default()).unwrap();
    let beat = async || {
        let nodes: Api<Node> = Api::all(clients.heartbeat.client());
        nodes.get("n").await.unwrap();
    };
    beat().await;
    beat().await;
    assert_eq!(made.load(Ordering::Relaxed), 1, "a connection is kept");
    clients.heartbeat.reconnect();
    beat().await;
    assert_eq!(made.load(Ordering::Relaxed), 2);
    let is_closed = closed.wait_for(|count| *count == 1);
    timeout(Duration::from_secs(20), is_closed)
        .await
        .unwrap()
        .unwrap();
}
