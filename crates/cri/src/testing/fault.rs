use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use tonic::Status;

/// What befalls a call.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Fault {
    /// The runtime refuses, and nothing happens.
    Refused(Status),
    /// The call takes effect, and the connection is lost before the answer.
    Lost,
    /// The runtime thinks about it, and then does it.
    Delayed(Duration),
}

/// The faults that are still to come, by call.
#[derive(Debug, Default)]
pub(super) struct Faults {
    pending: HashMap<&'static str, VecDeque<Fault>>,
}

impl Fault {
    /// The runtime cannot be reached, and nothing happens.
    pub fn unavailable() -> Self {
        Self::Refused(Status::unavailable("connection refused"))
    }
}

impl Faults {
    pub(super) fn push(&mut self, method: &'static str, fault: Fault) {
        self.pending.entry(method).or_default().push_back(fault);
    }

    pub(super) fn pop(&mut self, method: &'static str) -> Option<Fault> {
        self.pending.get_mut(method)?.pop_front()
    }

    pub(super) fn clear(&mut self) {
        self.pending.clear();
    }
}
