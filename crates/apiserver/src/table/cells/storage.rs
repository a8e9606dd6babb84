//! Volumes, claims on them, and what provides them.

use serde_json::Value;

use crate::table::subject::{Subject, none_if_empty, plain};

/// The annotation by which volumes named their class before they had a field for it.
const CLASS_ANNOTATION: &str = "/metadata/annotations/volume.beta.kubernetes.io~1storage-class";

pub(super) fn volume(o: &Subject<'_>) -> Vec<Value> {
    let claim = match o.at("/spec/claimRef") {
        Value::Object(_) => {
            let part = |pointer: &str| o.text(pointer).unwrap_or_default();
            format!(
                "{}/{}",
                part("/spec/claimRef/namespace"),
                part("/spec/claimRef/name")
            )
        }
        _ => String::new(),
    };
    vec![
        o.name(),
        quantity(o, "/spec/capacity/storage"),
        access_modes(o.list("/spec/accessModes")),
        o.text_or("/spec/persistentVolumeReclaimPolicy", ""),
        phase(o),
        claim.into(),
        o.first_text(&[CLASS_ANNOTATION, "/spec/storageClassName"])
            .into(),
        o.text_or("/spec/volumeAttributesClassName", "<unset>"),
        o.text_or("/status/reason", ""),
        o.age(),
        o.text_or("/spec/volumeMode", "<unset>"),
    ]
}

pub(super) fn claim(o: &Subject<'_>) -> Vec<Value> {
    let bound = o.text("/spec/volumeName").is_some();
    let (capacity, modes) = match bound {
        true => (
            quantity(o, "/status/capacity/storage"),
            access_modes(o.list("/status/accessModes")),
        ),
        false => ("".into(), "".into()),
    };
    vec![
        o.name(),
        phase(o),
        o.text_or("/spec/volumeName", ""),
        capacity,
        modes,
        o.first_text(&[CLASS_ANNOTATION, "/spec/storageClassName"])
            .into(),
        o.text_or("/spec/volumeAttributesClassName", "<unset>"),
        o.age(),
        o.text_or("/spec/volumeMode", "<unset>"),
    ]
}

fn phase(o: &Subject<'_>) -> Value {
    match o.is_deleted() {
        true => "Terminating".into(),
        false => o.text_or("/status/phase", ""),
    }
}

fn quantity(o: &Subject<'_>, pointer: &str) -> Value {
    match o.at(pointer) {
        Value::Null => "0".into(),
        quantity => plain(quantity).into(),
    }
}

/// The modes in short, in the order of Kubernetes.
fn access_modes(modes: &[Value]) -> Value {
    let known = [
        ("ReadWriteOnce", "RWO"),
        ("ReadOnlyMany", "ROX"),
        ("ReadWriteMany", "RWX"),
        ("ReadWriteOncePod", "RWOP"),
    ];
    let short: Vec<&str> = known
        .into_iter()
        .filter(|(mode, _)| modes.iter().any(|given| given == mode))
        .map(|(_, short)| short)
        .collect();
    short.join(",").into()
}

pub(super) fn storage_class(o: &Subject<'_>) -> Vec<Value> {
    vec![
        name_of_class(o, "storageclass"),
        o.text_or("/provisioner", ""),
        o.text_or("/reclaimPolicy", "Delete"),
        o.text_or("/volumeBindingMode", "Immediate"),
        o.flag("/allowVolumeExpansion").into(),
        o.age(),
    ]
}

pub(super) fn attributes_class(o: &Subject<'_>) -> Vec<Value> {
    vec![
        name_of_class(o, "volumeattributesclass"),
        o.text_or("/driverName", ""),
        o.age(),
    ]
}

/// The name, and whether it is the class of those who ask for none.
fn name_of_class(o: &Subject<'_>, kind: &str) -> Value {
    let default = [
        format!("/metadata/annotations/{kind}.kubernetes.io~1is-default-class"),
        format!("/metadata/annotations/{kind}.beta.kubernetes.io~1is-default-class"),
    ];
    match default
        .iter()
        .any(|pointer| o.text(pointer) == Some("true"))
    {
        true => format!("{} (default)", o.first_text(&["/metadata/name"])).into(),
        false => o.name(),
    }
}

pub(super) fn attachment(o: &Subject<'_>) -> Vec<Value> {
    vec![
        o.name(),
        o.text_or("/spec/attacher", ""),
        o.text_or("/spec/source/persistentVolumeName", ""),
        o.text_or("/spec/nodeName", ""),
        o.flag("/status/attached").into(),
        o.age(),
    ]
}

pub(super) fn csi_driver(o: &Subject<'_>) -> Vec<Value> {
    let texts = |items: &[Value], field: Option<&str>| {
        let texts = items
            .iter()
            .filter_map(|item| field.map_or(item, |field| &item[field]).as_str());
        texts.collect::<Vec<_>>().join(",")
    };
    vec![
        o.name(),
        (o.at("/spec/attachRequired") != &Value::Bool(false)).into(),
        o.flag("/spec/podInfoOnMount").into(),
        o.flag("/spec/storageCapacity").into(),
        match o.at("/spec/tokenRequests") {
            Value::Array(requests) => texts(requests, Some("audience")).into(),
            _ => "<unset>".into(),
        },
        o.flag("/spec/requiresRepublish").into(),
        none_if_empty(&texts(o.list("/spec/volumeLifecycleModes"), None)),
        o.age(),
    ]
}

pub(super) fn csi_node(o: &Subject<'_>) -> Vec<Value> {
    vec![o.name(), o.count("/spec/drivers").into(), o.age()]
}
