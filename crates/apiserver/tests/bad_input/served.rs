//! A server behind a listener, and clients that write bytes.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::TryFutureExt as _;
use http::Request;
use http_body::{Body, Frame, SizeHint};
use kubewright_apiserver::serve::{
    Authentication, Listener, ListenerConfig, RequestBody, Transport,
};
use kubewright_apiserver::{ApiServer, ResponseBody, ServiceError};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tower::Service as _;

use crate::{DEADLINE, server};

/// The body of an answer, counted while it lives.
struct Counted {
    body: ResponseBody,
    open: watch::Sender<usize>,
}

impl Counted {
    fn new(body: ResponseBody, open: watch::Sender<usize>) -> Self {
        open.send_modify(|open| *open += 1);
        Self { body, open }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.open.send_modify(|open| *open -= 1);
    }
}

impl Body for Counted {
    type Data = Bytes;
    type Error = ServiceError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ServiceError>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A server behind a listener.
pub(crate) struct Served {
    pub(crate) server: ApiServer,
    pub(crate) address: String,
    /// How many answers have not ended.
    open: watch::Receiver<usize>,
    _serving: JoinSet<()>,
}

impl Served {
    pub(crate) async fn start(change: impl FnOnce(&mut ListenerConfig)) -> Self {
        Self::of(server().await, change).await
    }

    pub(crate) async fn of(server: ApiServer, change: impl FnOnce(&mut ListenerConfig)) -> Self {
        let mut config = ListenerConfig::default();
        config.transport = Transport::Http;
        config.authentication = Authentication::Anyone;
        change(&mut config);
        let listener = Listener::bind(config).await.unwrap();
        let address = listener.address().to_string();
        let (opened, open) = watch::channel(0);
        let inner = server.service();
        let service = tower::service_fn(move |request: Request<RequestBody>| {
            let answer = inner.clone().call(request);
            let opened = opened.clone();
            answer.map_ok(|response| response.map(|body| Counted::new(body, opened)))
        });
        let mut serving = JoinSet::new();
        serving.spawn(listener.serve(service, CancellationToken::new()));
        Self {
            server,
            address,
            open,
            _serving: serving,
        }
    }

    /// Waits until so many answers have begun and not ended.
    pub(crate) async fn open_answers(&self, count: usize) {
        let mut open = self.open.clone();
        open.wait_for(|open| *open == count).await.unwrap();
    }

    pub(crate) async fn connect(&self) -> BufReader<TcpStream> {
        BufReader::new(TcpStream::connect(&self.address).await.unwrap())
    }

    /// Sends bytes and reads the answer, as clients do that send all before they read.
    pub(crate) async fn exchange(
        &self,
        socket: &mut BufReader<TcpStream>,
        bytes: &[u8],
    ) -> (u16, Vec<u8>) {
        let exchange = async {
            socket.get_mut().write_all(bytes).await.unwrap();
            let mut line = String::new();
            socket.read_line(&mut line).await.unwrap();
            let code = line
                .split(' ')
                .nth(1)
                .expect("a status line")
                .parse()
                .unwrap();
            let mut length = 0;
            loop {
                line.clear();
                socket.read_line(&mut line).await.unwrap();
                if line == "\r\n" {
                    break;
                }
                if let Some(value) = line.to_lowercase().strip_prefix("content-length: ") {
                    length = value.trim_end().parse().unwrap();
                }
            }
            let mut body = vec![0; length];
            socket.read_exact(&mut body).await.unwrap();
            (code, body)
        };
        timeout(DEADLINE, exchange)
            .await
            .expect("an answer in time")
    }
}
