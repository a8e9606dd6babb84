//! What a queue can hold.

use std::hash::Hash;

/// What a queue can hold: anything that is cloned, compared and hashed.
///
/// The queue compares, clones and drops keys under its lock: that is quick, does not call the queue
/// and does not panic. A clone is cheap, as of an `Arc<str>`, or of a short string.
pub trait Key: Clone + Eq + Hash {}

impl<K: Clone + Eq + Hash> Key for K {}
