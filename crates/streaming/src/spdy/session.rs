//! What frames mean for the streams of a connection.

use tokio::sync::mpsc;

use super::frame::Frame;
use super::{Headers, PROTOCOL_ERROR, REFUSED_STREAM};
use crate::mux::{Mux, Outgoing, Stream};

#[cfg(test)]
mod tests;

/// The side of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Server,
    #[cfg(any(feature = "client", test))]
    Client,
}

pub(super) struct Session {
    role: Role,
    /// The last stream that the peer has opened.
    last: u32,
    gone: bool,
    max_streams: usize,
    incoming: mpsc::Sender<Incoming>,
}

/// A stream that the peer has opened. It is refused unless it is accepted.
pub(crate) struct Incoming {
    pub(crate) id: u32,
    pub(crate) headers: Headers,
    mux: Mux,
    stream: Option<Stream>,
}

impl Incoming {
    /// Tells the peer that it may send.
    pub(crate) fn accept(mut self) -> Option<Stream> {
        let stream = self.stream.take();
        self.mux.state().answer(Outgoing::Reply(self.id));
        stream
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if let Some(stream) = self.stream.take() {
            self.mux.state().reset(self.id, REFUSED_STREAM);
            drop(stream);
        }
    }
}

impl Session {
    pub(super) fn new(role: Role, max_streams: usize, incoming: mpsc::Sender<Incoming>) -> Self {
        Self {
            role,
            last: 0,
            gone: false,
            max_streams,
            incoming,
        }
    }

    pub(super) fn on_frame(&mut self, mux: &Mux, frame: Frame) {
        match frame {
            Frame::SynStream { id, fin, headers } => self.on_open(mux, id, fin, headers),
            Frame::SynReply { id, fin, .. } => {
                mux.state().replied(id);
                end_input(mux, id, fin);
            }
            Frame::RstStream { id, .. } => mux.state().reset_by_peer(id),
            // Each side counts its own pings by its parity: the other's are to be answered.
            Frame::Ping(id) if id.is_multiple_of(2) != (self.role == Role::Server) => {
                mux.state().answer(Outgoing::Pong(id));
            }
            Frame::Ping(_) => {}
            // What is open goes on until the peer closes the connection.
            Frame::GoAway { .. } => self.gone = true,
            Frame::Headers { id, fin } => end_input(mux, id, fin),
            Frame::Data { id, fin, data } => {
                mux.state().deliver(id, data);
                end_input(mux, id, fin);
            }
        }
    }

    fn on_open(&mut self, mux: &Mux, id: u32, fin: bool, headers: Headers) {
        if self.gone {
            return;
        }
        if self.role != Role::Server || id.is_multiple_of(2) || id <= self.last {
            mux.state().answer(Outgoing::Reset(id, PROTOCOL_ERROR));
            return;
        }
        self.last = id;
        if mux.state().streams() >= self.max_streams {
            mux.state().answer(Outgoing::Reset(id, REFUSED_STREAM));
            return;
        }
        let stream = Some(mux.open(id));
        end_input(mux, id, fin);
        let mux = mux.clone();
        // If it is not taken, the drop of what comes back refuses it.
        let _ = self.incoming.try_send(Incoming {
            id,
            headers,
            mux,
            stream,
        });
    }
}

fn end_input(mux: &Mux, id: u32, fin: bool) {
    if fin {
        mux.state().end_input(id);
    }
}
