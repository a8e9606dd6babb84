//! JSON patch, RFC 6902, with the leniencies of the library that a real server uses.
//!
//! Where it differs from the RFC: `replace` of a key that an object does not have adds it, `copy`
//! from such a key copies `null`, and array indices may be negative, counting from the end.

use http::StatusCode;
use serde::Deserialize;
use serde_json::Value;

use crate::error::ApiError;

/// How many operations one patch may have.
const MAX_OPERATIONS: usize = 10_000;
/// How many bytes of JSON the `copy` operations of one patch may copy: each can double a document.
const MAX_COPIED: usize = 3 << 20;

/// Applies the operations in order, all or none.
pub(super) fn apply(current: &Value, patch: Value) -> Result<Value, ApiError> {
    let Value::Array(operations) = patch else {
        return Err(ApiError::bad_request(
            "error decoding patch: a JSON patch is an array of operations",
        ));
    };
    if operations.len() > MAX_OPERATIONS {
        return Err(ApiError::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "RequestEntityTooLarge",
            format!(
                "The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {}",
                operations.len()
            ),
        ));
    }
    let mut result = current.clone();
    let mut copied = 0;
    for operation in operations {
        let operation: Operation = serde_json::from_value(operation)
            .map_err(|error| ApiError::bad_request(format!("error decoding patch: {error}")))?;
        operation
            .apply(&mut result, &mut copied)
            .ok_or_else(rejected)?;
    }
    Ok(result)
}

/// A real server says no more than this of a patch that does not fit the object.
fn rejected() -> ApiError {
    ApiError::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "Invalid",
        "the server rejected our request due to an error in our request",
    )
    .with_details()
}

#[derive(Deserialize)]
struct Operation {
    op: String,
    path: String,
    #[serde(default)]
    from: Option<String>,
    #[serde(default)]
    value: Value,
}

impl Operation {
    /// `None` if the operation does not fit the document, or `copied` gets too large.
    fn apply(self, document: &mut Value, copied: &mut usize) -> Option<()> {
        match self.op.as_str() {
            "add" => add(document, &self.path, self.value),
            "remove" => remove(document, &self.path).map(drop),
            "replace" => replace(document, &self.path, self.value),
            "move" => {
                let value = remove(document, self.from.as_deref()?)?;
                add(document, &self.path, value)
            }
            "copy" => {
                let value = get(document, self.from.as_deref()?)?;
                *copied += value.to_string().len();
                if *copied > MAX_COPIED {
                    return None;
                }
                let value = value.clone();
                add(document, &self.path, value)
            }
            "test" => (*get(document, &self.path)? == self.value).then_some(()),
            _ => None,
        }
    }
}

static NULL: Value = Value::Null;

/// The value at `path`; `null` for a key that its object does not have.
fn get<'a>(document: &'a mut Value, path: &str) -> Option<&'a Value> {
    if path.is_empty() {
        return Some(document);
    }
    let (parent, key) = parent(document, path)?;
    match parent {
        Value::Object(fields) => Some(fields.get(&key).unwrap_or(&NULL)),
        Value::Array(items) => {
            let index = index(&key, items.len())?;
            items.get(index)
        }
        _ => None,
    }
}

fn add(document: &mut Value, path: &str, value: Value) -> Option<()> {
    let (parent, key) = parent(document, path)?;
    match parent {
        Value::Object(fields) => {
            fields.insert(key, value);
        }
        Value::Array(items) if key == "-" => items.push(value),
        Value::Array(items) => {
            let index = index(&key, items.len() + 1)?;
            items.insert(index, value);
        }
        _ => return None,
    }
    Some(())
}

fn remove(document: &mut Value, path: &str) -> Option<Value> {
    let (parent, key) = parent(document, path)?;
    match parent {
        Value::Object(fields) => fields.remove(&key),
        Value::Array(items) => {
            let index = index(&key, items.len())?;
            Some(items.remove(index))
        }
        _ => None,
    }
}

fn replace(document: &mut Value, path: &str, value: Value) -> Option<()> {
    if path.is_empty() {
        *document = value;
        return Some(());
    }
    let (parent, key) = parent(document, path)?;
    match parent {
        Value::Object(fields) => {
            fields.insert(key, value);
        }
        Value::Array(items) => {
            let index = index(&key, items.len())?;
            items[index] = value;
        }
        _ => return None,
    }
    Some(())
}

/// The object or array that holds what `path` points at, and the last part of the path.
fn parent<'a>(document: &'a mut Value, path: &str) -> Option<(&'a mut Value, String)> {
    let mut parts = path.strip_prefix('/')?.split('/').map(unescape);
    let mut last = parts.next()?;
    let mut parent = document;
    for part in parts {
        parent = match parent {
            Value::Object(fields) => fields.get_mut(&last)?,
            Value::Array(items) => {
                let index = index(&last, items.len())?;
                &mut items[index]
            }
            _ => return None,
        };
        last = part;
    }
    Some((parent, last))
}

fn unescape(part: &str) -> String {
    part.replace("~1", "/").replace("~0", "~")
}

/// An index below `len`; a negative one counts from `len` downwards.
fn index(key: &str, len: usize) -> Option<usize> {
    let index: i64 = key.parse().ok()?;
    let index = match usize::try_from(index) {
        Ok(index) => index,
        Err(_) => len.checked_sub(usize::try_from(index.unsigned_abs()).ok()?)?,
    };
    (index < len).then_some(index)
}

#[cfg(test)]
#[expect(clippy::needless_pass_by_value, reason = "calls read better")]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(document: Value, patch: Value, expected: Option<Value>) {
        assert_eq!(apply(&document, patch).ok(), expected);
    }

    #[test]
    fn every_operation_does_what_the_rfc_says() {
        check(
            json!({"data": {"k": "1", "l": "2"}}),
            json!([
                {"op": "test", "path": "/data/k", "value": "1"},
                {"op": "add", "path": "/data/m", "value": "3"},
                {"op": "replace", "path": "/data/k", "value": "9"},
                {"op": "move", "from": "/data/l", "path": "/data/n"},
                {"op": "copy", "from": "/data/m", "path": "/data/o"},
                {"op": "remove", "path": "/data/m"},
            ]),
            Some(json!({"data": {"k": "9", "n": "2", "o": "3"}})),
        );
    }

    #[test]
    fn arrays_take_insertions_appends_and_negative_indices() {
        let document = json!({"a": ["x", "y"]});
        let patched = |path: &str, op: &str| {
            apply(&document, json!([{"op": op, "path": path, "value": "i"}]))
                .ok()
                .map(|v| v["a"].clone())
        };
        assert_eq!(patched("/a/1", "add"), Some(json!(["x", "i", "y"])));
        assert_eq!(patched("/a/2", "add"), Some(json!(["x", "y", "i"])));
        assert_eq!(patched("/a/-", "add"), Some(json!(["x", "y", "i"])));
        assert_eq!(patched("/a/-1", "add"), Some(json!(["x", "y", "i"])));
        assert_eq!(patched("/a/3", "add"), None);
        assert_eq!(patched("/a/-1", "replace"), Some(json!(["x", "i"])));
        assert_eq!(patched("/a/-1", "remove"), Some(json!(["x"])));
        assert_eq!(patched("/a/2", "replace"), None);
        assert_eq!(patched("/a/b", "replace"), None);
    }

    #[test]
    fn escaped_keys_are_unescaped_once() {
        check(
            json!({"a/b": 1, "c~1": 2}),
            json!([{"op": "remove", "path": "/a~1b"}, {"op": "remove", "path": "/c~01"}]),
            Some(json!({})),
        );
    }

    #[test]
    fn a_missing_key_can_be_replaced_but_not_removed() {
        let document = json!({"data": {}});
        check(
            document.clone(),
            json!([{"op": "replace", "path": "/data/n", "value": 1}]),
            Some(json!({"data": {"n": 1}})),
        );
        check(
            document.clone(),
            json!([{"op": "remove", "path": "/data/n"}]),
            None,
        );
        check(
            document.clone(),
            json!([{"op": "add", "path": "/x/n", "value": 1}]),
            None,
        );
        check(
            document,
            json!([{"op": "test", "path": "/data/n", "value": null}]),
            Some(json!({"data": {}})),
        );
    }

    #[test]
    fn one_operation_that_fails_leaves_no_trace_of_the_others() {
        let error = apply(
            &json!({"k": 1}),
            json!([
                {"op": "replace", "path": "/k", "value": 2},
                {"op": "test", "path": "/k", "value": 1},
            ]),
        )
        .unwrap_err();
        assert_eq!(error.code(), StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(error.to_status()["details"], json!({}));
    }

    #[test]
    fn copies_of_copies_do_not_fill_the_memory() {
        let doubled = json!({"op": "copy", "from": "/data", "path": "/data/-"});
        let document = json!({"data": ["x"]});
        let patched = apply(&document, json!(vec![doubled.clone(); 10])).unwrap();
        assert!(patched.to_string().len() > 1 << 10);
        let error = apply(&document, json!(vec![doubled; 40])).unwrap_err();
        assert_eq!(error.code(), StatusCode::UNPROCESSABLE_ENTITY);
    }

    #[test]
    fn what_is_no_list_of_operations_is_refused() {
        for patch in [json!({}), json!([1]), json!([{"op": "add"}])] {
            let error = apply(&json!({}), patch).unwrap_err();
            assert_eq!(error.code(), StatusCode::BAD_REQUEST);
        }
    }
}
