use k8s_openapi::api::core::v1::Pod;

/// The annotation that tells which source a pod came from.
pub const CONFIG_SOURCE: &str = "kubernetes.io/config.source";

/// The annotation that a mirror pod has: the hash of the static pod that it mirrors.
pub const CONFIG_MIRROR: &str = "kubernetes.io/config.mirror";

/// The annotation that holds the hash of a static pod.
pub const CONFIG_HASH: &str = "kubernetes.io/config.hash";

/// The annotation that tells when a pod was first seen by the agent.
pub const CONFIG_SEEN: &str = "kubernetes.io/config.seen";

/// From this priority on a pod is critical to the system: `system-cluster-critical`.
const SYSTEM_CRITICAL_PRIORITY: i32 = 2_000_000_000;

/// Where a pod came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PodSource {
    /// The API server.
    Api,
    /// A manifest in a file.
    File,
    /// A manifest behind a URL.
    Http,
}

impl PodSource {
    /// All there are.
    pub const ALL: [Self; 3] = [Self::Api, Self::File, Self::Http];

    /// The source that a pod's annotation tells; `None` without one, or with one that is not known.
    pub fn of(pod: &Pod) -> Option<Self> {
        let named = annotation(pod, CONFIG_SOURCE)?;
        Self::ALL
            .into_iter()
            .find(|source| source.as_str() == named)
    }

    /// The value of the annotation.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::File => "file",
            Self::Http => "http",
        }
    }
}

/// Whether a pod is known from elsewhere than the API server.
pub fn is_static(pod: &Pod) -> bool {
    annotation(pod, CONFIG_SOURCE).is_some_and(|source| source != PodSource::Api.as_str())
}

/// Whether a pod only shows a static pod in the API server.
pub fn is_mirror(pod: &Pod) -> bool {
    annotation(pod, CONFIG_MIRROR).is_some()
}

/// Whether a pod is kept before others: static, mirror, or of a priority of the system's.
pub fn is_critical(pod: &Pod) -> bool {
    let priority = pod.spec.as_ref().and_then(|spec| spec.priority);
    is_static(pod)
        || is_mirror(pod)
        || priority.is_some_and(|priority| priority >= SYSTEM_CRITICAL_PRIORITY)
}

fn annotation<'a>(pod: &'a Pod, key: &str) -> Option<&'a str> {
    let annotations = pod.metadata.annotations.as_ref()?;
    annotations.get(key).map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pod with one annotation.
    fn annotated(key: &str, value: &str) -> Pod {
        let mut pod = Pod::default();
        pod.metadata.annotations = Some([(key.into(), value.into())].into());
        pod
    }

    #[test]
    fn is_static_pod() {
        assert!(is_static(&annotated(CONFIG_SOURCE, "file")));
        assert!(is_static(&annotated(CONFIG_SOURCE, "http")));
        assert!(!is_static(&annotated(CONFIG_SOURCE, "api")));
        assert!(!is_static(&annotated(CONFIG_MIRROR, "7f")));
        assert!(!is_static(&Pod::default()));
    }

    #[test]
    fn is_critical_pod() {
        assert!(is_critical(&annotated(CONFIG_SOURCE, "file")));
        assert!(is_critical(&annotated(CONFIG_MIRROR, "7f")));
        let mut pod = annotated(CONFIG_SOURCE, "api");
        assert!(!is_critical(&pod));
        for (priority, critical) in [(1_999_999_999, false), (2_000_000_000, true)] {
            pod.spec.get_or_insert_default().priority = Some(priority);
            assert_eq!(is_critical(&pod), critical);
        }
    }

    #[test]
    fn get_pod_source() {
        assert_eq!(
            PodSource::of(&annotated(CONFIG_SOURCE, "http")),
            Some(PodSource::Http)
        );
        assert_eq!(
            PodSource::of(&annotated(CONFIG_SOURCE, "carrier pigeon")),
            None
        );
        assert_eq!(PodSource::of(&Pod::default()), None);
    }
}
