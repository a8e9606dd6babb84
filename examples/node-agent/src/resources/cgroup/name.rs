use std::fmt;

use crate::pod::PodUid;
use crate::resources::QosClass;

/// Who manages cgroups, and so how they are called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CgroupDriver {
    /// The agent and the runtime, by files.
    #[default]
    Cgroupfs,
    /// systemd, as slices.
    Systemd,
}

/// What the names of pods' cgroups begin with.
const POD: &str = "pod";

/// The name of a cgroup: its parts from the root, which both drivers spell in their own way.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CgroupName(Vec<String>);

impl CgroupName {
    /// The cgroup at this path below the root, such as `/` or `/agent`. It leads nowhere else.
    pub fn root(path: &str) -> Self {
        let parts = path.split('/');
        let parts = parts.filter(|part| !matches!(*part, "" | "." | ".."));
        Self(parts.map(str::to_owned).collect())
    }

    /// The cgroup of all pods below a root.
    pub fn pods(root: &Self) -> Self {
        root.child("kubepods")
    }

    /// The cgroup of all pods of a class below a root.
    pub fn class(root: &Self, class: QosClass) -> Self {
        let pods = Self::pods(root);
        match class {
            QosClass::Guaranteed => pods,
            QosClass::Burstable => pods.child("burstable"),
            QosClass::BestEffort => pods.child("besteffort"),
        }
    }

    /// The cgroup of a pod below a root.
    pub fn pod(root: &Self, class: QosClass, uid: &PodUid) -> Self {
        Self::class(root, class).child(format!("{POD}{uid}"))
    }

    /// The pod whose cgroup has this as its last part; `None` if it is not of a pod.
    pub(super) fn uid_in(part: &str) -> Option<PodUid> {
        let uid = part.strip_prefix(POD).filter(|uid| !uid.is_empty());
        uid.map(PodUid::new)
    }

    /// A cgroup in this one. Slashes in its part of the name become dashes.
    #[must_use]
    pub fn child(&self, part: impl AsRef<str>) -> Self {
        let mut parts = self.0.clone();
        parts.push(part.as_ref().replace('/', "-"));
        Self(parts)
    }

    /// The cgroup that this one is in; `None` of the root.
    pub fn parent(&self) -> Option<Self> {
        let (_, parts) = self.0.split_last()?;
        Some(Self(parts.to_vec()))
    }

    /// The path from the root as its directories have it, without a leading slash.
    pub(super) fn relative(&self) -> String {
        self.0.join("/")
    }

    /// The path as a driver spells it: what a sandbox's `cgroup_parent` is set to.
    ///
    /// systemd nests slices by the dashes in their names, so that `/kubepods/burstable` is
    /// `/kubepods.slice/kubepods-burstable.slice`; dashes in the parts themselves become `_`.
    pub fn path(&self, driver: CgroupDriver) -> String {
        match driver {
            CgroupDriver::Cgroupfs => format!("/{}", self.relative()),
            CgroupDriver::Systemd if self.0.is_empty() => "/-.slice".to_owned(),
            CgroupDriver::Systemd => {
                let mut path = String::new();
                let mut slice = String::new();
                for part in &self.0 {
                    if !slice.is_empty() {
                        slice.push('-');
                    }
                    slice.push_str(&part.replace('-', "_"));
                    path += &format!("/{slice}.slice");
                }
                path
            }
        }
    }
}

impl fmt::Display for CgroupName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}", self.relative())
    }
}
