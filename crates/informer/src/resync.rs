//! When each handler is shown everything again.

use std::time::Duration;

use tokio::time::Instant;

/// The shortest period between two resyncs of a handler; a shorter one is raised to it.
///
/// As in client-go: each resync shows the handler every object there is.
pub(crate) const SHORTEST_PERIOD: Duration = Duration::from_secs(1);

/// The resyncs that are due, each handler with a period of its own.
///
/// client-go has one ticker with the shortest of all periods, to which the others are rounded.
/// Here each handler's period is kept as asked, and a handler that joins late changes nothing for
/// the others.
#[derive(Debug)]
pub(crate) struct ResyncSchedule<T> {
    /// Few enough to be searched: most handlers have no period.
    timers: Vec<Timer<T>>,
}

#[derive(Debug)]
struct Timer<T> {
    subject: T,
    period: Duration,
    due: Instant,
}

impl<T: Clone> ResyncSchedule<T> {
    pub(crate) fn new() -> Self {
        Self { timers: Vec::new() }
    }

    /// Schedules the first resync of `subject` one period from now.
    pub(crate) fn add(&mut self, subject: T, period: Duration, now: Instant) {
        let period = period.max(SHORTEST_PERIOD);
        let due = later(now, period);
        self.timers.push(Timer {
            subject,
            period,
            due,
        });
    }

    /// Forgets subjects that are not to be kept.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&T) -> bool) {
        self.timers.retain(|timer| keep(&timer.subject));
    }

    /// When the next resync is due.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.timers.iter().map(|timer| timer.due).min()
    }

    /// Whose resyncs are due, in the order in which they came to be; each is scheduled anew.
    ///
    /// A period that passed more than once unnoticed counts once.
    pub(crate) fn due(&mut self, now: Instant) -> Vec<T> {
        let mut due: Vec<_> = self
            .timers
            .iter_mut()
            .filter(|timer| timer.due <= now)
            .collect();
        due.sort_by_key(|timer| timer.due);
        due.into_iter()
            .map(|timer| {
                timer.due = later(now, timer.period);
                timer.subject.clone()
            })
            .collect()
    }
}

/// `now + period`, or so far away that it never comes.
fn later(now: Instant, period: Duration) -> Instant {
    const FAR: Duration = Duration::from_secs(60 * 60 * 24 * 365);
    now.checked_add(period).unwrap_or_else(|| now + FAR)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// Answers to client-go's `TestResyncCheckPeriod`, where the shortest period wins for all:
    /// here each handler keeps its own.
    #[test]
    fn each_subject_keeps_its_own_period() {
        let start = Instant::now();
        let mut schedule = ResyncSchedule::new();
        assert_eq!(schedule.next(), None);
        schedule.add("slow", seconds(5), start);
        schedule.add("quick", seconds(2), start);
        let mut resyncs = Vec::new();
        while let Some(due) = schedule.next().filter(|due| *due <= start + seconds(10)) {
            for subject in schedule.due(due) {
                resyncs.push((subject, (due - start).as_secs()));
            }
        }
        assert_eq!(
            resyncs,
            [
                ("quick", 2),
                ("quick", 4),
                ("slow", 5),
                ("quick", 6),
                ("quick", 8),
                ("slow", 10),
                ("quick", 10),
            ]
        );
    }

    #[test]
    fn periods_under_a_second_are_raised() {
        let start = Instant::now();
        let mut schedule = ResyncSchedule::new();
        schedule.add((), Duration::from_millis(3), start);
        assert_eq!(schedule.next(), Some(start + seconds(1)));
    }

    #[test]
    fn missed_periods_count_once() {
        let start = Instant::now();
        let mut schedule = ResyncSchedule::new();
        schedule.add((), seconds(2), start);
        assert_eq!(schedule.due(start + seconds(7)).len(), 1);
        assert_eq!(schedule.next(), Some(start + seconds(9)));
    }

    #[test]
    fn a_period_beyond_the_clock_is_no_panic() {
        let mut schedule = ResyncSchedule::new();
        schedule.add((), Duration::MAX, Instant::now());
        assert!(schedule.next().is_some());
    }

    #[test]
    fn forgotten_subjects_are_not_resynced() {
        let start = Instant::now();
        let mut schedule = ResyncSchedule::new();
        schedule.add("gone", seconds(1), start);
        schedule.add("here", seconds(1), start);
        schedule.retain(|subject| *subject == "here");
        assert_eq!(schedule.due(start + seconds(1)), ["here"]);
    }
}
