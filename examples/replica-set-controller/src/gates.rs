use std::fmt;
use std::str::FromStr;

/// The feature gates that change what the controller does, with the defaults of Kubernetes 1.36.
///
/// # Example
///
/// ```
/// use replica_set_controller::FeatureGates;
///
/// let gates: FeatureGates = "PodDeletionCost=false,LogarithmicScaleDown=true".parse()?;
/// assert!(!gates.pod_deletion_cost);
/// assert!(gates.stale_controller_consistency);
/// # Ok::<(), replica_set_controller::InvalidGates>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FeatureGates {
    /// `PodDeletionCost`: pods with a lower `controller.kubernetes.io/pod-deletion-cost` are
    /// deleted first. Default: on.
    pub pod_deletion_cost: bool,
    /// `LogarithmicScaleDown`: ages are compared by their binary logarithm, so that pods of
    /// about the same age are equally likely to go. Default: on.
    pub logarithmic_scale_down: bool,
    /// `DeploymentReplicaSetTerminatingReplicas`: `status.terminatingReplicas` is reported.
    /// Default: on.
    pub terminating_replicas: bool,
    /// `StaleControllerConsistencyReplicaSet`: a sync waits until the caches have seen what the
    /// controller itself wrote. Default: on.
    pub stale_controller_consistency: bool,
}

impl Default for FeatureGates {
    fn default() -> Self {
        Self {
            pod_deletion_cost: true,
            logarithmic_scale_down: true,
            terminating_replicas: true,
            stale_controller_consistency: true,
        }
    }
}

impl FeatureGates {
    fn gate(&mut self, name: &str) -> Option<&mut bool> {
        match name {
            "PodDeletionCost" => Some(&mut self.pod_deletion_cost),
            "LogarithmicScaleDown" => Some(&mut self.logarithmic_scale_down),
            "DeploymentReplicaSetTerminatingReplicas" => Some(&mut self.terminating_replicas),
            "StaleControllerConsistencyReplicaSet" => Some(&mut self.stale_controller_consistency),
            _ => None,
        }
    }
}

impl FromStr for FeatureGates {
    type Err = InvalidGates;

    /// Reads `Name=true,Other=false` over the defaults, as Kubernetes' `--feature-gates` does.
    fn from_str(text: &str) -> Result<Self, InvalidGates> {
        let mut gates = Self::default();
        for setting in text
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty())
        {
            let Some((name, value)) = setting.split_once('=') else {
                return Err(InvalidGates::NoValue(setting.into()));
            };
            let value = value
                .trim()
                .parse()
                .map_err(|_| InvalidGates::NoBoolean(setting.into()))?;
            let gate = gates
                .gate(name.trim())
                .ok_or_else(|| InvalidGates::Unknown(name.into()))?;
            *gate = value;
        }
        Ok(gates)
    }
}

impl fmt::Display for FeatureGates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            pod_deletion_cost,
            logarithmic_scale_down,
            terminating_replicas,
            stale_controller_consistency,
        } = self;
        write!(
            f,
            "PodDeletionCost={pod_deletion_cost},\
             LogarithmicScaleDown={logarithmic_scale_down},\
             DeploymentReplicaSetTerminatingReplicas={terminating_replicas},\
             StaleControllerConsistencyReplicaSet={stale_controller_consistency}"
        )
    }
}

/// Why a list of feature gates was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidGates {
    /// A part has no `=`.
    #[error("{0:?} is not of the form Name=true or Name=false")]
    NoValue(String),
    /// The value is neither `true` nor `false`.
    #[error("{0:?}: the value is neither true nor false")]
    NoBoolean(String),
    /// No gate of that name concerns this controller.
    #[error("{0:?} is not a feature gate of this controller")]
    Unknown(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_displayed_reads_back() {
        let gates = FeatureGates {
            logarithmic_scale_down: false,
            ..FeatureGates::default()
        };
        assert_eq!(gates.to_string().parse(), Ok(gates));
    }

    #[test]
    fn nonsense_is_refused() {
        let parse = |text: &str| text.parse::<FeatureGates>();
        assert_eq!(parse(""), Ok(FeatureGates::default()));
        assert_eq!(
            parse("PodDeletionCost"),
            Err(InvalidGates::NoValue("PodDeletionCost".into()))
        );
        assert_eq!(
            parse("PodDeletionCost=on"),
            Err(InvalidGates::NoBoolean("PodDeletionCost=on".into()))
        );
        assert_eq!(
            parse("Nope=true"),
            Err(InvalidGates::Unknown("Nope".into()))
        );
    }
}
