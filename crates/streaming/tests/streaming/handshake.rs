//! Requests, and how they are refused: statuses and texts are upstream's.

use std::time::Duration;

use crate::support::{COMMANDS, FORWARDS, OUT, Raw, Server, within};
use kubewright_streaming::client::{Dial, Transport};
use kubewright_streaming::{
    AttachRequest, Error, ExecRequest, InvalidRequest, PortForwardRequest, StreamOptions,
    StreamingConfig, StreamingServer,
};

const SPDY: [&str; 2] = ["Connection: Upgrade", "Upgrade: SPDY/3.1"];
const WEBSOCKET: [&str; 4] = [
    "Connection: keep-alive, Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
];

async fn answer(method: &str, url: &str, headers: &[&str]) -> String {
    let headers = [headers, &["Connection: close"]].concat();
    Raw::request(method, url, &headers).await.rest().await
}

/// Upstream: `TestGetExec`, `TestGetAttach`, `TestGetPortForward` and
/// `TestValidateExecAttachRequest`.
#[tokio::test]
async fn requests_that_make_no_sense_get_no_url() {
    let server = Server::start().await;
    let streams = |stdin, stdout, stderr, tty| StreamOptions {
        stdin,
        stdout,
        stderr,
        tty,
    };
    for (id, streams, expected) in [
        ("c", streams(true, true, true, false), None),
        ("c", streams(true, true, false, true), None),
        ("c", streams(false, true, false, false), None),
        (
            "",
            streams(true, true, true, false),
            Some(InvalidRequest::NoContainer),
        ),
        (
            "c",
            streams(true, true, true, true),
            Some(InvalidRequest::TtyWithStderr),
        ),
        (
            "c",
            streams(false, false, false, true),
            Some(InvalidRequest::NoStreams),
        ),
    ] {
        let container_id = id.to_owned();
        let exec = server.handle.exec_url(ExecRequest {
            container_id: container_id.clone(),
            command: vec!["ls".to_owned()],
            streams,
        });
        let attach = server.handle.attach_url(AttachRequest {
            container_id,
            streams,
        });
        for (url, path) in [(exec, "exec"), (attach, "attach")] {
            match (url, expected) {
                (Ok(url), None) => {
                    let prefix = format!("http://{}/{path}/", server.handle.address());
                    assert_eq!(url.strip_prefix(&prefix).map(str::len), Some(22), "{url}");
                }
                (Err(Error::InvalidRequest(why)), Some(expected)) => assert_eq!(why, expected),
                other => panic!("{other:?}"),
            }
        }
    }
    let forward = |sandbox_id: &str, ports: &[u16]| {
        server.handle.port_forward_url(PortForwardRequest {
            sandbox_id: sandbox_id.to_owned(),
            ports: ports.to_vec(),
        })
    };
    assert!(forward("s", &[80]).unwrap().contains("/portforward/"));
    assert_eq!(
        forward("", &[80]).unwrap_err().to_string(),
        "missing required pod_sandbox_id"
    );
    assert!(forward("s", &[80, 0]).is_err());
}

#[tokio::test]
async fn urls_are_good_for_one_client_and_a_minute() {
    let server = Server::with(|config| config.max_in_flight = 2).await;
    let url = server.exec_url(&["exit", "0"], OUT);
    within(async {
        let dial = Dial::tcp(&url).await.unwrap();
        dial.command(Transport::SPDY, OUT)
            .await
            .unwrap()
            .output()
            .await
            .unwrap();
    })
    .await;
    for path in [
        "/exec/none",
        "/exec",
        "/",
        "/cri/exec/x",
        "/attach/none?x=y",
    ] {
        let url = format!("http://{}{path}", server.handle.address());
        let answer = answer("POST", &url, &SPDY).await;
        assert!(answer.starts_with("HTTP/1.1 404 Not Found"), "{answer}");
        assert!(answer.ends_with("404 page not found\n"), "{answer}");
    }
    let again = answer("POST", &url, &SPDY).await;
    assert!(again.starts_with("HTTP/1.1 404"), "{again}");

    // As many as may wait, and no more.
    let wrong = server.exec_url(&["exit", "0"], OUT);
    server.exec_url(&["exit", "0"], OUT);
    let refused = server.handle.exec_url(ExecRequest {
        container_id: "c".to_owned(),
        command: Vec::new(),
        streams: OUT,
    });
    assert!(matches!(refused, Err(Error::TooManyInFlight)));

    let elsewhere = answer("POST", &wrong.replace("/exec/", "/attach/"), &SPDY).await;
    assert!(elsewhere.starts_with("HTTP/1.1 404"), "{elsewhere}");
    let put = answer("PUT", &server.exec_url(&["exit", "0"], OUT), &SPDY).await;
    assert!(put.starts_with("HTTP/1.1 405"), "{put}");

    let server = Server::with(|config| config.url_lifetime = Duration::ZERO).await;
    let late = answer("POST", &server.exec_url(&["exit", "0"], OUT), &SPDY).await;
    assert!(late.starts_with("HTTP/1.1 404"), "{late}");
}

/// Upstream: `TestHandshake` of `httpstream`.
#[tokio::test]
async fn protocols_are_agreed_upon_over_spdy() {
    let server = Server::start().await;
    let version = "X-Stream-Protocol-Version";
    for (wanted, agreed) in [
        ("v4.channel.k8s.io", "v4.channel.k8s.io"),
        (
            "v9.channel.k8s.io, v2.channel.k8s.io,v4.channel.k8s.io",
            "v2.channel.k8s.io",
        ),
        ("channel.k8s.io", "channel.k8s.io"),
    ] {
        let url = server.exec_url(&["exit", "0"], OUT);
        let wanted = format!("{version}: {wanted}");
        let headers = [SPDY[0], SPDY[1], &wanted];
        let raw = Raw::request("POST", &url, &headers).await;
        let head = String::from_utf8_lossy(&raw.read).to_lowercase();
        assert!(head.starts_with("http/1.1 101"), "{head}");
        assert!(head.contains("upgrade: spdy/3.1\r\n"), "{head}");
        assert!(
            head.contains(&format!("x-stream-protocol-version: {agreed}\r\n")),
            "{head}"
        );
    }

    let url = server.exec_url(&["exit", "0"], OUT);
    let none = answer("POST", &url, &SPDY).await;
    assert!(none.starts_with("HTTP/1.1 400"), "{none}");

    let url = server.exec_url(&["exit", "0"], OUT);
    let unknown = format!("{version}: v9.channel.k8s.io");
    let unknown = answer("POST", &url, &[SPDY[0], SPDY[1], &unknown]).await;
    assert!(unknown.starts_with("HTTP/1.1 403"), "{unknown}");
    let accepted = "x-accepted-stream-protocol-versions: v4.channel.k8s.io\r\n";
    assert!(unknown.contains(accepted), "{unknown}");
    assert!(unknown.contains(
        "unable to upgrade: unable to negotiate protocol: client supports [v9.channel.k8s.io], \
         server accepts [v4.channel.k8s.io v3.channel.k8s.io v2.channel.k8s.io channel.k8s.io]"
    ));

    let url = server.exec_url(&["exit", "0"], OUT);
    let plain = answer("GET", &url, &[&format!("{version}: v4.channel.k8s.io")]).await;
    assert!(plain.starts_with("HTTP/1.1 400"), "{plain}");
    assert!(plain.contains("unable to upgrade: missing upgrade headers in request"));

    let url = server.forward_url(&[]);
    let command = format!("{version}: v4.channel.k8s.io");
    let command = answer("POST", &url, &[SPDY[0], SPDY[1], &command]).await;
    assert!(
        command.contains("server accepts [portforward.k8s.io]"),
        "{command}"
    );
}

#[tokio::test]
async fn protocols_are_agreed_upon_over_websocket() {
    let server = Server::start().await;
    for (wanted, agreed) in [
        (None, None),
        (Some("v5.channel.k8s.io"), Some("v5.channel.k8s.io")),
        (
            Some("v9.channel.k8s.io, base64.channel.k8s.io"),
            Some("base64.channel.k8s.io"),
        ),
    ] {
        let url = server.exec_url(&["exit", "0"], OUT);
        let wanted = wanted.map(|name| format!("Sec-WebSocket-Protocol: {name}"));
        let headers = [&WEBSOCKET[..], wanted.as_deref().as_slice()].concat();
        let raw = Raw::request("GET", &url, &headers).await;
        let head = String::from_utf8_lossy(&raw.read).to_lowercase();
        assert!(head.starts_with("http/1.1 101"), "{head}");
        assert!(
            head.contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=\r\n"),
            "{head}"
        );
        match agreed {
            Some(name) => {
                assert!(
                    head.contains(&format!("sec-websocket-protocol: {name}\r\n")),
                    "{head}"
                );
            }
            None => assert!(!head.contains("sec-websocket-protocol"), "{head}"),
        }
    }

    let url = server.exec_url(&["exit", "0"], OUT);
    let unknown = "Sec-WebSocket-Protocol: SPDY/3.1+portforward.k8s.io";
    let unknown = answer("GET", &url, &[&WEBSOCKET[..], &[unknown]].concat()).await;
    assert!(unknown.starts_with("HTTP/1.1 403"), "{unknown}");

    let url = server.exec_url(&["exit", "0"], OUT);
    let version = answer("GET", &url, &WEBSOCKET[..2]).await;
    assert!(version.starts_with("HTTP/1.1 400"), "{version}");
    assert!(version.contains("sec-websocket-version: 13"), "{version}");

    let url = server.forward_url(&[]);
    let ports = answer("GET", &url, &WEBSOCKET).await;
    assert!(ports.starts_with("HTTP/1.1 400"), "{ports}");
}

#[tokio::test]
async fn the_client_reports_what_the_server_refuses() {
    let server = Server::start().await;
    for transport in COMMANDS {
        let url = format!("http://{}/exec/none", server.handle.address());
        let dial = Dial::tcp(&url).await.unwrap();
        let refused = within(dial.command(transport, OUT)).await.unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
        assert_eq!(refused.to_string(), "404 Not Found: 404 page not found");
    }
    for transport in FORWARDS {
        let dial = Dial::tcp(&server.exec_url(&["x"], OUT)).await.unwrap();
        let refused = within(dial.port_forward(transport)).await.unwrap_err();
        assert!(refused.to_string().starts_with("403"), "{refused}");
    }
}

#[tokio::test]
async fn loopback_alone_is_served() {
    let mut config = StreamingConfig::default();
    config.address = "0.0.0.0:0".parse().unwrap();
    let refused = StreamingServer::bind(config).await.unwrap_err();
    assert!(matches!(refused, Error::NotLoopback(_)), "{refused}");

    let first = StreamingServer::bind(StreamingConfig::default())
        .await
        .unwrap();
    let mut config = StreamingConfig::default();
    config.address = first.address();
    let refused = StreamingServer::bind(config).await.unwrap_err();
    assert!(matches!(refused, Error::Bind { .. }), "{refused}");
}
