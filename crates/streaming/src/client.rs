//! The other side, for tests: exec, attach and port-forward as kubectl does them.
//!
//! A [`Dial`] is a connection on which nothing was said yet, and what is to be asked for on it. It
//! becomes a [`Command`] or a [`PortForward`]. Dropping either closes the connection at once, as
//! does a client that is killed.

use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::sync::atomic::{AtomicU32, Ordering};

use http::{HeaderMap, Uri};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Duration;

pub use self::messages::{Messages, Received};
pub use self::port_forward::{Forwarded, PortForward};
use crate::mux::{Mux, Outgoing, Stream};
use crate::protocol::Protocol;
use crate::remote_command::{ERROR, RESIZE, STDERR, STDIN, STDOUT};
use crate::spdy::{self, Headers};
use crate::websocket::{self, Tunnel};
use crate::{ByteReader, ByteStream, ByteWriter, StreamOptions, TerminalSize};

mod handshake;
mod messages;
mod port_forward;

/// As long as the server waits by default.
const IDLE: Duration = Duration::from_secs(4 * 60 * 60);
const MAX_MESSAGE: usize = 32 << 20;

/// How a client speaks to the server, with the name of the protocol that it asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// SPDY/3.1.
    Spdy(&'static str),
    /// WebSocket.
    WebSocket(&'static str),
}

impl Transport {
    /// Exec and attach over SPDY.
    pub const SPDY: Self = Self::Spdy("v4.channel.k8s.io");
    /// Exec and attach over WebSocket.
    pub const WEBSOCKET: Self = Self::WebSocket("v5.channel.k8s.io");
    /// Port-forward over SPDY.
    pub const SPDY_FORWARD: Self = Self::Spdy("portforward.k8s.io");
    /// Port-forward over SPDY within WebSocket messages.
    pub const TUNNEL: Self = Self::WebSocket("SPDY/3.1+portforward.k8s.io");
}

/// A connection on which nothing was said yet.
pub struct Dial {
    /// The connection to the server, or to a proxy before it.
    pub io: Box<dyn ByteStream>,
    /// What is asked for: a path and perhaps a query.
    pub uri: Uri,
    /// More headers, such as credentials.
    pub headers: HeaderMap,
}

impl std::fmt::Debug for Dial {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dial").finish_non_exhaustive()
    }
}

/// A command, or the main process of a container, on the other side of a connection.
pub struct Command {
    /// Standard input. Shutting it down, or dropping it, ends it, where the protocol can say so.
    pub stdin: Option<ByteWriter>,
    /// Standard output.
    pub stdout: Option<ByteReader>,
    /// Standard error.
    pub stderr: Option<ByteReader>,
    /// What ends with the status of the command.
    pub error: ByteReader,
    /// What takes the size of the terminal.
    sizes: Option<ByteWriter>,
    connection: Connection,
}

impl std::fmt::Debug for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Command").finish_non_exhaustive()
    }
}

/// What a command has left behind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// What it wrote to standard output.
    pub stdout: Vec<u8>,
    /// What it wrote to standard error.
    pub stderr: Vec<u8>,
    /// Its status, as it was sent: a `Status` as JSON from version 4 on, else a text.
    pub status: String,
}

impl Dial {
    /// Connects to a URL that the server has handed out.
    ///
    /// # Errors
    ///
    /// Those of the system, and [`ErrorKind::InvalidInput`] for what is no URL.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the connection.
    pub async fn tcp(url: &str) -> io::Result<Self> {
        let invalid = || io::Error::new(ErrorKind::InvalidInput, "not a URL with an authority");
        let uri: Uri = url.parse().map_err(|_| invalid())?;
        let authority = uri.authority().ok_or_else(invalid)?;
        let socket = TcpStream::connect(authority.as_str()).await?;
        socket.set_nodelay(true)?;
        Ok(Self {
            io: Box::new(socket),
            uri,
            headers: HeaderMap::new(),
        })
    }

    /// Asks for a command, or to be attached.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::ConnectionRefused`] with the answer of a server that refuses, and those of the
    /// connection.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the connection.
    pub async fn command(
        self,
        transport: Transport,
        options: StreamOptions,
    ) -> io::Result<Command> {
        let wanted = [
            (true, ERROR),
            (options.stdin, STDIN),
            (options.stdout, STDOUT),
            (options.stderr, STDERR),
            (options.tty, RESIZE),
        ];
        let channels = wanted.iter().filter(|(wanted, _)| *wanted);
        let connection = self
            .connect(transport, channels.map(|(_, channel)| *channel))
            .await?;
        let stream = async |wanted: bool, channel, kind| {
            if !wanted {
                return Ok(None);
            }
            let headers = Headers::default().with("streamType", kind);
            connection.stream(channel, headers).await.map(Some)
        };
        // The error stream comes first, as in client-go.
        let error = stream(true, ERROR, "error").await?;
        let stdin = stream(options.stdin, STDIN, "stdin").await?;
        let stdout = stream(options.stdout, STDOUT, "stdout").await?;
        let stderr = stream(options.stderr, STDERR, "stderr").await?;
        let resize = options.tty && connection.resize;
        let sizes = stream(resize, RESIZE, "resize").await?;
        Ok(Command {
            stdin: stdin.map(writer),
            stdout: stdout.map(reader),
            stderr: stderr.map(reader),
            error: error.map_or_else(|| Box::new(tokio::io::empty()) as ByteReader, reader),
            sizes: sizes.map(writer),
            connection,
        })
    }

    async fn connect(
        self,
        transport: Transport,
        channels: impl Iterator<Item = u32>,
    ) -> io::Result<Connection> {
        let (io, protocol) = handshake::upgrade(self, transport).await?;
        Ok(Connection::new(io, protocol, channels).await)
    }
}

impl Command {
    /// Tells the size of the terminal, if there is one and the protocol can say so.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::BrokenPipe`] once the command has ended.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future may leave part of the size sent: the next one is taken for its rest.
    pub async fn resize(&mut self, size: TerminalSize) -> io::Result<()> {
        let Some(sizes) = &mut self.sizes else {
            return Ok(());
        };
        sizes.write_all(&serde_json::to_vec(&size)?).await?;
        sizes.flush().await
    }

    /// Reads all that there is until the command has ended, and closes the connection.
    ///
    /// Input that was not taken out before is ended first.
    ///
    /// # Errors
    ///
    /// Those of the connection.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the connection.
    pub async fn output(mut self) -> io::Result<Output> {
        drop(self.stdin.take());
        let (mut out, mut err) = (self.stdout.take(), self.stderr.take());
        let read = async |from: &mut Option<ByteReader>| {
            let mut text = Vec::new();
            if let Some(from) = from {
                from.read_to_end(&mut text).await?;
            }
            io::Result::Ok(text)
        };
        let mut status = String::new();
        let (stdout, stderr, _) = tokio::try_join!(
            read(&mut out),
            read(&mut err),
            self.error.read_to_string(&mut status)
        )?;
        self.connection.close().await;
        Ok(Output {
            stdout,
            stderr,
            status,
        })
    }
}

/// A connection that is driven by a task of its own, and closed with this.
struct Connection {
    mux: Mux,
    /// The number of the next stream over SPDY; none over channels, which have theirs.
    next: Option<AtomicU32>,
    /// Channels are open before anything arrives on them.
    channels: Mutex<HashMap<u32, Stream>>,
    /// Whether the protocol knows the size of a terminal.
    resize: bool,
    tasks: JoinSet<()>,
}

impl Connection {
    async fn new(
        io: Box<dyn ByteStream>,
        protocol: Protocol,
        channels: impl Iterator<Item = u32>,
    ) -> Self {
        let mux = Mux::new();
        let mut open = HashMap::new();
        let mut tasks = JoinSet::new();
        let role = websocket::Role::Client;
        let (next, resize) = match protocol {
            Protocol::Spdy(version) => {
                tasks.spawn(drive_spdy(io, mux.clone()));
                (Some(AtomicU32::new(1)), version.resize)
            }
            Protocol::Tunnel => {
                let socket = websocket::socket(io, role, MAX_MESSAGE).await;
                tasks.spawn(drive_spdy(Tunnel::new(socket), mux.clone()));
                (Some(AtomicU32::new(1)), false)
            }
            Protocol::Channels(protocol) => {
                open.extend(channels.map(|channel| (channel, mux.open(channel))));
                let socket = websocket::socket(io, role, MAX_MESSAGE).await;
                let mux = mux.clone();
                tasks.spawn(async move {
                    let _ = websocket::drive(socket, &mux, protocol, role, IDLE).await;
                });
                (None, true)
            }
        };
        Self {
            mux,
            next,
            channels: Mutex::new(open),
            resize,
            tasks,
        }
    }

    /// A stream that the server has accepted, or the channel of this number.
    async fn stream(&self, channel: u32, headers: Headers) -> io::Result<Stream> {
        let Some(next) = &self.next else {
            let open = self.channels.lock().remove(&channel);
            return open.ok_or_else(|| ErrorKind::AddrInUse.into());
        };
        let id = next.fetch_add(2, Ordering::Relaxed);
        let stream = self.mux.open(id);
        self.mux.state().answer(Outgoing::Open(id, headers));
        stream.replied().await?;
        Ok(stream)
    }

    /// Says goodbye, and waits for the end.
    async fn close(mut self) {
        if self.next.is_some() {
            self.mux.state().answer(Outgoing::GoAway(0));
        } else {
            self.mux.state().finish();
        }
        while self.tasks.join_next().await.is_some() {}
    }
}

async fn drive_spdy(io: impl AsyncRead + AsyncWrite, mux: Mux) {
    // The server opens no streams: whatever comes is refused.
    let (incoming, _) = mpsc::channel(1);
    let _ = spdy::drive(io, &mux, spdy::Role::Client, 0, incoming, IDLE).await;
}

/// A connection that is lost looks like one that has ended, as it does to client-go.
fn reader(Stream { reader, writer }: Stream) -> ByteReader {
    Box::new(Stream {
        reader: reader.lenient(),
        writer,
    })
}

fn writer(stream: Stream) -> ByteWriter {
    Box::new(stream)
}
