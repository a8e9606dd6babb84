//! What the agent serves: its API, who may use it, and how it is.
//!
//! - [`ApiServer`] is the API of a node (port 10250): over TLS, for those who are
//!   [let in](Access); or, read-only, for anybody.
//! - [`HealthServer`] tells whether the agent is well (port 10248), and comes back when it fails.
//! - [`PodResourcesServer`] tells monitors of the node what pods were given, over a unix socket.
//!
//! What they serve they ask of a [`ServerHost`]. All of them are bound first, so that their
//! addresses are known, and then run until a token is cancelled; no task outlives its server.

mod access;
mod answer;
mod api;
mod api_server;
mod error;
mod health;
mod health_server;
mod host;
mod listener;
mod log_query;
mod metrics;
mod pod_resources;
mod query;
mod route;
mod runtime_url;
mod stats;
mod streaming;
mod tasks;
mod tls;
mod tunnel;

pub use access::{
    Access, AccessReviewer, Attributes, ClusterReviews, Refusal, ReviewError, SharedToken,
    TokenReviewer, User,
};
pub use api_server::{ApiServer, ServerOptions};
pub use error::ServerError;
pub use health::{HealthCheck, HealthChecks};
pub use health_server::HealthServer;
pub use host::{HostError, ServerHost, Streams};
pub use metrics::HttpMetrics;
pub use pod_resources::{PodResourcesServer, v1 as pod_resources_v1};
pub use route::PATHS;
pub use runtime_url::{RuntimeUrl, RuntimeUrlError};
pub use stats::{Summary, summary};
