use std::collections::BTreeMap;
use std::fmt;

use kubewright_quantity::Quantity;

use crate::node::Pressure;

/// What pods are evicted for, memory first: what is short of memory cannot free disk either.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Signal {
    /// Memory of the node.
    MemoryAvailable,
    /// Room on the file system of the agent's directory.
    NodefsAvailable,
    /// Inodes there.
    NodefsInodesFree,
    /// Room on the file system of images.
    ImagefsAvailable,
    /// Inodes there.
    ImagefsInodesFree,
    /// Processes that the node can still have.
    PidAvailable,
}

/// What runs out, in the words of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Starved {
    /// `memory`.
    Memory,
    /// `ephemeral-storage`.
    EphemeralStorage,
    /// `inodes`.
    Inodes,
    /// `pids`.
    Pids,
}

/// How much there is of something, and how much of that is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Observation {
    /// All there is.
    pub capacity: u64,
    /// What is left.
    pub available: u64,
}

/// What was seen of each signal; what could not be seen is not there.
pub type Observations = BTreeMap<Signal, Observation>;

impl Signal {
    /// All there are, in the order in which they are answered.
    pub const ALL: [Self; 6] = [
        Self::MemoryAvailable,
        Self::NodefsAvailable,
        Self::NodefsInodesFree,
        Self::ImagefsAvailable,
        Self::ImagefsInodesFree,
        Self::PidAvailable,
    ];

    /// The signal of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == name)
    }

    /// As configuration names it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MemoryAvailable => "memory.available",
            Self::NodefsAvailable => "nodefs.available",
            Self::NodefsInodesFree => "nodefs.inodesFree",
            Self::ImagefsAvailable => "imagefs.available",
            Self::ImagefsInodesFree => "imagefs.inodesFree",
            Self::PidAvailable => "pid.available",
        }
    }

    /// What runs out.
    pub fn starved(self) -> Starved {
        match self {
            Self::MemoryAvailable => Starved::Memory,
            Self::NodefsAvailable | Self::ImagefsAvailable => Starved::EphemeralStorage,
            Self::NodefsInodesFree | Self::ImagefsInodesFree => Starved::Inodes,
            Self::PidAvailable => Starved::Pids,
        }
    }

    /// The condition that the node is in.
    pub fn pressure(self) -> Pressure {
        match self.starved() {
            Starved::Memory => Pressure::Memory,
            Starved::EphemeralStorage | Starved::Inodes => Pressure::Disk,
            Starved::Pids => Pressure::Pid,
        }
    }

    /// An amount of it, for people.
    pub(super) fn quantity(self, amount: u64) -> Quantity {
        let amount = i64::try_from(amount).unwrap_or(i64::MAX);
        match self.starved() {
            Starved::Memory | Starved::EphemeralStorage => Quantity::bytes(amount),
            Starved::Inodes | Starved::Pids => Quantity::whole(amount),
        }
    }
}

impl fmt::Display for Starved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Memory => "memory",
            Self::EphemeralStorage => "ephemeral-storage",
            Self::Inodes => "inodes",
            Self::Pids => "pids",
        })
    }
}
