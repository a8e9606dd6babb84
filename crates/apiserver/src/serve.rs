//! Serving a tower service to other processes: HTTPS on loopback, for `kubectl` and any other client.
//!
//! A [`Listener`] owns a bound socket and what clients need to use it: an address, a certificate
//! authority made for this start, and a bearer token. [`Listener::serve`] drives any tower service
//! of HTTP requests until it is told to stop; it knows nothing of Kubernetes beyond the `Status`
//! that refuses a request without credentials.
//!
//! # Guarantees
//!
//! - Only loopback is served: every other address is refused before anything is bound.
//! - No task outlives [`Listener::serve`]: connections, and the requests and tunnels in them, end with it.
//! - A client that is silent, slow or stuck costs one connection for a bounded time ([`Limits`]),
//!   and never delays another client.
//! - On stop, requests in flight are answered and open watches end cleanly, as they do when
//!   their time is up. Tunnels ([`NodeProxy`]) are closed.
//!
//! # Example
//!
//! ```
//! use std::convert::Infallible;
//! use kubewright_apiserver::serve::{Listener, ListenerConfig, RequestBody};
//! use tokio_util::sync::CancellationToken;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), kubewright_apiserver::serve::ServeError> {
//! let listener = Listener::bind(ListenerConfig::default()).await?;
//! assert!(listener.url().starts_with("https://127.0.0.1:"));
//! println!("{}", listener.kubeconfig());
//!
//! let hello = tower::service_fn(|_: http::Request<RequestBody>| async {
//!     Ok::<_, Infallible>(http::Response::new("hello".to_owned()))
//! });
//! let stop = CancellationToken::new();
//! stop.cancel();
//! listener.serve(hello, stop).await;
//! # Ok(())
//! # }
//! ```

mod access;
mod body;
mod config;
mod connection;
mod debug;
mod error;
mod identity;
mod kubeconfig;
mod listener;
mod node_proxy;
mod stall;
mod tasks;
mod token;
mod tunnel;

pub use body::RequestBody;
pub use config::{Authentication, Limits, ListenerConfig, Transport};
pub use debug::DebugService;
pub use error::ServeError;
pub use kubeconfig::Kubeconfig;
pub use listener::Listener;
pub use node_proxy::{NodeProxy, NodeProxyConfig, NodeTransport};
pub use token::Token;

/// An error of any kind, as tower services and HTTP bodies have them.
type BoxError = Box<dyn std::error::Error + Send + Sync>;
