//! What each event of a set or a pod means for the sets: who is to be synced, and what has come
//! about that a set was waiting for.
//!
//! Answers to `addRS` … `deletePod` of Kubernetes 1.36. A set that was deleted and created anew
//! needs no rule of its own here: the caches tell of both.

use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::core::v1::Pod;
use kubewright_cache::{Event, Object};
use kubewright_controller::Enqueue;

use crate::cluster::Cluster;
use crate::controller::ReplicaSetController;
use crate::pod::PodView;

impl<C: Cluster> ReplicaSetController<C> {
    /// Takes note of what happened to a set, and asks for it to be synced.
    ///
    /// Every event asks for it, also one of its status alone: better one idle sync than a set
    /// that stays behind.
    pub fn on_set(&self, event: &Event<ReplicaSet>, enqueue: &Enqueue) {
        if let Event::Deleted { object: set, .. } = event {
            // Another set of this name is to start clean.
            self.expectations.forget(set.key());
            self.own_writes.clear(set.key(), Some(set.meta().uid()));
            self.caches.facts().forget(set.meta().uid());
        }
        enqueue.add(event.key().clone());
    }

    /// Takes note of what happened to a pod, and asks for the sets it concerns to be synced.
    pub fn on_pod(&self, event: &Event<Pod>, enqueue: &Enqueue) {
        match event {
            Event::Added { object: pod, .. } => self.pod_added(pod, enqueue),
            Event::Updated { old, new } if old.same_version(new) => {}
            Event::Updated { old, new } => self.pod_updated(old, new, enqueue),
            Event::Deleted { object: pod, .. } => self.pod_gone(pod, enqueue),
        }
    }

    fn pod_added(&self, pod: &Object<Pod>, enqueue: &Enqueue) {
        // After a restart, pods come to be known that are on their way out already.
        if pod.meta().is_being_deleted() {
            return self.pod_gone(pod, enqueue);
        }
        if pod.meta().controller_of().is_none() {
            // Nobody waits for the creation of an orphan.
            return self.orphan_seen(pod, enqueue);
        }
        if let Some(set) = self.owner(pod) {
            self.expectations.creation_observed(set.key());
            enqueue.add(set.key().clone());
        }
    }

    fn pod_updated(&self, old: &Object<Pod>, new: &Object<Pod>, enqueue: &Enqueue) {
        let relabelled = old.meta().labels() != new.meta().labels();
        if new.meta().is_being_deleted() {
            // A set makes a replacement as soon as a pod is asked to go, and counts this once.
            self.pod_gone(new, enqueue);
            if relabelled {
                self.pod_gone(old, enqueue);
            }
            return;
        }
        let (was, is) = (old.meta().controller_of(), new.meta().controller_of());
        let handed_over = was != is;
        if handed_over && let Some(set) = self.owner(old) {
            enqueue.add(set.key().clone());
        }
        if is.is_none() {
            if relabelled || handed_over {
                self.orphan_seen(new, enqueue);
            }
            return;
        }
        let Some(set) = self.owner(new) else {
            return;
        };
        enqueue.add(set.key().clone());
        let min_ready = self.caches.facts().of(&set).min_ready;
        let is_ready = |pod: &Object<Pod>| PodView::new(pod.clone()).is_ready();
        if !min_ready.is_zero() && !is_ready(old) && is_ready(new) {
            enqueue.add_after(set.key().clone(), min_ready);
        }
    }

    fn pod_gone(&self, pod: &Object<Pod>, enqueue: &Enqueue) {
        if let Some(set) = self.owner(pod) {
            self.expectations.deletion_observed(set.key(), pod.key());
            enqueue.add(set.key().clone());
        }
    }

    fn orphan_seen(&self, pod: &Object<Pod>, enqueue: &Enqueue) {
        let sets = self.caches.sets_selecting(pod.meta());
        if sets.len() > 1 {
            // Which of them gets the pod is up to chance; owner references keep it at one.
            let pod = pod.key();
            tracing::warn!(%pod, sets = ?sets, "user error: more than one ReplicaSet selects the pod");
        }
        for set in sets {
            enqueue.add(set.key().clone());
        }
    }

    /// The set that controls a pod, as far as the cache knows it.
    fn owner(&self, pod: &Object<Pod>) -> Option<Object<ReplicaSet>> {
        let controller = pod.meta().controller_of()?;
        self.caches.referred(pod.meta().namespace(), controller)
    }
}
