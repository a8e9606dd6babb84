mod requests;
#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use parking_lot::Mutex;
use rustix::net::sockopt;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::server::User;
use crate::server::answer::Answer;
use crate::server::tasks::Tasks;
use crate::server::tls::{Acceptor, client_of};
use crate::server::tunnel::Tunnel;
use requests::Requests;

/// How many connections are open at a time, streams among them. More wait in the system's backlog.
const CONNECTIONS: usize = 1000;
/// How long a client may take for the handshake, and for the head of each request. One that sends
/// none at all is not to take the place of another either.
const HEAD: Duration = Duration::from_secs(30);
/// How long a connection is kept between requests, as upstream keeps it.
const IDLE: Duration = Duration::from_secs(90);
/// How long accepting rests when the system cannot give another socket.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long requests in flight have when the server stops.
const STOP: Duration = Duration::from_secs(5);

/// A bound address, with or without TLS.
pub(super) struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    tls: Option<Acceptor>,
    places: Arc<Semaphore>,
}

/// What answers requests.
pub(super) trait Service: Send + Sync + 'static {
    /// Answers a request. `client` is whom the certificate of the connection names.
    fn answer(
        &self,
        request: Request<Incoming>,
        client: Option<&User>,
    ) -> impl Future<Output = Answer> + Send;
}

impl Listener {
    pub(super) async fn bind(address: SocketAddr, tls: Option<Acceptor>) -> io::Result<Self> {
        let socket = TcpListener::bind(address).await?;
        Ok(Self {
            address: socket.local_addr()?,
            socket,
            tls,
            places: Arc::new(Semaphore::new(CONNECTIONS)),
        })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until the token is cancelled. Then no connection is accepted any more, and those that
    /// are still open after a grace are closed.
    ///
    /// Dropping the future closes all of them at once.
    pub(super) async fn serve<S: Service>(self, service: Arc<S>, token: CancellationToken) {
        let mut connections = JoinSet::new();
        let accepting = async {
            loop {
                let place = Arc::clone(&self.places).acquire_owned().await;
                let socket = accept(&self.socket).await;
                while connections.try_join_next().is_some() {}
                let conversation = converse(
                    socket,
                    self.tls.clone(),
                    Arc::clone(&service),
                    token.clone(),
                );
                connections.spawn(async move {
                    conversation.await;
                    drop(place);
                });
            }
        };
        token.run_until_cancelled(accepting).await;
        drop(self.socket);
        let ending = async { while connections.join_next().await.is_some() {} };
        if timeout(STOP, ending).await.is_err() {
            connections.shutdown().await;
        }
    }
}

async fn accept(socket: &TcpListener) -> TcpStream {
    loop {
        match socket.accept().await {
            Ok((socket, _)) => return socket,
            Err(error) => {
                tracing::warn!(%error, "cannot accept connections");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn converse<S: Service>(
    socket: TcpStream,
    tls: Option<Acceptor>,
    service: Arc<S>,
    token: CancellationToken,
) {
    // A client that is gone without a word is noticed, though its log has nothing to tell.
    let prepared = sockopt::set_socket_keepalive(&socket, true)
        .map_err(io::Error::from)
        .and_then(|()| socket.set_nodelay(true));
    if let Err(error) = prepared {
        tracing::debug!(%error, "a connection ended before it was served");
        return;
    }
    let Some(tls) = tls else {
        return serve(socket, None, service, token).await;
    };
    let accepted = timeout(HEAD, tls.current().accept(socket));
    match token.run_until_cancelled(accepted).await {
        Some(Ok(Ok(socket))) => {
            let client = client_of(socket.get_ref().1);
            serve(socket, client, service, token).await;
        }
        Some(Ok(Err(error))) => tracing::debug!(%error, "a TLS handshake failed"),
        Some(Err(_)) => tracing::debug!("a TLS handshake took too long"),
        None => {}
    }
}

async fn serve<S: Service>(
    socket: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    client: Option<User>,
    service: Arc<S>,
    token: CancellationToken,
) {
    let client = Arc::new(client);
    let requests = Arc::new(Requests::new());
    let tunnel = Arc::new(Mutex::new(None));
    let respond = service_fn({
        let (requests, tunnel) = (Arc::clone(&requests), Arc::clone(&tunnel));
        move |request| {
            let (service, client) = (Arc::clone(&service), Arc::clone(&client));
            let (requests, tunnel) = (Arc::clone(&requests), Arc::clone(&tunnel));
            async move {
                let _under_way = requests.begin();
                let mut answer = service.answer(request, Option::as_ref(&client)).await;
                *tunnel.lock() = answer.extensions_mut().remove::<Tunnel>();
                Ok::<_, Infallible>(answer)
            }
        }
    });
    let mut protocol = auto::Builder::new(Tasks::default());
    protocol
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD);
    protocol
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(HEAD);
    let socket = TokioIo::new(socket);
    let mut connection = pin!(protocol.serve_connection_with_upgrades(socket, respond));
    let mut first_request = pin!(requests.rest(HEAD));
    let mut silence = pin!(requests.rest(IDLE));
    let (mut is_new, mut stopping) = (true, false);
    loop {
        tokio::select! {
            ended = connection.as_mut() => match ended {
                Ok(()) => break,
                Err(error) => return tracing::debug!(%error, "a connection ended early"),
            },
            () = token.cancelled(), if !stopping => {
                stopping = true;
                connection.as_mut().graceful_shutdown();
            }
            () = first_request.as_mut(), if is_new => {
                is_new = false;
                if !requests.have_begun() {
                    return tracing::debug!("a connection without a request was closed");
                }
            }
            // An answer that still goes on, as a followed log does, goes on to its end.
            () = silence.as_mut(), if !stopping => {
                stopping = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
    // The answer to its last request made it a stream: an HTTP/1.1 connection, since no other ends so.
    let tunnel = tunnel.lock().take();
    if let Some(tunnel) = tunnel {
        token.run_until_cancelled(tunnel.run()).await;
    }
}
