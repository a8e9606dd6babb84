use std::convert::Infallible;
use std::env;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use replica_set_controller::program::{cancel_on_signal, say};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::Identity;

/// The web server of one pod.
struct Web {
    pod: String,
    requests: AtomicU64,
}

pub(super) fn main() -> Result<()> {
    let ip: IpAddr = variable("KUBEWRIGHT_POD_IP")?
        .parse()
        .context("KUBEWRIGHT_POD_IP is no address")?;
    let port: u16 = variable("PORT")?.parse().context("PORT is no port")?;
    let web = Arc::new(Web {
        pod: variable("POD_NAME")?,
        requests: AtomicU64::new(0),
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(web.serve(SocketAddr::new(ip, port)))
}

fn variable(name: &str) -> Result<String> {
    env::var(name).with_context(|| format!("{name} is not set"))
}

impl Web {
    /// Serves until the process is asked to end.
    async fn serve(self: Arc<Self>, address: SocketAddr) -> Result<()> {
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        tasks.spawn(cancel_on_signal(stop.clone())?);
        let listener = TcpListener::bind(address).await;
        let listener = listener.with_context(|| format!("{address} cannot be had"))?;
        say(&format!("{} listens at http://{address}", self.pod));
        let accepting = async {
            loop {
                let (socket, client) = listener.accept().await?;
                tasks.spawn(Arc::clone(&self).converse(socket, client));
                while tasks.try_join_next().is_some() {}
            }
        };
        match stop.run_until_cancelled(accepting).await {
            Some(ended) => ended,
            None => {
                say(&format!("{} was asked to end, and does", self.pod));
                Ok(())
            }
        }
    }

    async fn converse(self: Arc<Self>, socket: TcpStream, client: SocketAddr) {
        let answer = service_fn(|request: Request<Incoming>| {
            let answer = self.answer(&request, client);
            async { Ok::<_, Infallible>(answer) }
        });
        // A client that goes away is its own business.
        let _ = http1::Builder::new()
            .serve_connection(TokioIo::new(socket), answer)
            .await;
    }

    fn answer(&self, request: &Request<Incoming>, client: SocketAddr) -> Response<Full<Bytes>> {
        if request.uri().path() == "/healthz" {
            return Response::new(Bytes::from_static(b"ok\n").into());
        }
        let identity = Identity {
            pod: self.pod.clone(),
            pid: std::process::id().cast_signed(),
            requests: self.requests.fetch_add(1, Ordering::Relaxed) + 1,
        };
        say(&format!(
            "request {} from {client}: {} {}",
            identity.requests,
            request.method(),
            request.uri()
        ));
        let mut text = serde_json::to_string(&identity).unwrap_or_default();
        text.push('\n');
        let mut answer = Response::new(Bytes::from(text).into());
        let json = HeaderValue::from_static("application/json");
        answer.headers_mut().insert(CONTENT_TYPE, json);
        answer
    }
}
