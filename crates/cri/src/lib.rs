//! The Container Runtime Interface (CRI v1): client, server traits, and a runtime for tests.
//!
//! The interface is the pair of server traits that CRI's services become in Rust,
//! [`RuntimeService`] and [`ImageService`].
//! Whoever implements both is a container runtime: [`serve`] puts it on a unix socket for any agent,
//! and [`Runtime`] is the agent's handle on it, over a socket or in the same process.
//! Either way a call is the same gRPC request, so that a whole node agent can be tested against a
//! runtime in memory, without sockets and under paused time.
//!
//! # Guarantees
//!
//! - **Only what is used**: the messages hold the fields of CRI v1 that a node agent uses, under
//!   CRI's names and numbers. What a peer sends beyond that is skipped.
//! - **All calls**: [`Runtime`] has every call of the traits, whether or not the agent that it was
//!   written for makes it: agents differ in what they ask for.
//! - **Every call ends**: after [`RuntimeOptions::timeout`], plus the time that the call itself asks
//!   the runtime to wait. [`Runtime::pull_image`] and streams have no limit.
//! - **Failures say what to do**: [`Error`] has one variant for each thing that a caller might do
//!   next, names the call, and tells why a runtime cannot be reached.
//! - **A runtime may restart**: a handle connects anew with the next call. It never repeats a call
//!   by itself, since nobody can tell whether the first one took effect.
//! - **Secrets stay out of logs**: the credentials of a pull and the values of environment variables
//!   are not part of any `Debug` output.
//!
//! # Example
//!
//! ```
//! use kubewright_cri::Runtime;
//! use kubewright_cri::testing::FakeRuntime;
//! use kubewright_cri::v1::{PodSandboxConfig, PodSandboxMetadata};
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), kubewright_cri::Error> {
//! let fake = FakeRuntime::default();
//! let runtime = Runtime::in_process(fake.clone());
//!
//! let config = PodSandboxConfig {
//!     metadata: Some(PodSandboxMetadata {
//!         name: "web".to_owned(),
//!         namespace: "default".to_owned(),
//!         uid: "1234".to_owned(),
//!         attempt: 0,
//!     }),
//!     ..PodSandboxConfig::default()
//! };
//! let id = runtime.run_pod_sandbox(config, "").await?;
//! runtime.stop_pod_sandbox(&id).await?;
//! runtime.remove_pod_sandbox(&id).await?;
//! runtime.remove_pod_sandbox(&id).await?; // once more does no harm
//! assert!(runtime.list_pod_sandbox(None).await?.is_empty());
//! # Ok(())
//! # }
//! ```
//!
//! # Features
//!
//! `testing` brings the `testing` module: a scriptable runtime in memory.

pub mod v1;

mod runtime;

mod endpoint;
mod error;
mod wire;

mod serve;
mod server;

#[cfg(feature = "testing")]
pub mod testing;

pub use endpoint::{Endpoint, EndpointError};
pub use error::{Error, Failure, Unreachable};
pub use runtime::{Events, Runtime, RuntimeOptions};
pub use serve::{bind, serve};
pub use server::Server;
pub use v1::image_service_server::ImageService;
pub use v1::runtime_service_server::RuntimeService;

/// What implementing the server traits takes.
pub use tonic::{Code, Request, Response, Status, async_trait};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// The largest message that either side takes: 16 MiB, as in Kubernetes.
pub const MAX_MESSAGE_SIZE: usize = 16 << 20;
