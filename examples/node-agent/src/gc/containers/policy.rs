use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::pod::PodUid;
use crate::runtime::{ListedContainer, ListedPod, RuntimeState};

/// Which dead containers are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ContainerGcPolicy {
    /// Containers that were made later than so long ago. Default: 0.
    pub min_age: Duration,
    /// How many of one name in one pod; all if this is `None`. Default: 1.
    pub max_per_pod_container: Option<usize>,
    /// How many on the node; all if this is `None`. Default: `None`.
    pub max_containers: Option<usize>,
}

impl Default for ContainerGcPolicy {
    fn default() -> Self {
        Self {
            min_age: Duration::ZERO,
            max_per_pod_container: Some(1),
            max_containers: None,
        }
    }
}

/// The dead containers of one name in one pod, newest first.
type Units<'a> = BTreeMap<(&'a PodUid, &'a str), Vec<&'a ListedContainer>>;

/// The containers that are to be removed, of all that the runtime has: those of pods that are of no
/// use, and of the others the oldest of those that are more than a policy keeps.
///
/// What runs stays. Answers to the `evictContainers` of `kuberuntime`.
pub fn removable_containers(
    pods: &[ListedPod],
    policy: ContainerGcPolicy,
    is_useless: impl Fn(&PodUid) -> bool,
    now: Timestamp,
) -> Vec<Arc<str>> {
    let mut units = dead(pods, policy.min_age, now);
    let mut removed = Vec::new();
    units.retain(|(uid, _), containers| {
        let is_useless = is_useless(uid);
        if is_useless {
            removed.append(containers);
        }
        !is_useless
    });
    units.values_mut().for_each(leave_beginning);
    if let Some(most) = policy.max_per_pod_container {
        limit(&mut units, most, &mut removed);
    }
    let count = |units: &Units<'_>| units.values().map(Vec::len).sum::<usize>();
    if let Some(most) = policy.max_containers
        && count(&units) > most
    {
        // Each has as many as the others, and one at least, as long as that is not too many.
        let each = most.checked_div(units.len()).unwrap_or(most).max(1);
        limit(&mut units, each, &mut removed);
        let mut left: Vec<_> = units.into_values().flatten().collect();
        left.sort_by_key(|container| Reverse(container.created_at));
        removed.extend(left.into_iter().skip(most));
    }
    removed.iter().map(|it| it.id.id.clone()).collect()
}

fn dead(pods: &[ListedPod], min_age: Duration, now: Timestamp) -> Units<'_> {
    let min_age = SignedDuration::try_from(min_age).unwrap_or(SignedDuration::MAX);
    let mut units = Units::new();
    for pod in pods {
        for container in &pod.containers {
            // One that is yet to be made by the clock here is as old as if it was made now.
            let age = now.duration_since(container.created_at);
            let is_old = age.max(SignedDuration::ZERO) >= min_age;
            if is_old && container.state != RuntimeState::Running {
                let unit = units.entry((&pod.uid, &*container.name)).or_default();
                unit.push(container);
            }
        }
    }
    for unit in units.values_mut() {
        unit.sort_by_key(|container| Reverse((container.attempt, container.created_at)));
    }
    units
}

/// The newest one that was made and not started is about to be: it is none of the dead, and the one
/// before it is still the last that died.
fn leave_beginning(unit: &mut Vec<&ListedContainer>) {
    if unit
        .first()
        .is_some_and(|newest| newest.state == RuntimeState::Created)
    {
        unit.remove(0);
    }
}

fn limit<'a>(units: &mut Units<'a>, most: usize, removed: &mut Vec<&'a ListedContainer>) {
    for unit in units.values_mut() {
        removed.extend(unit.drain(most.min(unit.len())..));
    }
    units.retain(|_, unit| !unit.is_empty());
}
