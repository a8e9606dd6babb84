//! WebSocket as Kubernetes uses it: channels, each message beginning with the number of its
//! channel; and SPDY in binary messages.

use std::future::poll_fn;
use std::io;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::{BufMut as _, Bytes, BytesMut};
use futures::{SinkExt as _, StreamExt as _};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Duration, Instant, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{self, Message, Utf8Bytes};

pub(crate) use self::tunnel::Tunnel;
use crate::mux::{Mux, Outgoing};
use crate::protocol::ChannelProtocol;

mod tunnel;

pub(crate) use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

/// The first byte of a message that ends a channel, whose number follows.
const CLOSE: u8 = 255;
/// How long the peer may take to close the socket when both have said that they close.
pub(crate) const FAREWELL: Duration = Duration::from_secs(10);

/// Why a connection ended, other than by its peer.
#[derive(Debug, Error)]
pub(crate) enum ConnectionError {
    #[error(transparent)]
    WebSocket(#[from] tungstenite::Error),
    #[error("a message that is not of the protocol")]
    Malformed,
    #[error("nothing was sent or received for too long")]
    Idle,
}

/// A WebSocket on a connection whose handshake is over.
pub(crate) async fn socket<I>(io: I, role: Role, max_message_size: usize) -> WebSocketStream<I>
where
    I: AsyncRead + AsyncWrite + Unpin,
{
    let config = WebSocketConfig::default()
        .read_buffer_size(32 << 10)
        // What waits is counted where it waits, in the streams.
        .write_buffer_size(0)
        .max_message_size(Some(max_message_size))
        .max_frame_size(Some(max_message_size));
    WebSocketStream::from_raw_socket(io, role, Some(config)).await
}

/// Drives a connection of channels until either side closes it, or it fails.
///
/// # Cancel safety
///
/// Dropping the future closes the connection at once.
pub(crate) async fn drive<I: AsyncRead + AsyncWrite + Unpin>(
    socket: WebSocketStream<I>,
    mux: &Mux,
    protocol: ChannelProtocol,
    role: Role,
    idle: Duration,
) -> Result<(), ConnectionError> {
    let (mut sink, mut source) = socket.split();
    let receive = async {
        loop {
            mux.room().await;
            let Some(message) = source.next().await else {
                return Ok(());
            };
            mux.state().touch(Instant::now());
            let message = match message? {
                Message::Binary(message) => message,
                Message::Text(message) => message.into(),
                Message::Close(_) => break,
                Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => continue,
            };
            receive(mux, protocol, &message)?;
        }
        // The answer to the close is sent by reading on, and the end is the peer's to make.
        mux.close();
        let _ = timeout(FAREWELL, async { while source.next().await.is_some() {} }).await;
        Ok(())
    };
    let send = async {
        while let Some(outgoing) = poll_fn(|cx| mux.poll_outgoing(cx)).await {
            for message in messages(outgoing, protocol, role) {
                sink.send(message).await?;
            }
            mux.state().touch(Instant::now());
        }
        // The connection is over once it cannot be read.
        std::future::pending().await
    };
    let result = tokio::select! {
        received = receive => received,
        sent = send => sent,
        () = mux.idle(idle) => Err(ConnectionError::Idle),
    };
    mux.close();
    result
}

fn receive(mux: &Mux, protocol: ChannelProtocol, message: &Bytes) -> Result<(), ConnectionError> {
    let (channel, mut data) = match message.first() {
        None => return Ok(()),
        Some(&CLOSE) if protocol.close_signal => {
            let &[_, channel] = &message[..] else {
                return Err(ConnectionError::Malformed);
            };
            mux.state().end_input(u32::from(channel));
            return Ok(());
        }
        Some(channel) => (*channel, message.slice(1..)),
    };
    let channel = if protocol.base64 {
        let Ok(decoded) = BASE64_STANDARD.decode(&data) else {
            // As upstream: what cannot be read is not the end of the connection.
            return Ok(());
        };
        data = decoded.into();
        channel.wrapping_sub(b'0')
    } else {
        channel
    };
    mux.state().deliver(u32::from(channel), data);
    Ok(())
}

/// The messages of what is to be sent: at most two, since the end of a channel is one of its own.
fn messages(
    outgoing: Outgoing,
    protocol: ChannelProtocol,
    role: Role,
) -> impl Iterator<Item = Message> {
    let (first, second) = match outgoing {
        Outgoing::Message(channel, data) => (Some(message(channel, &data, protocol)), None),
        Outgoing::Data(channel, data, end) => {
            let close = end && protocol.close_signal && role == Role::Client;
            (
                (!data.is_empty()).then(|| message(channel, &data, protocol)),
                close.then(|| Message::Binary(Bytes::from(vec![CLOSE, number(channel)]))),
            )
        }
        // client-go takes every other code, and none, for a failure.
        Outgoing::End => {
            let frame = CloseFrame {
                code: CloseCode::Normal,
                reason: Utf8Bytes::default(),
            };
            (Some(Message::Close(Some(frame))), None)
        }
        // Channels are neither opened nor given up.
        #[cfg(feature = "client")]
        Outgoing::Open(..) => (None, None),
        Outgoing::Reply(_) | Outgoing::Reset(..) | Outgoing::Pong(_) | Outgoing::GoAway(_) => {
            (None, None)
        }
    };
    first.into_iter().chain(second)
}

fn message(channel: u32, data: &[u8], protocol: ChannelProtocol) -> Message {
    let channel = number(channel);
    if protocol.base64 {
        let mut text = String::from(char::from(b'0'.wrapping_add(channel)));
        BASE64_STANDARD.encode_string(data, &mut text);
        return Message::text(text);
    }
    let mut message = BytesMut::with_capacity(1 + data.len());
    message.put_u8(channel);
    message.extend_from_slice(data);
    Message::Binary(message.freeze())
}

/// Channels are opened by this crate, and never above what a byte holds.
fn number(channel: u32) -> u8 {
    u8::try_from(channel).unwrap_or(u8::MAX)
}

impl From<ConnectionError> for io::Error {
    fn from(error: ConnectionError) -> Self {
        match error {
            ConnectionError::WebSocket(tungstenite::Error::Io(error)) => error,
            other => Self::other(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use tokio::io::AsyncReadExt as _;

    use super::*;
    use crate::mux::Stream;

    fn protocol() -> impl Strategy<Value = ChannelProtocol> {
        any::<[bool; 2]>().prop_map(|[base64, close_signal]| ChannelProtocol {
            base64,
            close_signal,
            json_status: true,
        })
    }

    fn bytes(message: Message) -> Bytes {
        match message {
            Message::Binary(message) => message,
            Message::Text(message) => message.into(),
            other => panic!("{other:?}"),
        }
    }

    fn read(stream: &mut Stream) -> Option<Vec<u8>> {
        let mut data = vec![0; 256];
        let read = stream.read(&mut data).now_or_never()?.unwrap();
        data.truncate(read);
        Some(data)
    }

    proptest! {
        #[test]
        fn chance_is_data_or_an_error(
            protocol in protocol(),
            messages in vec(vec(any::<u8>(), 0..40), 0..20),
        ) {
            let mux = Mux::new();
            let _streams: Vec<_> = (0..5).map(|channel| mux.open(channel)).collect();
            for message in messages {
                let _ = receive(&mux, protocol, &Bytes::from(message));
            }
            prop_assert_eq!(mux.state().streams(), 5);
        }

        #[test]
        fn what_is_sent_comes_back_on_its_channel(
            protocol in protocol(),
            channel in 0..5_u32,
            data in vec(any::<u8>(), 1..200),
        ) {
            let mux = Mux::new();
            let mut streams: Vec<_> = (0..5).map(|channel| mux.open(channel)).collect();
            let outgoing = Outgoing::Data(channel, Bytes::from(data.clone()), true);
            for message in messages(outgoing, protocol, Role::Client) {
                receive(&mux, protocol, &bytes(message)).unwrap();
            }
            for (stream, other) in streams.iter_mut().zip(0..) {
                if other == channel {
                    prop_assert_eq!(read(stream), Some(data.clone()));
                    let end = protocol.close_signal.then(Vec::new);
                    prop_assert_eq!(read(stream), end);
                } else {
                    prop_assert_eq!(read(stream), None);
                }
            }
        }
    }
}
