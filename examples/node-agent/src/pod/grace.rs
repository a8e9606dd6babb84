use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;

/// How long a pod asks to be given to end by itself; `None` if it does not say.
pub fn termination_grace(pod: &Pod) -> Option<Duration> {
    let spec = pod.spec.as_ref();
    spec.and_then(|spec| spec.termination_grace_period_seconds)
        .map(seconds)
}

/// How long whoever deleted a pod lets it end by itself; `None` if nobody did.
pub fn deletion_grace(pod: &Pod) -> Option<Duration> {
    pod.metadata.deletion_grace_period_seconds.map(seconds)
}

/// Less than nothing is nothing.
fn seconds(seconds: i64) -> Duration {
    Duration::from_secs(seconds.max(0).cast_unsigned())
}
