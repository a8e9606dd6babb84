use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// A feature that can be turned on and off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Gate {
    /// A container that ran before the agent did has its probe results reset. Alpha, off.
    ChangeContainerStatusOnKubeletRestart,
    /// `cpuCFSQuotaPeriod` may be other than 100 ms. Alpha, off.
    CustomCpuCfsQuotaPeriod,
    /// The runtime tells of what happens to containers. Alpha, off.
    EventedPleg,
    /// Pods have time to end when the machine is shut down. Beta, on.
    GracefulNodeShutdown,
    /// `crashLoopBackOff.maxContainerRestartPeriod` can be set. Beta, on.
    KubeletCrashLoopBackOffMax,
    /// What a sync did to a pod is seen at once. Beta, on.
    PlegOnDemandRelist,
}

/// Which features are on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FeatureGates {
    set: BTreeMap<Gate, bool>,
}

/// A setting that means nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidGate {
    /// There is no such feature, or this agent has it not.
    #[error("unrecognized feature gate: {0}")]
    Unknown(String),
    /// It is not `Name=true` or `Name=false`.
    #[error("invalid feature gate {0:?}: it must be a name, '=', and true or false")]
    NotASetting(String),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Alpha,
    Beta,
}

impl Gate {
    /// All there are.
    pub const ALL: [Self; 6] = [
        Self::ChangeContainerStatusOnKubeletRestart,
        Self::CustomCpuCfsQuotaPeriod,
        Self::EventedPleg,
        Self::GracefulNodeShutdown,
        Self::KubeletCrashLoopBackOffMax,
        Self::PlegOnDemandRelist,
    ];

    /// What Kubernetes calls it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ChangeContainerStatusOnKubeletRestart => "ChangeContainerStatusOnKubeletRestart",
            Self::CustomCpuCfsQuotaPeriod => "CustomCPUCFSQuotaPeriod",
            Self::EventedPleg => "EventedPLEG",
            Self::GracefulNodeShutdown => "GracefulNodeShutdown",
            Self::KubeletCrashLoopBackOffMax => "KubeletCrashLoopBackOffMax",
            Self::PlegOnDemandRelist => "PLEGOnDemandRelist",
        }
    }

    const fn stage(self) -> Stage {
        match self {
            Self::ChangeContainerStatusOnKubeletRestart
            | Self::CustomCpuCfsQuotaPeriod
            | Self::EventedPleg => Stage::Alpha,
            Self::GracefulNodeShutdown
            | Self::KubeletCrashLoopBackOffMax
            | Self::PlegOnDemandRelist => Stage::Beta,
        }
    }
}

impl FeatureGates {
    /// Whether a feature is on.
    pub fn enabled(&self, gate: Gate) -> bool {
        let default = gate.stage() == Stage::Beta;
        self.set.get(&gate).copied().unwrap_or(default)
    }

    /// Turns a feature on or off.
    pub fn set(&mut self, gate: Gate, on: bool) {
        self.set.insert(gate, on);
    }

    /// Turns features on and off by their names; `AllAlpha` and `AllBeta` stand for all of a stage
    /// that are not named.
    ///
    /// # Errors
    ///
    /// All names that are not known.
    pub fn from_map(settings: &BTreeMap<String, bool>) -> Result<Self, Vec<InvalidGate>> {
        let mut gates = Self::default();
        let mut unknown = Vec::new();
        for (name, on) in settings {
            match Gate::ALL.into_iter().find(|gate| gate.as_str() == name) {
                Some(gate) => gates.set(gate, *on),
                None if matches!(name.as_str(), "AllAlpha" | "AllBeta") => {}
                None => unknown.push(InvalidGate::Unknown(name.clone())),
            }
        }
        for (name, stage) in [("AllAlpha", Stage::Alpha), ("AllBeta", Stage::Beta)] {
            let of_stage = Gate::ALL.into_iter().filter(|gate| gate.stage() == stage);
            if let Some(on) = settings.get(name) {
                for gate in of_stage {
                    gates.set.entry(gate).or_insert(*on);
                }
            }
        }
        if unknown.is_empty() {
            Ok(gates)
        } else {
            Err(unknown)
        }
    }
}

/// Reads the settings of a flag: `Name=true,Other=false`.
pub(super) fn settings(text: &str) -> Result<BTreeMap<String, bool>, InvalidGate> {
    let settings = text.split(',').map(str::trim);
    let settings = settings.filter(|setting| !setting.is_empty());
    let settings = settings.map(|setting| {
        let refuse = || InvalidGate::NotASetting(setting.to_owned());
        let (name, on) = setting.split_once('=').ok_or_else(refuse)?;
        let on = bool::from_str(&on.trim().to_lowercase()).map_err(|_| refuse())?;
        Ok((name.trim().to_owned(), on))
    });
    settings.collect()
}

impl fmt::Display for FeatureGates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (gate, on)) in self.set.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{}={on}", gate.as_str())?;
        }
        Ok(())
    }
}
