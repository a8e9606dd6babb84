//! Exec and attach, whatever the transport is.

use std::convert::Infallible;
use std::future::pending;

use bytes::Bytes;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tracing::debug;

use self::status::Status;
use crate::mux::{Mux, Outgoing, Stream, StreamReader, StreamWriter};
use crate::protocol::{ChannelProtocol, RemoteCommandVersion};
use crate::request::Request;
use crate::runtime::{ByteReader, ByteWriter};
use crate::spdy::Incoming;
use crate::{Stdio, StreamOptions, StreamingConfig, StreamingRuntime};

mod resize;
mod status;
#[cfg(test)]
mod tests;

pub(crate) const STDIN: u32 = 0;
pub(crate) const STDOUT: u32 = 1;
pub(crate) const STDERR: u32 = 2;
pub(crate) const ERROR: u32 = 3;
pub(crate) const RESIZE: u32 = 4;

/// The streams of one client. Both ends of each are held until the command has ended: a client
/// takes the end of any of them for the end of the command.
#[derive(Default)]
pub(crate) struct Streams {
    stdin: Option<Stream>,
    stdout: Option<Stream>,
    stderr: Option<Stream>,
    error: Option<Stream>,
    resize: Option<Stream>,
    json_status: bool,
}

impl Streams {
    /// The channels of a WebSocket are there at once.
    pub(crate) fn over_channels(
        mux: &Mux,
        options: StreamOptions,
        protocol: ChannelProtocol,
    ) -> Self {
        let open = |wanted: bool, channel| wanted.then(|| mux.open(channel));
        let streams = Self {
            stdin: open(options.stdin, STDIN),
            stdout: open(options.stdout, STDOUT),
            stderr: open(options.stderr, STDERR),
            error: open(true, ERROR),
            resize: open(options.tty, RESIZE),
            json_status: protocol.json_status,
        };
        // An empty message tells the client that it is connected.
        let first = match options {
            StreamOptions { stdout: true, .. } => STDOUT,
            StreamOptions { stderr: true, .. } => STDERR,
            _ => ERROR,
        };
        let hello = Outgoing::Message(first, Bytes::new());
        mux.state().answer(hello);
        streams
    }

    /// Waits for the streams that a client opens over SPDY; none if it goes away.
    pub(crate) async fn over_spdy(
        incoming: &mut mpsc::Receiver<Incoming>,
        options: StreamOptions,
        version: RemoteCommandVersion,
    ) -> Option<Self> {
        let mut streams = Self {
            json_status: version.json_status,
            ..Self::default()
        };
        let resize = options.tty && version.resize;
        while streams.error.is_none()
            || (options.stdin && streams.stdin.is_none())
            || (options.stdout && streams.stdout.is_none())
            || (options.stderr && streams.stderr.is_none())
            || (resize && streams.resize.is_none())
        {
            let stream = incoming.recv().await?;
            let slot = match stream.headers.get("streamType") {
                Some("stdin") => &mut streams.stdin,
                Some("stdout") => &mut streams.stdout,
                Some("stderr") => &mut streams.stderr,
                Some("error") => &mut streams.error,
                Some("resize") => &mut streams.resize,
                unknown => {
                    debug!(?unknown, "refused a stream of an unknown type");
                    continue;
                }
            };
            // The second of a kind is refused.
            if slot.is_none() {
                *slot = stream.accept();
            }
        }
        Some(streams)
    }
}

/// Runs the command, tells the client how it ended, and waits until the client has read that.
pub(crate) async fn serve<R: StreamingRuntime>(
    runtime: &R,
    request: Request,
    streams: Streams,
    mux: &Mux,
    config: &StreamingConfig,
) {
    let Streams {
        stdin,
        stdout,
        stderr,
        error,
        resize,
        json_status,
    } = streams;
    let (stdin, stdin_end) = split(stdin);
    let (sizes, size_end) = split(resize);
    let (sender, receiver) = mpsc::channel(1);
    let has_sizes = sizes.is_some();
    let stdio = Stdio {
        stdin: stdin.map(|stdin| Box::new(stdin.lenient()) as ByteReader),
        stdout: output(stdout),
        stderr: output(stderr),
        resize: has_sizes.then_some(receiver),
        closed: mux.closed().clone(),
    };
    let ids = [&stdin_end, &size_end].map(|end| end.as_ref().map(StreamWriter::id));

    let pump = async {
        if let Some(sizes) = sizes {
            resize::pump(sizes.lenient(), sender).await;
        }
        pending::<Infallible>().await
    };
    let status = tokio::select! {
        status = Box::pin(run(runtime, request, stdio)) => status,
        never = pump => match never {},
    };

    // A reset, unlike an end, has the client's input thrown away from now on.
    for id in ids.into_iter().flatten() {
        mux.cancel(id);
    }
    let finish = async {
        if let Some(mut error) = error
            && let Some(text) = status.text(json_status)
        {
            let _ = error.write_all(text.as_bytes()).await;
            let _ = error.shutdown().await;
        }
        mux.state().finish();
        // Closing a socket at which data still arrives makes the system throw away what the client
        // has not read yet: it is for the client to close.
        mux.closed().cancelled().await;
    };
    let _ = timeout(config.finish_timeout, finish).await;
    drop((stdin_end, size_end));
}

async fn run<R: StreamingRuntime>(runtime: &R, request: Request, stdio: Stdio) -> Status {
    match request {
        Request::Exec(exec) => match runtime.exec(exec, stdio).await {
            Ok(status) => Status::exited(status),
            Err(error) => {
                Status::internal(&format!("error executing command in container: {error}"))
            }
        },
        Request::Attach(attach) => match runtime.attach(attach, stdio).await {
            Ok(()) => Status::success(),
            Err(error) => Status::internal(&format!("error attaching to container: {error}")),
        },
        Request::PortForward(_) => Status::internal("a port-forward is no command"),
    }
}

fn split(stream: Option<Stream>) -> (Option<StreamReader>, Option<StreamWriter>) {
    match stream {
        Some(Stream { reader, writer }) => (Some(reader), Some(writer)),
        None => (None, None),
    }
}

/// The client writes nothing to an output; what it writes all the same is thrown away.
fn output(stream: Option<Stream>) -> Option<ByteWriter> {
    stream.map(|Stream { reader, writer }| {
        drop(reader);
        Box::new(writer) as ByteWriter
    })
}
