use std::collections::HashMap;

use crate::pod::PodUid;

/// Why containers could not be started, for statuses to tell.
///
/// Answers to kubelet's `ReasonCache`.
#[derive(Clone, Debug, Default)]
pub struct StartFailures {
    by_pod: HashMap<PodUid, HashMap<String, StartFailure>>,
}

/// Why a container could not be started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartFailure {
    /// In a word: `CrashLoopBackOff`, `ErrImagePull`, `CreateContainerConfigError`…
    pub reason: String,
    /// For people.
    pub message: String,
}

impl StartFailures {
    /// Why a container could not be started; `None` if it could, or nobody tried.
    pub fn get(&self, uid: &PodUid, container: &str) -> Option<&StartFailure> {
        self.by_pod.get(uid)?.get(container)
    }

    /// Says that a container could not be started.
    pub fn record(&mut self, uid: &PodUid, container: &str, failure: StartFailure) {
        let of_pod = self.by_pod.entry(uid.clone()).or_default();
        of_pod.insert(container.into(), failure);
    }

    /// Says that a container was started.
    pub fn started(&mut self, uid: &PodUid, container: &str) {
        if let Some(of_pod) = self.by_pod.get_mut(uid) {
            of_pod.remove(container);
            if of_pod.is_empty() {
                self.by_pod.remove(uid);
            }
        }
    }

    /// How many pods have a container that could not be started.
    pub fn len(&self) -> usize {
        self.by_pod.len()
    }

    /// Whether no pod has one.
    pub fn is_empty(&self) -> bool {
        self.by_pod.is_empty()
    }

    /// Forgets all pods but those that are wanted.
    pub fn retain(&mut self, is_wanted: impl Fn(&PodUid) -> bool) {
        self.by_pod.retain(|uid, _| is_wanted(uid));
    }
}
