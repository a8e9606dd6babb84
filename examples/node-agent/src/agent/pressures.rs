use std::sync::Arc;

use parking_lot::Mutex;

use crate::admission;
use crate::eviction::{NodePressure, Pressure};
use crate::node;

/// What the node is short of, as eviction finds it out: nothing before it runs. A cheap handle;
/// clones agree.
#[derive(Clone, Debug, Default)]
pub(super) struct Pressures {
    found: Arc<Mutex<Option<NodePressure>>>,
}

impl Pressures {
    /// Goes by this from now on.
    pub(super) fn follow(&self, pressure: NodePressure) {
        *self.found.lock() = Some(pressure);
    }

    /// What the node is short of now, as admission asks.
    pub(super) fn now(&self) -> Vec<admission::NodePressure> {
        let all = [
            (Pressure::Memory, admission::NodePressure::Memory),
            (Pressure::Disk, admission::NodePressure::Disk),
            (Pressure::Pid, admission::NodePressure::Pid),
        ];
        let found = all.into_iter().filter(|(pressure, _)| self.has(*pressure));
        found.map(|(_, pressure)| pressure).collect()
    }

    /// The same, as the node's conditions tell it.
    pub(super) fn conditions(&self) -> node::Pressure {
        node::Pressure {
            memory: self.has(Pressure::Memory),
            disk: self.has(Pressure::Disk),
            pid: self.has(Pressure::Pid),
        }
    }

    fn has(&self, pressure: Pressure) -> bool {
        let found = self.found.lock();
        found.as_ref().is_some_and(|found| found.has(pressure))
    }
}
