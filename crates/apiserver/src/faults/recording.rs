use std::fmt;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::{Call, Faults};

/// The calls that clients make while it lives, in the order in which they were carried out.
///
/// It keeps all of them, bodies included, until they are taken.
pub struct Recording {
    calls: Arc<Calls>,
    faults: Faults,
}

#[derive(Default)]
pub(super) struct Calls(Mutex<Vec<Call>>);

impl Calls {
    pub(super) fn push(&self, call: Call) {
        self.0.lock().push(call);
    }
}

impl Recording {
    pub(super) fn new(faults: Faults) -> Self {
        Self {
            calls: Arc::default(),
            faults,
        }
    }

    pub(super) fn downgrade(&self) -> Weak<Calls> {
        Arc::downgrade(&self.calls)
    }

    /// The calls so far; the recording begins anew.
    pub fn take(&self) -> Vec<Call> {
        std::mem::take(&mut *self.calls.0.lock())
    }

    /// The calls so far that were meant to change something; the recording begins anew.
    pub fn take_writes(&self) -> Vec<Call> {
        let mut calls = self.take();
        calls.retain(Call::is_write);
        calls
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        self.faults.forget();
    }
}

impl fmt::Debug for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recording")
            .field("calls", &self.calls.0.lock().len())
            .finish_non_exhaustive()
    }
}
