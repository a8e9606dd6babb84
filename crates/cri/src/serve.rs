use std::io::{self, ErrorKind};
use std::pin::pin;
use std::time::Duration;

use hyper::server::conn::http2;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;
use tokio::time::sleep;

use self::tasks::Tasks;
use crate::{Endpoint, ImageService, RuntimeService, Server};

mod tasks;

/// How long the listener waits when the process has no file descriptor left for a connection.
const EXHAUSTED: Duration = Duration::from_millis(50);

/// Listens at an endpoint.
///
/// A socket that a runtime left behind when it was killed is taken over.
///
/// # Errors
///
/// Those of the system; [`ErrorKind::AddrInUse`] if another runtime listens there, or if there is
/// something at the path that is not a socket.
///
/// # Cancel safety
///
/// Dropping the future leaves nothing bound; a socket that was left behind may be gone.
pub async fn bind(endpoint: &Endpoint) -> io::Result<UnixListener> {
    let path = endpoint.path();
    let error = match UnixListener::bind(path) {
        Err(error) if error.kind() == ErrorKind::AddrInUse => error,
        bound => return bound,
    };
    match UnixStream::connect(path).await {
        // What is no socket refuses as well, and is nobody's to remove.
        Err(refused) if refused.kind() == ErrorKind::ConnectionRefused && is_socket(endpoint)? => {
            std::fs::remove_file(path)?;
            UnixListener::bind(path)
        }
        _ => Err(error),
    }
}

/// Serves a runtime on a socket, until the future is dropped.
///
/// # Cancel safety
///
/// Dropping the future closes all connections, and ends the calls that are under way where they
/// wait. The file of the socket stays; [`bind`] takes it over.
pub async fn serve<S: RuntimeService + ImageService>(listener: UnixListener, server: Server<S>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((socket, _)) => {
                    connections.spawn(converse(socket, server.clone()));
                }
                // The client is gone already, or descriptors have run out: others may still come.
                Err(_) => sleep(EXHAUSTED).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn converse<S: RuntimeService + ImageService>(socket: UnixStream, server: Server<S>) {
    let service = TowerToHyperService::new(server);
    let protocol = http2::Builder::new(Tasks::default());
    // How a connection ended is its client's to know.
    let _ = pin!(protocol.serve_connection(TokioIo::new(socket), service)).await;
}

fn is_socket(endpoint: &Endpoint) -> io::Result<bool> {
    use std::os::unix::fs::FileTypeExt as _;
    Ok(std::fs::symlink_metadata(endpoint.path())?
        .file_type()
        .is_socket())
}
