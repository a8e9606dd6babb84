//! The tests of `replica_set_test.go` that look up sets and pods.

use k8s_openapi::api::apps::v1::ReplicaSet;

use crate::fixtures::{
    Owned, being_deleted, controlled_by, foo_bar, labels, named, names, new_pod, new_replica_set,
    object,
};
use crate::rig::Rig;

/// Four sets: the second has the same controller as the first, the third and fourth have others.
fn family() -> [ReplicaSet; 4] {
    let set = |name: &str, value: &str, owner: &str| {
        let set = new_replica_set(1, &labels([("foo", value)]));
        controlled_by(named(set, name), owner)
    };
    [
        set("rs1", "bar", "123"),
        set("rs2", "baz", "123"),
        set("rs3", "quux", "456"),
        being_deleted(set("rs4", "xyzzy", "789")),
    ]
}

fn in_ns(mut set: ReplicaSet) -> ReplicaSet {
    set.metadata.namespace = Some("ns".into());
    set
}

#[test]
fn test_get_replica_sets_with_same_controller() {
    let [some, related, unrelated, deleted] = &family();
    for (case, sets, set, expected) in [
        (
            "also one that is being deleted",
            vec![deleted, unrelated],
            deleted,
            &["rs4"][..],
        ),
        (
            "only itself, without relatives",
            vec![some, unrelated],
            some,
            &["rs1"],
        ),
        (
            "its relatives, no others",
            vec![some, related, unrelated],
            some,
            &["rs1", "rs2"],
        ),
    ] {
        let mut rig = Rig::new();
        for set in sets {
            rig.have_set(set);
        }
        let siblings = rig.stores.caches().siblings(object(set).meta());
        let found: Vec<_> = siblings.iter().map(|set| set.meta().name()).collect();
        assert_eq!(found, expected, "{case}");
    }
}

#[test]
fn test_pod_controller_lookup() {
    let labelled = labels([("foo", "bar")]);
    let in_namespace = |namespace: &str| {
        let mut set = named(foo_bar(1), "bar");
        set.metadata.namespace = Some(namespace.into());
        set
    };
    let empty = new_replica_set(1, &labels([]));
    let mut without_selector = foo_bar(1);
    without_selector
        .spec
        .as_mut()
        .unwrap()
        .selector
        .match_labels = None;
    let mut invalid = foo_bar(1);
    let selector = &mut invalid.spec.as_mut().unwrap().selector;
    selector.match_expressions = Some(vec![Default::default()]);

    for (case, set, pod_labels, expected) in [
        ("a pod without labels", in_namespace("ns"), None, &[][..]),
        (
            "another namespace",
            in_namespace("other"),
            Some(&labelled),
            &[],
        ),
        ("a match", in_namespace("ns"), Some(&labelled), &["ns/bar"]),
        ("an empty selector", in_ns(empty), Some(&labelled), &[]),
        ("no selector", in_ns(without_selector), Some(&labelled), &[]),
        ("an invalid selector", in_ns(invalid), Some(&labelled), &[]),
    ] {
        let mut rig = Rig::new();
        rig.have_set(&set);
        let mut pod = new_pod("foo", &in_namespace("ns"), "Running", Owned::No);
        pod.metadata.labels = pod_labels.cloned();
        let sets = rig.stores.caches().sets_selecting(object(&pod).meta());
        let found: Vec<_> = sets.iter().map(|set| set.key().to_string()).collect();
        assert_eq!(found, expected, "{case}");
    }
}

#[test]
fn test_related_pods_lookup() {
    let [some, related, unrelated, deleted] = &family();
    let pod = |name: &str, set: &ReplicaSet| new_pod(name, set, "Running", Owned::Yes);
    // Two sets select it, and it counts once.
    let shared = {
        let mut shared = pod("shared", some);
        shared.metadata.labels = Some(labels([("foo", "bar"), ("x", "y")]));
        shared
    };
    let twin = named(foo_bar(1), "twin");
    let without_controller = {
        let mut set = named(foo_bar(1), "free");
        set.metadata.owner_references = None;
        set
    };
    let pods = [
        pod("pod1", some),
        pod("pod2", some),
        pod("pod3", related),
        pod("pod4", unrelated),
        pod("pod5", deleted),
        shared,
    ];
    for (case, sets, set, expected) in [
        (
            "of a set that is being deleted",
            vec![deleted, unrelated],
            deleted,
            &["pod5"][..],
        ),
        (
            "only its own",
            vec![some, unrelated],
            some,
            &["pod1", "pod2", "shared"],
        ),
        (
            "its own and its relatives'",
            vec![some, related, unrelated],
            some,
            &["pod1", "pod2", "pod3", "shared"],
        ),
        (
            "each once",
            vec![some, &twin],
            some,
            &["pod1", "pod2", "shared"],
        ),
        (
            "without a controller",
            vec![&without_controller],
            &without_controller,
            &[],
        ),
    ] {
        let mut rig = Rig::new();
        for set in sets {
            rig.have_set(set);
        }
        rig.have_pods(&pods);
        let found = rig.stores.caches().related_pods(object(set).meta());
        let mut found = names(&found);
        found.sort_unstable();
        assert_eq!(found, expected, "{case}");
    }
}
