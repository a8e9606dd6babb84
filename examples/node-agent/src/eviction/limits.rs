use k8s_openapi::api::core::v1::{Pod, ResourceRequirements};

use super::PodUsage;
use crate::pod::containers;
use crate::resources::{PodAmounts, amount};

const EPHEMERAL_STORAGE: &str = "ephemeral-storage";

/// Whether anything limits how much of the disk a pod may use.
pub(super) fn has_local_storage_limit(pod: &Pod) -> bool {
    let spec = pod.spec.as_ref();
    let mut volumes = spec
        .and_then(|spec| spec.volumes.as_ref())
        .into_iter()
        .flatten();
    let has_limit = |resources: &ResourceRequirements| {
        amount(resources.limits.as_ref(), EPHEMERAL_STORAGE).is_some()
    };
    volumes.any(|volume| {
        let source = volume.empty_dir.as_ref();
        source.is_some_and(|source| source.size_limit.is_some())
    }) || containers(pod).any(|container| container.spec.resources.as_ref().is_some_and(has_limit))
}

/// Why a pod must go that uses more of the disk than it may: a volume with a size limit, the pod as
/// a whole, or a container. `None` if it keeps to its limits.
///
/// Answers to `localStorageEviction` of Kubernetes 1.36.
pub fn local_storage_excess(pod: &Pod, usage: &PodUsage) -> Option<String> {
    volume_excess(pod, usage)
        .or_else(|| pod_excess(pod, usage))
        .or_else(|| container_excess(pod, usage))
}

fn volume_excess(pod: &Pod, usage: &PodUsage) -> Option<String> {
    let volumes = pod.spec.as_ref()?.volumes.iter().flatten();
    volumes.into_iter().find_map(|volume| {
        let limit = volume.empty_dir.as_ref()?.size_limit.as_ref()?;
        let limit: kubewright_quantity::Quantity = limit.0.parse().ok()?;
        let used = usage.volumes.get(&volume.name)?;
        let name = &volume.name;
        let exceeds = limit.value() > 0 && exceeds(*used, limit.value());
        exceeds
            .then(|| format!("Usage of EmptyDir volume \"{name}\" exceeds the limit \"{limit}\". "))
    })
}

fn pod_excess(pod: &Pod, usage: &PodUsage) -> Option<String> {
    let limits = PodAmounts::of(pod).limits;
    let limit = limits.get(EPHEMERAL_STORAGE)?;
    exceeds(usage.disk(), limit.value()).then(|| {
        format!("Pod ephemeral local storage usage exceeds the total limit of containers {limit}. ")
    })
}

fn container_excess(pod: &Pod, usage: &PodUsage) -> Option<String> {
    containers(pod).find_map(|container| {
        let resources = container.spec.resources.as_ref()?;
        let limit = amount(resources.limits.as_ref(), EPHEMERAL_STORAGE)?;
        let name = &container.spec.name;
        let used = usage.containers.iter().find(|it| it.name == *name)?;
        exceeds(used.disk, limit.value()).then(|| {
            format!("Container {name} exceeded its local ephemeral storage limit \"{limit}\". ")
        })
    })
}

fn exceeds(used: u64, limit: i64) -> bool {
    i128::from(used) > i128::from(limit)
}
