//! Defaults of the small kinds of the core group.

use serde_json::{Map, Value, json};

use super::fill::{fill, items};

pub(super) fn namespace(object: &mut Value) {
    // One with a generated name gets its label once it has the name.
    label_namespace(object);
    fill(&mut object["status"], "phase", "Active");
}

/// Labels a namespace with its name.
pub(super) fn label_namespace(object: &mut Value) {
    let name = object["metadata"]["name"].clone();
    if name.as_str().is_some_and(|name| !name.is_empty()) {
        object["metadata"]["labels"]["kubernetes.io/metadata.name"] = name;
    }
}

pub(super) fn secret(object: &mut Value) {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    fill(object, "type", "Opaque");
    let texts = object
        .as_object_mut()
        .and_then(|secret| secret.remove("stringData"));
    let Some(Value::Object(texts)) = texts else {
        return;
    };
    fill(object, "data", json!({}));
    for (key, text) in texts {
        object["data"][key] = STANDARD.encode(text.as_str().unwrap_or_default()).into();
    }
}

pub(super) fn endpoints(object: &mut Value) {
    for subset in items(object, "subsets") {
        for port in items(subset, "ports") {
            fill(port, "protocol", "TCP");
        }
    }
}

pub(super) fn node(object: &mut Value) {
    let status = &mut object["status"];
    if status["capacity"].is_object() {
        let capacity = status["capacity"].clone();
        fill(status, "allocatable", capacity);
    }
}

pub(super) fn limit_range(object: &mut Value) {
    for limit in items(&mut object["spec"], "limits") {
        if limit["type"] != "Container" {
            continue;
        }
        for (from, to) in [
            ("max", "default"),
            ("default", "defaultRequest"),
            ("min", "defaultRequest"),
        ] {
            let Some(source) = limit[from].as_object().cloned() else {
                continue;
            };
            fill(limit, to, Map::new());
            for (name, quantity) in source {
                fill(&mut limit[to], &name, quantity);
            }
        }
    }
}
