use std::pin::pin;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use crate::runtime::{StopTurn, TerminationOrder};

/// Lets the containers of a pod that is killed wait for their turns.
pub(super) struct Turns {
    order: Mutex<TerminationOrder>,
    changed: Notify,
}

impl Turns {
    pub(super) fn new(order: TerminationOrder) -> Self {
        Self {
            order: Mutex::new(order),
            changed: Notify::new(),
        }
    }

    /// Waits until a container may be stopped, for as long as its grace lasts.
    pub(super) async fn wait(&self, name: &str, grace: Duration) {
        let start = Instant::now();
        loop {
            let mut changed = pin!(self.changed.notified());
            // What happens from here on is not missed.
            changed.as_mut().enable();
            let turn = self.order.lock().turn(name, start.elapsed(), grace);
            match turn {
                StopTurn::Now => return,
                // Either way the turn is looked at again.
                StopTurn::Later(rest) => drop(timeout(rest, changed).await),
            }
        }
    }

    /// Says that a container has ended.
    pub(super) fn terminated(&self, name: &str) {
        self.order.lock().terminated(name);
        self.changed.notify_waiters();
    }
}
