//! Clients that are slow, silent, greedy or broken, and the end of the server.

use std::sync::Arc;
use std::time::Duration;

use crate::support::{CLOSING, COMMANDS, FORWARDS, IN_OUT, OUT, Raw, Server, TTY, pattern, within};
use kubewright_streaming::TerminalSize;
use kubewright_streaming::client::Transport;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{sleep, timeout};

const SPDY: [&str; 3] = [
    "Connection: Upgrade",
    "Upgrade: SPDY/3.1",
    "X-Stream-Protocol-Version: v4.channel.k8s.io",
];
const WEBSOCKET: [&str; 5] = [
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Protocol: v5.channel.k8s.io",
];

/// Waits until no future of the runtime is left.
async fn nothing_runs(alive: &Arc<()>, runtimes: usize) {
    within(async {
        while Arc::strong_count(alive) > 1 + runtimes {
            sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}

/// What a process writes and its client does not read waits in the process.
#[tokio::test]
async fn a_client_that_does_not_read_holds_up_the_process() {
    let mut server = Server::start().await;
    for transport in COMMANDS {
        let command = server.exec(transport, &["flood"], OUT).await;
        server.event().await;
        // Long enough for a write that can be done, and far from what a stall lasts.
        while let Ok(event) = timeout(Duration::from_millis(250), server.events.recv()).await {
            let written: usize = event.unwrap().parse().unwrap();
            // What fits into two sockets, and a little more.
            assert!(written < 64 << 20, "written without a reader");
        }
        drop(command);
        loop {
            if server.event().await.parse::<usize>().is_err() {
                break;
            }
        }
    }
}

/// What a client sends and no process reads waits in the client.
#[tokio::test]
async fn a_process_that_does_not_read_holds_up_the_client() {
    let mut server = Server::start().await;
    for transport in COMMANDS {
        let mut command = server.exec(transport, &["hold"], IN_OUT).await;
        assert_eq!(server.event().await, "holding");
        let mut stdin = command.stdin.take().unwrap();
        let chunk = pattern(64 << 10);
        let mut written = 0;
        while let Ok(more) = timeout(Duration::from_millis(250), stdin.write(&chunk)).await {
            written += more.unwrap();
            assert!(written < 64 << 20, "written without a reader");
        }
    }
}

#[tokio::test]
async fn more_streams_than_are_allowed_are_refused() {
    let server = Server::with(|config| config.max_streams = 8).await;
    for transport in FORWARDS {
        let forward = server.forward(transport).await;
        let mut open = Vec::new();
        for _ in 0..4 {
            open.push(forward.connect(7).await.unwrap());
        }
        for _ in 0..100 {
            let refused = within(forward.connect(7)).await.unwrap_err();
            assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
        }
        // Those that are open are none the worse, and make room when they end.
        let mut first = open.swap_remove(0);
        first.stream.write_all(b"x").await.unwrap();
        first.stream.shutdown().await.unwrap();
        let mut back = String::new();
        within(first.stream.read_to_string(&mut back))
            .await
            .unwrap();
        assert_eq!(back, "x");
        drop(first);
        within(async {
            while forward.connect(7).await.is_err() {
                sleep(Duration::from_millis(2)).await;
            }
        })
        .await;
    }
}

/// Upstream: the stream creation timeout.
#[tokio::test]
async fn a_client_that_opens_no_streams_is_cut_off() {
    let server = Server::with(|config| {
        config.stream_creation_timeout = Duration::from_secs(2);
    })
    .await;
    let url = server.exec_url(&["exit", "0"], OUT);
    let raw = Raw::request("POST", &url, &SPDY).await;
    assert!(raw.rest().await.starts_with("HTTP/1.1 101"));
    // One that says nothing at all, too.
    let socket = tokio::net::TcpStream::connect(server.handle.address());
    let mut socket = socket.await.unwrap();
    let mut nothing = Vec::new();
    within(socket.read_to_end(&mut nothing)).await.unwrap();
    // And one that was refused and asks for nothing else.
    let url = format!("http://{}/exec/none", server.handle.address());
    let raw = Raw::request("POST", &url, &SPDY).await;
    assert!(raw.rest().await.starts_with("HTTP/1.1 404"));
}

/// Upstream: `TestServeExecInContainerIdleTimeout`.
#[tokio::test]
async fn an_idle_connection_is_closed() {
    let mut server = Server::with(|config| config.idle_timeout = Duration::from_secs(2)).await;
    for transport in COMMANDS {
        let command = server.exec(transport, &["hold"], IN_OUT).await;
        assert_eq!(server.event().await, "holding");
        assert_eq!(server.event().await, "closed");
        drop(command);
    }
}

/// A client that does not close is waited for, and then cut off.
#[tokio::test]
async fn a_client_that_does_not_close_is_cut_off() {
    let server = Server::with(|config| config.finish_timeout = Duration::from_millis(50)).await;
    let url = server.exec_url(&["exit", "0"], OUT);
    let rest = Raw::request("GET", &url, &WEBSOCKET).await.rest().await;
    assert!(rest.contains("Success"), "{rest}");
}

/// Bytes that are no frames end the connection, with a word of farewell.
#[tokio::test]
async fn broken_frames_end_the_connection() {
    let server = Server::start().await;
    for broken in [
        // HTTP, as if nothing had been agreed upon.
        &b"\x80GET / HTTP/1.1\r\n\r\n"[..],
        // Version 2.
        b"\x80\x02\x00\x01\x00\x00\x00\x00",
        // Headers that cannot be unpacked.
        b"\x80\x03\x00\x01\x00\x00\x00\x0e\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00abcd",
        // A control frame of 16 MiB.
        b"\x80\x03\x00\x01\x00\xff\xff\xff",
        // A ping without a number.
        b"\x80\x03\x00\x06\x00\x00\x00\x00",
    ] {
        let url = server.exec_url(&["exit", "0"], OUT);
        let mut raw = Raw::request("POST", &url, &SPDY).await;
        raw.socket.write_all(broken).await.unwrap();
        let mut answer = Vec::new();
        within(raw.socket.read_to_end(&mut answer)).await.unwrap();
        let go_away = b"\x80\x03\x00\x07\x00\x00\x00\x08\x00\x00\x00\x00\x00\x00\x00\x01";
        assert_eq!(answer, go_away);
    }
    // The end of a channel whose number is missing.
    let url = server.exec_url(&["exit", "0"], IN_OUT);
    let mut raw = Raw::request("GET", &url, &WEBSOCKET).await;
    let masked = [0x82, 0x81, 0, 0, 0, 0, 255];
    raw.socket.write_all(&masked).await.unwrap();
    raw.rest().await;
}

/// Pings are answered, and a flood of them by a client that does not read is not held.
#[tokio::test]
async fn pings_are_answered() {
    let server = Server::start().await;
    let url = server.exec_url(&["forever"], OUT);
    let mut raw = Raw::request("POST", &url, &SPDY).await;
    let ping = b"\x80\x03\x00\x06\x00\x00\x00\x04\x00\x00\x00\x01";
    raw.socket.write_all(ping).await.unwrap();
    let mut answer = [0; 12];
    within(raw.socket.read_exact(&mut answer)).await.unwrap();
    assert_eq!(&answer, ping);

    let flood = ping.repeat(10_000);
    let mut sent = 0;
    while let Ok(more) = timeout(Duration::from_millis(250), raw.socket.write(&flood)).await {
        sent += more.unwrap();
        assert!(sent < 64 << 20, "answers are held without a reader");
    }
}

/// The other end of a forwarded connection is not kept for a client that is gone.
#[tokio::test]
async fn forwards_end_soon_after_their_client() {
    let mut server = Server::with(|config| config.linger_timeout = Duration::from_millis(50)).await;
    for transport in FORWARDS {
        let forward = server.forward(transport).await;
        let forwarded = forward.connect(99).await.unwrap();
        assert_eq!(server.event().await, "not reading");
        drop((forward, forwarded));
        nothing_runs(&server.alive, 1).await;
    }
}

/// A stream whose other half does not come is given up, with a word about it.
#[tokio::test]
async fn half_a_forward_is_given_up() {
    let server = Server::with(|config| {
        config.stream_creation_timeout = Duration::from_secs(1);
    })
    .await;
    let half = async |transport| {
        let forward = server.forward(transport).await;
        let mut error = within(forward.connect_half(7)).await.unwrap();
        let mut text = String::new();
        within(error.read_to_string(&mut text)).await.unwrap();
        assert_eq!(text, "(request=0) timed out waiting for streams");
    };
    futures::future::join_all(FORWARDS.map(half)).await;
}

/// Sizes of a terminal that nobody receives hold up nothing.
#[tokio::test]
async fn sizes_that_nobody_wants_hold_up_nothing() {
    let mut server = Server::start().await;
    for transport in CLOSING {
        let mut command = server.exec(transport, &["wait"], TTY).await;
        assert_eq!(server.event().await, "waiting");
        for width in 1..20_000 {
            let size = TerminalSize { width, height: 24 };
            within(command.resize(size)).await.unwrap();
        }
        let mut stdin = command.stdin.take().unwrap();
        stdin.write_all(b"12345").await.unwrap();
        drop(stdin);
        assert_eq!(server.event().await, "5 bytes and the end");
        drop(command);
        assert_eq!(server.event().await, "closed");
    }
}

#[tokio::test]
async fn nothing_outlives_the_server() {
    for stop_it in [true, false] {
        let mut server = Server::start().await;
        let mut commands = Vec::new();
        for transport in CLOSING {
            commands.push(server.exec(transport, &["forever"], IN_OUT).await);
            assert_eq!(server.event().await, "forever");
        }
        let forward = server.forward(Transport::TUNNEL).await;
        let forwarded = forward.connect(99).await.unwrap();
        assert_eq!(server.event().await, "not reading");
        let silent = tokio::net::TcpStream::connect(server.handle.address());
        let silent = silent.await.unwrap();
        if stop_it {
            server.stop.cancel();
            within(server.tasks.join_next()).await.unwrap().unwrap();
        } else {
            within(server.tasks.shutdown()).await;
        }
        nothing_runs(&server.alive, 0).await;
        for mut command in commands {
            let mut nothing = Vec::new();
            let mut stdout = command.stdout.take().unwrap();
            within(stdout.read_to_end(&mut nothing)).await.unwrap();
        }
        drop((forward, forwarded, silent));
    }
}
