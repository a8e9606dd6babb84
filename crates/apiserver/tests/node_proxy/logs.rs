//! Logs of pods, and the pages of kubelets.

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use kubewright_streaming::client::Received;
use tokio::io::AsyncReadExt as _;
use tokio::time::timeout;

use crate::cluster::{Cluster, PODS, head};
use crate::kubelet::{Kubelet, TOKEN};
use crate::{SHORT, TOO_MANY, within};

#[tokio::test]
async fn a_log_comes_as_text() {
    let mut kubelet = Kubelet::start().await;
    let cluster = Cluster::new(&kubelet).await;
    cluster.pod("p", &["c"]).await;
    let request = format!(
        "GET {PODS}/p/log?tailLines=5&timestamps=true&pretty=true\nAccept: application/json, */*\n\
         Authorization: Bearer client\nCookie: a=b"
    );
    let answer = cluster.send(&request).await.is(200);
    assert_eq!(answer.body, "one\ntwo\n");
    assert!(
        answer.head.contains("\r\ncontent-type: text/plain\r\n"),
        "{answer:?}"
    );
    let asked = kubelet.asked().await;
    assert_eq!(asked.method, "GET");
    assert_eq!(
        asked.target,
        "/containerLogs/default/p/c?tailLines=5&timestamps=true"
    );
    assert_eq!(asked.headers["host"], kubelet.address.to_string());
    assert_eq!(asked.headers["authorization"], format!("Bearer {TOKEN}"));
    for header in ["accept", "cookie"] {
        assert!(
            !asked.headers.contains_key(header),
            "{header} is the client's"
        );
    }
    cluster.stopped().await;
}

#[tokio::test]
async fn a_log_that_is_followed_comes_as_it_is_made_and_ends_with_its_client() {
    let mut kubelet = Kubelet::start().await;
    let cluster = Cluster::new(&kubelet).await;
    cluster.pod("p", &["c"]).await;
    let mut socket = cluster.open(&format!("GET {PODS}/p/log?follow=true")).await;
    head(&mut socket).await;
    let mut chunk = [0; 6];
    within(socket.read_exact(&mut chunk)).await.unwrap();
    assert_eq!(&chunk, b"1\r\nx\r\n");
    kubelet.alive(1).await;
    drop(socket);
    kubelet.alive(0).await;
    cluster.stopped().await;
}

#[tokio::test]
async fn a_log_comes_over_a_websocket() {
    let mut kubelet = Kubelet::start().await;
    let cluster = Cluster::new(&kubelet).await;
    cluster.pod("p", &["c"]).await;
    let bytes = |text: &str| Received::Binary(Bytes::copy_from_slice(text.as_bytes()));
    let text = |text: &str| Received::Text(text.to_owned());
    for (protocol, expected) in [
        ("", [bytes(""), bytes("one\ntwo\n")]),
        ("binary.k8s.io", [bytes(""), bytes("one\ntwo\n")]),
        ("base64.binary.k8s.io", [text(""), text("b25lCnR3bwo=")]),
    ] {
        let mut messages = cluster
            .messages("p/log?tailLines=5", protocol)
            .await
            .unwrap();
        for expected in expected {
            assert_eq!(within(messages.next()).await.unwrap(), Some(expected));
        }
        assert_eq!(within(messages.next()).await.unwrap(), None);
        let asked = kubelet.asked().await;
        assert_eq!(asked.target, "/containerLogs/default/p/c?tailLines=5");
        for header in ["upgrade", "sec-websocket-key"] {
            assert!(
                !asked.headers.contains_key(header),
                "{header} is the client's"
            );
        }
    }
    cluster.stopped().await;
}

#[tokio::test]
async fn a_log_that_is_followed_over_a_websocket_ends_with_its_client() {
    let mut kubelet = Kubelet::start().await;
    let cluster = Cluster::new(&kubelet).await;
    cluster.pod("p", &["c"]).await;
    let mut messages = cluster.messages("p/log?follow=true", "").await.unwrap();
    for expected in ["", "x"] {
        let expected = Some(Received::Binary(expected.into()));
        assert_eq!(within(messages.next()).await.unwrap(), expected);
    }
    kubelet.alive(1).await;
    drop(messages);
    kubelet.alive(0).await;
    cluster.stopped().await;
}

#[tokio::test]
async fn on_stop_a_log_over_a_websocket_ends() {
    let mut kubelet = Kubelet::start().await;
    let cluster = Cluster::new(&kubelet).await;
    cluster.pod("p", &["c"]).await;
    let mut messages = cluster.messages("p/log?follow=true", "").await.unwrap();
    kubelet.alive(1).await;
    cluster.stopped().await;
    kubelet.alive(0).await;
    let ended = async { while let Ok(Some(_)) = messages.next().await {} };
    within(ended).await;
}

#[tokio::test]
async fn a_log_over_a_websocket_is_refused_in_words() {
    let kubelet = Kubelet::start().await;
    let cluster = Cluster::new(&kubelet).await;
    cluster.pod("p", &["c", "missing"]).await;
    let refused = async |path, protocol| {
        let refused = cluster.messages(path, protocol).await.unwrap_err();
        refused.to_string()
    };
    let said = refused("p/log?container=c", "v4.channel.k8s.io").await;
    assert!(
        said.starts_with("403") && said.contains("are not supported"),
        "{said}"
    );
    // What the kubelet says comes first.
    let said = refused("p/log?container=missing", "").await;
    assert!(said.starts_with("404"), "{said}");
    let request = Request::get(format!("{PODS}/p/log?container=c"))
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .body(Full::default())
        .unwrap();
    let (code, said) = cluster.ask(request).await;
    assert_eq!(code, 501);
    assert!(said.contains("did not come through its listener"), "{said}");
    cluster.stopped().await;
}

#[tokio::test]
async fn on_stop_a_log_that_is_followed_ends_cleanly() {
    let mut kubelet = Kubelet::start().await;
    let cluster = Cluster::new(&kubelet).await;
    cluster.pod("p", &["c"]).await;
    let mut socket = cluster.open(&format!("GET {PODS}/p/log?follow=true")).await;
    head(&mut socket).await;
    kubelet.alive(1).await;
    cluster.stopped().await;
    let mut rest = String::new();
    within(socket.read_to_string(&mut rest)).await.unwrap();
    assert!(rest.ends_with("0\r\n\r\n"), "{rest:?}");
    kubelet.alive(0).await;
}

#[tokio::test]
async fn a_client_that_does_not_read_makes_the_kubelet_wait() {
    let mut kubelet = Kubelet::start().await;
    let cluster = Cluster::new(&kubelet).await;
    cluster.pod("p", &["flood"]).await;
    let mut socket = cluster.open(&format!("GET {PODS}/p/log")).await;
    kubelet.alive(1).await;
    let mut sent = kubelet.sent.clone();
    within(sent.wait_for(|sent| *sent > 0)).await.unwrap();
    // Until all that the system keeps for the sockets is full.
    while timeout(5 * SHORT, sent.changed()).await.is_ok() {
        let taken = *sent.borrow();
        assert!(taken < TOO_MANY, "{taken} bytes were taken");
    }
    let stuck_at = *sent.borrow();
    // It goes on when the client reads again.
    let mut taken = vec![0; 2 * stuck_at];
    within(socket.read_exact(&mut taken)).await.unwrap();
    drop(socket);
    kubelet.alive(0).await;
    cluster.stopped().await;
}

#[tokio::test]
async fn pages_of_kubelets_are_passed_on() {
    let mut kubelet = Kubelet::start().await;
    let cluster = Cluster::new(&kubelet).await;
    let node = "/api/v1/nodes/n/proxy";
    for path in ["/healthz", "/metrics/cadvisor?a=b%20c&a=d", "/pods/"] {
        let request = format!(
            "GET {node}{path}\nX-Own: 1\nAuthorization: Bearer client\nImpersonate-User: admin\nImpersonate-Group: system:masters"
        );
        let answer = cluster.send(&request).await.is(203);
        let bare = path.split('?').next().unwrap();
        assert_eq!(answer.body, format!("page {bare}"));
        assert!(
            answer.head.contains("content-type: text/x-page"),
            "{answer:?}"
        );
        let asked = kubelet.asked().await;
        assert_eq!(asked.target, path);
        assert_eq!(asked.headers["x-own"], "1");
        assert_eq!(asked.headers["authorization"], format!("Bearer {TOKEN}"));
        for header in ["impersonate-user", "impersonate-group", "connection"] {
            assert!(
                !asked.headers.contains_key(header),
                "{header} is the client's"
            );
        }
    }
    cluster.send(&format!("GET {node}")).await.is(203);
    assert_eq!(kubelet.asked().await.target, "/");
    let port = kubelet.address.port();
    cluster
        .send(&format!("GET /api/v1/nodes/n:{port}/proxy/pods"))
        .await
        .is(203);
    assert_eq!(kubelet.asked().await.target, "/pods");
    let request = Request::post(format!("{node}/run"))
        .body(Full::new(Bytes::from("body")))
        .unwrap();
    assert_eq!(cluster.ask(request).await, (203, "page /run".to_owned()));
    let asked = kubelet.asked().await;
    assert_eq!(
        (asked.method.as_str(), &*asked.body),
        ("POST", &b"body"[..])
    );
    cluster.stopped().await;
}

#[tokio::test]
async fn in_process_logs_come_and_streams_are_refused_in_words() {
    let kubelet = Kubelet::start().await;
    let cluster = Cluster::new(&kubelet).await;
    cluster.pod("p", &["c"]).await;
    let get = |path: &str| Request::get(format!("{PODS}/p/{path}"));
    let log = get("log").body(Full::default()).unwrap();
    assert_eq!(cluster.ask(log).await, (200, "one\ntwo\n".to_owned()));
    let exec = get("exec?command=x&stdout=true")
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .body(Full::default())
        .unwrap();
    let (code, said) = cluster.ask(exec).await;
    assert_eq!(code, 501);
    assert!(said.contains("did not come through its listener"), "{said}");
    cluster.stopped().await;
}

#[tokio::test]
async fn what_is_forwarded_is_recorded_as_what_is_not() {
    let kubelet = Kubelet::start().await;
    let cluster = Cluster::new(&kubelet).await;
    cluster.pod("p", &["c"]).await;
    let recording = cluster.server.record();
    cluster.send(&format!("GET {PODS}/p/log")).await.is(200);
    assert_eq!(recording.take().len(), 1);
    cluster.stopped().await;
}
