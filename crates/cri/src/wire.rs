//! What the generated clients speak over: a socket, or a runtime in this process.

use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::body::Body;
use tonic::transport::{Endpoint as Transport, Uri};
use tower::util::BoxCloneSyncService;
use tower::{BoxError, ServiceExt as _, service_fn};

use crate::error::Unreachable;
use crate::{Endpoint, ImageService, RuntimeService, Server};

pub(crate) type Wire = BoxCloneSyncService<http::Request<Body>, http::Response<Body>, BoxError>;

/// Connects with the first call, and anew with the first call after a connection was lost.
pub(crate) fn unix(endpoint: &Endpoint) -> Wire {
    let path = endpoint.path().to_owned();
    let connect = service_fn(move |_: Uri| {
        let path = path.clone();
        async move {
            match UnixStream::connect(&path).await {
                Ok(socket) => Ok(TokioIo::new(socket)),
                Err(error) => Err(Unreachable::new(path, error)),
            }
        }
    });
    // HTTP/2 wants an authority, and gRPC over a unix socket has none to offer.
    let transport = Transport::from_static("http://localhost");
    let channel = transport.connect_with_connector_lazy(connect);
    BoxCloneSyncService::new(channel.map_err(BoxError::from))
}

pub(crate) fn in_process<S: RuntimeService + ImageService>(server: Server<S>) -> Wire {
    BoxCloneSyncService::new(tower::util::MapErr::new(server, BoxError::from))
}
