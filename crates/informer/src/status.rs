//! What an informer looks like at one moment.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use kubewright_cache::{Operation, ResourceVersion, SourceError};

/// An informer at one moment, for people and dashboards.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct InformerStatus {
    /// The informer's name.
    pub name: Arc<str>,
    /// Whether it runs.
    pub phase: Phase,
    /// Whether its store holds a complete picture.
    pub has_synced: bool,
    /// How many objects its store holds.
    pub objects: usize,
    /// The version its store has reached.
    pub resource_version: Option<ResourceVersion>,
    /// How long ago its source was last heard of; `None` before the first time.
    pub last_event_age: Option<Duration>,
    /// What its source failed with, unless it was heard of since.
    pub failure: Option<SourceFailure>,
    /// Its handlers, in the order in which they were added.
    pub handlers: Vec<HandlerStatus>,
}

/// Where an informer is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// It has not been started.
    Ready,
    /// It runs.
    Running,
    /// It has stopped, for good.
    Stopped,
}

/// A handler at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HandlerStatus {
    /// The handler's name.
    pub name: Arc<str>,
    /// How many entries wait in its mailbox.
    pub pending: usize,
    /// Whether it has handled all that the informer began with.
    pub has_synced: bool,
    /// How many events it has handled.
    pub handled: u64,
    /// How many events joined one that waited.
    pub coalesced: u64,
    /// How many entries waited when it was removed or the informer stopped.
    pub dropped: u64,
    /// How often it panicked.
    pub panicked: u64,
}

/// A request to the source that failed; the informer goes on trying.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SourceFailure {
    /// What was being done.
    pub operation: Operation,
    /// What went wrong, with its causes.
    pub message: String,
    /// Whether trying again cannot help until somebody changes something.
    pub fatal: bool,
}

impl SourceFailure {
    pub(crate) fn new(operation: Operation, error: &SourceError) -> Self {
        let mut message = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            message.push_str(": ");
            message.push_str(&error.to_string());
            cause = error.source();
        }
        Self {
            operation,
            message,
            fatal: error.is_fatal(),
        }
    }
}

impl fmt::Display for SourceFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
