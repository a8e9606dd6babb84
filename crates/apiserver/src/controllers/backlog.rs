use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
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
    /// Those that are not due yet, the next first.
    later: BTreeSet<(Instant, Ticket)>,
    /// When those in `later` are due.
    due: HashMap<Ticket, Instant>,
}

impl Backlog {
    pub(super) fn push(&mut self, ticket: Ticket) {
        if self.waiting.insert(Arc::clone(&ticket)) {
            self.ready.push_back(ticket);
        }
    }

    /// Asks for attention at `at`; of two times for one ticket the earlier counts.
    pub(super) fn push_at(&mut self, ticket: Ticket, at: Instant) {
        if let Some(earlier) = self.due.get(&ticket).copied() {
            if earlier <= at {
                return;
            }
            self.later.remove(&(earlier, Arc::clone(&ticket)));
        }
        self.due.insert(Arc::clone(&ticket), at);
        self.later.insert((at, ticket));
    }

    /// The next ticket that is due at `now`.
    pub(super) fn pop(&mut self, now: Instant) -> Option<Ticket> {
        while self.later.first().is_some_and(|(at, _)| *at <= now)
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
        self.later.first().map(|(at, _)| *at)
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
        backlog.push_at("b".into(), at(3));
        assert_eq!(backlog.next_due(), Some(at(2)));
        assert_eq!(popped(&mut backlog, at(1)), "");
        assert_eq!(popped(&mut backlog, at(2)), "a");
        assert_eq!(popped(&mut backlog, at(60)), "b");
        assert_eq!(backlog.next_due(), None);
    }
}
