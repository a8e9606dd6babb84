//! Which pods are wanted, and which mirror stands for which; answers to `pod_manager_test.go` and
//! `mirror_client_test.go`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;
use node_agent::pod::{
    CONFIG_HASH, CONFIG_MIRROR, CONFIG_SOURCE, PodDirectory, PodName, PodUid, is_mirror_of,
};
use serde_json::json;

fn pod(uid: &str, name: &str, annotations: &[(&str, &str)]) -> Arc<Pod> {
    let annotations: serde_json::Map<_, _> = annotations
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).into()))
        .collect();
    let pod = json!({"metadata": {
        "uid": uid, "name": name, "namespace": "ns", "annotations": annotations,
    }});
    Arc::new(serde_json::from_value(pod).unwrap())
}

fn mirror(uid: &str, name: &str, hash: &str) -> Arc<Pod> {
    pod(
        uid,
        name,
        &[
            (CONFIG_SOURCE, "api"),
            (CONFIG_MIRROR, hash),
            (CONFIG_HASH, hash),
        ],
    )
}

fn static_pod(uid: &str, name: &str) -> Arc<Pod> {
    pod(uid, name, &[(CONFIG_SOURCE, "file"), (CONFIG_HASH, uid)])
}

fn directory(pods: &[Arc<Pod>]) -> PodDirectory {
    let mut directory = PodDirectory::default();
    for pod in pods {
        directory.insert(Arc::clone(pod));
    }
    directory
}

fn uid(text: &str) -> PodUid {
    PodUid::new(text)
}

fn name(text: &str) -> PodName {
    PodName::new("ns", text)
}

fn uids<'a>(pods: impl Iterator<Item = &'a Arc<Pod>>) -> Vec<String> {
    pods.map(|pod| PodUid::of(pod).to_string()).collect()
}

/// Upstream's `TestGetSetPods`, in whichever order they come.
#[test]
fn get_set_pods() {
    let others = ["1", "2"].map(|uid| pod(uid, &format!("other-{uid}"), &[(CONFIG_SOURCE, "api")]));
    let (wanted, shown) = (
        static_pod("987654321", "bar"),
        mirror("987654321-mirror", "bar", "7"),
    );
    let mut pods = vec![
        others[0].clone(),
        shown.clone(),
        wanted.clone(),
        others[1].clone(),
    ];
    for _ in 0..2 {
        let directory = directory(&pods);
        assert_eq!(uids(directory.pods()), ["1", "2", "987654321"]);
        assert_eq!(uids(directory.mirrors()), ["987654321-mirror"]);
        assert_eq!(directory.pod(&uid("987654321")), Some(&wanted));
        assert_eq!(
            directory.pod(&uid("987654321-mirror")),
            None,
            "mirrors are no pods"
        );
        assert_eq!(directory.pod_named(&name("bar")), Some(&wanted));
        assert_eq!(directory.mirror_named(&name("bar")), Some(&shown));
        assert_eq!(directory.mirror_named(&name("other-1")), None);
        let both = (Some(&wanted), Some(&shown));
        assert_eq!(directory.pod_and_mirror(&wanted), both);
        assert_eq!(directory.pod_and_mirror(&shown), both);

        // What comes by the mirror's uid means the pod, and the pod is known outside by the mirror's.
        assert_eq!(
            directory.resolve(&uid("987654321-mirror")),
            uid("987654321")
        );
        assert_eq!(
            directory.published(&uid("987654321")),
            Some(uid("987654321-mirror"))
        );
        for own in ["1", "987654321", "unknown"] {
            assert_eq!(directory.resolve(&uid(own)), uid(own));
        }
        assert_eq!(directory.published(&uid("1")), Some(uid("1")));
        pods.reverse();
    }
}

/// As a static pod and one of the API server, or two static pods of two sources.
#[test]
fn a_pod_is_not_taken_for_another_of_its_name() {
    let (first, second) = (static_pod("1", "a"), pod("2", "a", &[]));
    for pods in [[&first, &second], [&second, &first]] {
        let directory = directory(&pods.map(Arc::clone));
        for own in pods {
            assert_eq!(directory.pod_and_mirror(own), (Some(own), None));
        }
    }
    let shown = mirror("3", "a", "1");
    let directory = directory(&[first.clone(), shown.clone()]);
    let both = (Some(&first), Some(&shown));
    assert_eq!(directory.pod_and_mirror(&shown), both);
    assert_eq!(
        directory.pod_and_mirror(&second),
        (None, Some(&shown)),
        "it is gone"
    );
}

#[test]
fn delete_pods() {
    let pods = [
        pod("1", "a", &[]),
        static_pod("2", "b"),
        mirror("3", "b", "2"),
    ];
    let mut directory = directory(&pods);
    directory.remove(&pods[0]);
    assert_eq!(uids(directory.pods()), ["2"]);
    assert_eq!(directory.pod_named(&name("a")), None);

    // What ends is told by the mirror, as long as that is there.
    let mut ended = directory.clone();
    ended.remove(&pods[1]);
    assert_eq!(ended.resolve(&uid("3")), uid("2"));
    assert_eq!(ended.published(&uid("2")), Some(uid("3")));
    assert_eq!(ended.shown(&uid("2")), Some(&pods[2]));
    assert_eq!(ended.orphaned_mirrors(), [name("b")]);
    ended.remove(&pods[2]);
    assert_eq!(ended.resolve(&uid("3")), uid("3"));
    assert_eq!(
        (ended.published(&uid("2")), ended.shown(&uid("2"))),
        (Some(uid("2")), None)
    );

    // Without its mirror a static pod is known to nobody outside.
    directory.remove(&pods[2]);
    assert_eq!(directory.published(&uid("2")), None);
    assert_eq!(directory.resolve(&uid("3")), uid("3"));
    assert_eq!(directory.mirrors().len(), 0);
}

#[test]
fn get_orphaned_mirror_pod_names() {
    let pods = [
        static_pod("1", "a"),
        mirror("2", "a", "1"),
        mirror("3", "c", "x"),
        mirror("4", "b", "x"),
    ];
    let mut directory = directory(&pods);
    assert_eq!(directory.orphaned_mirrors(), [name("b"), name("c")]);
    directory.remove(&pods[0]);
    assert_eq!(
        directory.orphaned_mirrors(),
        [name("a"), name("b"), name("c")]
    );
}

/// A changed manifest is another pod of the same name: the new one may come before the old one goes.
#[test]
fn a_name_belongs_to_the_pod_that_took_it_last() {
    let (old, new) = (static_pod("1", "a"), static_pod("2", "a"));
    let mut directory = directory(&[old.clone(), mirror("m", "a", "1"), new.clone()]);
    assert_eq!(directory.pod_named(&name("a")), Some(&new));
    assert_eq!(directory.resolve(&uid("m")), uid("2"));
    directory.remove(&old);
    assert_eq!(directory.pod_named(&name("a")), Some(&new));
    assert_eq!(directory.orphaned_mirrors(), []);
    // What a pod is replaced by takes its name along.
    directory.insert(static_pod("2", "b"));
    assert_eq!(directory.pod_named(&name("a")), None);
    assert_eq!(directory.orphaned_mirrors(), [name("a")]);
}

#[test]
fn is_mirror_pod_of() {
    let pod = static_pod("hash", "a");
    assert!(is_mirror_of(&mirror("m", "a", "hash"), &pod));
    assert!(
        !is_mirror_of(&mirror("m", "a", "old"), &pod),
        "another state"
    );
    assert!(
        !is_mirror_of(&mirror("m", "b", "hash"), &pod),
        "another name"
    );
    assert!(!is_mirror_of(&pod, &pod), "no mirror");
}
