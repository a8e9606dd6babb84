use std::collections::HashMap;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use kubewright_cri::Error;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::pod::{PodName, PodUid};
use crate::runtime::ObservedPod;

/// What the runtime said of a pod, or why it said nothing.
pub type Observation = Result<Arc<ObservedPod>, Error>;

/// When something was begun, in the order of all that one [`PodCache`] has stamped.
///
/// What has a later stamp than something else was begun after it. Clocks cannot promise that: two
/// things may happen at one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamp(u64);

/// What the runtime said last of each pod, and when.
///
/// Cheap to clone; clones are the same cache. [`PlegDriver`](super::PlegDriver) fills it. It knows
/// all pods that the runtime has anything of: one that it does not know has nothing.
///
/// # Guarantees
///
/// - An older observation never replaces a newer one.
/// - [`newer_than`](Self::newer_than) returns what was begun to be observed after the given stamp
///   was taken.
///
/// Answers to kubelet's `kubecontainer.Cache`.
#[derive(Clone, Debug, Default)]
pub struct PodCache {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    last: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    pods: HashMap<PodUid, Entry>,
    /// All that is known was so at this time.
    all: Option<Stamp>,
    /// Those who wait for something newer; each looks again when it is told.
    waiting: HashMap<PodUid, Vec<oneshot::Sender<()>>>,
}

#[derive(Debug)]
struct Entry {
    observation: Observation,
    at: Stamp,
}

impl PodCache {
    /// A cache that knows nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// A stamp that is later than all that were given out.
    pub fn stamp(&self) -> Stamp {
        // From 1 on, so that no stamp is the start of all.
        Stamp(self.shared.last.fetch_add(1, Ordering::SeqCst) + 1)
    }

    /// How many pods the runtime has anything of.
    pub fn len(&self) -> usize {
        self.shared.state.lock().pods.len()
    }

    /// Whether it has nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What was said last of a pod; `None` if the runtime has nothing of it, as far as is known.
    pub fn get(&self, uid: &PodUid) -> Option<Observation> {
        let state = self.shared.state.lock();
        Some(state.pods.get(uid)?.observation.clone())
    }

    /// Takes an observation that was begun at this stamp, and returns whether it was the newest.
    pub fn set(&self, uid: &PodUid, observation: Observation, at: Stamp) -> bool {
        let mut state = self.shared.state.lock();
        if state.pods.get(uid).is_some_and(|known| known.at > at) {
            return false;
        }
        state.pods.insert(uid.clone(), Entry { observation, at });
        tell(state.waiting.remove(uid).unwrap_or_default());
        true
    }

    /// Forgets a pod of which the runtime had nothing at this stamp. Who waits for it goes on
    /// waiting until all is [that new](Self::advance).
    pub fn remove(&self, uid: &PodUid, at: Stamp) {
        let mut state = self.shared.state.lock();
        if state.pods.get(uid).is_some_and(|known| known.at <= at) {
            state.pods.remove(uid);
        }
    }

    /// Says that all that is known, also of pods that are not, was so at this stamp.
    pub fn advance(&self, at: Stamp) {
        let mut state = self.shared.state.lock();
        state.all = state.all.max(Some(at));
        let waiting = mem::take(&mut state.waiting);
        waiting.into_values().for_each(tell);
    }

    /// What is known of a pod if that was begun to be observed after a stamp; without a stamp, if
    /// anything is known of it at all. A pod of which the runtime has nothing is known to have
    /// nothing.
    pub fn if_newer_than(
        &self,
        uid: &PodUid,
        name: &PodName,
        after: Option<Stamp>,
    ) -> Option<Observation> {
        self.shared.state.lock().newer(uid, name, after)
    }

    /// Waits for [`if_newer_than`](Self::if_newer_than).
    ///
    /// # Errors
    ///
    /// What was observed is that the pod could not be looked at.
    ///
    /// # Cancel safety
    ///
    /// Safe: nothing is consumed.
    pub async fn newer_than(
        &self,
        uid: &PodUid,
        name: &PodName,
        after: Option<Stamp>,
    ) -> Observation {
        loop {
            let told = {
                let mut state = self.shared.state.lock();
                if let Some(observation) = state.newer(uid, name, after) {
                    return observation;
                }
                let (tell, told) = oneshot::channel();
                state.waiting.entry(uid.clone()).or_default().push(tell);
                told
            };
            // Either way it is time to look again.
            let _ = told.await;
        }
    }
}

impl State {
    fn newer(&self, uid: &PodUid, name: &PodName, after: Option<Stamp>) -> Option<Observation> {
        let is_newer = |at: Stamp| after.is_none_or(|after| at > after);
        let all_is = self.all.is_some_and(is_newer);
        match self.pods.get(uid) {
            Some(entry) => (all_is || is_newer(entry.at)).then(|| entry.observation.clone()),
            None => all_is.then(|| Ok(Arc::new(ObservedPod::unknown(uid.clone(), name.clone())))),
        }
    }
}

fn tell(waiting: Vec<oneshot::Sender<()>>) {
    for waiter in waiting {
        // It may have given up.
        let _ = waiter.send(());
    }
}
