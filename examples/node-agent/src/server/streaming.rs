use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, COOKIE, HOST, TRANSFER_ENCODING};
use http::{HeaderValue, Request, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::io::{self, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::server::RuntimeUrl;
use crate::server::answer::{self, Answer, causes};
use crate::server::query::is_upgrade;
use crate::server::tasks::Tasks;

/// How long the runtime may take to answer, which it does before anything is streamed.
const PATIENCE: Duration = Duration::from_secs(30);
/// How much of a stream is under way in each direction.
const BLOCK: usize = 32 << 10;

/// Brings clients and the streams of the runtime together.
///
/// What travels between them is theirs: bytes are passed on as they come, each direction by itself,
/// until both have ended, one has failed, or neither had anything to say for too long.
#[derive(Clone, Debug)]
pub(super) struct Streaming {
    tasks: Tasks,
    idle_timeout: Duration,
    token: CancellationToken,
}

impl Streaming {
    pub(super) fn new(idle_timeout: Duration) -> Self {
        Self {
            tasks: Tasks::default(),
            idle_timeout,
            token: CancellationToken::new(),
        }
    }

    /// Ends all streams.
    pub(super) async fn shutdown(&self) {
        self.token.cancel();
        self.tasks.shutdown().await;
    }

    /// Passes a request on to where the runtime has streams. If it gives its connection over to
    /// them, so does the answer; whatever else it answers is the answer.
    pub(super) async fn proxy(&self, mut request: Request<Incoming>, url: &str) -> Answer {
        if !is_upgrade(request.headers()) {
            return answer::text(StatusCode::BAD_REQUEST, "Upgrade request required");
        }
        let url: RuntimeUrl = match url.parse() {
            Ok(url) => url,
            Err(error) => {
                tracing::error!(%error, "streams are refused");
                return answer::text(StatusCode::INTERNAL_SERVER_ERROR, error.to_string());
            }
        };
        let asked = timeout(PATIENCE, self.ask(&request, &url)).await;
        let mut response = match asked {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => {
                tracing::warn!(error = causes(&*error), "the runtime does not stream");
                let text = format!("error dialing backend: {}", causes(&*error));
                return answer::text(StatusCode::BAD_GATEWAY, text);
            }
            Err(_) => {
                let text = "error dialing backend: the runtime did not answer in time";
                return answer::text(StatusCode::GATEWAY_TIMEOUT, text);
            }
        };
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            let client = hyper::upgrade::on(&mut request);
            let runtime = hyper::upgrade::on(&mut response);
            let (token, patience) = (self.token.clone(), self.idle_timeout);
            self.tasks.spawn(async move {
                let stream = stream(client, runtime, patience);
                token.run_until_cancelled(stream).await;
            });
            return response.map(|_| answer::body(Bytes::new()));
        }
        response.map(|body| body.map_err(Into::into).boxed_unsync())
    }

    /// Sends a request on, and has its connection driven.
    async fn ask(
        &self,
        request: &Request<Incoming>,
        url: &RuntimeUrl,
    ) -> Result<http::Response<Incoming>, answer::BoxError> {
        let socket = url.connect().await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(socket)).await?;
        self.tasks.spawn(async move {
            if let Err(error) = connection.with_upgrades().await {
                tracing::debug!(%error, "a connection to the runtime ended early");
            }
        });
        let mut onward = Request::new(Empty::<Bytes>::new());
        *onward.method_mut() = request.method().clone();
        *onward.uri_mut() = url.target.parse()?;
        *onward.headers_mut() = request.headers().clone();
        // What tells the agent who the client is, is not the runtime's to know.
        for header in [AUTHORIZATION, COOKIE] {
            onward.headers_mut().remove(header);
        }
        // It has no body, whatever the client said of its own.
        for header in [CONTENT_LENGTH, TRANSFER_ENCODING] {
            onward.headers_mut().remove(header);
        }
        let host = HeaderValue::from_str(&url.host)?;
        onward.headers_mut().insert(HOST, host);
        Ok(sender.send_request(onward).await?)
    }
}

async fn stream(client: OnUpgrade, runtime: OnUpgrade, patience: Duration) {
    let (client, runtime) = match tokio::try_join!(client, runtime) {
        Ok(both) => both,
        Err(error) => {
            tracing::debug!(%error, "a stream did not begin");
            return;
        }
    };
    match exchange(client, runtime, patience).await {
        Ok(Ended::Done) => {}
        Ok(Ended::Idle) => tracing::debug!("a stream was idle for too long"),
        Err(error) => tracing::debug!(%error, "a stream ended early"),
    }
}

/// How an exchange ended.
enum Ended {
    Done,
    Idle,
}

async fn exchange(client: Upgraded, runtime: Upgraded, patience: Duration) -> io::Result<Ended> {
    let active = Mutex::new(Instant::now());
    let (client_reads, client_writes) = io::split(TokioIo::new(client));
    let (runtime_reads, runtime_writes) = io::split(TokioIo::new(runtime));
    let both = async {
        tokio::try_join!(
            pass_on(client_reads, runtime_writes, &active),
            pass_on(runtime_reads, client_writes, &active),
        )
    };
    let idle = async {
        loop {
            let deadline = *active.lock() + patience;
            if Instant::now() >= deadline {
                return;
            }
            sleep_until(deadline).await;
        }
    };
    tokio::select! {
        ended = both => ended.map(|_| Ended::Done),
        () = idle => Ok(Ended::Idle),
    }
}

/// Passes on what comes, and that nothing comes any more.
async fn pass_on(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    active: &Mutex<Instant>,
) -> io::Result<()> {
    let mut block = vec![0; BLOCK];
    loop {
        let read = from.read(&mut block).await?;
        *active.lock() = Instant::now();
        if read == 0 {
            return to.shutdown().await;
        }
        to.write_all(&block[..read]).await?;
        to.flush().await?;
        *active.lock() = Instant::now();
    }
}
