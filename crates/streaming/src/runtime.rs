use std::error::Error as StdError;
use std::fmt;
use std::future::Future;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{AttachRequest, ExecRequest};

/// Why a runtime did not do what a client asked for: the client is shown its text.
pub type RuntimeError = Box<dyn StdError + Send + Sync>;

/// Where a client's bytes are read from.
pub type ByteReader = Box<dyn AsyncRead + Send + Unpin>;

/// Where bytes for a client are written to.
///
/// A write is done when the bytes are accepted; it waits while the client reads more slowly than
/// the process writes. Shutting down or dropping the writer ends the stream, after all that was
/// written. Once the client is gone, writing fails with [`BrokenPipe`](std::io::ErrorKind).
pub type ByteWriter = Box<dyn AsyncWrite + Send + Unpin>;

/// One forwarded connection, both ways.
pub trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> ByteStream for T {}

/// What streams lead to: the part of a container runtime that this crate does not know.
///
/// The methods may be written as `async fn`.
///
/// # Cancel safety
///
/// When the server stops, the futures of all methods are dropped where they wait. A client that
/// goes away does not end [`exec`](Self::exec) and [`attach`](Self::attach), as it does not
/// upstream: they see the end of standard input, failing writes, and [`Stdio::closed`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a runtime that streams can lead to",
    note = "implement `StreamingRuntime` for it: `exec`, `attach` and `port_forward`"
)]
pub trait StreamingRuntime: Send + Sync + 'static {
    /// Runs a command in a container until it ends, connected to the client's streams.
    ///
    /// # Errors
    ///
    /// That the command was not run: the client gets `InternalError` with the text. A command that
    /// ran and failed is a success with its status.
    fn exec(
        &self,
        request: ExecRequest,
        stdio: Stdio,
    ) -> impl Future<Output = Result<ExitStatus, RuntimeError>> + Send;

    /// Connects the client's streams to the main process of a container, until it ends.
    ///
    /// # Errors
    ///
    /// That there is nothing to attach to: the client gets `InternalError` with the text.
    fn attach(
        &self,
        request: AttachRequest,
        stdio: Stdio,
    ) -> impl Future<Output = Result<(), RuntimeError>> + Send;

    /// Carries one connection to a port of a sandbox, until both sides have ended it.
    ///
    /// A client that resets its connection, or is lost, makes reading fail with
    /// [`ConnectionReset`](std::io::ErrorKind). The future is dropped soon after the client is
    /// gone.
    ///
    /// # Errors
    ///
    /// That the connection was not made, or broke: the client is shown the text, and the connection
    /// is reset.
    fn port_forward(
        &self,
        sandbox_id: &str,
        port: u16,
        stream: Box<dyn ByteStream>,
    ) -> impl Future<Output = Result<(), RuntimeError>> + Send;
}

/// The streams of a process, as far as its client wants them.
///
/// What is not used may be dropped: input that nobody reads is thrown away then. Input that is kept
/// and not read holds up the connection, since the protocols have no flow control of a stream, and
/// then nobody notices that the client is gone.
pub struct Stdio {
    /// Standard input. It ends when the client ends it, and when the client is gone.
    pub stdin: Option<ByteReader>,
    /// Standard output; the terminal's output, where there is a terminal.
    pub stdout: Option<ByteWriter>,
    /// Standard error; none with a terminal.
    pub stderr: Option<ByteWriter>,
    /// The sizes that the client's terminal takes on, where there is a terminal. When they come
    /// faster than they are received, the latest is kept.
    pub resize: Option<mpsc::Receiver<TerminalSize>>,
    /// Cancelled once the client is gone, or has said that it wants no more.
    pub closed: CancellationToken,
}

impl fmt::Debug for Stdio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stdio")
            .field("stdin", &self.stdin.is_some())
            .field("stdout", &self.stdout.is_some())
            .field("stderr", &self.stderr.is_some())
            .field("resize", &self.resize.is_some())
            .field("closed", &self.closed.is_cancelled())
            .finish()
    }
}

/// The size of a terminal, in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct TerminalSize {
    /// Characters in a line.
    #[serde(default)]
    pub width: u16,
    /// Lines.
    #[serde(default)]
    pub height: u16,
}

/// How a command ended: 0 is success. A shell gives 128 and its number to a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExitStatus(pub i32);

impl ExitStatus {
    /// The command did what it was asked to.
    pub const SUCCESS: Self = Self(0);
}
