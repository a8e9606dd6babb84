use std::pin::Pin;
use std::task::{Context, Poll};

use futures::Stream;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::Sleep;

use crate::source::{SourceError, WatchEvent};

/// An open watch of a [`FakeSource`](super::FakeSource).
#[derive(Debug)]
pub struct FakeWatch {
    events: UnboundedReceiver<Result<WatchEvent, SourceError>>,
    /// When the server closes it.
    timeout: Option<Pin<Box<Sleep>>>,
}

impl FakeWatch {
    pub(super) const fn new(
        events: UnboundedReceiver<Result<WatchEvent, SourceError>>,
        timeout: Option<Pin<Box<Sleep>>>,
    ) -> Self {
        Self { events, timeout }
    }
}

impl Stream for FakeWatch {
    type Item = Result<WatchEvent, SourceError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if let Poll::Ready(event) = this.events.poll_recv(cx) {
            return Poll::Ready(event);
        }
        match &mut this.timeout {
            Some(timeout) => timeout.as_mut().poll(cx).map(|()| None),
            None => Poll::Pending,
        }
    }
}
