use std::path::PathBuf;

use super::{CgroupLimits, CgroupName};
use crate::resources::cpu_weight;

/// Which of the kernel's two kinds of hierarchy there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CgroupVersion {
    /// A tree for each controller.
    V1,
    /// One tree for all.
    V2,
}

/// The trees of cgroups of a node, as far as they are managed by their files: slices of systemd are
/// not written to behind its back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CgroupHierarchy {
    /// Where they are mounted: `/sys/fs/cgroup`.
    pub root: PathBuf,
    /// Of which kind they are.
    pub version: CgroupVersion,
}

/// One thing to do to a tree of cgroups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CgroupWrite {
    /// Makes a cgroup, unless there is one.
    Make(PathBuf),
    /// Writes to one of a cgroup's files.
    Set(PathBuf, String),
}

/// The controllers that pods are limited by.
pub(super) const CONTROLLERS: [&str; 3] = ["cpu", "memory", "pids"];

impl CgroupHierarchy {
    /// The trees under this directory, of the kind that is found there.
    pub fn detect(root: impl Into<PathBuf>) -> Self {
        let root = root.into();
        // Only the one tree of v2 lists its controllers at its root.
        let version = if root.join("cgroup.controllers").exists() {
            CgroupVersion::V2
        } else {
            CgroupVersion::V1
        };
        Self { root, version }
    }

    /// What makes a cgroup and sets its limits, in order.
    ///
    /// Its parents are to be there before it.
    pub fn plan(&self, name: &CgroupName, limits: &CgroupLimits) -> Vec<CgroupWrite> {
        match self.version {
            CgroupVersion::V1 => self.plan_v1(name, limits),
            CgroupVersion::V2 => self.plan_v2(name, limits),
        }
    }

    /// The directories of a cgroup that its limits are in, one for each tree.
    pub fn directories(&self, name: &CgroupName) -> Vec<PathBuf> {
        match self.version {
            CgroupVersion::V1 => CONTROLLERS
                .iter()
                .map(|controller| self.directory(Some(controller), name))
                .collect(),
            CgroupVersion::V2 => vec![self.directory(None, name)],
        }
    }

    fn directory(&self, controller: Option<&str>, name: &CgroupName) -> PathBuf {
        let mut path = self.root.clone();
        path.extend(controller);
        path.join(name.relative())
    }

    fn plan_v1(&self, name: &CgroupName, limits: &CgroupLimits) -> Vec<CgroupWrite> {
        let directories = self.directories(name);
        let mut writes: Vec<_> = directories.into_iter().map(CgroupWrite::Make).collect();
        let mut set = |controller, file: &str, value: String| {
            let path = self.directory(Some(controller), name).join(file);
            writes.push(CgroupWrite::Set(path, value));
        };
        if let Some(shares) = limits.cpu_shares {
            set("cpu", "cpu.shares", shares.to_string());
        }
        if let Some((quota, period)) = limits.cpu_quota {
            set("cpu", "cpu.cfs_period_us", period.to_string());
            let quota = if quota > 0 { quota } else { -1 };
            set("cpu", "cpu.cfs_quota_us", quota.to_string());
        }
        if let Some(memory) = limits.memory {
            set("memory", "memory.limit_in_bytes", memory.to_string());
        }
        if let Some(pids) = limits.pids {
            set("pids", "pids.max", pids.to_string());
        }
        writes
    }

    fn plan_v2(&self, name: &CgroupName, limits: &CgroupLimits) -> Vec<CgroupWrite> {
        let directory = self.directory(None, name);
        let mut writes = Vec::new();
        if let Some(parent) = name.parent() {
            // Controllers reach a cgroup only if its parent hands them down.
            let controllers = CONTROLLERS.map(|controller| format!("+{controller}"));
            let path = self.directory(None, &parent).join("cgroup.subtree_control");
            writes.push(CgroupWrite::Set(path, controllers.join(" ")));
        }
        writes.push(CgroupWrite::Make(directory.clone()));
        let mut set = |file, value: String| {
            writes.push(CgroupWrite::Set(directory.join(file), value));
        };
        if let Some(shares) = limits.cpu_shares {
            set("cpu.weight", cpu_weight(shares).to_string());
        }
        if let Some((quota, period)) = limits.cpu_quota {
            set(
                "cpu.max",
                match quota {
                    1.. => format!("{quota} {period}"),
                    _ => format!("max {period}"),
                },
            );
        }
        if let Some(memory) = limits.memory {
            set("memory.max", memory.to_string());
        }
        if let Some(pids) = limits.pids {
            set("pids.max", pids.to_string());
        }
        writes
    }
}
