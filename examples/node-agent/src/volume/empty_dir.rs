use k8s_openapi::api::core::v1::{EmptyDirVolumeSource, Pod};
use kubewright_quantity::Quantity;

use super::VolumeError;
use crate::resources::{Amounts, PodAmounts, amount};

/// What an empty directory is kept on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Medium {
    /// The disk that the agent's own files are on.
    Disk,
    /// Memory, which counts as the pod's.
    Memory,
}

impl Medium {
    /// The medium of a volume.
    ///
    /// # Errors
    ///
    /// If it is one that this agent does not do.
    pub fn of(source: &EmptyDirVolumeSource) -> Result<Self, VolumeError> {
        match source.medium.as_deref() {
            None | Some("") => Ok(Self::Disk),
            Some("Memory") => Ok(Self::Memory),
            Some(other) => {
                let what = format!("an emptyDir of medium {other}");
                Err(VolumeError::Unsupported(what))
            }
        }
    }
}

/// How large an empty directory in memory may grow, in bytes; `None` if nothing says.
///
/// The least of the volume's own limit, the memory of the pod if all of it is limited, and what the
/// node has to give. Answers to upstream's `calculateEmptyDirMemorySize`.
pub fn tmpfs_size(source: &EmptyDirVolumeSource, pod: &Pod, allocatable: &Amounts) -> Option<i64> {
    let node = allocatable.get("memory").copied();
    let own = source.size_limit.as_ref();
    let own = own.and_then(|limit| limit.0.parse::<Quantity>().ok());
    let limits = [node, pod_memory(pod), own];
    let limits = limits.into_iter().flatten();
    let least = limits.filter(|limit| *limit > Quantity::ZERO).min();
    least.map(Quantity::value)
}

/// The most memory of a pod; `None` if a container of it may take any.
fn pod_memory(pod: &Pod) -> Option<Quantity> {
    let spec = pod.spec.as_ref()?;
    let containers = spec.containers.iter();
    let mut containers = containers.chain(spec.init_containers.iter().flatten());
    let is_limited = containers.all(|container| {
        let resources = container.resources.as_ref();
        let limits = resources.and_then(|resources| resources.limits.as_ref());
        amount(limits, "memory").is_some_and(|limit| limit > Quantity::ZERO)
    });
    let limit = PodAmounts::of(pod).limits.get("memory").copied();
    limit.filter(|_| is_limited)
}
