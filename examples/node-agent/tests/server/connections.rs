//! Connections on which nothing happens: they are not to take the place of others.

use std::time::Duration;

use http_body_util::BodyExt as _;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use crate::Served;
use crate::container_logs::followed;
use crate::host::FakeHost;

const HOUR: Duration = Duration::from_secs(60 * 60);
const LONG: Duration = Duration::from_secs(24 * 60 * 60);

/// How long it takes until the server closes a connection. How it ends is up to TLS.
async fn closed(mut socket: impl AsyncRead + Unpin) -> Duration {
    let start = Instant::now();
    let mut rest = Vec::new();
    let read = socket.read_to_end(&mut rest);
    let _ = timeout(LONG, read).await.expect("it is closed");
    start.elapsed()
}

#[tokio::test(start_paused = true)]
async fn a_client_that_sends_nothing_is_not_waited_for() {
    let server = Served::start(FakeHost::default()).await;
    let silent = TcpStream::connect(server.address).await.unwrap();
    assert_eq!(
        closed(silent).await,
        Duration::from_secs(30),
        "no handshake"
    );
    let silent = server.connect().await;
    assert_eq!(closed(silent).await, Duration::from_secs(30), "no request");
    let open = Served::read_only(FakeHost::default()).await;
    let silent = TcpStream::connect(open.address).await.unwrap();
    assert_eq!(closed(silent).await, Duration::from_secs(30));
    let mut slow = TcpStream::connect(open.address).await.unwrap();
    slow.write_all(b"GET /pods HTTP/1.1\r\n").await.unwrap();
    assert_eq!(closed(slow).await, Duration::from_secs(30));
}

/// Asks over HTTP/2 for one thing, and says for as long as there is a connection that it is still
/// there. Returns how often it was asked for that, and what was answered.
async fn converse(mut socket: impl AsyncRead + AsyncWrite + Unpin, path: &str) -> (usize, Vec<u8>) {
    const DATA: u8 = 0;
    const PING: u8 = 6;
    const ACK: u8 = 1;
    // No settings; the head of GET http://x/… as stream 1, which ends with it.
    let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    let length = u8::try_from(path.len()).unwrap();
    let head = [
        b"\x82\x86\x04",
        &[length][..],
        path.as_bytes(),
        b"\x01\x01x",
    ]
    .concat();
    let frame = [0, 0, u8::try_from(head.len()).unwrap(), 1, 5, 0, 0, 0, 1];
    let hello = [
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        &settings[..],
        &frame,
        &head,
    ];
    socket.write_all(&hello.concat()).await.unwrap();
    socket.flush().await.unwrap();
    let (mut pings, mut answer) = (0, Vec::new());
    let mut frame = [0; 9];
    while socket.read_exact(&mut frame).await.is_ok() {
        let length = u32::from_be_bytes([0, frame[0], frame[1], frame[2]]) as usize;
        let mut payload = vec![0; length];
        socket.read_exact(&mut payload).await.unwrap();
        match frame[3] {
            DATA => answer.append(&mut payload),
            PING if frame[4] & ACK == 0 => {
                pings += 1;
                frame[4] |= ACK;
                // It may be the last that the server wants to hear.
                let _ = socket.write_all(&[&frame[..], &payload].concat()).await;
                let _ = socket.flush().await;
            }
            _ => {}
        }
    }
    (pings, answer)
}

#[tokio::test(start_paused = true)]
async fn a_client_that_asks_for_nothing_more_is_let_go() {
    let server = Served::read_only(FakeHost::default()).await;
    let socket = TcpStream::connect(server.address).await.unwrap();
    let start = Instant::now();
    let conversation = timeout(LONG, converse(socket, "/healthz")).await;
    let (pings, answer) = conversation.expect("it is closed");
    assert!(pings >= 2, "it was asked whether it is there");
    assert_eq!(answer, b"ok");
    let took = start.elapsed().as_secs();
    // The server says goodbye, and waits a while for the answer.
    assert!((90..150).contains(&took), "{took} s");
}

#[tokio::test(start_paused = true)]
async fn a_followed_log_may_say_nothing_for_hours() {
    let path = "/containerLogs/other/foo/baz?follow=1";
    let (host, lines) = followed();
    let server = Served::start(host).await;
    let response = server.response("GET", path, &[]).await;
    sleep(HOUR).await;
    lines.send(Ok("late".into())).await.unwrap();
    drop(lines);
    let body = response.into_body().collect().await.unwrap();
    assert_eq!(body.to_bytes(), "late");

    let (host, lines) = followed();
    let server = Served::start(host).await;
    let speak = async {
        sleep(HOUR).await;
        lines.send(Ok("late".into())).await.unwrap();
        drop(lines);
    };
    let socket = server.connect().await;
    let conversation = async { tokio::join!(converse(socket, path), speak) };
    let conversation = timeout(LONG * 2, conversation).await;
    let ((_, answer), ()) = conversation.expect("it ends with the log");
    assert_eq!(answer, b"late");
}
