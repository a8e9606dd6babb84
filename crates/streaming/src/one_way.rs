use std::io;
use std::pin::pin;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use futures::{SinkExt as _, Stream, StreamExt as _};
use http::{HeaderMap, Response};
use http_body_util::Full;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use crate::protocol::ONE_WAY;
use crate::upgrade::{is_websocket, websocket};
use crate::websocket::{self, ConnectionError, FAREWELL, Role};

/// What a client may send that has nothing to say.
const MAX_MESSAGE: usize = 64 << 10;

/// Bytes that go to a client in WebSocket messages, and nothing that comes back: what an API server
/// makes of a log for those that speak WebSocket only.
///
/// A client asks for `binary.k8s.io`, which is what it gets if it asks for nothing, or for
/// `base64.binary.k8s.io`, whose messages are text. The first message is empty, so that the client
/// knows that there will be some. Answers to the `Reader` of upstream's `wsstream`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OneWay {
    base64: bool,
}

impl OneWay {
    /// Whether a request asks for a WebSocket.
    pub fn is_wanted(headers: &HeaderMap) -> bool {
        is_websocket(headers)
    }

    /// Agrees upon a protocol; the answer ends the connection's time as HTTP.
    ///
    /// # Errors
    ///
    /// The answer that refuses, with upstream's status and text.
    pub fn negotiate(headers: &HeaderMap) -> Result<(Self, Answer), Box<Answer>> {
        let (name, answer) = websocket(headers, &ONE_WAY)?;
        let base64 = name.starts_with("base64.");
        Ok((Self { base64 }, answer))
    }

    /// Sends bytes as they come, until there are no more or the client has gone. If they end with an
    /// error the client is told that there should have been more, by the code of the close.
    ///
    /// # Errors
    ///
    /// Those of the connection, and of the bytes.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the connection at once.
    pub async fn send<E: Into<BoxError>>(
        self,
        io: impl AsyncRead + AsyncWrite + Unpin,
        bytes: impl Stream<Item = Result<Bytes, E>>,
    ) -> io::Result<()> {
        let socket = websocket::socket(io, Role::Server, MAX_MESSAGE).await;
        let (mut sink, mut source) = socket.split();
        let mut bytes = pin!(bytes);
        let send = async {
            sink.send(self.message(&Bytes::new())).await?;
            let mut lost = None;
            while let Some(next) = bytes.next().await {
                match next {
                    Ok(bytes) if bytes.is_empty() => {}
                    Ok(bytes) => sink.send(self.message(&bytes)).await?,
                    Err(error) => {
                        lost = Some(error);
                        break;
                    }
                }
            }
            let code = match lost {
                None => CloseCode::Normal,
                Some(_) => CloseCode::Error,
            };
            let reason = Utf8Bytes::default();
            sink.send(Message::Close(Some(CloseFrame { code, reason })))
                .await?;
            Ok(lost)
        };
        // What a client says is of no interest, but that it goes.
        let mut gone = pin!(async {
            while let Some(Ok(message)) = source.next().await {
                if message.is_close() {
                    break;
                }
            }
        });
        let sent: Result<_, ConnectionError> = tokio::select! {
            sent = send => sent,
            () = &mut gone => return Ok(()),
        };
        let lost = sent?;
        // The end is the client's to make.
        let _ = timeout(FAREWELL, gone).await;
        match lost {
            None => Ok(()),
            Some(error) => Err(io::Error::other(error)),
        }
    }

    fn message(self, bytes: &Bytes) -> Message {
        match self.base64 {
            true => Message::text(BASE64_STANDARD.encode(bytes)),
            false => Message::Binary(bytes.clone()),
        }
    }
}

/// An answer of a few words, or of none.
pub type Answer = Response<Full<Bytes>>;

type BoxError = Box<dyn std::error::Error + Send + Sync>;
