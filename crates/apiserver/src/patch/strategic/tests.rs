use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::registry::Registry;

fn resource(path: &str) -> Resource {
    let parts: Vec<&str> = path.split(' ').collect();
    let resources = Registry::kubernetes().resources();
    Resource::clone(resources.get(parts[0], parts[1], parts[2]).unwrap())
}

#[track_caller]
fn check(path: &str, current: Value, patch: Value, expected: Value) {
    let patched = apply(&resource(path), &current, patch).unwrap();
    assert_eq!(patched, expected);
}

#[track_caller]
fn check_pod(current: Value, patch: Value, expected: Value) {
    check(
        " v1 pods",
        json!({"spec": current}),
        json!({"spec": patch}),
        json!({"spec": expected}),
    );
}

#[track_caller]
fn check_refused(patch: Value, code: u16, message: &str) {
    let current = json!({"spec": {"containers": [{"name": "a"}]}});
    let error = apply(&resource(" v1 pods"), &current, patch).unwrap_err();
    assert_eq!(
        (error.code().as_u16(), error.to_string().as_str()),
        (code, message)
    );
}

#[test]
fn containers_merge_by_name() {
    let current =
        json!({"containers": [{"name": "a", "image": "a:1"}, {"name": "b", "image": "b:1"}]});
    check_pod(
        current.clone(),
        json!({"containers": [{"name": "b", "image": "b:2"}]}),
        json!({"containers": [{"name": "a", "image": "a:1"}, {"name": "b", "image": "b:2"}]}),
    );
    check_pod(
        current.clone(),
        json!({"containers": [{"name": "c", "image": "c:1"}]}),
        json!({"containers": [
            {"name": "c", "image": "c:1"}, {"name": "a", "image": "a:1"}, {"name": "b", "image": "b:1"},
        ]}),
    );
    check_pod(
        current.clone(),
        json!({"containers": [{"name": "b", "$patch": "delete"}, {"name": "nope", "$patch": "delete"}]}),
        json!({"containers": [{"name": "a", "image": "a:1"}]}),
    );
    check_pod(
        current,
        json!({"containers": [{"$patch": "replace"}, {"name": "z"}]}),
        json!({"containers": [{"name": "z"}]}),
    );
}

#[test]
fn lists_merge_at_any_depth_by_the_key_of_their_kind() {
    check_pod(
        json!({"containers": [{
            "name": "a", "env": [{"name": "X", "value": "1"}, {"name": "Y", "value": "2"}],
            "ports": [{"containerPort": 80, "protocol": "TCP"}],
        }]}),
        json!({"containers": [{
            "name": "a",
            "env": [{"name": "X", "value": "9"}, {"name": "Z", "value": "3"}, {"name": "Y", "$patch": "delete"}],
            "ports": [{"containerPort": 80, "name": "web"}, {"containerPort": 81}],
        }]}),
        json!({"containers": [{
            "name": "a", "env": [{"name": "X", "value": "9"}, {"name": "Z", "value": "3"}],
            "ports": [{"containerPort": 80, "name": "web", "protocol": "TCP"}, {"containerPort": 81}],
        }]}),
    );
    check(
        " v1 services",
        json!({"spec": {"ports": [{"name": "a", "port": 80}, {"name": "b", "port": 81}]}}),
        json!({"spec": {"ports": [{"port": 81, "targetPort": 8081}, {"name": "c", "port": 82}]}}),
        json!({"spec": {"ports": [
            {"name": "a", "port": 80}, {"name": "b", "port": 81, "targetPort": 8081}, {"name": "c", "port": 82},
        ]}}),
    );
    check(
        " v1 pods",
        json!({"status": {"conditions": [{"type": "Ready", "status": "True"}]}}),
        json!({"status": {"conditions": [{"type": "Ready", "status": "False"}, {"type": "X", "status": "True"}]}}),
        json!({"status": {"conditions": [{"type": "Ready", "status": "False"}, {"type": "X", "status": "True"}]}}),
    );
}

#[test]
fn lists_without_a_key_are_replaced() {
    check_pod(
        json!({"containers": [{"name": "a", "args": ["1", "2"]}]}),
        json!({"containers": [{"name": "a", "args": ["3"]}]}),
        json!({"containers": [{"name": "a", "args": ["3"]}]}),
    );
    check_pod(
        json!({"tolerations": [{"key": "a"}]}),
        json!({"tolerations": [{"key": "b"}]}),
        json!({"tolerations": [{"key": "b"}]}),
    );
}

#[test]
fn owner_references_merge_by_uid() {
    let reference = |uid: &str| json!({"name": uid, "uid": uid});
    check(
        " v1 pods",
        json!({"metadata": {"ownerReferences": [reference("1")]}}),
        json!({"metadata": {"ownerReferences": [reference("2")]}}),
        json!({"metadata": {"ownerReferences": [reference("2"), reference("1")]}}),
    );
    check(
        " v1 pods",
        json!({"metadata": {"ownerReferences": [reference("1"), reference("2")]}}),
        json!({"metadata": {"ownerReferences": [{"$patch": "delete", "uid": "2"}]}}),
        json!({"metadata": {"ownerReferences": [reference("1")]}}),
    );
}

#[test]
fn finalizers_merge_as_a_set() {
    let with = |finalizers: &[&str]| json!({"metadata": {"finalizers": finalizers}});
    check(
        " v1 pods",
        with(&["a", "b"]),
        with(&["c", "a"]),
        with(&["c", "a", "b"]),
    );
    check(
        " v1 pods",
        with(&["c", "a", "b"]),
        json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["a", "b"]}}),
        with(&["c"]),
    );
    check(
        " v1 pods",
        with(&["c"]),
        json!({"metadata": {"finalizers": null}}),
        json!({"metadata": {}}),
    );
    check(
        " v1 pods",
        json!({"metadata": {}}),
        json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"]}}),
        json!({"metadata": {}}),
    );
}

#[test]
fn maps_can_be_replaced_and_emptied() {
    check(
        " v1 configmaps",
        json!({"data": {"k": "1", "l": "2"}, "metadata": {"labels": {"x": "y"}}}),
        json!({"data": {"$patch": "replace", "n": "1"}, "metadata": {"labels": {"$patch": "delete"}}}),
        json!({"data": {"n": "1"}, "metadata": {"labels": {}}}),
    );
    check(
        " v1 configmaps",
        json!({"metadata": {}}),
        json!({"data": {"$patch": "replace", "n": "1"}}),
        json!({"metadata": {}}),
    );
    check(
        "policy v1 poddisruptionbudgets",
        json!({"spec": {"selector": {"matchLabels": {"a": "b"}}}}),
        json!({"spec": {"selector": {"matchLabels": {"c": "d"}}}}),
        json!({"spec": {"selector": {"matchLabels": {"c": "d"}}}}),
    );
}

#[test]
fn null_removes_and_is_dropped_from_what_is_new() {
    check(
        " v1 configmaps",
        json!({"data": {"k": "1"}}),
        json!({"data": {"k": null, "gone": null}, "binaryData": {"x": null, "y": "eA=="}}),
        json!({"data": {}, "binaryData": {"y": "eA=="}}),
    );
}

#[test]
fn retained_keys_are_all_that_is_left() {
    check_pod(
        json!({"volumes": [{"name": "v", "emptyDir": {}}]}),
        json!({"volumes": [{"$retainKeys": ["name", "configMap"], "name": "v", "configMap": {"name": "x"}}]}),
        json!({"volumes": [{"name": "v", "configMap": {"name": "x"}}]}),
    );
    check(
        "apps v1 deployments",
        json!({"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {}}}}),
        json!({"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}),
        json!({"spec": {"strategy": {"type": "Recreate"}}}),
    );
    check_refused(
        json!({"spec": {"$retainKeys": ["a"], "hostname": "x"}}),
        400,
        "invalid patch format of retainKeys",
    );
}

#[test]
fn the_order_of_items_can_be_set() {
    let named = |names: &[&str]| {
        let items: Vec<Value> = names.iter().map(|name| json!({"name": name})).collect();
        json!({"containers": items})
    };
    let ordered = |order: &[&str], patch: &[&str]| {
        let mut value = named(patch);
        value["$setElementOrder/containers"] = named(order)["containers"].clone();
        value
    };
    check_pod(
        named(&["a", "b", "c"]),
        ordered(&["c", "a"], &["c"]),
        named(&["b", "c", "a"]),
    );
    check_pod(
        named(&["a", "b"]),
        ordered(&["n", "b", "a"], &["n"]),
        named(&["n", "b", "a"]),
    );
    let mut only_order = named(&[]);
    only_order["$setElementOrder/containers"] = named(&["b", "a"])["containers"].clone();
    only_order.as_object_mut().unwrap().remove("containers");
    check_pod(named(&["a", "b"]), only_order, named(&["b", "a"]));
    check(
        " v1 pods",
        json!({"metadata": {"finalizers": ["a", "b"]}}),
        json!({"metadata": {"$setElementOrder/finalizers": ["b", "c", "a"], "finalizers": ["c"]}}),
        json!({"metadata": {"finalizers": ["b", "c", "a"]}}),
    );
    check_refused(
        json!({"spec": {"$setElementOrder/containers": [{"name": "a"}], "containers": [{"name": "b"}]}}),
        500,
        "The order in patch list:\n[map[name:b]]\n doesn't match $setElementOrder list:\n[map[name:a]]\n",
    );
}

#[test]
fn patches_that_make_no_sense_are_refused() {
    check_refused(
        json!({"spec": {"containers": [{"image": "b:2"}]}}),
        500,
        "map: map[image:b:2] does not contain declared merge key: name",
    );
    check_refused(
        json!({"spec": {"containers": [{"$patch": "delete", "image": "x"}]}}),
        500,
        "map: map[$patch:delete image:x] does not contain declared merge key: name",
    );
    check_refused(
        json!({"spec": {"$patch": "bogus"}}),
        500,
        "unknown patch type: bogus in map: map[$patch:bogus]",
    );
    check_refused(
        json!({"spec": {"containers": [{"$patch": "merge", "name": "a"}]}}),
        500,
        "merging lists cannot yet be specified in the patch",
    );
    check_refused(
        json!({"spec": {"containers": ["a"]}}),
        500,
        "list element types are not identical: [[map[name:a]] [a]]",
    );
    check_refused(
        json!({"spec": {"$deleteFromPrimitiveList": []}}),
        400,
        "invalid patch format of primitive list",
    );
    let error = apply(&resource(" v1 pods"), &json!({}), json!([])).unwrap_err();
    assert_eq!(error.code(), 400);
}

/// A pod with some containers, environments, finalizers and labels; also a patch of one.
fn pod() -> impl Strategy<Value = Value> {
    let names = || prop::sample::subsequence(vec!["a", "b", "c", "d", "e"], 0..=5).prop_shuffle();
    let env = (names(), "[xyz]").prop_map(|(names, value)| {
        let items = names
            .into_iter()
            .map(|name| json!({"name": name, "value": value}));
        Value::Array(items.collect())
    });
    let containers = (
        names(),
        prop::collection::vec((prop::option::of(env), "[uvw]"), 5),
    )
        .prop_map(|(names, bodies)| {
            let items = names.into_iter().zip(bodies).map(|(name, (env, image))| {
                let mut container = json!({"name": name, "image": image});
                if let Some(env) = env {
                    container["env"] = env;
                }
                container
            });
            Value::Array(items.collect())
        });
    let labels = prop::collection::btree_map("[kl]", "[mn]", 0..3).prop_map(|map| json!(map));
    (
        prop::option::of(containers),
        prop::option::of(names()),
        prop::option::of(labels),
    )
        .prop_map(|(containers, finalizers, labels)| {
            let mut pod = json!({"metadata": {}, "spec": {}});
            if let Some(containers) = containers {
                pod["spec"]["containers"] = containers;
            }
            if let Some(finalizers) = finalizers {
                pod["metadata"]["finalizers"] = json!(finalizers);
            }
            if let Some(labels) = labels {
                pod["metadata"]["labels"] = labels;
            }
            pod
        })
}

fn names_of(pod: &Value) -> Vec<String> {
    let containers = pod["spec"]["containers"].as_array();
    containers
        .into_iter()
        .flatten()
        .map(|container| container["name"].as_str().unwrap().to_owned())
        .collect()
}

proptest! {
    #[test]
    fn a_patch_of_nothing_changes_nothing(pod in pod()) {
        let pods = resource(" v1 pods");
        prop_assert_eq!(&apply(&pods, &pod, json!({})).unwrap(), &pod);
        prop_assert_eq!(&apply(&pods, &pod, pod.clone()).unwrap(), &pod, "a patch of itself");
    }

    #[test]
    fn a_patch_applied_twice_is_a_patch_applied_once(pod in pod(), patch in pod()) {
        let pods = resource(" v1 pods");
        let once = apply(&pods, &pod, patch.clone()).unwrap();
        let twice = apply(&pods, &once, patch).unwrap();
        prop_assert_eq!(once, twice);
    }

    #[test]
    fn merged_lists_keep_both_orders(pod in pod(), patch in pod()) {
        let merged = names_of(&apply(&resource(" v1 pods"), &pod, patch.clone()).unwrap());
        let patched = names_of(&patch);
        let from_patch: Vec<_> = merged.iter().filter(|name| patched.contains(name)).cloned().collect();
        prop_assert_eq!(&from_patch, &patched, "patched items come in the order of the patch");
        let untouched = |names: Vec<String>| -> Vec<String> {
            names.into_iter().filter(|name| !patched.contains(name)).collect()
        };
        prop_assert_eq!(untouched(merged), untouched(names_of(&pod)), "the others in their own order");
    }

    /// Against the obvious model: a list that merges by key is a map from key to item.
    #[test]
    fn merging_lists_is_merging_maps(pod in pod(), patch in pod()) {
        use std::collections::BTreeMap;
        type Containers = BTreeMap<String, (String, BTreeMap<String, String>)>;
        fn model(pod: &Value) -> Containers {
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            let containers = pod["spec"]["containers"].as_array();
            containers.into_iter().flatten().map(|container| {
                let env = container["env"].as_array();
                let env = env.into_iter().flatten().map(|v| (text(&v["name"]), text(&v["value"])));
                (text(&container["name"]), (text(&container["image"]), env.collect()))
            }).collect()
        }
        let mut expected = model(&pod);
        for (name, (image, env)) in model(&patch) {
            let container = expected.entry(name).or_default();
            container.0 = image;
            container.1.extend(env);
        }
        let merged = apply(&resource(" v1 pods"), &pod, patch).unwrap();
        prop_assert_eq!(model(&merged), expected);
    }
}
