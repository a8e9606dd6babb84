//! Pods as sources have them, by uid and name.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use node_agent::pod::PodUid;
use serde_json::json;

/// A point in time, in seconds since the beginning of all of them.
pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + seconds).unwrap()
}

pub(crate) fn uid(uid: &str) -> PodUid {
    PodUid::new(uid)
}

/// A pod of an API server.
pub(crate) fn named(uid: &str, name: &str) -> Pod {
    serde_json::from_value(json!({
        "metadata": {"uid": uid, "name": name, "namespace": "ns"},
        "spec": {"terminationGracePeriodSeconds": 30, "containers": [{"name": "a"}]},
    }))
    .unwrap()
}

/// A pod of a file.
pub(crate) fn fixed(uid: &str, name: &str) -> Pod {
    let mut pod = named(uid, name);
    pod.metadata.annotations = Some([("kubernetes.io/config.source".into(), "file".into())].into());
    pod
}

/// A pod that somebody wants to be gone.
pub(crate) fn deleted(mut pod: Pod, grace: i64) -> Pod {
    pod.metadata.deletion_timestamp = Some(Time(at(0)));
    pod.metadata.deletion_grace_period_seconds = Some(grace);
    pod
}
