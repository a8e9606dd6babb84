//! Strategic merge patches: what a status has become, told as what has changed.

use serde::Serialize;
use serde_json::{Map, Value, json};

/// How the items of a list go together with those that are there.
enum Items {
    /// By the value of a field.
    Keyed(&'static str),
    /// Not at all: the list stands for itself.
    Replaced,
}

/// Objects that are never absent.
const ALWAYS_THERE: [&str; 2] = ["state", "lastState"];

/// The lists of pods' and nodes' statuses that Kubernetes merges; all others it replaces.
///
/// Addresses of nodes are merged by their type upstream too, of which there may be two: they are
/// sent so that they replace what is there.
fn items_of(field: &str) -> Option<Items> {
    match field {
        "conditions" => Some(Items::Keyed("type")),
        "podIPs" | "hostIPs" => Some(Items::Keyed("ip")),
        "addresses" => Some(Items::Replaced),
        _ => None,
    }
}

/// An object as the API server has it on the wire: nothing that is empty is told.
///
/// Objects without fields stay, since a container that waits for no reason waits all the same; but for
/// those that Kubernetes always writes, and which then say nothing.
pub(crate) fn canonical(object: &impl Serialize) -> Value {
    let mut value = serde_json::to_value(object).unwrap_or_default();
    prune(&mut value);
    value
}

/// What makes the old object the new one, both [canonical]; `None` if they are the same.
pub(crate) fn strategic(old: &Value, new: &Value) -> Option<Value> {
    let empty = Map::new();
    let fields = |value: &'_ Value| value.as_object().cloned();
    let changes = changes(
        &fields(old).unwrap_or_else(|| empty.clone()),
        &fields(new).unwrap_or(empty),
    );
    (!changes.is_empty()).then_some(Value::Object(changes))
}

fn changes(old: &Map<String, Value>, new: &Map<String, Value>) -> Map<String, Value> {
    let mut changes = Map::new();
    for (field, value) in new {
        let before = old.get(field);
        if before == Some(value) {
            continue;
        }
        match (items_of(field), before, value) {
            (Some(Items::Keyed(key)), before, Value::Array(items)) => {
                let before = before.and_then(Value::as_array);
                merge_list(
                    &mut changes,
                    field,
                    key,
                    before.map_or(&[], Vec::as_slice),
                    items,
                );
            }
            (Some(Items::Replaced), Some(_), Value::Array(items)) => {
                let replace = std::iter::once(json!({"$patch": "replace"}));
                let items = replace.chain(items.iter().cloned()).collect();
                changes.insert(field.clone(), items);
            }
            (None, Some(Value::Object(before)), Value::Object(value)) => {
                changes.insert(field.clone(), self::changes(before, value).into());
            }
            _ => {
                changes.insert(field.clone(), value.clone());
            }
        }
    }
    for field in old.keys().filter(|field| !new.contains_key(*field)) {
        changes.insert(field.clone(), Value::Null);
    }
    changes
}

/// Tells of the items that are new, other than before, or gone, and of their order.
fn merge_list(into: &mut Map<String, Value>, field: &str, key: &str, old: &[Value], new: &[Value]) {
    let find = |items: &'_ [Value], name: &Value| {
        let found = items.iter().find(|item| item.get(key) == Some(name));
        found.and_then(Value::as_object).cloned()
    };
    let mut items = Vec::new();
    let mut order = Vec::new();
    for item in new {
        let (Some(name), Some(fields)) = (item.get(key), item.as_object()) else {
            continue;
        };
        order.push(json!({key: name}));
        let before = find(old, name);
        if before.as_ref() == Some(fields) {
            continue;
        }
        let mut changed = changes(&before.unwrap_or_default(), fields);
        changed.insert(key.to_owned(), name.clone());
        items.push(Value::Object(changed));
    }
    for name in old.iter().filter_map(|item| item.get(key)) {
        if find(new, name).is_none() {
            items.push(json!({key: name, "$patch": "delete"}));
        }
    }
    into.insert(format!("$setElementOrder/{field}"), order.into());
    if !items.is_empty() {
        into.insert(field.to_owned(), items.into());
    }
}

fn prune(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.values_mut().for_each(prune);
            fields.retain(|field, value| match value {
                Value::Object(fields) if ALWAYS_THERE.contains(&field.as_str()) => {
                    !fields.is_empty()
                }
                Value::Null => false,
                Value::String(text) => !text.is_empty(),
                Value::Array(items) => !items.is_empty(),
                _ => true,
            });
        }
        Value::Array(items) => items.iter_mut().for_each(prune),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    #[expect(
        clippy::needless_pass_by_value,
        reason = "tables write objects in place"
    )]
    fn check(old: Value, new: Value, expected: Value) {
        let patch = strategic(&canonical(&old), &canonical(&new));
        assert_eq!(patch.unwrap_or_default(), expected);
    }

    #[test]
    fn what_is_the_same_is_not_told() {
        check(
            json!({"phase": "Running", "message": "", "podIPs": []}),
            json!({"phase": "Running", "reason": null, "lastState": {}}),
            json!(null),
        );
    }

    #[test]
    fn fields_are_set_changed_and_removed() {
        check(
            json!({"phase": "Pending", "message": "m", "nodeInfo": {"a": "1", "b": "2"}}),
            json!({"phase": "Running", "reason": "r", "nodeInfo": {"a": "1", "b": "3", "c": {}}}),
            json!({"phase": "Running", "message": null, "reason": "r",
                "nodeInfo": {"b": "3", "c": {}}}),
        );
    }

    #[test]
    fn conditions_of_others_are_not_touched() {
        check(
            json!({"conditions": [
                {"type": "A", "status": "True", "reason": "R"},
                {"type": "B", "status": "True"},
                {"type": "C", "status": "True"},
            ]}),
            json!({"conditions": [
                {"type": "B", "status": "True"},
                {"type": "A", "status": "False"},
                {"type": "D", "status": "True"},
            ]}),
            json!({
                "$setElementOrder/conditions": [{"type": "B"}, {"type": "A"}, {"type": "D"}],
                "conditions": [
                    {"type": "A", "status": "False", "reason": null},
                    {"type": "D", "status": "True"},
                    {"type": "C", "$patch": "delete"},
                ],
            }),
        );
    }

    #[test]
    fn other_lists_are_replaced() {
        check(
            json!({"addresses": [{"type": "InternalIP", "address": "10.0.0.1"}],
                "containerStatuses": [{"name": "a"}, {"name": "b"}]}),
            json!({"addresses": [{"type": "InternalIP", "address": "10.0.0.2"}],
                "containerStatuses": [{"name": "a", "state": {"waiting": {}}}]}),
            json!({
                "addresses": [
                    {"$patch": "replace"},
                    {"type": "InternalIP", "address": "10.0.0.2"},
                ],
                "containerStatuses": [{"name": "a", "state": {"waiting": {}}}],
            }),
        );
    }
}
