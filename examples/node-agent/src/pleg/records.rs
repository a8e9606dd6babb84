use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{LifecycleChange, PodLifecycleEvent};
use crate::pod::{PodName, PodUid};
use crate::runtime::{ListedPod, ObservedPod, RuntimeState};

/// The states of the containers or the sandboxes of a pod, by what the runtime calls them. A sandbox
/// runs if it is ready, and has ended otherwise.
type States = BTreeMap<Arc<str>, RuntimeState>;

/// What was last told of each pod, so that what changed can be told. Synchronous.
///
/// A pod that could not be looked at is [failed](Self::fail), and is looked at again with the next
/// list, until that went well; only then its changes are told.
#[derive(Clone, Debug, Default)]
pub struct Records {
    pods: BTreeMap<PodUid, Record>,
    failed: BTreeSet<PodUid>,
}

/// What was last told of a pod.
#[derive(Clone, Debug)]
pub(super) struct Record {
    name: PodName,
    states: PodStates,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct PodStates {
    sandboxes: States,
    containers: States,
}

/// How many pods and containers the runtime has.
///
/// Answers to the metrics `kubelet_running_pods` and `kubelet_running_containers`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunningCounts {
    /// Pods with a sandbox that is ready.
    pub pods: usize,
    /// Containers that run.
    pub running: usize,
    /// Containers that have ended.
    pub exited: usize,
    /// Containers that were not started yet.
    pub created: usize,
    /// Containers of which the runtime does not know.
    pub unknown: usize,
}

impl Records {
    /// The pods of a list that are to be looked at closely: something in them has changed, or
    /// looking at them failed.
    pub fn to_inspect(&self, listed: &[ListedPod]) -> Vec<(PodUid, PodName)> {
        let changed = listed.iter().filter(|pod| {
            let known = self.pods.get(&pod.uid).map(|record| &record.states);
            self.failed.contains(&pod.uid) || known != Some(&PodStates::listed(pod))
        });
        changed
            .map(|pod| (pod.uid.clone(), pod.name.clone()))
            .collect()
    }

    /// The pods that are known and not in a list.
    pub fn missing(&self, listed: &[ListedPod]) -> Vec<PodUid> {
        let listed: BTreeSet<_> = listed.iter().map(|pod| &pod.uid).collect();
        let known: BTreeSet<_> = self.pods.keys().chain(&self.failed).collect();
        known.difference(&listed).copied().cloned().collect()
    }

    /// Takes in what a pod looks like, and tells what has changed in it.
    pub fn observe(&mut self, observed: &ObservedPod) -> Vec<PodLifecycleEvent> {
        self.failed.remove(&observed.uid);
        let new = PodStates::observed(observed);
        let record = Record {
            name: observed.name.clone(),
            states: new.clone(),
        };
        let old = self.pods.insert(observed.uid.clone(), record);
        changes(&observed.uid, old.map(|old| old.states), &new)
    }

    /// Notes that a pod could not be looked at.
    pub fn fail(&mut self, uid: &PodUid) {
        self.failed.insert(uid.clone());
    }

    /// Whether there is a pod that could not be looked at: what is known of it may be old.
    pub fn has_failed(&self) -> bool {
        !self.failed.is_empty()
    }

    /// Takes in that the runtime has nothing of a pod, and tells what has changed.
    pub fn remove(&mut self, uid: &PodUid) -> Vec<PodLifecycleEvent> {
        self.failed.remove(uid);
        let old = self.pods.remove(uid).map(|old| old.states);
        changes(uid, old, &PodStates::default())
    }

    /// What was last told of a pod, to be [put back](Self::put_back) if what has changed since cannot
    /// be told.
    pub(super) fn get(&self, uid: &PodUid) -> Option<Record> {
        self.pods.get(uid).cloned()
    }

    /// Nobody was told of the last change of a pod: the next list finds it anew.
    pub(super) fn put_back(&mut self, uid: PodUid, record: Option<Record>) {
        match record {
            Some(record) => self.pods.insert(uid, record),
            None => self.pods.remove(&uid),
        };
    }

    /// Which pod a container or a sandbox was last seen in.
    pub fn owner(&self, container: &str) -> Option<(PodUid, PodName)> {
        let mut pods = self.pods.iter();
        let (uid, record) = pods.find(|(_, record)| record.states.get(container).is_some())?;
        Some((uid.clone(), record.name.clone()))
    }

    /// How many pods and containers there are.
    pub fn counts(&self) -> RunningCounts {
        let mut counts = RunningCounts::default();
        for record in self.pods.values() {
            let mut sandboxes = record.states.sandboxes.values();
            counts.pods += usize::from(sandboxes.any(|state| *state == RuntimeState::Running));
            for state in record.states.containers.values() {
                *match state {
                    RuntimeState::Running => &mut counts.running,
                    RuntimeState::Exited => &mut counts.exited,
                    RuntimeState::Created => &mut counts.created,
                    RuntimeState::Unknown => &mut counts.unknown,
                } += 1;
            }
        }
        counts
    }
}

impl PodStates {
    fn listed(pod: &ListedPod) -> Self {
        let sandboxes = pod.sandboxes.iter();
        let sandboxes = sandboxes.map(|it| (it.id.clone(), state_of_sandbox(it.is_ready)));
        let containers = pod.containers.iter();
        let containers = containers.map(|it| (it.id.id.clone(), it.state));
        Self {
            sandboxes: sandboxes.collect(),
            containers: containers.collect(),
        }
    }

    fn observed(pod: &ObservedPod) -> Self {
        let sandboxes = pod.sandboxes.iter();
        let sandboxes = sandboxes.map(|it| (it.id.clone(), state_of_sandbox(it.is_ready)));
        let containers = pod.containers.iter();
        let containers = containers.map(|it| (it.id.id.clone(), it.state));
        Self {
            sandboxes: sandboxes.collect(),
            containers: containers.collect(),
        }
    }

    fn ids(&self) -> impl Iterator<Item = &Arc<str>> {
        self.sandboxes.keys().chain(self.containers.keys())
    }

    fn get(&self, id: &str) -> Option<RuntimeState> {
        let state = self.containers.get(id);
        state.or_else(|| self.sandboxes.get(id)).copied()
    }
}

/// Answers to kubelet's `computeEvents`.
fn changes(uid: &PodUid, old: Option<PodStates>, new: &PodStates) -> Vec<PodLifecycleEvent> {
    let old = old.unwrap_or_default();
    let ids: BTreeSet<_> = old.ids().chain(new.ids()).collect();
    let of = |id: &Arc<str>| {
        let changes = changes_between(old.get(id), new.get(id)).iter();
        let events = changes.map(|change| PodLifecycleEvent {
            pod: uid.clone(),
            container: id.clone(),
            change: *change,
        });
        events.collect::<Vec<_>>()
    };
    ids.into_iter().flat_map(of).collect()
}

fn changes_between(
    old: Option<RuntimeState>,
    new: Option<RuntimeState>,
) -> &'static [LifecycleChange] {
    use LifecycleChange::{Changed, Died, Removed, Started};

    if old == new {
        return &[];
    }
    match (old, new) {
        (_, Some(RuntimeState::Running)) => &[Started],
        (_, Some(RuntimeState::Exited)) => &[Died],
        (_, Some(RuntimeState::Created | RuntimeState::Unknown)) => &[Changed],
        // It was told of that it died.
        (Some(RuntimeState::Exited), None) => &[Removed],
        (_, None) => &[Died, Removed],
    }
}

fn state_of_sandbox(is_ready: bool) -> RuntimeState {
    if is_ready {
        RuntimeState::Running
    } else {
        RuntimeState::Exited
    }
}
