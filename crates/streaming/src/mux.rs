//! Many streams over one connection, whatever its framing is.
//!
//! [`State`] is what is known of the streams: what has arrived and not been read, what is to be
//! sent, and who waits for which. A driver of a connection (SPDY or WebSocket) moves bytes between
//! it and a socket; [`StreamReader`] and [`StreamWriter`] are the ends that are handed out.
//!
//! Neither protocol has flow control of a stream. What a client sends and nobody reads stops the
//! reading of the whole connection once [`MAX_UNREAD`](state::MAX_UNREAD) is reached, and so, through TCP, the
//! client. What is sent waits in one chunk of each stream, and the streams take turns.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

use parking_lot::{Mutex, MutexGuard};
use tokio::time::{Duration, Instant, sleep_until};
use tokio_util::sync::CancellationToken;

pub(crate) use self::outgoing::Outgoing;
use self::state::State;
use crate::spdy::CANCEL;

mod outgoing;
mod state;
mod stream;

pub(crate) use stream::{Stream, StreamReader, StreamWriter};

/// A handle on the streams of a connection.
#[derive(Clone)]
pub(crate) struct Mux(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    closed: CancellationToken,
}

impl Mux {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Shared {
            state: Mutex::new(State::new(Instant::now())),
            closed: CancellationToken::new(),
        }))
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock()
    }

    /// Cancelled when the connection is over.
    pub(crate) fn closed(&self) -> &CancellationToken {
        &self.0.closed
    }

    /// The connection is over: reading ends or fails, writing fails.
    pub(crate) fn close(&self) {
        self.state().close();
        self.0.closed.cancel();
    }

    /// Opens a stream under a number that is not in use.
    pub(crate) fn open(&self, id: u32) -> Stream {
        self.state().open(id);
        Stream::new(self.clone(), id)
    }

    /// Gives up a stream that is of no use any more: what still arrives is thrown away.
    pub(crate) fn cancel(&self, id: u32) {
        self.state().reset(id, CANCEL);
    }

    /// Waits until there is room for what the peer sends. For one driver.
    pub(crate) async fn room(&self) {
        poll_fn(|cx| self.state().poll_room(cx)).await;
    }

    /// The next thing to be sent; none when there will be nothing any more. For one driver.
    pub(crate) fn poll_outgoing(&self, cx: &mut Context<'_>) -> Poll<Option<Outgoing>> {
        self.state().poll_outgoing(cx)
    }

    /// Waits until nothing was sent or received for a time.
    pub(crate) async fn idle(&self, timeout: Duration) {
        loop {
            let end = self.state().active() + timeout;
            if Instant::now() >= end {
                return;
            }
            sleep_until(end).await;
        }
    }
}
