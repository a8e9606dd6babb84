//! SPDY/3.1 as Kubernetes uses it: streams that are opened by the client, named by their headers.

use std::future::poll_fn;
use std::io;
use std::task::Poll;

use bytes::BytesMut;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, split};
use tokio::sync::mpsc;
use tokio::time::{Duration, Instant, timeout};

pub(crate) use self::frame::FrameError;
use self::frame::{Decoder, Encoder, Frame};
pub(crate) use self::headers::Headers;
use self::session::Session;
pub(crate) use self::session::{Incoming, Role};
use crate::mux::{Mux, Outgoing};

mod dictionary;
mod frame;
mod headers;
mod session;

/// Status of a reset: the stream is of no use any more.
pub(crate) const CANCEL: u32 = 5;
/// Status of a reset: the stream was not wanted.
pub(crate) const REFUSED_STREAM: u32 = 3;
/// Status of a reset, and of a connection that goes away.
const PROTOCOL_ERROR: u32 = 1;

/// How much is read at once.
const READ: usize = 32 << 10;
/// How much is written at once.
const WRITE: usize = 64 << 10;
/// How long a peer may take to learn why the connection ends.
const FAREWELL: Duration = Duration::from_secs(1);

/// Why a connection ended, other than by its peer.
#[derive(Debug, Error)]
pub(crate) enum ConnectionError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("the peer broke the protocol")]
    Protocol(#[from] FrameError),
    #[error("nothing was sent or received for too long")]
    Idle,
}

/// Drives a connection until its peer closes it, or it fails.
///
/// Streams that the peer opens are sent to `incoming`, and are refused while nobody takes them.
///
/// # Cancel safety
///
/// Dropping the future closes the connection at once.
pub(crate) async fn drive<I: AsyncRead + AsyncWrite>(
    io: I,
    mux: &Mux,
    role: Role,
    max_streams: usize,
    incoming: mpsc::Sender<Incoming>,
    idle: Duration,
) -> Result<(), ConnectionError> {
    let (reader, writer) = split(io);
    let session = Session::new(role, max_streams, incoming);
    let result = {
        let mut sending = Box::pin(send(writer, mux));
        let result = tokio::select! {
            received = receive(reader, mux, session) => received,
            sent = &mut sending => sent,
            () = mux.idle(idle) => Err(ConnectionError::Idle),
        };
        if let Err(ConnectionError::Protocol(_)) = result {
            mux.state().answer(Outgoing::GoAway(PROTOCOL_ERROR));
            let _ = timeout(FAREWELL, sending).await;
        }
        result
    };
    mux.close();
    result
}

async fn receive(
    mut reader: impl AsyncRead + Unpin,
    mux: &Mux,
    mut session: Session,
) -> Result<(), ConnectionError> {
    let mut decoder = Decoder::new();
    let mut input = BytesMut::new();
    loop {
        while let Some(frame) = decoder.decode(&mut input)? {
            session.on_frame(mux, frame);
            mux.room().await;
        }
        input.reserve(READ);
        if reader.read_buf(&mut input).await? == 0 {
            return Ok(());
        }
        mux.state().touch(Instant::now());
    }
}

/// Sends until there is nothing to send any more, or the connection has gone away.
async fn send(mut writer: impl AsyncWrite + Unpin, mux: &Mux) -> Result<(), ConnectionError> {
    let mut encoder = Encoder::new();
    let mut output = BytesMut::new();
    loop {
        let mut next = poll_fn(|cx| mux.poll_outgoing(cx)).await;
        let mut last = false;
        loop {
            let Some(outgoing) = next else {
                return Ok(());
            };
            last |= matches!(outgoing, Outgoing::GoAway(_));
            if let Some(frame) = frame_of(outgoing) {
                encoder.encode(&frame, &mut output)?;
            }
            if last || output.len() >= WRITE {
                break;
            }
            // What is ready by now goes in the same write.
            match poll_fn(|cx| Poll::Ready(mux.poll_outgoing(cx))).await {
                Poll::Ready(more) => next = more,
                Poll::Pending => break,
            }
        }
        writer.write_all_buf(&mut output).await?;
        writer.flush().await?;
        mux.state().touch(Instant::now());
        if last {
            return Ok(());
        }
    }
}

fn frame_of(outgoing: Outgoing) -> Option<Frame> {
    let fin = false;
    Some(match outgoing {
        #[cfg(feature = "client")]
        Outgoing::Open(id, headers) => Frame::SynStream { id, fin, headers },
        Outgoing::Reply(id) => Frame::SynReply {
            id,
            fin,
            headers: Headers::default(),
        },
        Outgoing::Reset(id, status) => Frame::RstStream { id, status },
        Outgoing::Pong(id) => Frame::Ping(id),
        Outgoing::GoAway(status) => Frame::GoAway { last: 0, status },
        Outgoing::Data(id, data, fin) => Frame::Data { id, fin, data },
        // The client closes the connection once it has read the end of all streams.
        Outgoing::Message(..) | Outgoing::End => return None,
    })
}
