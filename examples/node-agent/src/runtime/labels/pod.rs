use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;

use crate::pod::{PodName, PodUid};

pub(super) const POD_NAME: &str = "io.kubernetes.pod.name";
pub(super) const POD_NAMESPACE: &str = "io.kubernetes.pod.namespace";
pub(in crate::runtime) const POD_UID: &str = "io.kubernetes.pod.uid";

/// Which pod a sandbox or a container is of, by its labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodRecord {
    /// The pod's uid.
    pub uid: PodUid,
    /// The pod's name.
    pub name: PodName,
}

impl PodRecord {
    /// Reads the labels of a sandbox or a container; `None` if it is nobody's that the agent knows.
    pub fn read<S: AsRef<str>>(label: impl Fn(&str) -> Option<S>) -> Option<Self> {
        let label = |key| label(key).map(|value| Arc::<str>::from(value.as_ref()));
        Some(Self {
            uid: PodUid::new(label(POD_UID)?),
            name: PodName::new(label(POD_NAMESPACE)?, label(POD_NAME)?),
        })
    }
}

/// The labels of a pod's sandbox: the pod's own, and whose it is.
pub fn sandbox_labels(pod: &Pod) -> BTreeMap<String, String> {
    let mut labels = pod.metadata.labels.clone().unwrap_or_default();
    labels.extend(owner_labels(pod));
    labels
}

/// The annotations of a pod's sandbox: the pod's own.
pub fn sandbox_annotations(pod: &Pod) -> BTreeMap<String, String> {
    pod.metadata.annotations.clone().unwrap_or_default()
}

/// The labels that tell whose something is.
pub(super) fn owner_labels(pod: &Pod) -> [(String, String); 3] {
    let PodName { namespace, name } = PodName::of(pod);
    [
        (POD_NAME.into(), name.to_string()),
        (POD_NAMESPACE.into(), namespace.to_string()),
        (POD_UID.into(), PodUid::of(pod).to_string()),
    ]
}
