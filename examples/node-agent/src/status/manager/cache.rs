use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Pod, PodStatus};
use tokio::time::Instant;

use crate::moment::Moment;
use crate::pod::{
    PodDirectory, PodName, PodUid, is_deleting, is_mirror, is_phase_terminal, is_static,
};
use crate::status::equality::is_same;
use crate::status::settle::normalized;
use crate::status::{IllegalTransition, settle};

/// What was said of each pod, and which of it the API server has been told. Pure.
#[derive(Debug, Default)]
pub(super) struct StatusCache {
    statuses: HashMap<PodUid, Versioned>,
    /// Up to which version the API server was told, by the uid that it goes by.
    written: HashMap<PodUid, u64>,
    /// Versions are counted over all pods, so that one that comes again has no old ones.
    last_version: u64,
}

#[derive(Clone, Debug)]
struct Versioned {
    version: u64,
    name: PodName,
    status: Arc<PodStatus>,
    /// When the pod was started, by the clock that nobody sets.
    started_at: Option<Instant>,
    is_finished: bool,
}

/// How a status changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// As far as it says something new.
    News,
    /// As far as it says something new of a pod of which something was said before.
    Amended,
    /// Though it says nothing new.
    Forced,
    /// For the last time.
    Finished,
}

/// Which statuses are to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// Those that the API server was not told.
    Changed,
    /// Also those that it lost, and those of pods that can be deleted.
    All,
}

/// A status that is to be written.
#[derive(Clone, Debug)]
pub(super) struct Write {
    pub(super) uid: PodUid,
    pub(super) name: PodName,
    pub(super) version: u64,
    pub(super) status: Arc<PodStatus>,
    pub(super) is_finished: bool,
    /// Of one that the API server was told: what it has now. It is written again only if that is
    /// something else.
    told: Option<Arc<Pod>>,
}

impl Write {
    /// Whether it is to be written. To compare statuses takes its time: nobody is to hold a lock over
    /// it.
    pub(super) fn is_due(&self) -> bool {
        let told = self.told.as_ref();
        told.is_none_or(|told| is_lost(&self.status, told))
    }
}

impl StatusCache {
    /// How many pods something is known of.
    pub(super) fn len(&self) -> usize {
        self.statuses.len().max(self.written.len())
    }

    pub(super) fn status(&self, uid: &PodUid) -> Option<Arc<PodStatus>> {
        Some(Arc::clone(&self.statuses.get(uid)?.status))
    }

    pub(super) fn started_at(&self, uid: &PodUid) -> Option<Instant> {
        self.statuses.get(uid)?.started_at
    }

    /// Makes a new status of the last one, or of that of the source; says whether there is news.
    ///
    /// Answers to kubelet's `updateStatusInternal`.
    pub(super) fn update(
        &mut self,
        now: Moment,
        pod: &Pod,
        source: Option<&PodStatus>,
        change: Change,
        make: impl FnOnce(&PodStatus) -> Option<PodStatus>,
    ) -> Result<bool, IllegalTransition> {
        let uid = PodUid::of(pod);
        let last = self.statuses.get(&uid);
        if change == Change::Amended && last.is_none() {
            tracing::info!(%uid, "a container changed before its pod was synced");
            return Ok(false);
        }
        let nothing = PodStatus::default();
        let (old, base) = match last {
            Some(last) => (&*last.status, &*last.status),
            None => (
                source.unwrap_or(&nothing),
                pod.status.as_ref().unwrap_or(&nothing),
            ),
        };
        let Some(new) = make(base) else {
            return Ok(false);
        };
        let new = settle(pod, old, new, now.wall)?;
        let is_optional = matches!(change, Change::News | Change::Amended);
        if is_optional && last.is_some_and(|last| is_same(&last.status, &new)) {
            return Ok(false);
        }
        let told = new.start_time.as_ref();
        let known = last.filter(|last| last.status.start_time.as_ref() == told);
        let started_at = match known {
            Some(last) => last.started_at,
            None => told.map(|time| now.when(time.0)),
        };
        // A static pod may start again under its uid.
        let was_finished = last.is_some_and(|last| last.is_finished) && !is_static(pod);
        self.last_version += 1;
        let versioned = Versioned {
            version: self.last_version,
            name: PodName::of(pod),
            status: Arc::new(new),
            started_at,
            is_finished: change == Change::Finished || was_finished,
        };
        self.statuses.insert(uid, versioned);
        Ok(true)
    }

    /// What is to be written if it [is due](Write::is_due), the oldest first.
    ///
    /// Answers to the deciding half of kubelet's `syncBatch`.
    pub(super) fn due(&mut self, pods: &PodDirectory, scope: Scope) -> Vec<Write> {
        if scope == Scope::All {
            let statuses = &self.statuses;
            let mirrors: HashSet<_> = pods.mirrors().map(|mirror| PodUid::of(mirror)).collect();
            self.written
                .retain(|uid, _| statuses.contains_key(uid) || mirrors.contains(uid));
        }
        let mut due = Vec::new();
        for (uid, versioned) in &self.statuses {
            // There is nothing to write a static pod's status to while it has no mirror.
            let Some(published) = pods.published(uid) else {
                continue;
            };
            let written = self.written.get(&published).copied().unwrap_or_default();
            let is_told = written >= versioned.version;
            if is_told && scope == Scope::Changed {
                continue;
            }
            let told = match is_told && !self.is_deletable(pods, &published, versioned) {
                false => None,
                true => match pods.shown(uid) {
                    Some(shown) => Some(Arc::clone(shown)),
                    None => continue,
                },
            };
            due.push(Write {
                uid: uid.clone(),
                name: versioned.name.clone(),
                version: versioned.version,
                status: Arc::clone(&versioned.status),
                is_finished: versioned.is_finished,
                told,
            });
        }
        due.sort_by_key(|write| write.version);
        due
    }

    /// Whether the API server was not told what was said last of a pod, and could be.
    pub(super) fn is_untold(&self, pods: &PodDirectory, uid: &PodUid) -> bool {
        let (Some(said), Some(shown)) = (self.statuses.get(uid), pods.shown(uid)) else {
            return false;
        };
        let written = self.written.get(&PodUid::of(shown)).copied();
        written.unwrap_or_default() < said.version
    }

    /// Notes that the API server was told, under the uid that it goes by.
    pub(super) fn written(&mut self, published: PodUid, version: u64) {
        self.written.insert(published, version);
    }

    pub(super) fn forget(&mut self, uid: &PodUid) {
        self.statuses.remove(uid);
    }

    pub(super) fn forget_finished(&mut self, uid: &PodUid) {
        if self.statuses.get(uid).is_some_and(|it| it.is_finished) {
            self.forget(uid);
        }
    }

    pub(super) fn retain(&mut self, keep: impl Fn(&PodUid) -> bool) {
        self.statuses.retain(|uid, _| keep(uid));
    }

    fn is_deletable(&self, pods: &PodDirectory, published: &PodUid, said: &Versioned) -> bool {
        let pod = pods.pod(published);
        pod.is_some_and(|pod| can_be_deleted(pod, said.is_finished))
    }
}

/// Whether the API server says something else of a pod than what was said here last.
///
/// Answers to kubelet's `needsReconcile`.
pub(super) fn is_lost(said: &PodStatus, shown: &Pod) -> bool {
    let told = shown.status.clone().unwrap_or_default();
    !is_same(&normalized(told), said)
}

/// Whether nothing holds a pod any more that somebody wants to be deleted.
///
/// Answers to kubelet's `canBeDeleted`.
pub(super) fn can_be_deleted(pod: &Pod, is_finished: bool) -> bool {
    let status = pod.status.as_ref();
    let phase = status.and_then(|status| status.phase.as_deref());
    is_finished && is_deleting(pod) && !is_mirror(pod) && is_phase_terminal(phase)
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Pod;

    use super::*;
    use crate::pod::CONFIG_MIRROR;

    fn pod(name: &str, uid: &str) -> Pod {
        let mut pod = Pod::default();
        pod.metadata.name = Some(name.into());
        pod.metadata.uid = Some(uid.into());
        pod
    }

    fn say(cache: &mut StatusCache, pod: &Pod, message: &str) -> bool {
        let said = PodStatus {
            message: Some(message.into()),
            ..Default::default()
        };
        let change = Change::News;
        let now = Moment {
            wall: jiff::Timestamp::UNIX_EPOCH,
            at: Instant::now(),
        };
        let updated = cache.update(now, pod, None, change, |_| Some(said));
        updated.unwrap()
    }

    #[test]
    fn sync_batch_cleanup_versions() {
        let mut pods = PodDirectory::default();
        let mut mirror = pod("mirror", "m");
        mirror.metadata.annotations = Some([(CONFIG_MIRROR.into(), "h".into())].into());
        pods.insert(Arc::new(mirror));
        let mut cache = StatusCache::default();
        assert!(say(&mut cache, &pod("a", "a"), "hello"));
        for uid in ["a", "m", "orphan"] {
            cache.written(PodUid::new(uid), 1);
        }
        cache.due(&pods, Scope::Changed);
        assert_eq!(cache.written.len(), 3, "only a batch cleans up");
        cache.due(&pods, Scope::All);
        let mut kept: Vec<_> = cache.written.keys().map(PodUid::as_str).collect();
        kept.sort_unstable();
        assert_eq!(kept, ["a", "m"]);
    }

    #[test]
    fn a_pod_that_comes_again_is_written_again() {
        let pods = PodDirectory::default();
        let (mut cache, pod) = (StatusCache::default(), pod("a", "a"));
        say(&mut cache, &pod, "1");
        say(&mut cache, &pod, "2");
        let due = cache.due(&pods, Scope::Changed);
        cache.written(due[0].uid.clone(), due[0].version);
        assert!(cache.due(&pods, Scope::Changed).is_empty());
        cache.forget(&PodUid::new("a"));
        assert!(say(&mut cache, &pod, "1"));
        assert_eq!(cache.due(&pods, Scope::Changed).len(), 1);
    }
}
