//! The line for tokens: rate-limited keys whose own delay is over.

use std::collections::BTreeMap;
use std::num::NonZeroU64;

use tokio::time::Instant;

use super::entries::Id;
use crate::TokenBucket;

/// Keys in the order in which they joined, and the bucket that lets them pass.
///
/// Only the head of the line takes a token, at the moment there is one.
/// A key that leaves the line has taken nothing from those behind it.
#[derive(Debug)]
pub(super) struct Line {
    /// `None` lets everybody pass.
    bucket: Option<TokenBucket>,
    waiting: BTreeMap<NonZeroU64, Waiting>,
    next_place: NonZeroU64,
}

#[derive(Debug, Clone, Copy)]
struct Waiting {
    id: Id,
    since: Instant,
}

impl Line {
    pub(super) fn new(bucket: Option<TokenBucket>) -> Self {
        Self {
            bucket,
            waiting: BTreeMap::new(),
            next_place: NonZeroU64::MIN,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Joins at the end and returns the place taken.
    pub(super) fn join(&mut self, id: Id, since: Instant) -> NonZeroU64 {
        let place = self.next_place;
        self.next_place = place.saturating_add(1);
        self.waiting.insert(place, Waiting { id, since });
        place
    }

    pub(super) fn leave(&mut self, place: NonZeroU64) {
        self.waiting.remove(&place);
    }

    /// When the head of the line may pass.
    pub(super) fn next(&self) -> Option<Instant> {
        let (_, head) = self.waiting.first_key_value()?;
        let token = self.bucket.as_ref().and_then(TokenBucket::available_at);
        Some(token.map_or(head.since, |at| at.max(head.since)))
    }

    /// Lets the head of the line pass at `at`, which is [`next`](Self::next).
    pub(super) fn pass(&mut self, at: Instant) -> Option<Id> {
        let (_, head) = self.waiting.pop_first()?;
        if let Some(bucket) = &mut self.bucket {
            let taken = bucket.try_take(at);
            debug_assert!(taken, "`next` says when there is a token");
        }
        Some(head.id)
    }

    /// Empties the line without taking a token.
    pub(super) fn pop(&mut self) -> Option<Id> {
        Some(self.waiting.pop_first()?.1.id)
    }
}
