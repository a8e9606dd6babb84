//! Kubelets that are down, hang, or do not know who asks.

use http_body_util::Full;
use kubewright_apiserver::serve::{
    NodeProxy, NodeProxyConfig, NodeTransport, ServeError, Transport,
};
use kubewright_apiserver::{ApiServer, Config};
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpSocket};

use crate::SHORT;
use crate::cluster::{Cluster, PODS, answer, proxy_to};
use crate::kubelet::Kubelet;
use crate::within;

const UPGRADE: &str = "connection: upgrade, close\nupgrade: SPDY/3.1";

impl Cluster {
    /// What the client of an upgrade is told instead.
    async fn refused_upgrade(&self, path: &str, code: u16) -> String {
        let mut socket = self.open(&format!("POST {PODS}/{path}\n{UPGRADE}")).await;
        answer(&mut socket).await.is(code).body
    }
}

#[tokio::test]
async fn a_kubelet_that_is_down_is_told_of_in_the_words_of_upstream() {
    // A port that is taken, at which nobody listens.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap().to_string();
    let cluster = Cluster::with(&address, NodeProxyConfig::new(NodeTransport::Http), |_| {}).await;
    cluster.pod("p", &["c"]).await;
    let refused = format!("dial tcp {address}: connect: connection refused");
    let log = cluster
        .send(&format!("GET {PODS}/p/log?tailLines=1"))
        .await
        .is(500);
    assert_eq!(
        log.message(),
        format!("Get \"http://{address}/containerLogs/default/p/c?tailLines=1\": {refused}")
    );
    assert!(log.json()["reason"].is_null());
    let exec = cluster.refused_upgrade("p/exec?command=x", 500).await;
    assert!(
        exec.contains(&format!("error dialing backend: {refused}")),
        "{exec}"
    );
    let page = cluster
        .send("GET /api/v1/nodes/n/proxy/healthz")
        .await
        .is(503);
    assert_eq!(page.json()["reason"], "ServiceUnavailable");
    assert_eq!(
        page.message(),
        format!("error trying to reach service: {refused}")
    );
    cluster.stopped().await;
}

#[tokio::test]
async fn a_kubelet_that_hangs_is_not_waited_for_for_ever() {
    let kubelet = Kubelet::start().await;
    let mut config = proxy_to(&kubelet);
    config.answer_timeout = SHORT;
    let cluster = Cluster::with(&kubelet.address.to_string(), config, |_| {}).await;
    cluster.pod("p", &["hangs"]).await;
    let late = "net/http: timeout awaiting response headers";
    let log = cluster.send(&format!("GET {PODS}/p/log")).await.is(500);
    assert!(log.message().ends_with(late), "{log:?}");
    let exec = cluster.refused_upgrade("p/exec?command=x", 500).await;
    assert!(exec.contains(late), "{exec}");
    let page = cluster
        .send("GET /api/v1/nodes/n/proxy/hangs")
        .await
        .is(503);
    assert!(page.message().ends_with(late), "{page:?}");
    cluster.stopped().await;
}

#[tokio::test]
async fn a_log_that_is_followed_may_keep_silent() {
    let kubelet = Kubelet::start().await;
    let mut config = proxy_to(&kubelet);
    config.answer_timeout = SHORT;
    let cluster = Cluster::with(&kubelet.address.to_string(), config, |_| {}).await;
    cluster.pod("p", &["hangs"]).await;
    let mut socket = cluster.open(&format!("GET {PODS}/p/log?follow=true")).await;
    // Another answer is late meanwhile.
    for _ in 0..3 {
        cluster.send(&format!("GET {PODS}/p/log")).await.is(500);
    }
    let silent = tokio::time::timeout(SHORT, socket.read_u8()).await;
    assert!(silent.is_err(), "{silent:?}");
    // It does not hold up the end.
    cluster.stopped().await;
    let stopped = answer(&mut socket).await.is(503);
    assert_eq!(stopped.message(), "the server is shutting down");
}

#[tokio::test]
async fn a_handshake_that_does_not_come_is_given_up() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let kubelet = Kubelet::start_secure("127.0.0.1").await;
    let mut config = proxy_to(&kubelet);
    config.connect_timeout = SHORT;
    let address = silent.local_addr().unwrap().to_string();
    let cluster = Cluster::with(&address, config, |_| {}).await;
    cluster.pod("p", &["c"]).await;
    let log = cluster.send(&format!("GET {PODS}/p/log")).await.is(500);
    assert!(
        log.message().ends_with("net/http: TLS handshake timeout"),
        "{log:?}"
    );
    cluster.stopped().await;
}

#[tokio::test]
async fn a_kubelet_that_closes_without_an_answer() {
    let kubelet = Kubelet::start().await;
    let cluster = Cluster::new(&kubelet).await;
    cluster.pod("p", &["closes"]).await;
    let log = cluster.send(&format!("GET {PODS}/p/log")).await.is(500);
    assert!(log.message().ends_with(": EOF"), "{log:?}");
    cluster.stopped().await;
}

#[tokio::test]
async fn certificates_of_kubelets_are_verified() {
    let kubelet = Kubelet::start_secure("127.0.0.1").await;
    let address = kubelet.address.to_string();
    let cluster = Cluster::new(&kubelet).await;
    cluster.pod("p", &["c"]).await;
    let log = cluster.send(&format!("GET {PODS}/p/log")).await.is(200);
    assert_eq!(log.body, "one\ntwo\n");
    let mut tunnel = cluster
        .tunnel(&format!("POST {PODS}/p/exec?command=x"), "SPDY/3.1")
        .await;
    tokio::io::AsyncWriteExt::write_all(&mut tunnel, b"x")
        .await
        .unwrap();
    assert_eq!(within(tunnel.read_u8()).await.unwrap(), b'x');
    cluster.stopped().await;

    let elsewhere = Kubelet::start_secure("127.0.0.2").await;
    for (kubelet, config) in [
        (address, proxy_to(&elsewhere)),
        (elsewhere.address.to_string(), proxy_to(&elsewhere)),
    ] {
        let cluster = Cluster::with(&kubelet, config, |_| {}).await;
        cluster.pod("p", &["c"]).await;
        let log = cluster.send(&format!("GET {PODS}/p/log")).await.is(500);
        let message = log.message();
        assert!(
            message.contains("tls: failed to verify certificate: "),
            "{message}"
        );
        cluster.stopped().await;
    }
}

#[tokio::test]
async fn an_authority_that_is_none_is_refused_at_once() {
    let server = ApiServer::new(Config::default()).unwrap();
    for pem in [
        "",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ] {
        let config = NodeProxyConfig::new(NodeTransport::Https {
            certificate_authority: pem.to_owned(),
        });
        let error = NodeProxy::new(server.service(), config).unwrap_err();
        assert!(matches!(error, ServeError::NodeAuthority(_)), "{error}");
    }
}

#[tokio::test]
async fn a_token_that_the_kubelet_does_not_know() {
    let kubelet = Kubelet::start().await;
    let mut config = proxy_to(&kubelet);
    config.token = Some("other".parse().unwrap());
    let cluster = Cluster::with(&kubelet.address.to_string(), config, |_| {}).await;
    cluster.pod("p", &["c"]).await;
    let log = cluster.send(&format!("GET {PODS}/p/log")).await.is(401);
    assert_eq!(
        log.message(),
        "the server has asked for the client to provide credentials ( pods/log p)"
    );
    let exec = cluster.refused_upgrade("p/exec?command=x", 401).await;
    assert_eq!(exec, "Unauthorized");
    cluster.stopped().await;
}

#[tokio::test]
async fn a_log_that_the_kubelet_refuses() {
    let kubelet = Kubelet::start().await;
    let cluster = Cluster::new(&kubelet).await;
    cluster.pod("p", &["missing", "broken"]).await;
    let log = |container| format!("GET {PODS}/p/log?container={container}");
    let missing = cluster.send(&log("missing")).await.is(404);
    assert_eq!(
        missing.message(),
        "the server could not find the requested resource ( pods/log p)"
    );
    let broken = cluster.send(&log("broken")).await.is(500);
    assert_eq!(
        broken.message(),
        "Internal error occurred: the disk is gone"
    );
    cluster.stopped().await;
}

#[tokio::test]
async fn over_http_2_logs_come_and_streams_are_to_be_asked_for_otherwise() {
    let kubelet = Kubelet::start().await;
    let cluster = Cluster::with(
        &kubelet.address.to_string(),
        proxy_to(&kubelet),
        |listening| {
            listening.transport = Transport::Http;
        },
    )
    .await;
    cluster.pod("p", &["c"]).await;
    let socket = cluster.connect().await;
    let (mut client, connection) = hyper::client::conn::http2::handshake(
        hyper_util::rt::TokioExecutor::new(),
        hyper_util::rt::TokioIo::new(socket),
    )
    .await
    .unwrap();
    let mut driving = tokio::task::JoinSet::new();
    driving.spawn(connection);
    for (path, code) in [("log", 200), ("exec?command=x", 400)] {
        let request = http::Request::get(format!("http://localhost{PODS}/p/{path}"))
            .body(Full::<bytes::Bytes>::default())
            .unwrap();
        let response = within(client.send_request(request)).await.unwrap();
        assert_eq!(response.status(), code, "{path}");
    }
    drop(client);
    cluster.stopped().await;
}
