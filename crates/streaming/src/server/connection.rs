use tokio::net::TcpStream;

use std::sync::Arc;

use crate::{StreamingConfig, StreamingHandle};

pub(super) struct Terms<R> {
    pub(super) runtime: R,
    pub(super) handle: StreamingHandle,
    pub(super) config: StreamingConfig,
}

pub(super) async fn serve<R>(terms: Arc<Terms<R>>, socket: TcpStream) {
    let _ = (
        &terms.runtime,
        &terms.config,
        terms.handle.consume("", ""),
        socket,
    );
}
