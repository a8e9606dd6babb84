//! Adds on their way to the engine.

use tokio::time::Instant;

/// One call of `add`.
#[derive(Debug)]
pub(crate) struct Add<K, C> {
    pub(crate) hash: u64,
    pub(crate) key: K,
    pub(crate) cause: C,
    /// When it came, if somebody measures.
    pub(crate) at: Option<Instant>,
}

/// Collects adds while nobody waits for them, so that many producers need not contend for the
/// queue's lock: whoever enters that next takes all of them in, in their order.
///
/// It has a lock of its own, under which nothing is looked up. It is taken alone, or inside of the
/// queue's lock.
#[derive(Debug)]
pub(crate) struct Inbox<K, C> {
    adds: Vec<Add<K, C>>,
    /// Whether somebody waits for adds, or their order has to be that of other things as well: then
    /// who adds enters the queue's lock himself.
    eager: bool,
}

impl<K, C> Inbox<K, C> {
    /// So many adds are worth the queue's lock; few in this crate's unit tests, which look at what
    /// happens then.
    const BATCH: usize = if cfg!(test) { 3 } else { 64 };

    pub(crate) fn new() -> Self {
        Self {
            adds: Vec::new(),
            eager: false,
        }
    }

    /// Whether whoever adds has to see to it that the adds are taken in.
    #[must_use]
    pub(crate) fn push(&mut self, add: Add<K, C>) -> bool {
        self.adds.push(add);
        self.eager || self.adds.len() >= Self::BATCH
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.adds.len()
    }

    /// Takes all adds, in exchange for an empty list.
    pub(crate) fn take(&mut self, batch: &mut Vec<Add<K, C>>) {
        std::mem::swap(&mut self.adds, batch);
    }

    /// Sets whether adds are waited for. Returns whether some came before.
    pub(crate) fn set_eager(&mut self, eager: bool) -> bool {
        self.eager = eager;
        eager && !self.adds.is_empty()
    }
}
