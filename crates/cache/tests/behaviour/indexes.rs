//! Finding objects by namespace, owner and user-defined values.

use k8s_openapi::api::core::v1::ConfigMap;
use kubewright_cache::{Delta, Index, Initial, Object, Store, StoreError, Uid};
use serde_json::{Value, json};

use crate::by_hand::{apply, object, replaced, shown, store, with};

fn labelled(key: &str, version: u64, value: &str) -> Object<ConfigMap> {
    with(key, version, json!({"labels": {"l": value}}))
}

#[test]
fn a_namespace_is_a_range() {
    let (mut writer, store) = store();
    let keys = ["a/x", "a-b/x", "ab/x", "a/y", "a.b/x", "a0/x", "b/a"];
    apply(
        &mut writer,
        replaced(1, keys.map(|key| object(key, 1)).into()),
    );
    assert_eq!(shown(&store.namespace("a")), ["a/x@1", "a/y@1"]);
    assert_eq!(shown(&store.namespace("a-b")), ["a-b/x@1"]);
    assert_eq!(shown(&store.namespace("none")), [""; 0]);
}

#[test]
fn owners_are_indexed_by_the_controller_alone() {
    let owner = |uid: &str, controller: bool| {
        json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "r", "uid": uid,
            "controller": controller})
    };
    let owned =
        |key: &str, version, owners: Value| with(key, version, json!({"ownerReferences": owners}));
    let (mut writer, store) = store();
    apply(
        &mut writer,
        Delta::Added(owned(
            "n/a",
            1,
            json!([owner("x", false), owner("r", true)]),
        )),
    );
    apply(
        &mut writer,
        Delta::Added(owned("n/b", 2, json!([owner("r", true)]))),
    );
    apply(
        &mut writer,
        Delta::Added(owned("n/c", 3, json!([owner("r", false)]))),
    );
    assert_eq!(shown(&store.owned_by(&Uid::from("r"))), ["n/a@1", "n/b@2"]);
    assert_eq!(shown(&store.owned_by(&Uid::from("x"))), [""; 0]);

    // Adopted, released, deleted.
    apply(
        &mut writer,
        Delta::Updated(owned("n/c", 4, json!([owner("r", true)]))),
    );
    apply(&mut writer, Delta::Updated(owned("n/a", 5, json!([]))));
    apply(&mut writer, Delta::Deleted(owned("n/b", 6, json!([]))));
    assert_eq!(shown(&store.owned_by(&Uid::from("r"))), ["n/c@4"]);
    apply(
        &mut writer,
        replaced(7, vec![owned("n/c", 7, json!([owner("s", true)]))]),
    );
    assert_eq!(shown(&store.owned_by(&Uid::from("r"))), [""; 0]);
    assert_eq!(shown(&store.owned_by(&Uid::from("s"))), ["n/c@7"]);
}

fn by_label() -> Index<ConfigMap> {
    Index::on_meta(|meta| {
        let values = meta.label("l").unwrap_or_default();
        values
            .split('_')
            .filter(|value| !value.is_empty())
            .map(str::to_owned)
            .collect()
    })
}

fn values(store: &Store<ConfigMap>) -> Vec<String> {
    let snapshot = store.snapshot();
    snapshot
        .index_values("l")
        .unwrap()
        .map(str::to_owned)
        .collect()
}

/// Answers to client-go's `TestThreadSafeStoreIndexingFunctionsWithMultipleValues` and
/// `TestMultiIndexKeys`.
#[test]
fn an_object_moves_between_any_number_of_values() {
    let (mut writer, store) = store();
    store.add_index("l", by_label()).unwrap();
    let find = |value: &str| shown(&store.by_index("l", value).unwrap());
    apply(&mut writer, Delta::Added(labelled("a", 1, "foo_bar_foo")));
    apply(&mut writer, Delta::Added(labelled("b", 2, "bar")));
    assert_eq!(
        (find("foo"), find("bar")),
        (vec!["a@1".into()], vec!["a@1".into(), "b@2".into()])
    );
    apply(&mut writer, Delta::Updated(labelled("a", 3, "foo_baz")));
    assert_eq!(find("bar"), ["b@2"]);
    assert_eq!(find("baz"), ["a@3"]);
    assert_eq!(
        find("foo"),
        ["a@3"],
        "what stays filed shows the new version"
    );
    apply(&mut writer, Delta::Updated(labelled("a", 4, "")));
    assert_eq!(values(&store), ["bar"]);
}

/// Answers to client-go's `TestThreadSafeStoreDeleteRemovesEmptySetsFromIndex`.
#[test]
fn values_without_objects_are_gone() {
    let (mut writer, store) = store();
    store.add_index("l", by_label()).unwrap();
    for round in 1..100 {
        apply(
            &mut writer,
            Delta::Added(labelled("a", round, &format!("v{round}"))),
        );
        assert_eq!(values(&store), [format!("v{round}")]);
    }
    apply(&mut writer, Delta::Deleted(labelled("a", 100, "v")));
    assert_eq!(values(&store), [""; 0]);
    apply(&mut writer, Delta::Added(labelled("a", 101, "x")));
    apply(&mut writer, replaced(102, vec![]));
    assert_eq!(values(&store), [""; 0]);
}

/// Answers to client-go's `TestIndexer`, `TestGetIndexFuncValues` and `TestAddIndexers...`: an index
/// added to a filled store knows what is in it; its name must be new.
#[test]
fn an_index_can_be_added_at_any_time() {
    let (mut writer, store) = store();
    apply(
        &mut writer,
        replaced(1, vec![labelled("a", 1, "x"), labelled("b", 1, "y")]),
    );
    assert_eq!(
        store.by_index("l", "x").unwrap_err(),
        StoreError::UnknownIndex("l".into())
    );
    store.add_index("l", by_label()).unwrap();
    assert_eq!(shown(&store.by_index("l", "x").unwrap()), ["a@1"]);
    assert_eq!(
        store.add_index("l", by_label()),
        Err(StoreError::IndexExists("l".into()))
    );
    apply(&mut writer, Delta::Updated(labelled("b", 2, "x")));
    assert_eq!(shown(&store.by_index("l", "x").unwrap()), ["a@1", "b@2"]);
}

#[test]
fn an_index_may_look_into_the_typed_object() {
    let (mut writer, store) = store();
    let index = Index::on_object(|map: &ConfigMap| {
        map.data
            .iter()
            .flatten()
            .map(|(_, value)| value.clone())
            .collect()
    });
    store.add_index("data", index).unwrap();
    apply(&mut writer, Delta::Added(object("a", 1)));
    assert_eq!(shown(&store.by_index("data", "a").unwrap()), ["a@1"]);
}

/// Answers to client-go's `TestProcessDeltasInBatch` and `TransactionShouldIndexErrors`: an object
/// whose index function fails or panics is missing from that index, and from nothing else.
#[test]
fn a_failing_index_function_concerns_one_object() {
    let (mut writer, store) = store();
    let index = Index::new(
        |object: &Object<ConfigMap>| match object.meta().label("l") {
            Some("panic") => panic!("a bug in the index function"),
            Some("error") => Err("no value for that".into()),
            value => Ok(value.map(str::to_owned).into_iter().collect()),
        },
    );
    store.add_index("l", index).unwrap();
    let deltas = ["x", "panic", "error", "y"]
        .into_iter()
        .map(|value| Delta::Added(labelled(value, 1, value)));
    assert_eq!(writer.apply(deltas, None, Initial::No).len(), 4);
    assert_eq!(store.len(), 4);
    assert_eq!(values(&store), ["x", "y"]);
    assert_eq!(store.failures().index, 2);
    // A version that it can take is filed again, and one it cannot take is unfiled.
    apply(&mut writer, Delta::Updated(labelled("panic", 2, "z")));
    apply(&mut writer, Delta::Updated(labelled("x", 2, "error")));
    assert_eq!(values(&store), ["y", "z"]);
}
