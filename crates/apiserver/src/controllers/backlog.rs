use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use tokio::time::Instant;

/// What attention is asked for: a uid, or the name of a namespace; each engine has its own.
pub(super) type Ticket = Arc<str>;

/// What an engine is still to be asked about: each ticket once, in order of arrival.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    ready: VecDeque<Ticket>,
    /// The tickets in `ready`.
    waiting: HashSet<Ticket>,
    /// Those that are not due yet, the next first; of one moment the first that came.
    later: BTreeMap<(Instant, u64), Ticket>,
    /// Where those in `later` are.
    due: HashMap<Ticket, (Instant, u64)>,
    arrivals: u64,
}

impl Backlog {
    pub(super) fn push(&mut self, ticket: Ticket) {
        if self.waiting.insert(Arc::clone(&ticket)) {
            self.ready.push_back(ticket);
        }
    }

    /// Asks for attention at `at`; of two times for one ticket the earlier counts.
    pub(super) fn push_at(&mut self, ticket: Ticket, at: Instant) {
        if let Some(earlier) = self.due.get(&ticket) {
            if earlier.0 <= at {
                return;
            }
            self.later.remove(earlier);
        }
        self.arrivals += 1;
        let place = (at, self.arrivals);
        self.due.insert(Arc::clone(&ticket), place);
        self.later.insert(place, ticket);
    }

    /// The next ticket that is due at `now`.
    pub(super) fn pop(&mut self, now: Instant) -> Option<Ticket> {
        while self.next_due().is_some_and(|at| at <= now)
            && let Some((_, ticket)) = self.later.pop_first()
        {
            self.due.remove(&ticket);
            self.push(ticket);
        }
        let ticket = self.ready.pop_front()?;
        self.waiting.remove(&ticket);
        Some(ticket)
    }

    /// When the next ticket becomes due that is not yet.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.later.first_key_value().map(|((at, _), _)| *at)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn popped(backlog: &mut Backlog, now: Instant) -> String {
        std::iter::from_fn(|| backlog.pop(now))
            .map(|ticket| ticket.to_string())
            .collect()
    }

    #[tokio::test(start_paused = true)]
    async fn each_ticket_is_given_once_in_order() {
        let mut backlog = Backlog::default();
        for ticket in ["a", "b", "a", "c", "b"] {
            backlog.push(ticket.into());
        }
        let now = Instant::now();
        assert_eq!(popped(&mut backlog, now), "abc");
        backlog.push("a".into());
        assert_eq!(popped(&mut backlog, now), "a");
    }

    #[tokio::test(start_paused = true)]
    async fn of_two_times_the_earlier_counts() {
        let mut backlog = Backlog::default();
        let now = Instant::now();
        let at = |seconds| now + Duration::from_secs(seconds);
        backlog.push_at("a".into(), at(5));
        backlog.push_at("a".into(), at(2));
        backlog.push_at("a".into(), at(9));
        for ticket in ["d", "b", "c"] {
            backlog.push_at(ticket.into(), at(3));
        }
        assert_eq!(backlog.next_due(), Some(at(2)));
        assert_eq!(popped(&mut backlog, at(1)), "");
        assert_eq!(popped(&mut backlog, at(2)), "a");
        assert_eq!(
            popped(&mut backlog, at(60)),
            "dbc",
            "of one moment the first"
        );
        assert_eq!(backlog.next_due(), None);
    }
}
