use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use kubewright_clock::Clock;
use tokio_util::sync::CancellationToken;

use crate::config::{Config, TlsFiles};
use crate::server::api::Api;
use crate::server::listener::Listener;
use crate::server::streaming::Streaming;
use crate::server::tls::{Identity, Source};
use crate::server::{Access, HealthChecks, HttpMetrics, ServerError, ServerHost};

/// How a server of the agent's API is made.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServerOptions {
    /// What the node is called, for a certificate that is made. Default: `localhost`.
    pub node_name: String,
    /// The certificate and its key; what is put in their place is served by within a minute. Default:
    /// one that the agent signs for itself.
    pub tls: Option<TlsFiles>,
    /// Where a certificate that the agent signs for itself is kept. It is made anew when it has 30
    /// days left. Default: `/var/lib/kubelet/pki`.
    pub pki_dir: PathBuf,
    /// Clients may show certificates of this authority; others are refused. Another that is put in
    /// its place is known within a minute. Default: none.
    pub client_ca_file: Option<PathBuf>,
    /// Whether logs, exec, attach, port forwarding and more are served. Default: true.
    pub debugging: bool,
    /// How long a stream may be idle. Default: 4 h.
    pub streaming_idle_timeout: Duration,
    /// What must be well for the agent to be. Default: that it answers.
    pub health: HealthChecks,
    /// Where requests are counted. Default: for nobody.
    pub metrics: HttpMetrics,
    /// What `sinceSeconds` counts from, and certificates begin at. Default: the system's clock.
    pub clock: Clock,
}

/// The agent's API, bound and not served yet.
pub struct ApiServer<H> {
    listener: Listener,
    api: Api<H>,
    identity: Option<Identity>,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            node_name: "localhost".to_owned(),
            tls: None,
            pki_dir: PathBuf::from("/var/lib/kubelet/pki"),
            client_ca_file: None,
            debugging: true,
            streaming_idle_timeout: Duration::from_secs(4 * 60 * 60),
            health: HealthChecks::default(),
            metrics: HttpMetrics::default(),
            clock: Clock::system(),
        }
    }
}

impl ServerOptions {
    /// As the configuration has it.
    pub fn from_config(config: &Config) -> Self {
        Self {
            node_name: config.node_name.clone(),
            tls: config.tls.clone(),
            pki_dir: config.root_dir.join("pki"),
            client_ca_file: config.client_ca_file.clone(),
            debugging: config.enable_debugging_handlers,
            streaming_idle_timeout: config.streaming_idle_timeout,
            ..Self::default()
        }
    }
}

impl<H: ServerHost> ApiServer<H> {
    /// Binds the API, over TLS, for those who are let in. Port 0 is any free one.
    ///
    /// # Errors
    ///
    /// If the address cannot be had, or a certificate cannot be used or made.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing bound. A certificate that was made stays.
    pub async fn bind(
        address: SocketAddr,
        options: ServerOptions,
        access: Access,
        host: Arc<H>,
    ) -> Result<Self, ServerError> {
        let identity = Self::identity(address, &options)?;
        let tls = Some(identity.acceptor());
        let listener = Listener::bind(address, tls).await;
        let listener = listener.map_err(|source| ServerError::Bind { address, source })?;
        Ok(Self {
            listener,
            api: api(options, Some(access), host),
            identity: Some(identity),
        })
    }

    /// Binds what anybody may read of the API, without TLS: `/pods`, `/healthz`, `/metrics` and
    /// `/stats/summary`.
    ///
    /// # Errors
    ///
    /// If the address cannot be had.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing bound.
    pub async fn bind_read_only(
        address: SocketAddr,
        options: ServerOptions,
        host: Arc<H>,
    ) -> Result<Self, ServerError> {
        let listener = Listener::bind(address, None).await;
        let listener = listener.map_err(|source| ServerError::Bind { address, source })?;
        let options = ServerOptions {
            debugging: false,
            ..options
        };
        Ok(Self {
            listener,
            api: api(options, None, host),
            identity: None,
        })
    }

    /// The address that is bound, with its real port.
    pub fn address(&self) -> SocketAddr {
        self.listener.address()
    }

    /// The certificate that clients see at first, and those that vouch for it; none without TLS.
    /// Whoever trusts one that the agent signed for itself trusts the agent alone, and until it makes
    /// another.
    pub fn certificate_pem(&self) -> Option<&str> {
        self.identity.as_ref().map(Identity::certificate_pem)
    }

    /// Serves until the token is cancelled. Then streams and followed logs end at once, other
    /// requests in flight have 5 s, and all tasks have ended when this returns.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends all of it at once.
    pub async fn run(self, token: CancellationToken) {
        let stop = self.api.stop.clone();
        // However this ends, followed logs do too.
        let _ended = stop.clone().drop_guard();
        let streaming = self.api.streaming.clone();
        let api = Arc::new(self.api);
        let serving = self.listener.serve(api, stop.clone());
        let stopping = async {
            token.cancelled().await;
            stop.cancel();
            streaming.shutdown().await;
        };
        let keeping = async {
            if let Some(identity) = self.identity {
                stop.run_until_cancelled(identity.keep()).await;
            }
        };
        tokio::join!(serving, stopping, keeping);
        // What began while the streams ended.
        streaming.shutdown().await;
    }

    fn identity(address: SocketAddr, options: &ServerOptions) -> Result<Identity, ServerError> {
        let source = match &options.tls {
            Some(files) => Source::Files(files.clone()),
            None => Source::SelfSigned {
                directory: options.pki_dir.clone(),
                node: options.node_name.clone(),
                address: address.ip(),
            },
        };
        Identity::load(
            source,
            options.client_ca_file.clone(),
            options.clock.clone(),
        )
    }
}

impl<H> fmt::Debug for ApiServer<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiServer")
            .field("address", &self.listener.address())
            .finish_non_exhaustive()
    }
}

fn api<H>(options: ServerOptions, access: Option<Access>, host: Arc<H>) -> Api<H> {
    Api {
        host,
        access,
        debugging: options.debugging,
        health: options.health,
        metrics: options.metrics,
        streaming: Streaming::new(options.streaming_idle_timeout),
        clock: options.clock,
        stop: CancellationToken::new(),
    }
}
