use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;

use super::{PodUsage, Starved};
use crate::pod::PodUid;
use crate::resources::PodAmounts;

/// The order in which pods are evicted for want of something: those first of which nothing is
/// known, then those that use more than they asked for, those of lower priority, and those that use
/// most beyond what they asked for.
///
/// Answers to `rankMemoryPressure`, `rankDiskPressureFunc` and `rankPIDPressure`; by how many
/// processes they have, pods are not ranked.
pub fn rank(pods: &mut [Arc<Pod>], usages: &HashMap<PodUid, PodUsage>, starved: Starved) {
    pods.sort_by_cached_key(|pod| {
        let usage = usages.get(&PodUid::of(pod));
        let used = usage.map(|usage| i128::from(usage.of(starved)));
        let beyond = used.map(|used| used - i128::from(requested(pod, starved)));
        let is_beyond = beyond.is_some_and(|beyond| beyond > 0);
        // Processes and inodes cannot be asked for.
        let counts = matches!(starved, Starved::Memory | Starved::EphemeralStorage);
        (
            used.is_some(),
            Reverse(counts && is_beyond),
            priority(pod),
            Reverse(beyond),
        )
    });
}

fn priority(pod: &Pod) -> i32 {
    let spec = pod.spec.as_ref();
    spec.and_then(|spec| spec.priority).unwrap_or_default()
}

/// How much a pod asks for of something.
fn requested(pod: &Pod, starved: Starved) -> i64 {
    let requests = PodAmounts::of(pod).requests;
    let request = requests.get(&starved.to_string());
    request.map_or(0, |amount| amount.value())
}
