use std::collections::{BTreeMap, HashSet};

use tokio::time::Instant;

use super::{Effect, PodWorkers, Stage, effective_grace};
use crate::pod::PodUid;

/// A worker that is there after those that are of no use were pruned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownWorker {
    /// What it does for its pod.
    pub stage: Stage,
    /// Whether no source has its pod.
    pub is_orphan: bool,
    /// Whether a source ever had it.
    pub has_config: bool,
}

impl PodWorkers {
    /// Prunes finished workers whose pod no source has, or whose uid a source has anew, and has the
    /// others of such pods go on to their end. Returns those that are left.
    ///
    /// A uid that is desired and not returned is to be created.
    /// Only to be called when all sources have spoken. Answers to kubelet's `SyncKnownPods`.
    pub fn sync_known_pods(
        &mut self,
        desired: &HashSet<PodUid>,
        now: Instant,
    ) -> (BTreeMap<PodUid, KnownWorker>, Vec<Effect>) {
        self.is_synced = true;
        let (mut known, mut effects) = (BTreeMap::new(), Vec::new());
        let uids: BTreeMap<_, _> = self.states.keys().map(|uid| (uid.clone(), ())).collect();
        for uid in uids.into_keys() {
            let is_orphan = !desired.contains(&uid);
            if self.prune(&uid, is_orphan, now, &mut effects) {
                continue;
            }
            let Some(state) = self.states.get(&uid) else {
                continue;
            };
            let newest = state.active.as_ref().or(state.pending.as_ref());
            let pod = newest.and_then(|update| update.subject.pod());
            let worker = KnownWorker {
                stage: state.stage(),
                is_orphan,
                has_config: pod.is_some(),
            };
            known.insert(uid, worker);
        }
        // One that had its turn since another went may have gone itself.
        effects.retain(
            |effect| !matches!(effect, Effect::Wake(uid) if !self.states.contains_key(uid)),
        );
        (known, effects)
    }

    /// Returns whether the worker is gone.
    fn prune(
        &mut self,
        uid: &PodUid,
        is_orphan: bool,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) -> bool {
        let Some(state) = self.states.get_mut(uid) else {
            return true;
        };
        let begins_anew = state.is_restart_requested && state.is_finished;
        if !is_orphan && !begins_anew {
            return false;
        }
        if !state.is_finished {
            state.is_deleted = true;
            let was_started = state.started_at.is_some() || state.was_orphan;
            if was_started {
                // No source will tell it anything again.
                if state.terminating_at.is_none() {
                    state.terminating_at = Some(now);
                    let pod = state.known_subject().and_then(|subject| subject.pod());
                    let pod = pod.map(AsRef::as_ref);
                    state.grace = Some(effective_grace(state.grace, pod, None));
                }
                state.repeat();
                effects.push(Effect::Wake(uid.clone()));
                return false;
            }
            effects.extend(state.take_waiters().into_iter().map(Effect::Release));
            effects.push(Effect::Stop(uid.clone()));
        }
        effects.extend(self.forget(uid));
        true
    }
}
