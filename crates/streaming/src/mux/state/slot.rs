use std::collections::VecDeque;
use std::task::{Context, Waker};

use bytes::{Bytes, BytesMut};

/// One stream: what has arrived, what is to be sent, and who waits for which.
#[derive(Default)]
pub(super) struct Slot {
    pub(super) unread: VecDeque<Bytes>,
    pub(super) unread_bytes: usize,
    pub(super) full: bool,
    pub(super) input: Input,
    /// Whether a reset and a lost connection look like an end to the reader.
    pub(super) lenient: bool,
    pub(super) reader: End,
    pub(super) unsent: BytesMut,
    pub(super) output: Output,
    /// Whether it is among the turns.
    pub(super) queued: bool,
    pub(super) writer: End,
    pub(super) replied: bool,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Input {
    #[default]
    Open,
    Ended,
    Reset,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Output {
    #[default]
    Open,
    /// Ends with what is unsent.
    Ending,
    Ended,
}

/// The end of a stream that is handed out.
#[derive(Default)]
pub(super) enum End {
    #[default]
    Idle,
    Waiting(Waker),
    Dropped,
}

impl End {
    pub(super) fn wake(&mut self) {
        if matches!(self, Self::Waiting(_))
            && let Self::Waiting(waker) = std::mem::take(self)
        {
            waker.wake();
        }
    }

    pub(super) fn wait(&mut self, cx: &Context<'_>) {
        if !matches!(self, Self::Dropped) {
            *self = Self::Waiting(cx.waker().clone());
        }
    }

    pub(super) fn is_dropped(&self) -> bool {
        matches!(self, Self::Dropped)
    }
}

impl Slot {
    /// Whether it is over for everybody.
    pub(super) fn is_over(&self) -> bool {
        self.input != Input::Open
            && self.output == Output::Ended
            && self.reader.is_dropped()
            && self.writer.is_dropped()
    }
}
