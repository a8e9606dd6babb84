//! Config maps and secrets.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::{immutable, names, text};
use crate::error::Cause;
use crate::path::Path;

/// How many bytes the values of one object may have.
const MAX_SIZE: usize = 1024 * 1024;

const FROZEN: &str = "field is immutable when `immutable` is set";

pub(super) fn config_map(new: &Value, old: Option<&Value>, causes: &mut Vec<Cause>) {
    if let Some(old) = old {
        frozen(new, old, &["data", "binaryData"], causes);
    }
    let root = Path::Root;
    for field in ["data", "binaryData"] {
        keys(&new[field], root.field(field), causes);
    }
    for key in new["data"].as_object().into_iter().flat_map(Map::keys) {
        if !new["binaryData"][key].is_null() {
            causes.push(Cause::invalid(
                root.field("data").key(key),
                &new["data"][key],
                format!("duplicate of key present in binaryData, {key}"),
            ));
        }
    }
    let size = plain_size(&new["data"]) + decoded_size(&new["binaryData"]);
    too_large(size, "", causes);
}

pub(super) fn secret(new: &Value, old: Option<&Value>, causes: &mut Vec<Cause>) {
    if let Some(old) = old {
        immutable(new, old, "type", causes);
        frozen(new, old, &["data"], causes);
    }
    let data = Path::Root.field("data");
    keys(&new["data"], data, causes);
    too_large(decoded_size(&new["data"]), "data", causes);
    let mut need = |keys: &[&str]| {
        for key in keys {
            if new["data"][key].is_null() {
                causes.push(Cause::required(data.key(key), ""));
            }
        }
    };
    match text(&new["type"]) {
        "kubernetes.io/tls" => need(&["tls.crt", "tls.key"]),
        "kubernetes.io/ssh-auth" => need(&["ssh-privatekey"]),
        "kubernetes.io/dockerconfigjson" => need(&[".dockerconfigjson"]),
        "kubernetes.io/dockercfg" => need(&[".dockercfg"]),
        "kubernetes.io/service-account-token" => {
            let name = "kubernetes.io/service-account.name";
            if text(&new["metadata"]["annotations"][name]).is_empty() {
                causes.push(Cause::required(
                    Path::Root.field("metadata").field("annotations").key(name),
                    "",
                ));
            }
        }
        _ => {}
    }
}

/// What is marked as immutable stays so, and stays the same.
fn frozen(new: &Value, old: &Value, fields: &[&str], causes: &mut Vec<Cause>) {
    if old["immutable"] != true {
        return;
    }
    if new["immutable"] != true {
        causes.push(Cause::forbidden("immutable", FROZEN));
    }
    for field in fields {
        if new[field] != old[field] {
            causes.push(Cause::forbidden(*field, FROZEN));
        }
    }
}

fn keys(data: &Value, path: Path<'_>, causes: &mut Vec<Cause>) {
    for key in data.as_object().into_iter().flat_map(Map::keys) {
        for problem in names::config_map_key(key) {
            causes.push(Cause::invalid(path.key(key), &key.as_str().into(), problem));
        }
    }
}

fn plain_size(data: &Value) -> usize {
    let values = data.as_object().into_iter().flat_map(Map::values);
    values.map(|value| text(value).len()).sum()
}

fn decoded_size(data: &Value) -> usize {
    let values = data.as_object().into_iter().flat_map(Map::values);
    values
        .map(|value| STANDARD.decode(text(value)).map_or(0, |bytes| bytes.len()))
        .sum()
}

fn too_large(size: usize, field: &str, causes: &mut Vec<Cause>) {
    if size > MAX_SIZE {
        causes.push(Cause::too_long(field, MAX_SIZE as u64));
    }
}
