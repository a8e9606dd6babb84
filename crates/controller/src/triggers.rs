//! Why a key is to be reconciled: the events that came together in one run.

use std::fmt;
use std::sync::Arc;

use kubewright_informer::Event;
use kubewright_workqueue::Cause;

/// Which events a run answers, as the queue merges them: one bit per source and kind of change.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Triggers(u64);

/// What happened to an object of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// It came into the source's store.
    Added,
    /// It changed.
    Updated,
    /// It went out of the source's store.
    Deleted,
    /// It was shown again as it is.
    Resynced,
}

impl Change {
    const ALL: [Self; 4] = [Self::Added, Self::Updated, Self::Deleted, Self::Resynced];

    pub(crate) fn of<K>(event: &Event<K>) -> Self {
        match event {
            Event::Added { .. } => Self::Added,
            Event::Updated { .. } if event.is_resync() => Self::Resynced,
            Event::Updated { .. } => Self::Updated,
            Event::Deleted { .. } => Self::Deleted,
        }
    }

    const fn text(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Updated => "updated",
            Self::Deleted => "deleted",
            Self::Resynced => "resynced",
        }
    }
}

impl Triggers {
    /// Sources from this one on share their bits.
    const LAST_SOURCE: usize = 14;
    const ASKED: Self = Self(1 << 60);

    /// Somebody asked for the run by [`Enqueue`](crate::Enqueue).
    pub(crate) const fn asked() -> Self {
        Self::ASKED
    }

    /// An object of a source changed.
    pub(crate) fn changed(source: usize, change: Change) -> Self {
        Self(1 << (4 * source.min(Self::LAST_SOURCE) + change as usize))
    }

    const fn holds(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl Cause for Triggers {
    fn merge(&mut self, later: Self) {
        self.0 |= later.0;
    }
}

impl fmt::Debug for Triggers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Triggers({:#b})", self.0)
    }
}

/// Why a key is reconciled: everything that came together in this run.
///
/// Displays as `pods updated, replicasets added`, or as `requeued` if only a delay ran out.
#[derive(Clone)]
pub struct Reasons {
    triggers: Triggers,
    sources: Arc<[Arc<str>]>,
}

/// One of the things that a reconcile answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason<'a> {
    /// An object of this source changed.
    Changed {
        /// The source's name.
        source: &'a str,
        /// What happened to it.
        change: Change,
    },
    /// Somebody asked for it by [`Enqueue`](crate::Enqueue), outside of all sources.
    Asked,
    /// Nothing but a delay that ran out: that of an [`Action`](crate::Action) or of a failure.
    Requeued,
}

impl Reasons {
    pub(crate) const fn new(triggers: Triggers, sources: Arc<[Arc<str>]>) -> Self {
        Self { triggers, sources }
    }

    /// All of them, by source; at least one.
    pub fn iter(&self) -> impl Iterator<Item = Reason<'_>> {
        let changed = self
            .sources
            .iter()
            .enumerate()
            .flat_map(move |(nth, source)| {
                let changes = Change::ALL
                    .into_iter()
                    .filter(move |&change| self.triggers.holds(Triggers::changed(nth, change)));
                changes.map(move |change| Reason::Changed { source, change })
            });
        let asked = self
            .triggers
            .holds(Triggers::ASKED)
            .then_some(Reason::Asked);
        let requeued = (self.triggers == Triggers::default()).then_some(Reason::Requeued);
        changed.chain(asked).chain(requeued)
    }
}

impl fmt::Display for Reasons {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (nth, reason) in self.iter().enumerate() {
            if nth > 0 {
                f.write_str(", ")?;
            }
            fmt::Display::fmt(&reason, f)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Reasons {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reasons({self})")
    }
}

impl fmt::Display for Reason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Changed { source, change } => write!(f, "{source} {}", change.text()),
            Self::Asked => f.write_str("asked"),
            Self::Requeued => f.write_str("requeued"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_add_up_and_are_told_by_name() {
        let sources: Arc<[Arc<str>]> = ["sets", "pods"].map(Arc::from).into();
        let text = |triggers| Reasons::new(triggers, Arc::clone(&sources)).to_string();
        assert_eq!(text(Triggers::default()), "requeued");
        let mut triggers = Triggers::changed(1, Change::Deleted);
        triggers.merge(Triggers::changed(0, Change::Added));
        triggers.merge(Triggers::changed(1, Change::Added));
        triggers.merge(Triggers::changed(1, Change::Added));
        assert_eq!(text(triggers), "sets added, pods added, pods deleted");
        triggers.merge(Triggers::asked());
        assert!(text(triggers).ends_with(", asked"));
    }

    #[test]
    fn many_sources_share_the_last_bits() {
        let sources: Arc<[Arc<str>]> = (0..20).map(|nth| Arc::from(format!("s{nth}"))).collect();
        let reasons = Reasons::new(Triggers::changed(17, Change::Updated), sources);
        assert!(reasons.iter().count() > 1);
        assert!(reasons.iter().all(|reason| reason != Reason::Asked));
    }
}
