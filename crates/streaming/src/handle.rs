use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::request::Request;
use crate::tokens::Tokens;
use crate::{AttachRequest, Error, ExecRequest, PortForwardRequest};

/// Hands out URLs under which streams are served: what CRI's `Exec`, `Attach` and `PortForward`
/// answer with.
///
/// A URL is good for one connection, within [`url_lifetime`](crate::StreamingConfig::url_lifetime).
/// Whoever has it may use it.
#[derive(Clone, Debug)]
pub struct StreamingHandle {
    tokens: Arc<Mutex<Tokens>>,
    address: SocketAddr,
}

impl StreamingHandle {
    pub(crate) fn new(tokens: Tokens, address: SocketAddr) -> Self {
        Self {
            tokens: Arc::new(Mutex::new(tokens)),
            address,
        }
    }

    /// A URL that runs a command.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidRequest`], [`Error::TooManyInFlight`], [`Error::NoRandomness`].
    pub fn exec_url(&self, request: ExecRequest) -> Result<String, Error> {
        self.url(Request::Exec(request))
    }

    /// A URL that connects to the main process of a container.
    ///
    /// # Errors
    ///
    /// As of [`exec_url`](Self::exec_url).
    pub fn attach_url(&self, request: AttachRequest) -> Result<String, Error> {
        self.url(Request::Attach(request))
    }

    /// A URL that leads to ports of a sandbox.
    ///
    /// # Errors
    ///
    /// As of [`exec_url`](Self::exec_url).
    pub fn port_forward_url(&self, request: PortForwardRequest) -> Result<String, Error> {
        self.url(Request::PortForward(request))
    }

    /// The address that URLs lead to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What a path stands for, once.
    pub(crate) fn consume(&self, method: &str, token: &str) -> Option<Request> {
        let request = self.tokens.lock().consume(Instant::now(), token)?;
        // As upstream, the token of another method is used up as well.
        (request.method() == method).then_some(request)
    }

    fn url(&self, request: Request) -> Result<String, Error> {
        request.validate()?;
        let method = request.method();
        let token = self.tokens.lock().insert(Instant::now(), request)?;
        Ok(format!("http://{}/{method}/{token}", self.address))
    }
}
