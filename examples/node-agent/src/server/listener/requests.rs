use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::{Instant, sleep_until};

/// The requests of one connection: whether there have been any, and whether any are under way.
#[derive(Debug)]
pub(super) struct Requests {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    have_begun: bool,
    under_way: usize,
    /// Since when nothing has begun or ended.
    since: Instant,
}

/// A request that is under way.
pub(super) struct UnderWay<'r>(&'r Requests);

impl Requests {
    pub(super) fn new() -> Self {
        Self {
            state: Mutex::new(State {
                have_begun: false,
                under_way: 0,
                since: Instant::now(),
            }),
        }
    }

    pub(super) fn begin(&self) -> UnderWay<'_> {
        let mut state = self.state.lock();
        state.have_begun = true;
        state.under_way += 1;
        state.since = Instant::now();
        UnderWay(self)
    }

    pub(super) fn have_begun(&self) -> bool {
        self.state.lock().have_begun
    }

    /// Waits until none was under way for a time. Cancel safe.
    pub(super) async fn rest(&self, time: Duration) {
        loop {
            let deadline = {
                let state = self.state.lock();
                match state.under_way {
                    0 => state.since + time,
                    _ => Instant::now() + time,
                }
            };
            if Instant::now() >= deadline {
                return;
            }
            sleep_until(deadline).await;
        }
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.under_way -= 1;
        state.since = Instant::now();
    }
}
