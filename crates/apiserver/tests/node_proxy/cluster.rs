//! A server with pods on a node, and clients of it.

use std::net::SocketAddr;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use kubewright_apiserver::serve::{
    Authentication, Listener, ListenerConfig, NodeProxy, NodeProxyConfig, NodeTransport, Transport,
};
use kubewright_apiserver::{ApiServer, ApiService, Config};
use kubewright_streaming::client::{Dial, Messages};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tower::{Service as _, ServiceExt as _};

use crate::kubelet::{Kubelet, TOKEN};
use crate::{LONG, within};

pub(crate) const PODS: &str = "/api/v1/namespaces/default/pods";

/// A server that listens, and has a node `n` and pods on it.
pub(crate) struct Cluster {
    pub(crate) server: ApiServer,
    pub(crate) service: NodeProxy<ApiService>,
    address: SocketAddr,
    pub(crate) stop: CancellationToken,
    pub(crate) serving: JoinSet<()>,
}

/// An answer of known length, or that ends with its connection.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) code: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

pub(crate) fn proxy_to(kubelet: &Kubelet) -> NodeProxyConfig {
    let mut config = NodeProxyConfig::new(match &kubelet.authority {
        None => NodeTransport::Http,
        Some(authority) => NodeTransport::Https {
            certificate_authority: authority.clone(),
        },
    });
    config.token = Some(TOKEN.parse().unwrap());
    config.connect_timeout = LONG;
    config.answer_timeout = LONG;
    config.linger = LONG;
    config
}

impl Cluster {
    /// A cluster whose node has this kubelet.
    pub(crate) async fn new(kubelet: &Kubelet) -> Self {
        Self::with(&kubelet.address.to_string(), proxy_to(kubelet), |_| {}).await
    }

    /// A cluster whose node says that its kubelet is at `kubelet`.
    pub(crate) async fn with(
        kubelet: &str,
        config: NodeProxyConfig,
        change: impl FnOnce(&mut ListenerConfig),
    ) -> Self {
        let server = ApiServer::new(Config::default()).unwrap();
        let mut listening = ListenerConfig::default();
        listening.transport = Transport::Http;
        listening.authentication = Authentication::Anyone;
        listening.limits.stop = LONG;
        change(&mut listening);
        let listener = Listener::bind(listening).await.unwrap();
        let service = NodeProxy::new(server.service(), config).unwrap();
        let address = listener.address();
        let stop = CancellationToken::new();
        let mut serving = JoinSet::new();
        serving.spawn(listener.serve(service.clone(), stop.clone()));
        let cluster = Self {
            server,
            service,
            address,
            stop,
            serving,
        };
        let (ip, port) = kubelet.rsplit_once(':').unwrap();
        let port: u16 = port.parse().unwrap();
        let node = json!({
            "metadata": { "name": "n" },
            "status": {
                "addresses": [{ "type": "InternalIP", "address": ip }],
                "daemonEndpoints": { "kubeletEndpoint": { "Port": port } },
            },
        });
        cluster.create("/api/v1/nodes", node).await;
        cluster
    }

    /// Creates an object, past the listener.
    pub(crate) async fn create(&self, path: &str, object: Value) {
        let request = Request::post(path)
            .body(Full::new(Bytes::from(object.to_string())))
            .unwrap();
        let answer = self.server.service().call(request).await.unwrap();
        let code = answer.status().as_u16();
        let said = answer.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(code, 201, "{said:?}");
    }

    /// A pod with these containers, on node `n`.
    pub(crate) async fn pod(&self, name: &str, containers: &[&str]) {
        self.pod_on(Some("n"), name, containers).await;
    }

    pub(crate) async fn pod_on(&self, node: Option<&str>, name: &str, containers: &[&str]) {
        let containers: Vec<Value> = containers
            .iter()
            .map(|name| json!({ "name": name, "image": "i" }))
            .collect();
        let pod = json!({ "metadata": { "name": name },
            "spec": { "nodeName": node, "containers": containers } });
        self.create(PODS, pod).await;
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends a request written as `METHOD path`, headers as `Name: value` lines after it.
    pub(crate) async fn open(&self, request: &str) -> TcpStream {
        let mut socket = self.connect().await;
        let (line, headers) = request.split_once('\n').unwrap_or((request, ""));
        let mut text = format!("{line} HTTP/1.1\r\nhost: localhost\r\n");
        for header in headers.lines() {
            text.push_str(header.trim());
            text.push_str("\r\n");
        }
        text.push_str("\r\n");
        socket.write_all(text.as_bytes()).await.unwrap();
        socket
    }

    /// Sends a request, and reads the answer to its end.
    pub(crate) async fn send(&self, request: &str) -> Answer {
        let (line, headers) = request.split_once('\n').unwrap_or((request, ""));
        let mut socket = self
            .open(&format!("{line}\nconnection: close\n{headers}"))
            .await;
        answer(&mut socket).await
    }

    /// Opens a tunnel.
    pub(crate) async fn tunnel(&self, request: &str, protocol: &str) -> TcpStream {
        let upgrade = format!("{request}\nconnection: keep-alive, Upgrade\nupgrade: {protocol}");
        let mut socket = self.open(&upgrade).await;
        let head = head(&mut socket).await;
        assert!(head.starts_with("http/1.1 101 "), "{head}");
        assert!(
            head.contains(&format!("\r\nupgrade: {}\r\n", protocol.to_lowercase())),
            "{head}"
        );
        socket
    }

    /// Asks for something of a pod, in the messages of a WebSocket.
    pub(crate) async fn messages(
        &self,
        path: &str,
        protocol: &'static str,
    ) -> std::io::Result<Messages> {
        let dial = Dial {
            io: Box::new(self.connect().await),
            uri: format!("http://localhost{PODS}/{path}").parse().unwrap(),
            headers: http::HeaderMap::new(),
        };
        within(dial.messages(protocol)).await
    }

    /// Asks in process.
    pub(crate) async fn ask(&self, request: Request<Full<Bytes>>) -> (u16, String) {
        let answer = self.service.clone().oneshot(request).await.unwrap();
        let code = answer.status().as_u16();
        let body = within(answer.into_body().collect()).await.unwrap();
        (code, String::from_utf8(body.to_bytes().to_vec()).unwrap())
    }

    pub(crate) async fn stopped(mut self) {
        self.stop.cancel();
        within(self.serving.join_next()).await.unwrap().unwrap();
    }
}

impl Answer {
    #[track_caller]
    pub(crate) fn is(self, code: u16) -> Self {
        assert_eq!(self.code, code, "{self:?}");
        self
    }

    /// The body as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    #[track_caller]
    pub(crate) fn message(&self) -> String {
        self.json()["message"].as_str().unwrap().to_owned()
    }
}

/// Reads an answer on a connection that ends with it, and undoes chunks.
pub(crate) async fn answer(socket: &mut TcpStream) -> Answer {
    let head = head(socket).await;
    let code = head[9..12].parse().unwrap();
    let mut bytes = Vec::new();
    within(socket.read_to_end(&mut bytes)).await.unwrap();
    let mut body = String::from_utf8(bytes).unwrap();
    if head.contains("transfer-encoding: chunked") {
        let mut whole = String::new();
        let mut rest = body.as_str();
        while let Some((size, more)) = rest.split_once("\r\n") {
            let size = usize::from_str_radix(size, 16).unwrap();
            whole.push_str(&more[..size]);
            rest = &more[size + 2..];
        }
        body = whole;
    }
    Answer { code, head, body }
}

/// Reads the head of an answer, in lower case.
pub(crate) async fn head(socket: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        let byte = within(socket.read_u8()).await.expect("a whole head");
        head.push(char::from(byte).to_ascii_lowercase());
    }
    head
}
