use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use super::PodLife;

/// Which controllers run, and how.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ControllersConfig {
    /// Those that run. Default: all.
    pub enabled: BTreeSet<Controller>,
    /// How pods live. Default: see [`PodLife`].
    pub pods: PodLife,
    /// What the `ConfigMap` `kube-root-ca.crt` of every namespace holds, as PEM.
    ///
    /// Default: nothing, since a server that is used in process has no certificate.
    pub certificate_authority: String,
}

impl Default for ControllersConfig {
    fn default() -> Self {
        Self {
            enabled: BTreeSet::from(Controller::ALL),
            pods: PodLife::default(),
            certificate_authority: String::new(),
        }
    }
}

/// One of the controllers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Controller {
    /// `gc`: deletes objects whose owners are gone, and does what the `Foreground` and `Orphan`
    /// propagation policies ask for.
    GarbageCollector,
    /// `namespaces`: deletes the content of namespaces that are deleted, and then the namespaces;
    /// gives all others the `ServiceAccount` `default` and the `ConfigMap` `kube-root-ca.crt`.
    Namespaces,
    /// `pods`: assigns pods to nodes and lets them run, become ready and end.
    Pods,
}

impl Controller {
    /// All controllers.
    pub const ALL: [Self; 3] = [Self::GarbageCollector, Self::Namespaces, Self::Pods];

    fn name(self) -> &'static str {
        match self {
            Self::GarbageCollector => "gc",
            Self::Namespaces => "namespaces",
            Self::Pods => "pods",
        }
    }
}

impl fmt::Display for Controller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that no controller has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is none of gc, namespaces, pods")]
pub struct UnknownController(String);

impl FromStr for Controller {
    type Err = UnknownController;

    fn from_str(name: &str) -> Result<Self, UnknownController> {
        Self::ALL
            .into_iter()
            .find(|controller| controller.name() == name)
            .ok_or_else(|| UnknownController(name.to_owned()))
    }
}
