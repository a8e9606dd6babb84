//! Port-forwards over each transport, by the client that the crate brings.

use crate::support::{FORWARDS, Server, pattern, within};
use kubewright_streaming::client::{Dial, Transport};
use tokio::io::{AsyncReadExt, AsyncWriteExt, split};

/// Upstream: `TestServePortForward`.
#[tokio::test]
async fn bytes_go_there_and_back() {
    let server = Server::start().await;
    for transport in FORWARDS {
        let forward = server.forward(transport).await;
        let mut forwarded = forward.connect(7).await.unwrap();
        let data = pattern(4 << 20);
        let (mut from, mut to) = split(forwarded.stream);
        let write = async {
            to.write_all(&data).await.unwrap();
            to.shutdown().await.unwrap();
        };
        let mut back = Vec::new();
        let both = async { tokio::join!(write, from.read_to_end(&mut back)) };
        within(both).await.1.unwrap();
        assert!(back == data);
        let mut error = String::new();
        within(forwarded.error.read_to_string(&mut error))
            .await
            .unwrap();
        assert_eq!(error, "");
        within(forward.close()).await;
    }
}

/// One side may end before the other answers.
#[tokio::test]
async fn a_half_close_is_passed_on() {
    let mut server = Server::start().await;
    for transport in FORWARDS {
        let forward = server.forward(transport).await;
        let mut forwarded = forward.connect(9).await.unwrap();
        forwarded.stream.write_all(b"12345").await.unwrap();
        forwarded.stream.shutdown().await.unwrap();
        assert_eq!(server.event().await, "5 bytes, None");
        let mut answer = String::new();
        within(forwarded.stream.read_to_string(&mut answer))
            .await
            .unwrap();
        assert_eq!(answer, "5");
    }
}

#[tokio::test]
async fn a_port_that_is_closed_is_told_of() {
    let server = Server::start().await;
    for transport in FORWARDS {
        let forward = server.forward(transport).await;
        let mut forwarded = forward.connect(1).await.unwrap();
        let mut error = String::new();
        within(forwarded.error.read_to_string(&mut error))
            .await
            .unwrap();
        assert_eq!(
            error,
            "error forwarding port 1 to pod s, uid : connection refused"
        );
        let mut rest = Vec::new();
        let end = within(forwarded.stream.read_to_end(&mut rest)).await;
        assert_eq!(end.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
        // The others are none the worse.
        let mut other = forward.connect(7).await.unwrap();
        other.stream.write_all(b"x").await.unwrap();
        assert_eq!(within(other.stream.read_u8()).await.unwrap(), b'x');
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_connections_at_once() {
    let server = Server::start().await;
    for transport in FORWARDS {
        let forward = server.forward(transport).await;
        let one = async |number: usize| {
            let forwarded = forward.connect(7).await.unwrap();
            let data = pattern(100_000 + number);
            let (mut from, mut to) = split(forwarded.stream);
            let write = async {
                to.write_all(&data).await.unwrap();
                to.shutdown().await.unwrap();
            };
            let mut back = Vec::new();
            let (_, read) = tokio::join!(write, from.read_to_end(&mut back));
            read.unwrap();
            assert!(back == data);
        };
        within(futures::future::join_all((0..100).map(one))).await;
    }
}

/// What a client has sent before it was killed is read to the end, and then the end is an error.
#[tokio::test]
async fn a_client_that_is_gone_resets_its_connections() {
    let mut server = Server::start().await;
    for transport in FORWARDS {
        let forward = server.forward(transport).await;
        let mut ended = forward.connect(9).await.unwrap();
        ended.stream.write_all(b"123").await.unwrap();
        ended.stream.shutdown().await.unwrap();
        assert_eq!(server.event().await, "3 bytes, None");
        let mut open = forward.connect(9).await.unwrap();
        open.stream.write_all(b"12").await.unwrap();
        open.stream.flush().await.unwrap();
        // The answer on another connection shows that the bytes before it have arrived.
        let mut other = forward.connect(7).await.unwrap();
        other.stream.write_all(b"x").await.unwrap();
        within(other.stream.read_u8()).await.unwrap();
        drop(forward);
        assert_eq!(server.event().await, "2 bytes, Some(ConnectionReset)");
    }
}

/// A process may say all it has before it reads anything.
#[tokio::test]
async fn a_large_answer_arrives() {
    let mut server = Server::start().await;
    let forward = server.forward(Transport::SPDY_FORWARD).await;
    let mut full = forward.connect(19).await.unwrap();
    let mut all = Vec::new();
    within(full.stream.read_to_end(&mut all)).await.unwrap();
    assert!(all == pattern(8 << 20));
    assert_eq!(server.event().await, "all written");
}

/// The old protocol: pairs of channels that begin with their port.
#[tokio::test]
async fn channels_forward_the_ports_of_the_request() {
    let server = Server::start().await;
    for name in ["v4.channel.k8s.io", "v4.base64.channel.k8s.io"] {
        let ports = [7, 1];
        let dial = Dial::tcp(&server.forward_url(&ports)).await.unwrap();
        let (forward, mut all) = dial
            .port_forward_channels(Transport::WebSocket(name), &ports)
            .await
            .unwrap();
        all[0].stream.write_all(b"hello").await.unwrap();
        let mut hello = [0; 5];
        within(all[0].stream.read_exact(&mut hello)).await.unwrap();
        assert_eq!(&hello, b"hello");
        let text = b"error forwarding port 1 to pod s, uid : connection refused";
        let mut error = vec![0; text.len()];
        within(all[1].error.read_exact(&mut error)).await.unwrap();
        assert_eq!(error, text);
        within(forward.close()).await;
    }
}
