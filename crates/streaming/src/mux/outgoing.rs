use bytes::Bytes;

#[cfg(feature = "client")]
use crate::spdy::Headers;

/// What a driver is to send.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outgoing {
    /// SPDY: opens a stream.
    #[cfg(feature = "client")]
    Open(u32, Headers),
    /// SPDY: a stream was accepted.
    Reply(u32),
    /// SPDY: a stream is over, for a reason.
    Reset(u32, u32),
    /// SPDY: answers a ping.
    Pong(u32),
    /// SPDY: no stream is accepted any more.
    GoAway(u32),
    /// A message of its own, in front of all data.
    Message(u32, Bytes),
    /// Data, and whether the stream ends with it.
    Data(u32, Bytes, bool),
    /// All streams have ended.
    End,
}
