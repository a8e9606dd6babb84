use std::collections::BTreeMap;

use super::Starved;

/// What a pod uses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PodUsage {
    /// Its containers.
    pub containers: Vec<ContainerUsage>,
    /// Its `emptyDir` volumes on disk, in bytes.
    pub volumes: BTreeMap<String, u64>,
}

/// What a container uses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContainerUsage {
    /// Its name in the pod's spec.
    pub name: String,
    /// Its working set, in bytes.
    pub memory: u64,
    /// What it wrote, its logs included, in bytes.
    pub disk: u64,
    /// Inodes of what it wrote.
    pub inodes: u64,
}

impl PodUsage {
    /// All its memory.
    pub fn memory(&self) -> u64 {
        self.containers.iter().map(|it| it.memory).sum()
    }

    /// All its disk.
    pub fn disk(&self) -> u64 {
        let containers: u64 = self.containers.iter().map(|it| it.disk).sum();
        containers + self.volumes.values().sum::<u64>()
    }

    /// All it uses of what runs out; of processes nothing is known.
    pub(super) fn of(&self, starved: Starved) -> u64 {
        match starved {
            Starved::Memory => self.memory(),
            Starved::EphemeralStorage => self.disk(),
            Starved::Inodes => self.containers.iter().map(|it| it.inodes).sum(),
            Starved::Pids => 0,
        }
    }
}

impl ContainerUsage {
    pub(super) fn of(&self, starved: Starved) -> u64 {
        match starved {
            Starved::Memory => self.memory,
            Starved::EphemeralStorage => self.disk,
            Starved::Inodes => self.inodes,
            Starved::Pids => 0,
        }
    }
}
