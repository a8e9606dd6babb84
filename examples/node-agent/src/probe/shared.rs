use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{ProbeKind, ProbeOutcome, ResultEffect};
use crate::pod::{ContainerKind, PodUid, containers};
use crate::runtime::{ContainerId, ObservedPod, RuntimeState};

/// Which probe of which container of which pod.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct ProbeKey {
    pub(super) pod: PodUid,
    pub(super) container: String,
    pub(super) kind: ProbeKind,
}

/// A worker that is to be started, and what it is told by.
#[derive(Clone, Debug)]
pub(super) struct Ticket {
    pub(super) key: ProbeKey,
    pub(super) pod: Arc<Pod>,
    /// The container, if it ran when the worker was asked for, which was then.
    pub(super) inherited: Option<ContainerId>,
    pub(super) asked_at: Instant,
    /// Tells a worker from another one that probed the same before.
    pub(super) number: u64,
    pub(super) stop: CancellationToken,
    pub(super) prompt: Arc<Notify>,
}

/// What the handles, the driver and the workers share.
#[derive(Debug, Default)]
pub(super) struct Shared {
    state: Mutex<State>,
    /// There are workers to start.
    pub(super) wanted: Notify,
}

#[derive(Debug, Default)]
struct State {
    workers: HashMap<ProbeKey, Entry>,
    results: HashMap<(ProbeKind, ContainerId), ProbeOutcome>,
    /// Asked for, and not started yet.
    to_start: Vec<Ticket>,
    next_number: u64,
}

/// A worker, at work or not: what it came to holds until its pod is removed.
#[derive(Debug)]
struct Entry {
    number: u64,
    stop: CancellationToken,
    prompt: Arc<Notify>,
    /// The container that it has a result for.
    container: Option<ContainerId>,
}

impl Shared {
    pub(super) fn add(&self, pod: &Arc<Pod>, observed: &ObservedPod) {
        let mut state = self.state.lock();
        for container in containers(pod) {
            if !matches!(
                container.kind,
                ContainerKind::Regular | ContainerKind::Sidecar
            ) {
                continue;
            }
            let seen = observed.container(&container.spec.name);
            let inherited = seen.filter(|it| it.state == RuntimeState::Running);
            let inherited = inherited.map(|it| &it.id);
            for kind in ProbeKind::ALL {
                if kind.of(&container.spec).is_some() {
                    let key = ProbeKey {
                        pod: PodUid::of(pod),
                        container: container.spec.name.clone(),
                        kind,
                    };
                    state.add(key, pod, inherited);
                }
            }
        }
        drop(state);
        self.wanted.notify_one();
    }

    /// The workers that are to be started.
    pub(super) fn take_wanted(&self) -> Vec<Ticket> {
        let wanted = std::mem::take(&mut self.state.lock().to_start);
        let wanted = wanted.into_iter();
        wanted.filter(|it| !it.stop.is_cancelled()).collect()
    }

    /// Stops the workers that a condition holds for; their results stay.
    pub(super) fn stop(&self, is_meant: impl Fn(&ProbeKey) -> bool) {
        let state = self.state.lock();
        let meant = state.workers.iter().filter(|(key, _)| is_meant(key));
        for (_, entry) in meant {
            entry.stop.cancel();
        }
    }

    /// Stops the workers of pods that a condition holds for, and forgets all of them.
    pub(super) fn remove(&self, is_meant: impl Fn(&PodUid) -> bool) {
        let mut state = self.state.lock();
        let State {
            workers, results, ..
        } = &mut *state;
        workers.retain(|key, entry| {
            let goes = is_meant(&key.pod);
            if goes {
                entry.stop.cancel();
                if let Some(id) = entry.container.take() {
                    results.remove(&(key.kind, id));
                }
            }
            !goes
        });
    }

    pub(super) fn cleanup(&self, wanted: &HashSet<PodUid>) {
        self.remove(|uid| !wanted.contains(uid));
    }

    /// Has the readiness probes of a pod asked at once that have not succeeded yet.
    pub(super) fn prompt(&self, uid: &PodUid) {
        let state = self.state.lock();
        for (key, entry) in &state.workers {
            if key.pod != *uid || key.kind != ProbeKind::Readiness {
                continue;
            }
            let result = entry.container.as_ref();
            let result = result.and_then(|id| state.results.get(&(key.kind, id.clone())));
            if result != Some(&ProbeOutcome::Success) {
                entry.prompt.notify_one();
            }
        }
    }

    pub(super) fn result(&self, kind: ProbeKind, id: &ContainerId) -> Option<ProbeOutcome> {
        self.state.lock().results.get(&(kind, id.clone())).copied()
    }

    /// Takes in what a worker found out, unless it was removed meanwhile. Whether that is news.
    pub(super) fn apply(&self, ticket: &Ticket, effect: &ResultEffect) -> bool {
        let kind = ticket.key.kind;
        let mut state = self.state.lock();
        let State {
            workers, results, ..
        } = &mut *state;
        let entry = workers.get_mut(&ticket.key);
        let Some(entry) = entry.filter(|entry| entry.number == ticket.number) else {
            return false;
        };
        match effect {
            ResultEffect::Set(id, outcome) => {
                entry.container = Some(id.clone());
                results.insert((kind, id.clone()), *outcome) != Some(*outcome)
            }
            ResultEffect::Forget(id) => {
                results.remove(&(kind, id.clone()));
                false
            }
        }
    }

    /// How many probes are known, at work or not.
    pub(super) fn len(&self) -> usize {
        self.state.lock().workers.len()
    }
}

impl State {
    fn add(&mut self, key: ProbeKey, pod: &Arc<Pod>, inherited: Option<&ContainerId>) {
        if self.workers.contains_key(&key) {
            return;
        }
        let ticket = Ticket {
            key: key.clone(),
            pod: Arc::clone(pod),
            inherited: inherited.cloned(),
            asked_at: Instant::now(),
            number: self.next_number,
            stop: CancellationToken::new(),
            prompt: Arc::default(),
        };
        self.next_number += 1;
        let entry = Entry {
            number: ticket.number,
            stop: ticket.stop.clone(),
            prompt: Arc::clone(&ticket.prompt),
            container: None,
        };
        self.workers.insert(key, entry);
        self.to_start.push(ticket);
    }
}
