use std::collections::{HashMap, VecDeque};

use crate::pod::{PodName, PodUid};

/// Lets static pods of one name run one at a time, in the order in which they came.
///
/// Answers to kubelet's `allowStaticPodStart`.
#[derive(Clone, Debug, Default)]
pub(super) struct StaticOrder {
    started: HashMap<PodName, PodUid>,
    waiting: HashMap<PodName, VecDeque<PodUid>>,
}

impl StaticOrder {
    /// A pod has come.
    pub(super) fn arrive(&mut self, name: &PodName, uid: &PodUid) {
        let waiting = self.waiting.entry(name.clone()).or_default();
        waiting.push_back(uid.clone());
    }

    /// Starts a pod if it is its turn, and says whether it was. Pods that do not live have none.
    pub(super) fn try_start(
        &mut self,
        name: &PodName,
        uid: &PodUid,
        lives: impl Fn(&PodUid) -> bool,
    ) -> bool {
        if let Some(started) = self.started.get(name) {
            return started == uid;
        }
        if let Some(waiting) = self.waiting.get_mut(name) {
            while waiting.front().is_some_and(|first| !lives(first)) {
                waiting.pop_front();
            }
            match waiting.front() {
                Some(first) if first != uid => return false,
                _ => waiting.pop_front(),
            };
            if waiting.is_empty() {
                self.waiting.remove(name);
            }
        }
        self.started.insert(name.clone(), uid.clone());
        true
    }

    /// A pod is gone: the next one may start.
    pub(super) fn leave(&mut self, name: &PodName, uid: &PodUid) {
        if self.started.get(name) == Some(uid) {
            self.started.remove(name);
        }
        if let Some(waiting) = self.waiting.get_mut(name) {
            waiting.retain(|other| other != uid);
            if waiting.is_empty() {
                self.waiting.remove(name);
            }
        }
    }

    /// Those that wait for their turn, if no other has it.
    pub(super) fn next(&self, name: &PodName) -> impl Iterator<Item = &PodUid> {
        let is_free = !self.started.contains_key(name);
        let waiting = self.waiting.get(name).filter(|_| is_free);
        waiting.into_iter().flatten()
    }

    /// Which pod of a name has started.
    pub(super) fn started(&self, name: &PodName) -> Option<&PodUid> {
        self.started.get(name)
    }
}
