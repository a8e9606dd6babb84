//! A store that is written by hand.

use k8s_openapi::api::core::v1::ConfigMap;
use kubewright_cache::{Delta, Initial, Object, ResourceVersion, Store, StoreConfig, StoreWriter};
use serde_json::{Value, json};

use crate::rig::describe;

pub(crate) type Writer = StoreWriter<ConfigMap>;

pub(crate) fn store() -> (Writer, Store<ConfigMap>) {
    Store::new(StoreConfig::default())
}

pub(crate) fn object(name: &str, version: u64) -> Object<ConfigMap> {
    with(name, version, json!({}))
}

/// An object with more metadata than its name and version.
pub(crate) fn with(key: &str, version: u64, more: Value) -> Object<ConfigMap> {
    let (namespace, name) = key.split_once('/').unwrap_or(("", key));
    let mut meta = json!({"name": name, "uid": format!("uid-of-{key}")});
    if !namespace.is_empty() {
        meta["namespace"] = json!(namespace);
    }
    if version > 0 {
        meta["resourceVersion"] = json!(version.to_string());
    }
    meta.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    Object::from_json(
        json!({"metadata": meta, "data": {"n": name}})
            .to_string()
            .as_bytes(),
    )
    .unwrap()
}

pub(crate) fn replaced(version: u64, items: Vec<Object<ConfigMap>>) -> Delta<ConfigMap> {
    Delta::Replaced {
        items,
        undecodable: Vec::new(),
        version: ResourceVersion::from(version),
    }
}

/// Applies one delta, as a batch of its own that is not initial.
pub(crate) fn apply(writer: &mut Writer, delta: Delta<ConfigMap>) -> Vec<String> {
    let version = delta.version().cloned();
    let events = writer.apply(vec![delta], version.as_ref(), Initial::No);
    events.iter().map(describe).collect()
}

pub(crate) fn shown<'a>(objects: impl IntoIterator<Item = &'a Object<ConfigMap>>) -> Vec<String> {
    objects
        .into_iter()
        .map(|object| format!("{object:?}"))
        .collect()
}
