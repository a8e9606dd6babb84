//! Defaults of volumes, of claims to them, and of what they are made from.

use serde_json::{Value, json};

use super::fill::{fill, given, items};
use super::pods::pull_policy;

/// The permissions of files that are made from objects: `rw-r--r--`.
const FILE_MODE: u32 = 0o644;

/// A volume of a pod.
pub(super) fn volume(volume: &mut Value) {
    let has_source = volume.as_object().is_some_and(|fields| {
        fields
            .iter()
            .any(|(name, value)| name != "name" && !value.is_null())
    });
    if !has_source {
        fill(volume, "emptyDir", json!({}));
    }
    for kind in ["configMap", "secret", "downwardAPI", "projected"] {
        if let Some(source) = given(volume, kind) {
            fill(source, "defaultMode", FILE_MODE);
        }
    }
    if let Some(source) = given(volume, "downwardAPI") {
        downward_api(source);
    }
    if let Some(projected) = given(volume, "projected") {
        for source in items(projected, "sources") {
            if let Some(source) = given(source, "downwardAPI") {
                downward_api(source);
            }
            if let Some(token) = given(source, "serviceAccountToken") {
                fill(token, "expirationSeconds", 3600);
            }
        }
    }
    if let Some(template) = volume.pointer_mut("/ephemeral/volumeClaimTemplate/spec") {
        fill(template, "volumeMode", "Filesystem");
    }
    if let Some(image) = given(volume, "image") {
        let policy = pull_policy(image["reference"].as_str().unwrap_or_default());
        fill(image, "pullPolicy", policy);
    }
    source(volume);
}

/// Defaults of the sources that volumes of pods and persistent volumes share.
fn source(volume: &mut Value) {
    if let Some(path) = given(volume, "hostPath") {
        fill(path, "type", "");
    }
    if let Some(disk) = given(volume, "iscsi") {
        fill(disk, "iscsiInterface", "default");
    }
    if let Some(image) = given(volume, "rbd") {
        fill(image, "pool", "rbd");
        fill(image, "user", "admin");
        fill(image, "keyring", "/etc/ceph/keyring");
    }
    if let Some(disk) = given(volume, "azureDisk") {
        fill(disk, "cachingMode", "ReadWrite");
        fill(disk, "fsType", "ext4");
        fill(disk, "readOnly", false);
        fill(disk, "kind", "Shared");
    }
    if let Some(volume) = given(volume, "scaleIO") {
        fill(volume, "storageMode", "ThinProvisioned");
        fill(volume, "fsType", "xfs");
    }
}

fn downward_api(source: &mut Value) {
    for item in items(source, "items") {
        if let Some(field) = given(item, "fieldRef") {
            fill(field, "apiVersion", "v1");
        }
    }
}

pub(super) fn persistent_volume(object: &mut Value) {
    fill(&mut object["status"], "phase", "Pending");
    let spec = &mut object["spec"];
    fill(spec, "persistentVolumeReclaimPolicy", "Retain");
    fill(spec, "volumeMode", "Filesystem");
    source(spec);
}

pub(super) fn claim(object: &mut Value) {
    fill(&mut object["status"], "phase", "Pending");
    fill(&mut object["spec"], "volumeMode", "Filesystem");
}
