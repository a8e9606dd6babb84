use k8s_openapi::api::apps::v1::ReplicaSet;
use kubewright_cache::{Metadata, Object, Uid};
use serde::{Serialize, Serializer};

/// `apiVersion` of the sets this controller owns pods for.
pub const API_VERSION: &str = "apps/v1";
/// Their `kind`.
pub const KIND: &str = "ReplicaSet";

/// The owner reference that makes a set the controller of a pod.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ControllerRef {
    api_version: &'static str,
    kind: &'static str,
    name: String,
    #[serde(serialize_with = "text")]
    uid: Uid,
    controller: bool,
    block_owner_deletion: bool,
}

impl ControllerRef {
    /// The reference to `owner`; `None` if it has no uid or no name, as a set that no server has
    /// seen, for such a reference would own nothing.
    pub fn to(owner: &Object<ReplicaSet>) -> Option<Self> {
        let meta = owner.meta();
        let complete = !meta.uid().is_empty() && !meta.name().is_empty();
        complete.then(|| Self {
            api_version: API_VERSION,
            kind: KIND,
            name: meta.name().to_owned(),
            uid: meta.uid().clone(),
            controller: true,
            block_owner_deletion: true,
        })
    }
}

/// A strategic-merge patch of a pod's owners that takes effect on one incarnation only: the
/// server refuses it when the pod's uid is another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnerPatch {
    body: Vec<u8>,
}

impl OwnerPatch {
    /// Makes `owner` the controller of `pod`.
    ///
    /// A reference to the same uid that is no controller yet is merged with this one.
    pub fn adopt(pod: &Metadata, owner: &ControllerRef) -> Self {
        Self::of(pod.uid(), &[owner])
    }

    /// Takes the references to `owners` off the incarnation `pod`.
    pub fn release(pod: &Uid, owners: &[&Uid]) -> Self {
        let gone: Vec<_> = owners.iter().map(|uid| Gone::new(uid)).collect();
        Self::of(pod, &gone)
    }

    fn of<R: Serialize>(pod: &Uid, references: &[R]) -> Self {
        let patch = Patch {
            metadata: PatchMetadata {
                uid: pod,
                owner_references: references,
            },
        };
        Self {
            body: serde_json::to_vec(&patch).expect("strings and booleans always serialise"),
        }
    }

    /// The JSON of the patch.
    pub fn body(&self) -> &[u8] {
        &self.body
    }
}

#[derive(Serialize)]
struct Patch<'a, R> {
    metadata: PatchMetadata<'a, R>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PatchMetadata<'a, R> {
    #[serde(serialize_with = "text")]
    uid: &'a Uid,
    owner_references: &'a [R],
}

#[derive(Serialize)]
struct Gone<'a> {
    #[serde(rename = "$patch")]
    patch: &'static str,
    #[serde(serialize_with = "text")]
    uid: &'a Uid,
}

impl<'a> Gone<'a> {
    const fn new(uid: &'a Uid) -> Self {
        Self {
            patch: "delete",
            uid,
        }
    }
}

fn text<S: Serializer>(uid: &impl std::fmt::Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(uid)
}
