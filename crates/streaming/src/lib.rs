//! The server side of Kubernetes' streaming protocols: exec, attach and port-forward.

mod runtime;

mod config;
mod error;
mod request;

mod handle;
mod server;
mod tokens;

pub use config::StreamingConfig;
pub use error::Error;
pub use handle::StreamingHandle;
pub use request::{AttachRequest, ExecRequest, InvalidRequest, PortForwardRequest, StreamOptions};
pub use runtime::{
    ByteReader, ByteStream, ByteWriter, ExitStatus, RuntimeError, Stdio, StreamingRuntime,
    TerminalSize,
};
pub use server::StreamingServer;
