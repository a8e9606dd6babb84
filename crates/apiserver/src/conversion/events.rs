//! Events have two faces: `v1` and `events.k8s.io/v1` show one object under different names.

use serde_json::{Map, Value};

/// Fields by their name in `events.k8s.io/v1` and in `v1`.
const NAMES: [(&str, &str); 7] = [
    ("note", "message"),
    ("regarding", "involvedObject"),
    ("reportingController", "reportingComponent"),
    ("deprecatedSource", "source"),
    ("deprecatedFirstTimestamp", "firstTimestamp"),
    ("deprecatedLastTimestamp", "lastTimestamp"),
    ("deprecatedCount", "count"),
];

/// An event of `events.k8s.io/v1` as one of `v1`.
pub(super) fn to_core(event: Value) -> Value {
    let mut event = rename(event, "v1", |name| {
        NAMES
            .iter()
            .find(|(new, _)| *new == name)
            .map_or(name, |(_, core)| core)
            .to_owned()
    });
    if let Some(event) = event.as_object_mut() {
        // What the older form always writes.
        event.entry("reportingComponent").or_insert("".into());
        event.entry("reportingInstance").or_insert("".into());
    }
    event
}

/// An event of `v1` as one of `events.k8s.io/v1`.
pub(super) fn from_core(event: Value) -> Value {
    let mut event = rename(event, "events.k8s.io/v1", |name| {
        NAMES
            .iter()
            .find(|(_, core)| *core == name)
            .map_or(name, |(new, _)| new)
            .to_owned()
    });
    if let Some(event) = event.as_object_mut() {
        // What the newer form leaves out when it is empty.
        for name in ["reportingController", "reportingInstance", "note"] {
            if event.get(name).is_some_and(|value| value == "") {
                event.remove(name);
            }
        }
    }
    event
}

fn rename(event: Value, api_version: &str, name: impl Fn(&str) -> String) -> Value {
    let Value::Object(fields) = event else {
        return event;
    };
    let mut renamed: Map<String, Value> = fields
        .into_iter()
        .map(|(field, value)| (name(&field), value))
        .collect();
    renamed.insert("apiVersion".to_owned(), api_version.into());
    Value::Object(renamed)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_event_has_the_same_content_under_either_name() {
        let new = json!({
            "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"name": "e"},
            "note": "n", "regarding": {"kind": "Pod"}, "reportingController": "c",
            "reportingInstance": "i", "reason": "R", "action": "A", "type": "Normal",
            "eventTime": "2024-05-01T12:00:00.000000Z", "deprecatedSource": {},
            "deprecatedFirstTimestamp": null, "deprecatedLastTimestamp": null, "deprecatedCount": 2,
        });
        let core = to_core(new.clone());
        assert_eq!(core["apiVersion"], "v1");
        assert_eq!(core["message"], "n");
        assert_eq!(core["involvedObject"], json!({"kind": "Pod"}));
        assert_eq!(core["reportingComponent"], "c");
        assert_eq!(core["count"], 2);
        assert_eq!(from_core(core), new);
    }
}
