use std::collections::VecDeque;
use std::future::pending;

use futures::stream::{BoxStream, StreamExt as _, unfold};
use tokio::time::{Instant, sleep_until};
use tonic::Status;

use super::fake::FakeRuntime;
use crate::v1::ContainerEventResponse;

/// One who listens for events, until it is dropped.
pub(super) struct Listener {
    fake: FakeRuntime,
    number: u64,
}

pub(super) type Events = BoxStream<'static, Result<ContainerEventResponse, Status>>;

impl Listener {
    pub(super) fn new(fake: FakeRuntime, number: u64) -> Self {
        Self { fake, number }
    }

    pub(super) fn into_stream(self) -> Events {
        unfold(self, |listener| async {
            let event = listener.next().await?;
            Some((Ok(event), listener))
        })
        .boxed()
    }

    /// The next event; `None` when the runtime goes away.
    async fn next(&self) -> Option<ContainerEventResponse> {
        loop {
            let mut changed = std::pin::pin!(self.fake.changed().notified());
            // From here on no change is missed.
            changed.as_mut().enable();
            self.fake.check_present().ok()?;
            let (event, next_end) = self.look();
            if event.is_some() {
                return event;
            }
            tokio::select! {
                () = changed => {}
                () = until(next_end) => {}
            }
        }
    }

    /// Looking tells nobody that something changed, or two who listen would wake each other for ever.
    fn look(&self) -> (Option<ContainerEventResponse>, Option<Instant>) {
        self.fake.peek(|state| {
            let pending = state.listeners.get_mut(&self.number);
            let event = pending.and_then(VecDeque::pop_front);
            (event, state.next_end())
        })
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.fake.forget(self.number);
    }
}

async fn until(end: Option<Instant>) {
    match end {
        Some(end) => sleep_until(end).await,
        None => pending().await,
    }
}
