use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;

use crate::pod::{CONFIG_MIRROR, CONFIG_SEEN, CONFIG_SOURCE, PodName, PodSource, PodUid};
use crate::source::{Operation, PodUpdate};

/// The annotations that the agent gives pods, and that no source can change.
const LOCAL: [&str; 3] = [CONFIG_SOURCE, CONFIG_MIRROR, CONFIG_SEEN];

/// Turns the full sets that sources deliver into the changes from one set to the next.
///
/// # Guarantees
///
/// - Sources do not mix: a set of one says nothing of the pods of another.
/// - Pods are told apart by uid. A pod whose uid changed is another pod: the old one is removed
///   before the new one is added.
/// - The updates of one set come in the order of [`Operation`], and a pod is in one of them at most.
/// - The first set of a source yields at least one update, if need be the addition of nothing.
/// - Every pod carries the annotations `kubernetes.io/config.source` and `.seen`, the latter with the
///   time of its first set.
///
/// Answers to `podStorage` of Kubernetes 1.36.
#[derive(Debug, Default)]
pub struct Merge {
    sources: BTreeMap<PodSource, BTreeMap<PodUid, Known>>,
}

/// A pod of the last set.
#[derive(Debug)]
struct Known {
    /// As the source delivered it. One that delivers the same again is not compared.
    delivered: Arc<Pod>,
    /// As it was passed on.
    pod: Arc<Pod>,
}

/// What a set meant.
#[derive(Debug, Default)]
pub struct Merged {
    /// What has changed.
    pub updates: Vec<PodUpdate>,
    /// The pods of the set that were left out.
    pub duplicates: Vec<Duplicate>,
}

/// A pod that was left out of a set, because an earlier one of the set goes by the same name or uid.
///
/// Displays as the message of the event `FailedValidation` that the pod deserves.
#[derive(Clone, Debug)]
pub struct Duplicate {
    /// The pod.
    pub pod: Arc<Pod>,
    /// Whose set it was in.
    pub source: PodSource,
    by: Clash,
}

#[derive(Clone, Copy, Debug)]
enum Clash {
    Name,
    Uid,
}

/// How a pod differs from what was known of it.
enum Difference {
    None,
    Status,
    Wanted,
}

impl Merge {
    /// A merge that no source has spoken to.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in all that `source` wants as of `now`.
    pub fn set(&mut self, now: Timestamp, source: PodSource, pods: Vec<Arc<Pod>>) -> Merged {
        let mut merged = Merged::default();
        let first = !self.sources.contains_key(&source);
        let mut last = self.sources.remove(&source).unwrap_or_default();
        let mut next = BTreeMap::new();
        let mut changed: BTreeMap<Operation, Vec<Arc<Pod>>> = BTreeMap::new();
        let mut names = BTreeSet::new();
        for pod in pods {
            let uid = PodUid::of(&pod);
            let clash = match (next.contains_key(&uid), names.insert(PodName::of(&pod))) {
                (_, false) => Some(Clash::Name),
                (true, _) => Some(Clash::Uid),
                (false, true) => None,
            };
            if let Some(by) = clash {
                merged.duplicates.push(Duplicate { pod, source, by });
                continue;
            }
            let (known, operation) = match last.remove(&uid) {
                None => (Known::new(now, source, pod), Some(Operation::Add)),
                Some(known) => known.followed_by(pod),
            };
            if let Some(operation) = operation {
                let pods = changed.entry(operation).or_default();
                pods.push(Arc::clone(&known.pod));
            }
            next.insert(uid, known);
        }
        if !last.is_empty() {
            let gone = last.into_values().map(|known| known.pod).collect();
            changed.insert(Operation::Remove, gone);
        }
        self.sources.insert(source, next);
        merged.updates = in_order(source, changed, first);
        merged
    }

    /// All pods of all sources, as they were passed on.
    pub fn pods(&self) -> impl Iterator<Item = &Arc<Pod>> {
        let known = self.sources.values().flat_map(BTreeMap::values);
        known.map(|known| &known.pod)
    }
}

fn in_order(
    source: PodSource,
    changed: BTreeMap<Operation, Vec<Arc<Pod>>>,
    first: bool,
) -> Vec<PodUpdate> {
    let speaks = [Operation::Add, Operation::Update, Operation::Delete];
    let silent = !changed.keys().any(|operation| speaks.contains(operation));
    let mut updates: Vec<PodUpdate> = changed
        .into_iter()
        .map(|(operation, pods)| PodUpdate {
            operation,
            source,
            pods,
        })
        .collect();
    // A first set has nothing to remove and nothing to reconcile, so that there is no order to keep.
    if first && silent {
        updates.push(PodUpdate {
            operation: Operation::Add,
            source,
            pods: Vec::new(),
        });
    }
    updates
}

impl Known {
    fn new(now: Timestamp, source: PodSource, delivered: Arc<Pod>) -> Self {
        let mut pod = Pod::clone(&delivered);
        let annotations = pod.metadata.annotations.get_or_insert_default();
        annotations.insert(CONFIG_SOURCE.to_owned(), source.as_str().to_owned());
        annotations.insert(CONFIG_SEEN.to_owned(), format!("{now:.9}"));
        Self {
            delivered,
            pod: Arc::new(pod),
        }
    }

    /// What is known once the source delivers `next`, and how it has changed by that.
    fn followed_by(self, next: Arc<Pod>) -> (Self, Option<Operation>) {
        if Arc::ptr_eq(&self.delivered, &next) {
            return (self, None);
        }
        let operation = match difference(&self.pod, &next) {
            Difference::None => None,
            Difference::Status => Some(Operation::Reconcile),
            Difference::Wanted if next.metadata.deletion_timestamp.is_some() => {
                Some(Operation::Delete)
            }
            Difference::Wanted => Some(Operation::Update),
        };
        let pod = match operation {
            None => self.pod,
            Some(_) => Arc::new(with_local_annotations(&next, &self.pod)),
        };
        let delivered = next;
        (Self { delivered, pod }, operation)
    }
}

fn difference(old: &Pod, new: &Pod) -> Difference {
    let (was, is) = (&old.metadata, &new.metadata);
    let same_wish = old.spec == new.spec
        && entries(was.labels.as_ref()).eq(entries(is.labels.as_ref()))
        && was.deletion_timestamp == is.deletion_timestamp
        && was.deletion_grace_period_seconds == is.deletion_grace_period_seconds
        && foreign(old).eq(foreign(new));
    if !same_wish {
        Difference::Wanted
    } else if old.status != new.status {
        Difference::Status
    } else {
        Difference::None
    }
}

fn with_local_annotations(pod: &Pod, old: &Pod) -> Pod {
    let mut pod = pod.clone();
    let annotations = pod.metadata.annotations.get_or_insert_default();
    for (key, value) in entries(old.metadata.annotations.as_ref()) {
        if LOCAL.contains(&key.as_str()) {
            annotations.insert(key.clone(), value.clone());
        }
    }
    pod
}

/// The annotations that are not the agent's own.
fn foreign(pod: &Pod) -> impl Iterator<Item = (&String, &String)> {
    let all = entries(pod.metadata.annotations.as_ref());
    all.filter(|(key, _)| !LOCAL.contains(&key.as_str()))
}

fn entries(map: Option<&BTreeMap<String, String>>) -> impl Iterator<Item = (&String, &String)> {
    map.into_iter().flatten()
}

impl fmt::Display for Duplicate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pod, source, by } = self;
        let source = source.as_str();
        let (name, uid) = (PodName::of(pod), PodUid::of(pod));
        write!(
            f,
            "Error validating pod {name}({uid}) from {source} due to duplicate pod "
        )?;
        match by {
            Clash::Name => write!(f, "name {:?}, ignoring", name.name),
            Clash::Uid => write!(f, "uid {:?}, ignoring", uid.as_str()),
        }
    }
}
