//! Streams into containers: what one end sends, the other gets.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

use crate::cluster::{Cluster, PODS, answer, head, proxy_to};
use crate::kubelet::Kubelet;
use crate::{SHORT, TOO_MANY, within};

const SPDY: &str = "SPDY/3.1";
const WEBSOCKET: &str = "websocket";

#[tokio::test]
async fn ten_megabytes_go_through_a_tunnel_and_back() {
    let mut kubelet = Kubelet::start().await;
    let cluster = Cluster::new(&kubelet).await;
    cluster.pod("p", &["c"]).await;
    for (request, protocol, target) in [
        (
            "POST /p/exec?command=cat&stdin=true&stdout=true&container=c",
            SPDY,
            "/exec/default/p/c?command=cat&input=1&output=1",
        ),
        (
            "GET /p/attach?stdout=true",
            WEBSOCKET,
            "/attach/default/p/c?output=1",
        ),
        ("POST /p/portforward", SPDY, "/portForward/default/p"),
        (
            "GET /p/portforward?ports=80",
            WEBSOCKET,
            "/portForward/default/p?port=80",
        ),
    ] {
        let (method, path) = request.split_once(' ').unwrap();
        let request = format!(
            "{method} {PODS}{path}\nX-Stream-Protocol-Version: v4.channel.k8s.io\n\
             X-Stream-Protocol-Version: v5.channel.k8s.io\nSec-WebSocket-Key: k\n\
             Authorization: Bearer client"
        );
        let socket = cluster.tunnel(&request, protocol).await;
        let asked = kubelet.asked().await;
        assert_eq!(
            (asked.method.as_str(), asked.target.as_str()),
            (method, target)
        );
        let versions = asked.headers.get_all("x-stream-protocol-version");
        assert_eq!(versions.iter().count(), 2, "{asked:?}");
        assert_eq!(asked.headers["sec-websocket-key"], "k");
        assert_eq!(asked.headers["connection"], "Upgrade");
        assert_eq!(asked.headers["upgrade"], protocol);

        let sent: Vec<u8> = (0..10_000_000_u32)
            .map(|number| u8::try_from(number.wrapping_mul(2_654_435_761) >> 24).unwrap())
            .collect();
        let (mut read, mut write) = socket.into_split();
        let sending = async {
            write.write_all(&sent).await.unwrap();
            // The other direction goes on.
            write.shutdown().await.unwrap();
        };
        let mut back = Vec::new();
        let (count, ()) =
            within(async { tokio::join!(read.read_to_end(&mut back), sending) }).await;
        assert_eq!(count.unwrap(), sent.len());
        assert!(back == sent, "what comes back is what was sent");
        kubelet.alive(0).await;
    }
    cluster.stopped().await;
}

#[tokio::test]
async fn bytes_that_follow_the_head_at_once_are_not_lost() {
    let kubelet = Kubelet::start().await;
    let cluster = Cluster::new(&kubelet).await;
    cluster.pod("p", &["c"]).await;
    let mut socket = cluster.connect().await;
    let text = format!(
        "POST {PODS}/p/exec?command=x HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\n\
         upgrade: SPDY/3.1\r\ncontent-length: 0\r\n\r\nearly"
    );
    socket.write_all(text.as_bytes()).await.unwrap();
    assert!(head(&mut socket).await.starts_with("http/1.1 101 "));
    let mut early = [0; 5];
    within(socket.read_exact(&mut early)).await.unwrap();
    assert_eq!(&early, b"early");
    cluster.stopped().await;
}

#[tokio::test]
async fn a_tunnel_ends_with_its_client() {
    let mut kubelet = Kubelet::start().await;
    let cluster = Cluster::new(&kubelet).await;
    cluster.pod("p", &["c"]).await;
    let socket = cluster
        .tunnel(&format!("POST {PODS}/p/exec?command=x"), SPDY)
        .await;
    kubelet.alive(1).await;
    drop(socket);
    kubelet.alive(0).await;
    cluster.stopped().await;
}

#[tokio::test]
async fn a_tunnel_ends_with_its_node() {
    let kubelet = Kubelet::start().await;
    let cluster = Cluster::new(&kubelet).await;
    cluster.pod("p", &["c"]).await;
    let mut socket = cluster
        .tunnel(&format!("POST {PODS}/p/exec?command=x"), SPDY)
        .await;
    drop(kubelet);
    assert_eq!(within(socket.read(&mut [0])).await.unwrap_or(0), 0);
    cluster.stopped().await;
}

#[tokio::test]
async fn on_stop_tunnels_are_closed() {
    let mut kubelet = Kubelet::start().await;
    let cluster = Cluster::new(&kubelet).await;
    cluster.pod("p", &["c"]).await;
    let mut socket = cluster
        .tunnel(&format!("POST {PODS}/p/exec?command=x"), SPDY)
        .await;
    kubelet.alive(1).await;
    cluster.stopped().await;
    kubelet.alive(0).await;
    assert_eq!(within(socket.read(&mut [0])).await.unwrap_or(0), 0);
}

#[tokio::test]
async fn dropping_the_listener_ends_every_tunnel() {
    let mut kubelet = Kubelet::start().await;
    let cluster = Cluster::new(&kubelet).await;
    cluster.pod("p", &["c"]).await;
    let _socket = cluster
        .tunnel(&format!("POST {PODS}/p/exec?command=x"), SPDY)
        .await;
    kubelet.alive(1).await;
    drop(cluster);
    kubelet.alive(0).await;
}

#[tokio::test]
async fn a_client_of_a_tunnel_may_stop_reading_for_as_long_as_it_likes() {
    let mut kubelet = Kubelet::start().await;
    let cluster = Cluster::with(
        &kubelet.address.to_string(),
        proxy_to(&kubelet),
        |listening| {
            listening.limits.write_stall = SHORT;
        },
    )
    .await;
    cluster.pod("p", &["c"]).await;
    let socket = cluster
        .tunnel(&format!("POST {PODS}/p/exec?command=x"), SPDY)
        .await;
    let (mut read, mut write) = socket.into_split();
    let mut sent = 0;
    // Until all that is on the way is full, and then for longer than other clients may.
    while let Ok(count) = timeout(5 * SHORT, write.write(&[7; 1 << 16])).await {
        sent += count.unwrap();
        assert!(sent < TOO_MANY, "{sent} bytes were taken");
    }
    kubelet.alive(1).await;
    let mut back = vec![0; sent];
    within(read.read_exact(&mut back)).await.unwrap();
    drop((read, write));
    kubelet.alive(0).await;
    cluster.stopped().await;
}

#[tokio::test]
async fn an_upgrade_that_the_kubelet_refuses_is_answered_with_what_it_says() {
    let mut kubelet = Kubelet::start().await;
    let cluster = Cluster::new(&kubelet).await;
    cluster.pod("p", &["refuses", "c"]).await;
    let exec = |container: &str| format!("{PODS}/p/exec?command=x&container={container}");
    let upgrade = "connection: upgrade, close\nupgrade: websocket";
    let request = format!("GET {}\n{upgrade}", exec("refuses"));
    let mut socket = cluster.open(&request).await;
    let refused = answer(&mut socket).await.is(400);
    assert_eq!(refused.body, "unable to upgrade: only SPDY is spoken here");
    kubelet.asked().await;
    // As kubectl does then.
    cluster.tunnel(&format!("POST {}", exec("c")), SPDY).await;

    // And the connection that was not upgraded is good for more.
    let mut socket = cluster.open(&request.replace(", close", "")).await;
    let mut length = 0;
    for line in head(&mut socket).await.lines() {
        if let Some(text) = line.strip_prefix("content-length: ") {
            length = text.parse().unwrap();
        }
    }
    within(socket.read_exact(&mut vec![0; length]))
        .await
        .unwrap();
    let version = b"GET /version HTTP/1.1\r\nhost: localhost\r\n\r\n";
    socket.write_all(version).await.unwrap();
    assert!(head(&mut socket).await.starts_with("http/1.1 200 "));
    cluster.stopped().await;
}
