//! The streams of a connection. Knows no framing, no socket and no clock.

use std::collections::{HashMap, VecDeque};
use std::io::{self, ErrorKind};
use std::task::{Context, Poll, Waker};

use bytes::{Buf as _, Bytes};
use tokio::io::ReadBuf;
use tokio::time::Instant;

use self::slot::{End, Input, Output, Slot};
use super::Outgoing;

mod slot;
#[cfg(test)]
mod tests;

/// What one stream may hold unread before the connection is no longer read: bytes, and pieces.
pub(crate) const MAX_UNREAD: usize = 256 << 10;
const MAX_UNREAD_PIECES: usize = 1024;
/// A piece that is smaller is copied: it would keep all that was read with it.
const MIN_SHARED: usize = 16 << 10;
/// What one stream may have waiting to be sent.
pub(crate) const MAX_UNSENT: usize = 32 << 10;
/// How many answers to a peer's frames may wait before no more frames are read.
const MAX_ANSWERS: usize = 256;

pub(crate) struct State {
    slots: HashMap<u32, Slot>,
    /// The streams with something to send, in the order in which they have their turn.
    turns: VecDeque<u32>,
    /// What goes before all data.
    answers: VecDeque<Outgoing>,
    /// How many streams hold more unread than they may.
    full: usize,
    /// Whether all streams end with what they hold.
    finishing: bool,
    closed: bool,
    active: Instant,
    receiver: Option<Waker>,
    sender: Option<Waker>,
}

impl State {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            slots: HashMap::new(),
            turns: VecDeque::new(),
            answers: VecDeque::new(),
            full: 0,
            finishing: false,
            closed: false,
            active: now,
            receiver: None,
            sender: None,
        }
    }

    pub(crate) fn open(&mut self, id: u32) {
        self.slots.insert(id, Slot::default());
    }

    pub(crate) fn streams(&self) -> usize {
        self.slots.len()
    }

    pub(crate) fn touch(&mut self, now: Instant) {
        self.active = now;
    }

    pub(crate) fn active(&self) -> Instant {
        self.active
    }

    // What arrives.

    /// Data of a stream. What nobody reads is thrown away, as is what belongs to no stream: the
    /// peer may not know yet that it is over.
    pub(crate) fn deliver(&mut self, id: u32, data: Bytes) {
        let Some(slot) = self.slots.get_mut(&id) else {
            return;
        };
        if data.is_empty() || slot.input != Input::Open || slot.reader.is_dropped() {
            return;
        }
        let data = match data.len() {
            ..MIN_SHARED => Bytes::copy_from_slice(&data),
            _ => data,
        };
        slot.unread_bytes += data.len();
        slot.unread.push_back(data);
        let full = slot.unread_bytes >= MAX_UNREAD || slot.unread.len() >= MAX_UNREAD_PIECES;
        if full && !slot.full {
            slot.full = true;
            self.full += 1;
        }
        slot.reader.wake();
    }

    /// The peer sends no more on a stream.
    pub(crate) fn end_input(&mut self, id: u32) {
        if let Some(slot) = self.slots.get_mut(&id)
            && slot.input == Input::Open
        {
            slot.input = Input::Ended;
            slot.reader.wake();
            self.tidy(id);
        }
    }

    /// The peer has given up a stream.
    pub(crate) fn reset_by_peer(&mut self, id: u32) {
        let Some(slot) = self.slots.get_mut(&id) else {
            return;
        };
        if slot.input == Input::Open {
            slot.input = Input::Reset;
        }
        slot.output = Output::Ended;
        slot.unsent.clear();
        slot.reader.wake();
        slot.writer.wake();
        self.tidy(id);
    }

    /// The peer has accepted a stream.
    pub(crate) fn replied(&mut self, id: u32) {
        if let Some(slot) = self.slots.get_mut(&id) {
            slot.replied = true;
            slot.writer.wake();
        }
    }

    pub(crate) fn poll_room(&mut self, cx: &Context<'_>) -> Poll<()> {
        if self.full == 0 && self.answers.len() < MAX_ANSWERS {
            return Poll::Ready(());
        }
        self.receiver = Some(cx.waker().clone());
        Poll::Pending
    }

    // What is sent.

    pub(crate) fn answer(&mut self, answer: Outgoing) {
        self.answers.push_back(answer);
        wake(&mut self.sender);
    }

    /// Gives up a stream, and what it holds, whoever still has its ends.
    pub(crate) fn reset(&mut self, id: u32, status: u32) {
        if self.slots.contains_key(&id) {
            self.discard(id);
            self.reset_by_peer(id);
            self.answer(Outgoing::Reset(id, status));
        }
    }

    /// Ends all streams with what they hold.
    pub(crate) fn finish(&mut self) {
        self.finishing = true;
        for (id, slot) in &mut self.slots {
            if slot.output == Output::Open {
                slot.output = Output::Ending;
                if !slot.queued {
                    slot.queued = true;
                    self.turns.push_back(*id);
                }
            }
        }
        wake(&mut self.sender);
    }

    /// Nothing is sent or received any more.
    pub(crate) fn close(&mut self) {
        self.closed = true;
        self.turns.clear();
        self.answers.clear();
        for slot in self.slots.values_mut() {
            if slot.input == Input::Open {
                slot.input = Input::Reset;
            }
            slot.output = Output::Ended;
            slot.unsent.clear();
            slot.reader.wake();
            slot.writer.wake();
        }
        wake(&mut self.receiver);
        wake(&mut self.sender);
    }

    pub(crate) fn poll_outgoing(&mut self, cx: &Context<'_>) -> Poll<Option<Outgoing>> {
        if self.closed {
            return Poll::Ready(None);
        }
        if let Some(answer) = self.answers.pop_front() {
            if self.answers.len() < MAX_ANSWERS {
                wake(&mut self.receiver);
            }
            return Poll::Ready(Some(answer));
        }
        while let Some(id) = self.turns.pop_front() {
            let Some(slot) = self.slots.get_mut(&id) else {
                continue;
            };
            slot.queued = false;
            if slot.output == Output::Ended {
                continue;
            }
            let data = slot.unsent.split().freeze();
            let last = slot.output == Output::Ending;
            if last {
                slot.output = Output::Ended;
            }
            slot.writer.wake();
            self.tidy(id);
            return Poll::Ready(Some(Outgoing::Data(id, data, last)));
        }
        if self.finishing {
            self.finishing = false;
            return Poll::Ready(Some(Outgoing::End));
        }
        self.sender = Some(cx.waker().clone());
        Poll::Pending
    }

    // The ends that are handed out.

    pub(super) fn poll_read(
        &mut self,
        id: u32,
        cx: &Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Some(slot) = self.slots.get_mut(&id) else {
            return Poll::Ready(Ok(()));
        };
        if let Some(piece) = slot.unread.front_mut() {
            let length = piece.len().min(into.remaining());
            into.put_slice(&piece[..length]);
            piece.advance(length);
            if piece.is_empty() {
                slot.unread.pop_front();
            }
            slot.unread_bytes -= length;
            let room =
                slot.unread_bytes <= MAX_UNREAD / 2 && slot.unread.len() <= MAX_UNREAD_PIECES / 2;
            if slot.full && room {
                slot.full = false;
                self.full -= 1;
                wake(&mut self.receiver);
            }
            return Poll::Ready(Ok(()));
        }
        match slot.input {
            Input::Open => {
                slot.reader.wait(cx);
                Poll::Pending
            }
            Input::Reset if !slot.lenient => Poll::Ready(Err(ErrorKind::ConnectionReset.into())),
            Input::Ended | Input::Reset => Poll::Ready(Ok(())),
        }
    }

    pub(super) fn poll_write(
        &mut self,
        id: u32,
        cx: &Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        let slot = match self.slots.get_mut(&id) {
            Some(slot) if slot.output == Output::Open && !self.closed => slot,
            _ => return Poll::Ready(Err(ErrorKind::BrokenPipe.into())),
        };
        if data.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let length = data.len().min(MAX_UNSENT - slot.unsent.len());
        if length == 0 {
            slot.writer.wait(cx);
            return Poll::Pending;
        }
        slot.unsent.extend_from_slice(&data[..length]);
        self.queue(id);
        Poll::Ready(Ok(length))
    }

    /// Waits until the driver has what was written.
    pub(super) fn poll_flush(&mut self, id: u32, cx: &Context<'_>) -> Poll<()> {
        match self.slots.get_mut(&id) {
            Some(slot) if !slot.unsent.is_empty() => {
                slot.writer.wait(cx);
                Poll::Pending
            }
            _ => Poll::Ready(()),
        }
    }

    pub(super) fn end_output(&mut self, id: u32) {
        if let Some(slot) = self.slots.get_mut(&id)
            && slot.output == Output::Open
        {
            slot.output = Output::Ending;
            self.queue(id);
        }
    }

    #[cfg(feature = "client")]
    pub(super) fn poll_replied(&mut self, id: u32, cx: &Context<'_>) -> Poll<io::Result<()>> {
        match self.slots.get_mut(&id) {
            Some(slot) if slot.replied => Poll::Ready(Ok(())),
            Some(slot) if slot.input != Input::Reset && !self.closed => {
                slot.writer.wait(cx);
                Poll::Pending
            }
            _ => Poll::Ready(Err(ErrorKind::ConnectionRefused.into())),
        }
    }

    pub(super) fn set_lenient(&mut self, id: u32) {
        if let Some(slot) = self.slots.get_mut(&id) {
            slot.lenient = true;
        }
    }

    pub(super) fn drop_reader(&mut self, id: u32) {
        if let Some(slot) = self.slots.get_mut(&id) {
            slot.reader = End::Dropped;
            self.discard(id);
            self.tidy(id);
        }
    }

    pub(super) fn drop_writer(&mut self, id: u32) {
        self.end_output(id);
        if let Some(slot) = self.slots.get_mut(&id) {
            slot.writer = End::Dropped;
            self.tidy(id);
        }
    }

    /// Throws away what nobody will read.
    fn discard(&mut self, id: u32) {
        if let Some(slot) = self.slots.get_mut(&id) {
            slot.unread.clear();
            slot.unread_bytes = 0;
            if std::mem::take(&mut slot.full) {
                self.full -= 1;
                wake(&mut self.receiver);
            }
        }
    }

    fn queue(&mut self, id: u32) {
        if let Some(slot) = self.slots.get_mut(&id)
            && !slot.queued
        {
            slot.queued = true;
            self.turns.push_back(id);
            wake(&mut self.sender);
        }
    }

    /// Forgets a stream that is over for everybody.
    fn tidy(&mut self, id: u32) {
        if let Some(slot) = self.slots.get(&id)
            && slot.is_over()
        {
            self.slots.remove(&id);
        }
    }
}

fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}
