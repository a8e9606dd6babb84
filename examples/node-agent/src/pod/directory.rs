use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;

use crate::pod::{CONFIG_HASH, CONFIG_MIRROR, PodName, PodUid, is_mirror, is_static};

/// The pods that the sources want on this node, and which mirror pod stands for which of them.
///
/// A static pod and its mirror have the same name and different uids. The agent goes by the static
/// pod's uid, the API server knows that of the mirror: whatever comes from outside by uid is
/// [translated](Self::resolve) first.
///
/// A pod is added and updated by the same call, which replaces what was there under its uid.
///
/// Answers to `pod.Manager` of Kubernetes 1.36.
#[derive(Clone, Debug, Default)]
pub struct PodDirectory {
    pods: Side,
    mirrors: Side,
    /// Which pod a mirror stands for, also after that is gone: the mirror is to tell how it ended.
    stands_for: BTreeMap<PodUid, PodUid>,
}

/// Pods by both things they go by. Of two with one name, the later has the name.
#[derive(Clone, Debug, Default)]
struct Side {
    by_uid: BTreeMap<PodUid, Arc<Pod>>,
    by_name: HashMap<PodName, PodUid>,
}

impl PodDirectory {
    /// Adds or replaces a pod or a mirror pod.
    pub fn insert(&mut self, pod: Arc<Pod>) {
        let name = PodName::of(&pod);
        self.side_of(&pod).insert(pod);
        let both = self
            .mirrors
            .by_name
            .get(&name)
            .zip(self.pods.by_name.get(&name));
        if let Some((mirror, pod)) = both {
            self.stands_for.insert(mirror.clone(), pod.clone());
        }
    }

    /// Takes a pod or a mirror pod out, going by its uid.
    pub fn remove(&mut self, pod: &Pod) {
        self.side_of(pod).remove(pod);
        if is_mirror(pod) {
            self.stands_for.remove(&PodUid::of(pod));
        }
    }

    /// The pods that are no mirrors, in the order of their uids.
    pub fn pods(&self) -> impl ExactSizeIterator<Item = &Arc<Pod>> {
        self.pods.by_uid.values()
    }

    /// The mirror pods, in the order of their uids.
    pub fn mirrors(&self) -> impl ExactSizeIterator<Item = &Arc<Pod>> {
        self.mirrors.by_uid.values()
    }

    /// The pod with this uid, if it is no mirror.
    pub fn pod(&self, uid: &PodUid) -> Option<&Arc<Pod>> {
        self.pods.by_uid.get(uid)
    }

    /// The pod with this name, if it is no mirror.
    pub fn pod_named(&self, name: &PodName) -> Option<&Arc<Pod>> {
        self.pods.named(name)
    }

    /// The mirror pod with this name.
    pub fn mirror_named(&self, name: &PodName) -> Option<&Arc<Pod>> {
        self.mirrors.named(name)
    }

    /// A pod and its mirror, given either of the two. Another pod of the same name is neither.
    pub fn pod_and_mirror(&self, either: &Pod) -> (Option<&Arc<Pod>>, Option<&Arc<Pod>>) {
        let name = PodName::of(either);
        let pod = match is_mirror(either) {
            true => self.pod_named(&name),
            false => self.pod(&PodUid::of(either)),
        };
        (pod, self.mirror_named(&name))
    }

    /// The uid the agent goes by: for that of a mirror pod the uid of its static pod, also if that is
    /// gone by now, and any other as it is.
    pub fn resolve(&self, uid: &PodUid) -> PodUid {
        self.stands_for.get(uid).unwrap_or(uid).clone()
    }

    /// The pod of this uid as the API server shows it: a static pod by its mirror, also if it is gone
    /// by now, and any other by itself; `None` if the API server shows no such pod.
    pub fn shown(&self, uid: &PodUid) -> Option<&Arc<Pod>> {
        match self.pod(uid) {
            Some(pod) if is_static(pod) => self.mirror_named(&PodName::of(pod)),
            Some(pod) => Some(pod),
            None => {
                let mut mirrors = self.stands_for.iter();
                let (mirror, _) = mirrors.find(|(_, pod)| *pod == uid)?;
                self.mirrors.by_uid.get(mirror)
            }
        }
    }

    /// The uid the API server goes by: for a static pod that of its mirror, `None` if it has no
    /// mirror, and any other as it is.
    pub fn published(&self, uid: &PodUid) -> Option<PodUid> {
        match (self.shown(uid), self.pod(uid)) {
            (Some(shown), _) => Some(PodUid::of(shown)),
            (None, Some(_)) => None,
            (None, None) => Some(uid.clone()),
        }
    }

    /// The names of mirror pods that stand for nothing, in order.
    pub fn orphaned_mirrors(&self) -> Vec<PodName> {
        let names = self.mirrors.by_name.keys();
        let mut orphans: Vec<PodName> = names
            .filter(|name| !self.pods.by_name.contains_key(name))
            .cloned()
            .collect();
        orphans.sort();
        orphans
    }

    fn side_of(&mut self, pod: &Pod) -> &mut Side {
        if is_mirror(pod) {
            &mut self.mirrors
        } else {
            &mut self.pods
        }
    }
}

/// Whether a mirror pod shows a static pod as it is now.
///
/// Answers to `IsMirrorPodOf` of Kubernetes 1.36.
pub fn is_mirror_of(mirror: &Pod, pod: &Pod) -> bool {
    let annotation = |pod: &'_ Pod, key| pod.metadata.annotations.as_ref()?.get(key).cloned();
    let stands_for: Option<String> = annotation(mirror, CONFIG_MIRROR);
    PodName::of(mirror) == PodName::of(pod)
        && stands_for.is_some()
        && stands_for == annotation(pod, CONFIG_HASH)
}

impl Side {
    fn insert(&mut self, pod: Arc<Pod>) {
        let uid = PodUid::of(&pod);
        let name = PodName::of(&pod);
        // A uid keeps its name in an API server; a manifest may do as it likes.
        if let Some(old) = self.by_uid.get(&uid).map(|old| PodName::of(old))
            && old != name
        {
            self.forget_name(&old, &uid);
        }
        self.by_name.insert(name, uid.clone());
        self.by_uid.insert(uid, pod);
    }

    fn remove(&mut self, pod: &Pod) {
        let uid = PodUid::of(pod);
        if let Some(old) = self.by_uid.remove(&uid) {
            self.forget_name(&PodName::of(&old), &uid);
        }
    }

    /// A name that another pod has by now stays that pod's.
    fn forget_name(&mut self, name: &PodName, uid: &PodUid) {
        if self.by_name.get(name) == Some(uid) {
            self.by_name.remove(name);
        }
    }

    fn named(&self, name: &PodName) -> Option<&Arc<Pod>> {
        self.by_uid.get(self.by_name.get(name)?)
    }
}
