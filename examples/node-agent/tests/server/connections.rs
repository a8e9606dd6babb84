//! Connections on which nothing happens: they are not to take the place of others.

use std::pin::pin;
use std::sync::mpsc;
use std::time::Duration;

use http_body_util::BodyExt as _;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, advance, sleep};

use crate::Served;
use crate::container_logs::followed;
use crate::host::FakeHost;

/// Longer than any connection may be without a request.
const LONG: Duration = Duration::from_secs(5 * 60);

/// Time stands still while this is there, unless it [`passes`]. By itself paused time goes to the next
/// limit as soon as nobody has anything to do, though the kernel may just carry what was sent.
struct Stillness {
    _end: mpsc::Sender<()>,
}

impl Stillness {
    fn begin() -> Self {
        let (end, ended) = mpsc::channel::<()>();
        // It does not go on while a thread works.
        spawn_blocking(move || ended.recv_timeout(Duration::from_secs(120)));
        Self { _end: end }
    }
}

/// Lets time pass until something is over, and returns how much did: second by second, in each of which
/// what was sent arrives.
async fn passes<T>(until: impl Future<Output = T>) -> (Duration, T) {
    let (start, mut until) = (Instant::now(), pin!(until));
    while start.elapsed() < 2 * LONG {
        let arrival = spawn_blocking(|| std::thread::park_timeout(Duration::from_millis(5)));
        tokio::select! {
            biased;
            over = until.as_mut() => return (start.elapsed(), over),
            _ = arrival => {}
        }
        advance(Duration::from_secs(1)).await;
    }
    panic!("not over after {:?}", start.elapsed());
}

/// Fails unless the server closes a connection after half a minute. How it ends is up to TLS.
async fn is_closed_in_time(mut socket: impl AsyncRead + Unpin, what: &str) {
    let mut rest = Vec::new();
    let (took, _) = passes(socket.read_to_end(&mut rest)).await;
    assert!((30..60).contains(&took.as_secs()), "{what}: {took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_sends_nothing_is_not_waited_for() {
    let _still = Stillness::begin();
    let server = Served::start(FakeHost::default()).await;
    let silent = TcpStream::connect(server.address).await.unwrap();
    is_closed_in_time(silent, "no handshake").await;
    let silent = server.connect().await;
    is_closed_in_time(silent, "no request").await;
    let open = Served::read_only(FakeHost::default()).await;
    let silent = TcpStream::connect(open.address).await.unwrap();
    is_closed_in_time(silent, "no request, without TLS").await;
    let mut slow = TcpStream::connect(open.address).await.unwrap();
    slow.write_all(b"GET /pods HTTP/1.1\r\n").await.unwrap();
    is_closed_in_time(slow, "half a request").await;
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
    let _still = Stillness::begin();
    let server = Served::read_only(FakeHost::default()).await;
    let socket = TcpStream::connect(server.address).await.unwrap();
    let (took, (pings, answer)) = passes(converse(socket, "/healthz")).await;
    assert!(pings >= 2, "it was asked whether it is there");
    assert_eq!(answer, b"ok");
    let took = took.as_secs();
    // The server says goodbye, and waits a while for the answer.
    assert!((90..150).contains(&took), "{took} s");
}

#[tokio::test(start_paused = true)]
async fn a_followed_log_may_say_nothing_for_long() {
    let _still = Stillness::begin();
    let path = "/containerLogs/other/foo/baz?follow=1";
    let (host, lines) = followed();
    let server = Served::start(host).await;
    let (_, response) = passes(server.response("GET", path, &[])).await;
    passes(sleep(LONG)).await;
    lines.send(Ok("late".into())).await.unwrap();
    drop(lines);
    let (_, body) = passes(response.into_body().collect()).await;
    assert_eq!(body.unwrap().to_bytes(), "late");

    let (host, lines) = followed();
    let server = Served::start(host).await;
    let speak = async {
        sleep(LONG).await;
        lines.send(Ok("late".into())).await.unwrap();
        drop(lines);
    };
    let socket = server.connect().await;
    let conversation = async { tokio::join!(converse(socket, path), speak) };
    let (_, ((_, answer), ())) = passes(conversation).await;
    assert_eq!(answer, b"late");
}
