use std::sync::Arc;

use parking_lot::Mutex;

/// Something that a node runs short of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Pressure {
    /// Memory.
    Memory,
    /// Disk.
    Disk,
    /// Process ids.
    Pid,
}

/// What the node is short of, as it was last found out: nothing before anybody looks.
///
/// Cheap to clone; clones are the same. Eviction says it; admission and the node's conditions ask.
#[derive(Clone, Debug, Default)]
pub struct NodePressure {
    now: Arc<Mutex<Vec<Pressure>>>,
}

impl Pressure {
    /// All there are, in the order of the node's conditions.
    pub const ALL: [Self; 3] = [Self::Memory, Self::Disk, Self::Pid];

    /// The type of the node's condition.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Memory => "MemoryPressure",
            Self::Disk => "DiskPressure",
            Self::Pid => "PIDPressure",
        }
    }
}

impl NodePressure {
    /// What it is short of now, in the order of [`Pressure::ALL`].
    pub fn now(&self) -> Vec<Pressure> {
        self.now.lock().clone()
    }

    /// Whether it is short of something.
    pub fn has(&self, pressure: Pressure) -> bool {
        self.now.lock().contains(&pressure)
    }

    pub(crate) fn set(&self, pressures: impl IntoIterator<Item = Pressure>) {
        *self.now.lock() = pressures.into_iter().collect();
    }
}
