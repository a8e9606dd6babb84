use std::fmt;
use std::io::{self, ErrorKind};

use bytes::Bytes;
use futures::StreamExt as _;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::{Dial, MAX_MESSAGE, Transport, handshake};
use crate::{ByteStream, websocket};

/// The messages of a WebSocket that is only read: a log, as a browser gets it.
pub struct Messages {
    socket: WebSocketStream<Box<dyn ByteStream>>,
}

impl fmt::Debug for Messages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Messages").finish_non_exhaustive()
    }
}

/// A message, as it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    /// Bytes.
    Binary(Bytes),
    /// A text.
    Text(String),
}

impl Dial {
    /// Asks for what only the server has to say, under a protocol of this name; none if it is empty.
    ///
    /// # Errors
    ///
    /// As of [`command`](Self::command).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the connection.
    pub async fn messages(self, protocol: &'static str) -> io::Result<Messages> {
        let (io, _) = handshake::upgrade(self, Transport::WebSocket(protocol)).await?;
        let socket = websocket::socket(io, websocket::Role::Client, MAX_MESSAGE).await;
        Ok(Messages { socket })
    }
}

impl Messages {
    /// The next message; none once the server has said that there are no more.
    ///
    /// # Errors
    ///
    /// Those of the connection, and [`ErrorKind::UnexpectedEof`] if there should have been more.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> io::Result<Option<Received>> {
        loop {
            match self.socket.next().await {
                Some(Ok(Message::Binary(bytes))) => return Ok(Some(Received::Binary(bytes))),
                Some(Ok(Message::Text(text))) => {
                    return Ok(Some(Received::Text(text.as_str().to_owned())));
                }
                Some(Ok(Message::Close(Some(frame)))) if frame.code == CloseCode::Normal => {
                    // The answer to it is sent by reading on.
                    while let Some(Ok(_)) = self.socket.next().await {}
                    return Ok(None);
                }
                Some(Ok(Message::Close(_))) | None => return Err(ErrorKind::UnexpectedEof.into()),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(io::Error::other(error)),
            }
        }
    }
}
