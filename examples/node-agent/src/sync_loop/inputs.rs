use std::future::poll_fn;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

use super::SyncLoopOptions;
use crate::pleg::{PlegEvents, PodLifecycleEvent};
use crate::probe::ProbeUpdate;
use crate::source::PodUpdate;

/// What comes together in the sync loop, beside its tickers.
#[derive(Debug)]
pub struct SyncLoopChannels {
    /// What sources want. The loop ends when this is closed.
    pub updates: mpsc::Receiver<PodUpdate>,
    /// What happens in the runtime.
    pub lifecycle: PlegEvents,
    /// What probes come to.
    pub probes: mpsc::Receiver<ProbeUpdate>,
}

/// Something that happened.
#[derive(Debug)]
pub(super) enum Input {
    Update(PodUpdate),
    /// There will be no other.
    Closed,
    Lifecycle(PodLifecycleEvent),
    SyncTick,
    Probe(ProbeUpdate),
    HousekeepingTick,
}

/// Where things come from, in the order in which they are asked at first.
#[derive(Clone, Copy)]
enum Origin {
    Updates,
    Lifecycle,
    Sync,
    Probes,
    Housekeeping,
}

const ORIGINS: [Origin; 5] = [
    Origin::Updates,
    Origin::Lifecycle,
    Origin::Sync,
    Origin::Probes,
    Origin::Housekeeping,
];

/// The five channels, taken from in turn: after one had something, it is asked last. So what waits
/// in one of them is taken after four other things at most, and always in the same order.
#[derive(Debug)]
pub(super) struct Inputs {
    channels: SyncLoopChannels,
    sync: Interval,
    housekeeping: Interval,
    /// Which one is asked first.
    first: usize,
}

impl Inputs {
    /// The tickers begin now.
    pub(super) fn new(channels: SyncLoopChannels, options: &SyncLoopOptions) -> Self {
        Self {
            channels,
            sync: ticker(options.sync_period),
            housekeeping: ticker(options.housekeeping_period),
            first: 0,
        }
    }

    /// What happens next. Cancel-safe: nothing is lost.
    pub(super) async fn next(&mut self) -> Input {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Input> {
        for step in 0..ORIGINS.len() {
            let at = (self.first + step) % ORIGINS.len();
            if let Poll::Ready(input) = self.poll(ORIGINS[at], cx) {
                self.first = (at + 1) % ORIGINS.len();
                return Poll::Ready(input);
            }
        }
        Poll::Pending
    }

    fn poll(&mut self, origin: Origin, cx: &mut Context<'_>) -> Poll<Input> {
        let channels = &mut self.channels;
        match origin {
            Origin::Updates => {
                let update = channels.updates.poll_recv(cx);
                update.map(|update| update.map_or(Input::Closed, Input::Update))
            }
            Origin::Lifecycle => some(channels.lifecycle.poll_recv(cx)).map(Input::Lifecycle),
            Origin::Probes => some(channels.probes.poll_recv(cx)).map(Input::Probe),
            Origin::Sync => self.sync.poll_tick(cx).map(|_| Input::SyncTick),
            Origin::Housekeeping => {
                let tick = self.housekeeping.poll_tick(cx);
                tick.map(|_| Input::HousekeepingTick)
            }
        }
    }
}

/// A channel that is closed has nothing to say, like one that nobody speaks into.
fn some<T>(polled: Poll<Option<T>>) -> Poll<T> {
    match polled {
        Poll::Ready(Some(item)) => Poll::Ready(item),
        Poll::Ready(None) | Poll::Pending => Poll::Pending,
    }
}

fn ticker(period: Duration) -> Interval {
    let mut ticker = interval_at(Instant::now() + period, period);
    ticker.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticker
}
