use std::net::{Ipv4Addr, SocketAddr};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;
use crate::server::streaming::Streaming;

const ANY_PORT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
const DEADLINE: Duration = Duration::from_secs(20);
const SWITCHING: &[u8] =
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n";

/// Has all requests answered by the streams of a runtime.
struct Streams {
    streaming: Streaming,
    runtime: String,
}

impl Service for Streams {
    async fn answer(&self, request: Request<Incoming>, _client: Option<&User>) -> Answer {
        self.streaming.proxy(request, &self.runtime).await
    }
}

/// Reads until the empty line after a head.
async fn head(socket: &mut TcpStream) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(socket.read_u8().await.unwrap());
    }
}

#[tokio::test]
async fn a_stream_has_the_place_of_its_connection() {
    let runtime = TcpListener::bind(ANY_PORT).await.unwrap();
    let url = format!("http://{}/stream", runtime.local_addr().unwrap());
    let listener = Listener::bind(ANY_PORT, None).await.unwrap();
    let (address, places) = (listener.address(), Arc::clone(&listener.places));
    let service = Arc::new(Streams {
        streaming: Streaming::new(Duration::from_secs(3600)),
        runtime: url,
    });
    let token = CancellationToken::new();
    let mut serving = JoinSet::new();
    serving.spawn(listener.serve(service, token.clone()));
    let talk = async {
        let mut client = TcpStream::connect(address).await.unwrap();
        client
            .write_all(b"POST /exec HTTP/1.1\r\nHost: n\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n")
            .await
            .unwrap();
        let (mut far, _) = runtime.accept().await.unwrap();
        head(&mut far).await;
        far.write_all(SWITCHING).await.unwrap();
        head(&mut client).await;
        far.write_all(b"x").await.unwrap();
        assert_eq!(client.read_u8().await.unwrap(), b'x');
        // One more waits for the next connection.
        assert_eq!(places.available_permits(), CONNECTIONS - 2);
        drop(client);
        assert_eq!(far.read(&mut [0]).await.unwrap(), 0);
        drop(far);
        let others = u32::try_from(CONNECTIONS - 1).unwrap();
        let _all_but_one = places.acquire_many(others).await.unwrap();
        token.cancel();
    };
    timeout(DEADLINE, talk).await.unwrap();
    timeout(DEADLINE, serving.join_next()).await.unwrap();
}
