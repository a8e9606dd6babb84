//! The little that defaults are made of.

use serde_json::Value;

/// Sets a field that is absent or `null`.
pub(super) fn fill(object: &mut Value, field: &str, default: impl Into<Value>) {
    if let Value::Object(fields) = object {
        let value = fields.entry(field).or_insert(Value::Null);
        if value.is_null() {
            *value = default.into();
        }
    }
}

/// The value of a field that is given.
pub(super) fn given<'a>(object: &'a mut Value, field: &str) -> Option<&'a mut Value> {
    object.get_mut(field).filter(|value| !value.is_null())
}

/// The items of a list; none where there is no list.
pub(super) fn items<'a>(object: &'a mut Value, field: &str) -> impl Iterator<Item = &'a mut Value> {
    object
        .get_mut(field)
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
}

/// Whether a field is absent, `null` or an empty list, map or text.
pub(super) fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}
