//! Which streams belong together. Knows no clock.

use std::collections::{HashMap, VecDeque};

use tokio::time::{Duration, Instant};

use crate::mux::Stream;

/// How many that are complete may be among the ages, beside as many as wait.
const SPARE: usize = 16;

/// The streams of one forwarded connection.
pub(super) struct Pair<S = Stream> {
    pub(super) port: u16,
    pub(super) data: S,
    pub(super) error: S,
}

/// A connection of which one stream is still to come.
pub(super) struct Half<S = Stream> {
    data: Option<(u16, S)>,
    pub(super) error: Option<S>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Data,
    Error,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Data => "data",
            Self::Error => "error",
        }
    }
}

pub(super) enum Added<'a, S = Stream> {
    /// The other stream is still to come.
    Waiting,
    /// Both are there.
    Complete(Pair<S>),
    /// There is one of this kind already; with the error stream to say so, if there is one.
    Duplicate(Option<&'a mut S>),
}

pub(super) struct Pairs<S = Stream> {
    halves: HashMap<String, (Half<S>, Instant)>,
    /// By age; holds what is complete as well, until its time is up.
    ages: VecDeque<(Instant, String)>,
    timeout: Duration,
}

impl<S> Pairs<S> {
    pub(super) fn new(timeout: Duration) -> Self {
        Self {
            halves: HashMap::new(),
            ages: VecDeque::new(),
            timeout,
        }
    }

    pub(super) fn add(
        &mut self,
        now: Instant,
        request_id: &str,
        port: u16,
        kind: Kind,
        stream: S,
    ) -> Added<'_, S> {
        let expiry = now + self.timeout;
        let (mut half, expiry) = match self.halves.remove(request_id) {
            Some(waiting) => waiting,
            None => {
                self.forget_complete();
                self.ages.push_back((expiry, request_id.to_owned()));
                let (data, error) = (None, None);
                (Half { data, error }, expiry)
            }
        };
        let duplicate = match kind {
            Kind::Data if half.data.is_none() => {
                half.data = Some((port, stream));
                false
            }
            Kind::Error if half.error.is_none() => {
                half.error = Some(stream);
                false
            }
            Kind::Data | Kind::Error => true,
        };
        match half {
            Half {
                data: Some((port, data)),
                error: Some(error),
            } => Added::Complete(Pair { port, data, error }),
            half => {
                let (half, _) = self
                    .halves
                    .entry(request_id.to_owned())
                    .insert_entry((half, expiry))
                    .into_mut();
                if duplicate {
                    Added::Duplicate(half.error.as_mut())
                } else {
                    Added::Waiting
                }
            }
        }
    }

    /// When to look for what has waited too long.
    pub(super) fn expiry(&self) -> Option<Instant> {
        self.ages.front().map(|(expiry, _)| *expiry)
    }

    fn forget_complete(&mut self) {
        // One that waits in front is not to keep all that were completed behind it.
        if self.ages.len() > 2 * self.halves.len() + SPARE {
            let halves = &self.halves;
            self.ages
                .retain(|(expiry, id)| halves.get(id).is_some_and(|(_, own)| own == expiry));
        }
        while let Some((_, request_id)) = self.ages.front()
            && !self.halves.contains_key(request_id)
        {
            self.ages.pop_front();
        }
    }

    /// What has waited too long.
    pub(super) fn expire(&mut self, now: Instant) -> Vec<(String, Half<S>)> {
        let mut expired = Vec::new();
        while let Some((expiry, request_id)) = self.ages.pop_front() {
            if expiry > now {
                self.ages.push_front((expiry, request_id));
                break;
            }
            // The same request may have been made anew since.
            if let Some((half, own)) = self.halves.remove(&request_id) {
                if own <= now {
                    expired.push((request_id, half));
                } else {
                    self.halves.insert(request_id, (half, own));
                }
            }
        }
        expired
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs() -> (Pairs<u32>, Instant) {
        (Pairs::new(Duration::from_secs(30)), Instant::now())
    }

    /// Upstream: `TestGetStreamPair`.
    #[test]
    fn get_stream_pair() {
        let (mut pairs, now) = pairs();
        assert!(matches!(
            pairs.add(now, "a", 80, Kind::Error, 1),
            Added::Waiting
        ));
        assert!(matches!(
            pairs.add(now, "b", 81, Kind::Data, 3),
            Added::Waiting
        ));
        let Added::Complete(a) = pairs.add(now, "a", 80, Kind::Data, 5) else {
            panic!("both are there");
        };
        assert_eq!((a.port, a.data, a.error), (80, 5, 1));
        let Added::Complete(b) = pairs.add(now, "b", 81, Kind::Error, 7) else {
            panic!("both are there");
        };
        assert_eq!((b.port, b.data, b.error), (81, 3, 7));
        // A name can be used again, and what is complete is forgotten.
        assert_eq!(pairs.ages.len(), 2);
        assert!(matches!(
            pairs.add(now, "a", 80, Kind::Error, 9),
            Added::Waiting
        ));
        assert_eq!(pairs.ages.len(), 1);
    }

    #[test]
    fn the_second_of_a_kind_is_not_taken() {
        let (mut pairs, now) = pairs();
        pairs.add(now, "a", 80, Kind::Error, 1);
        let Added::Duplicate(Some(error)) = pairs.add(now, "a", 80, Kind::Error, 3) else {
            panic!("there is one");
        };
        assert_eq!(*error, 1);
        pairs.add(now, "b", 80, Kind::Data, 5);
        assert!(matches!(
            pairs.add(now, "b", 80, Kind::Data, 7),
            Added::Duplicate(None)
        ));
        let Added::Complete(b) = pairs.add(now, "b", 80, Kind::Error, 9) else {
            panic!("both are there");
        };
        assert_eq!((b.data, b.error), (5, 9));
    }

    #[test]
    fn what_is_complete_is_not_gathered_behind_what_waits() {
        let (mut pairs, now) = pairs();
        pairs.add(now, "first", 80, Kind::Error, 1);
        for number in 0..1000 {
            let name = (number % 100).to_string();
            let now = now + Duration::from_millis(number);
            pairs.add(now, &name, 80, Kind::Error, 3);
            let added = pairs.add(now, &name, 80, Kind::Data, 5);
            assert!(matches!(added, Added::Complete(_)));
        }
        assert!(pairs.ages.len() <= 2 + SPARE + 1, "{}", pairs.ages.len());
        assert_eq!(pairs.expire(now + Duration::from_secs(60)).len(), 1);
    }

    /// Upstream: `monitorStreamPair`.
    #[test]
    fn a_stream_waits_for_its_other_half_for_a_time() {
        let (mut pairs, now) = pairs();
        let step = Duration::from_secs(20);
        pairs.add(now, "a", 80, Kind::Error, 1);
        pairs.add(now + step, "b", 80, Kind::Data, 3);
        assert_eq!(pairs.expiry(), Some(now + Duration::from_secs(30)));
        let expired = pairs.expire(now + 2 * step);
        assert_eq!(expired.len(), 1);
        assert_eq!((&*expired[0].0, expired[0].1.error), ("a", Some(1)));
        assert_eq!(pairs.expiry(), Some(now + Duration::from_secs(50)));
        assert_eq!(pairs.expire(now + 3 * step).len(), 1);
        assert_eq!(pairs.expiry(), None);
    }
}
