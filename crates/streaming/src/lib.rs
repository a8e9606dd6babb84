//! The server side of Kubernetes' streaming protocols: exec, attach and port-forward.
//!
//! A container runtime answers CRI's `Exec`, `Attach` and `PortForward` with a URL. Whoever
//! connects to it is connected to a process, over WebSocket or SPDY/3.1. This crate hands out the
//! URLs and speaks the protocols; what streams lead to is a [`StreamingRuntime`].
//! It knows neither CRI nor the API of Kubernetes, and answers to upstream's `cri-streaming`.
//!
//! | | over WebSocket | over SPDY/3.1 |
//! |---|---|---|
//! | exec and attach | `v5.channel.k8s.io`, which can end standard input; `v4.channel.k8s.io`, `channel.k8s.io`, and both in base64 | `v4.channel.k8s.io`, `v3…`, `v2…`, `channel.k8s.io` |
//! | port-forward | `SPDY/3.1+portforward.k8s.io`: SPDY in binary messages; `v4.channel.k8s.io`, also in base64 | `portforward.k8s.io` |
//!
//! What goes to the client alone, such as a log, is a [`OneWay`], on a connection of somebody else's.
//!
//! [`StreamingServer::bind`] takes a socket on loopback, [`StreamingHandle`] hands out URLs, and
//! [`StreamingServer::run`] serves them.
//!
//! # Guarantees
//!
//! - **One client for a URL**: its token is 128 random bits, is good once, and for a minute.
//! - **Nothing is lost at the end**: a connection is closed by the client, once it has read all
//!   that the process wrote and how it ended, or after
//!   [`finish_timeout`](StreamingConfig::finish_timeout).
//! - **Memory is bounded**: a process waits while its client does not read, and a client while
//!   nobody reads what it sends. A stream holds at most 256 KiB of what arrived and 32 KiB of what
//!   is to be sent; frames, header blocks, messages, streams and connections have limits.
//! - **Streams take turns**: one that writes much does not keep others from writing.
//! - **Whatever a client sends** is a frame or the end of its connection.
//! - **No task outlives [`StreamingServer::run`]**, and dropping it is safe.
//!
//! # Assumptions
//!
//! The protocols have no flow control of a single stream: spdystream, which kubectl uses, ignores
//! windows, and so they are ignored here. Input that is held and not read thus holds up what else
//! the client sends on the same connection, and nobody notices meanwhile that it has gone. The size
//! of a terminal is never held up by its receiver.
//!
//! A client that goes away does not end what it has started, as it does not upstream. The runtime
//! learns of it by [`Stdio::closed`].
//!
//! # Example
//!
//! ```
//! use kubewright_streaming::client::{Dial, Transport};
//! use kubewright_streaming::{
//!     AttachRequest, ByteStream, ExecRequest, ExitStatus, RuntimeError, Stdio, StreamOptions,
//!     StreamingConfig, StreamingRuntime, StreamingServer,
//! };
//! use tokio::io::AsyncWriteExt;
//! use tokio_util::sync::CancellationToken;
//!
//! struct Echo;
//!
//! impl StreamingRuntime for Echo {
//!     async fn exec(&self, request: ExecRequest, stdio: Stdio) -> Result<ExitStatus, RuntimeError> {
//!         let Some(mut stdout) = stdio.stdout else {
//!             return Err("there is no output to write to".into());
//!         };
//!         stdout.write_all(request.command.join(" ").as_bytes()).await?;
//!         Ok(ExitStatus::SUCCESS)
//!     }
//!
//!     async fn attach(&self, _: AttachRequest, _: Stdio) -> Result<(), RuntimeError> {
//!         Err("there is no process to attach to".into())
//!     }
//!
//!     async fn port_forward(
//!         &self,
//!         _sandbox_id: &str,
//!         port: u16,
//!         _: Box<dyn ByteStream>,
//!     ) -> Result<(), RuntimeError> {
//!         Err(format!("nobody listens on port {port}").into())
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = StreamingServer::bind(StreamingConfig::default()).await?;
//! let handle = server.handle();
//! let stop = CancellationToken::new();
//!
//! let client = async {
//!     let streams = StreamOptions { stdout: true, ..StreamOptions::default() };
//!     let url = handle.exec_url(ExecRequest {
//!         container_id: "c".to_owned(),
//!         command: vec!["hello".to_owned(), "world".to_owned()],
//!         streams,
//!     })?;
//!     let command = Dial::tcp(&url).await?.command(Transport::WEBSOCKET, streams).await?;
//!     let output = command.output().await?;
//!     assert_eq!(output.stdout, b"hello world");
//!     assert!(output.status.contains("Success"));
//!     stop.cancel();
//!     Ok::<_, Box<dyn std::error::Error>>(())
//! };
//! let ((), done) = tokio::join!(server.run(Echo, stop.clone()), client);
//! # done
//! # }
//! ```
//!
//! # Features
//!
//! `client` brings the `client` module: the other side, for tests.

mod runtime;

mod config;
mod error;
mod request;

mod handle;
mod server;
mod tokens;

mod port_forward;
mod remote_command;

mod protocol;
mod upgrade;

mod mux;
mod one_way;
mod spdy;
mod websocket;

#[cfg(feature = "client")]
pub mod client;

pub use config::StreamingConfig;
pub use error::Error;
pub use handle::StreamingHandle;
pub use one_way::{Answer, OneWay};
pub use request::{AttachRequest, ExecRequest, InvalidRequest, PortForwardRequest, StreamOptions};
pub use runtime::{
    ByteReader, ByteStream, ByteWriter, ExitStatus, RuntimeError, Stdio, StreamingRuntime,
    TerminalSize,
};
pub use server::StreamingServer;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
