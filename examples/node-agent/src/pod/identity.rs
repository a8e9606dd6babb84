use std::fmt;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;

/// The uid of a pod as its source gave it.
///
/// A static pod and its mirror in the API server have different ones; the agent goes by that of the
/// static pod. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PodUid(Arc<str>);

/// Where a pod is found: its namespace and name. Displays as `name_namespace`, kubelet's full name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PodName {
    /// The namespace.
    pub namespace: Arc<str>,
    /// The name.
    pub name: Arc<str>,
}

impl PodUid {
    /// The uid with this text.
    pub fn new(uid: impl Into<Arc<str>>) -> Self {
        Self(uid.into())
    }

    /// The uid of a pod; empty if it has none.
    pub fn of(pod: &Pod) -> Self {
        Self::new(pod.metadata.uid.as_deref().unwrap_or_default())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PodUid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl PodName {
    /// The name of this namespace and name.
    pub fn new(namespace: impl Into<Arc<str>>, name: impl Into<Arc<str>>) -> Self {
        Self {
            namespace: namespace.into(),
            name: name.into(),
        }
    }

    /// The name of a pod; what it lacks is empty.
    pub fn of(pod: &Pod) -> Self {
        let metadata = &pod.metadata;
        Self::new(
            metadata.namespace.as_deref().unwrap_or_default(),
            metadata.name.as_deref().unwrap_or_default(),
        )
    }
}

impl fmt::Display for PodName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}", self.name, self.namespace)
    }
}

/// A pod as kubelet's messages name it: `name_namespace(uid)`.
pub(crate) fn described(pod: &Pod) -> String {
    format!("{}({})", PodName::of(pod), PodUid::of(pod))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_display_as_kubelet_writes_them() {
        let mut pod = Pod::default();
        assert_eq!(PodName::of(&pod).to_string(), "_");
        pod.metadata.namespace = Some("default".into());
        pod.metadata.name = Some("web-0".into());
        pod.metadata.uid = Some("7".into());
        assert_eq!(PodName::of(&pod).to_string(), "web-0_default");
        assert_eq!(PodUid::of(&pod).to_string(), "7");
    }
}
