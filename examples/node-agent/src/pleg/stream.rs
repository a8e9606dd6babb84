use std::fmt;
use std::future::pending;
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt as _};
use futures::stream::StreamExt as _;
use kubewright_cri::v1::ContainerEventResponse;
use kubewright_cri::{Error, Events, Runtime};
use tokio::time::{Instant, sleep_until};

/// The runtime's events, over as many streams as it takes.
pub(super) struct EventStream {
    /// Who is asked for streams; `None` if nobody is any more.
    runtime: Option<Runtime>,
    state: State,
    /// How many streams in a row have brought nothing.
    failures: u32,
    max_failures: u32,
    retry_after: Duration,
}

/// What comes of it.
pub(super) enum StreamItem {
    /// The runtime tells what happens from now on.
    Opened,
    /// Something happened.
    Event(Box<ContainerEventResponse>),
    /// The stream has ended, and there will be another: what happens meanwhile is not told.
    Lost(LostStream),
    /// There will be no other.
    GaveUp(LostStream),
}

/// Why a stream ended.
pub(super) struct LostStream(Option<Error>);

enum State {
    /// Opening a stream may take until the first event, so that it goes on while other things are
    /// done.
    Opening(BoxFuture<'static, Result<Events, Error>>),
    Open(Box<Events>),
    Waiting(Instant),
}

impl EventStream {
    /// No events.
    pub(super) fn off() -> Self {
        Self::new(None, 0, Duration::ZERO)
    }

    /// The events of a runtime, until so many streams in a row brought none.
    pub(super) fn of(runtime: Runtime, max_failures: u32, retry_after: Duration) -> Self {
        Self::new(Some(runtime), max_failures, retry_after)
    }

    fn new(runtime: Option<Runtime>, max_failures: u32, retry_after: Duration) -> Self {
        Self {
            state: opening(runtime.as_ref()),
            runtime,
            failures: 0,
            max_failures,
            retry_after,
        }
    }

    /// Whether the runtime tells what happens.
    pub(super) fn is_open(&self) -> bool {
        matches!(self.state, State::Open(_))
    }

    /// Cancel-safe: dropping the future loses nothing.
    pub(super) async fn next(&mut self) -> StreamItem {
        if let State::Waiting(until) = &self.state {
            sleep_until(*until).await;
            self.state = opening(self.runtime.as_ref());
        }
        match &mut self.state {
            State::Opening(opening) => match opening.await {
                Ok(events) => {
                    self.state = State::Open(Box::new(events));
                    StreamItem::Opened
                }
                Err(error) => self.fail(LostStream(Some(error))),
            },
            State::Open(events) => match events.next().await {
                Some(Ok(event)) => {
                    self.failures = 0;
                    StreamItem::Event(Box::new(event))
                }
                Some(Err(error)) => self.fail(LostStream(Some(error))),
                None => self.fail(LostStream(None)),
            },
            State::Waiting(_) => pending().await,
        }
    }

    fn fail(&mut self, lost: LostStream) -> StreamItem {
        self.failures += 1;
        let is_able = lost
            .0
            .as_ref()
            .is_none_or(|error| !error.is_unimplemented());
        if is_able && self.failures < self.max_failures {
            self.state = State::Waiting(Instant::now() + self.retry_after);
            return StreamItem::Lost(lost);
        }
        self.runtime = None;
        self.state = opening(None);
        StreamItem::GaveUp(lost)
    }
}

fn opening(runtime: Option<&Runtime>) -> State {
    let Some(runtime) = runtime.cloned() else {
        return State::Opening(pending().boxed());
    };
    State::Opening(async move { runtime.container_events().await }.boxed())
}

impl fmt::Display for LostStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(error) => error.fmt(f),
            None => f.write_str("the runtime ended the stream"),
        }
    }
}
