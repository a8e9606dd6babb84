//! Strategic merge patch: a merge patch that knows from the schema which lists merge, and by which key.
//!
//! A patch may carry directives beside its fields:
//!
//! | directive | means |
//! |---|---|
//! | `$patch: replace` | the object stands as the patch has it; in a list, the list does |
//! | `$patch: delete` | the object is emptied; in a list, the items with its key are removed |
//! | `$deleteFromPrimitiveList/x` | these values are removed from the list `x` |
//! | `$setElementOrder/x` | this is the order of the items of `x` that it names |
//! | `$retainKeys` | all other fields of the object are removed |

mod order;

use http::StatusCode;
use serde_json::{Map, Value};

use self::order::{Key, arrange};
use crate::error::ApiError;
use crate::resource::Resource;
use crate::schema::{self, Schema};

const PATCH: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const DELETE_FROM: &str = "$deleteFromPrimitiveList";
const SET_ORDER: &str = "$setElementOrder";

/// Applies a strategic merge patch to an object.
pub(super) fn apply(resource: &Resource, current: &Value, patch: Value) -> Result<Value, ApiError> {
    let (Value::Object(current), Value::Object(patch)) = (current, patch) else {
        return Err(ApiError::bad_request(
            "error decoding patch: a strategic merge patch is a JSON object",
        ));
    };
    let merged = merge_objects(current.clone(), patch, schema::of(resource))?;
    Ok(Value::Object(merged))
}

/// A patch that cannot be applied.
#[derive(Debug)]
enum Problem {
    /// The patch is no strategic merge patch: 400.
    Malformed(&'static str),
    /// Lists in lists: 422.
    ListOfLists,
    /// What a real server does not expect, and answers with 500.
    Unexpected(String),
}

impl From<Problem> for ApiError {
    fn from(problem: Problem) -> Self {
        match problem {
            Problem::Malformed(why) => Self::bad_request(why),
            Problem::ListOfLists => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "Invalid",
                "the server rejected our request due to an error in our request",
            )
            .with_details(),
            Problem::Unexpected(why) => Self::unclassified(why),
        }
    }
}

type Fields = Map<String, Value>;

fn merge_objects(
    mut original: Fields,
    mut patch: Fields,
    schema: Option<&Schema>,
) -> Result<Fields, Problem> {
    match patch.remove(PATCH) {
        None => {}
        Some(directive) if directive == "replace" => return Ok(patch),
        Some(directive) if directive == "delete" => return Ok(Fields::new()),
        Some(directive) => return Err(unknown_directive(&directive, patch)),
    }
    retain_keys(&mut original, &mut patch)?;
    set_element_orders(&mut original, &mut patch, schema)?;
    for (name, value) in patch {
        match name.strip_prefix(DELETE_FROM) {
            None => merge_field(&mut original, name, value, schema)?,
            Some(rest) => {
                let list = rest
                    .strip_prefix('/')
                    .ok_or(Problem::Malformed("invalid patch format of primitive list"))?;
                delete_from(&mut original, list, &value)?;
            }
        }
    }
    Ok(original)
}

/// Merges one field of a patch.
fn merge_field(
    original: &mut Fields,
    name: String,
    patch: Value,
    schema: Option<&Schema>,
) -> Result<(), Problem> {
    if patch.is_null() {
        original.remove(&name);
        return Ok(());
    }
    let schema = schema.and_then(|schema| schema.resolve().child(&name));
    let replaces = schema.is_some_and(|schema| schema.merge.replace);
    let merges = schema.is_some_and(|schema| schema.merge.merge);
    let merged = match (original.get_mut(&name), patch) {
        (Some(Value::Object(_)), patch @ Value::Object(_)) if replaces => patch,
        (Some(Value::Object(current)), Value::Object(patch)) => {
            Value::Object(merge_objects(std::mem::take(current), patch, schema)?)
        }
        (Some(Value::Array(current)), Value::Array(patch)) if merges => {
            Value::Array(merge_lists(std::mem::take(current), patch, schema)?)
        }
        (Some(Value::Array(_)), patch @ Value::Array(_)) => patch,
        (_, mut patch) => {
            drop_nulls(&mut patch);
            match without_directives(patch) {
                Some(patch) => patch,
                None => {
                    original.remove(&name);
                    return Ok(());
                }
            }
        }
    };
    original.insert(name, merged);
    Ok(())
}

/// Merges two lists of primitives, or of objects by the key that the schema names.
fn merge_lists(
    original: Vec<Value>,
    patch: Vec<Value>,
    schema: Option<&Schema>,
) -> Result<Vec<Value>, Problem> {
    if original.is_empty() && patch.is_empty() {
        return Ok(original);
    }
    if !are_objects(&original, &patch)? {
        let mut merged = original.clone();
        for value in &patch {
            if !merged.contains(value) {
                merged.push(value.clone());
            }
        }
        return arrange(merged, &patch, &original, Key::Itself);
    }
    let key = schema
        .and_then(|schema| schema.merge.key.as_deref())
        .ok_or_else(|| Problem::Unexpected("cannot merge lists without merge key".to_owned()))?;
    let (original, patch) = special_items(original, patch, key)?;
    let items = schema.and_then(|schema| schema.items.as_deref());
    let mut merged = original.clone();
    for item in &patch {
        let Value::Object(fields) = item else {
            continue;
        };
        let value = fields.get(key).ok_or_else(|| no_merge_key(item, key))?;
        match merged
            .iter_mut()
            .find(|other| other.get(key) == Some(value))
        {
            Some(Value::Object(current)) => {
                *current = merge_objects(std::mem::take(current), fields.clone(), items)?;
            }
            _ => merged.push(item.clone()),
        }
    }
    arrange(merged, &patch, &original, Key::Field(key))
}

/// Carries out the items of a patch that are directives; what is left of both lists.
fn special_items(
    mut original: Vec<Value>,
    patch: Vec<Value>,
    key: &str,
) -> Result<(Vec<Value>, Vec<Value>), Problem> {
    let mut ordinary = Vec::with_capacity(patch.len());
    let mut replaces = false;
    for item in patch {
        match item.get(PATCH) {
            None => ordinary.push(item),
            Some(directive) if directive == "delete" => {
                let value = item.get(key).ok_or_else(|| no_merge_key(&item, key))?;
                original.retain(|other| other.get(key) != Some(value));
            }
            Some(directive) if directive == "replace" => replaces = true,
            Some(directive) if directive == "merge" => {
                return Err(Problem::Unexpected(
                    "merging lists cannot yet be specified in the patch".to_owned(),
                ));
            }
            Some(directive) => {
                let directive = directive.clone();
                let Value::Object(fields) = item else {
                    continue;
                };
                return Err(unknown_directive(&directive, fields));
            }
        }
    }
    Ok(match replaces {
        true => (ordinary, Vec::new()),
        false => (original, ordinary),
    })
}

/// Removes values from a list of primitives.
fn delete_from(original: &mut Fields, list: &str, values: &Value) -> Result<(), Problem> {
    let Value::Array(values) = values else {
        return Err(Problem::Malformed("invalid patch format of primitive list"));
    };
    if let Some(Value::Array(current)) = original.get_mut(list) {
        current.retain(|value| !values.contains(value));
    }
    Ok(())
}

/// Drops the fields of an object that its patch does not name in `$retainKeys`.
fn retain_keys(original: &mut Fields, patch: &mut Fields) -> Result<(), Problem> {
    const MALFORMED: Problem = Problem::Malformed("invalid patch format of retainKeys");
    let Some(keys) = patch.remove(RETAIN_KEYS) else {
        return Ok(());
    };
    let Value::Array(keys) = keys else {
        return Err(MALFORMED);
    };
    let is_kept = |name: &str| keys.iter().any(|key| key == name);
    let strays = patch.iter().any(|(name, value)| {
        !value.is_null()
            && !name.starts_with(DELETE_FROM)
            && !name.starts_with(SET_ORDER)
            && !is_kept(name)
    });
    if strays {
        return Err(MALFORMED);
    }
    original.retain(|name, _| is_kept(name));
    Ok(())
}

/// Merges the lists whose order the patch sets, and puts them in that order.
fn set_element_orders(
    original: &mut Fields,
    patch: &mut Fields,
    schema: Option<&Schema>,
) -> Result<(), Problem> {
    const MALFORMED: Problem = Problem::Malformed("invalid patch format of setElementOrder list");
    let directives: Vec<String> = patch
        .keys()
        .filter(|name| name.starts_with(SET_ORDER))
        .cloned()
        .collect();
    for directive in directives {
        let Some(Value::Array(order)) = patch.remove(&directive) else {
            return Err(MALFORMED);
        };
        let name = directive[SET_ORDER.len()..]
            .strip_prefix('/')
            .ok_or(MALFORMED)?;
        let schema = schema.and_then(|schema| schema.resolve().child(name));
        let key = match schema.and_then(|schema| schema.merge.key.as_deref()) {
            Some(key) => Key::Field(key),
            None => Key::Itself,
        };
        let patched = list(patch.remove(name), name)?;
        let current = list(original.remove(name), name)?;
        if let Some(patched) = &patched {
            order::check(patched, &order, key)?;
        }
        let merged = match (&current, patched) {
            (None, None) => continue,
            (Some(current), None) => current.clone(),
            (None, Some(patched)) => patched.into_iter().filter_map(without_directives).collect(),
            (Some(current), Some(patched)) => match schema {
                Some(schema) if schema.merge.merge => {
                    merge_lists(current.clone(), patched, Some(schema))?
                }
                _ => patched,
            },
        };
        let arranged = match merged.is_empty() {
            true => merged,
            false => arrange(merged, &order, current.as_deref().unwrap_or(&[]), key)?,
        };
        original.insert(name.to_owned(), Value::Array(arranged));
    }
    Ok(())
}

fn list(value: Option<Value>, name: &str) -> Result<Option<Vec<Value>>, Problem> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Array(items)) => Ok(Some(items)),
        Some(_) => Err(Problem::Unexpected(format!("{name} is not a list"))),
    }
}

/// Whether the items of two lists are objects; all of them must be of one type.
fn are_objects(original: &[Value], patch: &[Value]) -> Result<bool, Problem> {
    let mut kinds = original.iter().chain(patch).map(std::mem::discriminant);
    let first = original.iter().chain(patch).next();
    if first.is_some_and(Value::is_array) {
        return Err(Problem::ListOfLists);
    }
    let kind = kinds.next();
    if kinds.any(|other| Some(other) != kind) {
        return Err(Problem::Unexpected(format!(
            "list element types are not identical: [{} {}]",
            shown_list(original),
            shown_list(patch),
        )));
    }
    Ok(first.is_some_and(Value::is_object))
}

/// Drops the fields that are `null`, all the way down.
fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, value| !value.is_null());
            fields.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

/// A value that is new in the object, without the directives that have nothing to work on.
fn without_directives(value: Value) -> Option<Value> {
    match value {
        Value::Object(fields) => (!fields.contains_key(PATCH)).then(|| {
            let kept = fields
                .into_iter()
                .filter_map(|(name, value)| Some((name, without_directives(value)?)));
            Value::Object(kept.collect())
        }),
        Value::Array(items) => Some(items.into_iter().filter_map(without_directives).collect()),
        value => Some(value),
    }
}

fn no_merge_key(item: &Value, key: &str) -> Problem {
    Problem::Unexpected(format!(
        "map: {} does not contain declared merge key: {key}",
        shown(item)
    ))
}

fn unknown_directive(directive: &Value, mut fields: Fields) -> Problem {
    let text = shown(directive);
    fields.insert(PATCH.to_owned(), directive.clone());
    Problem::Unexpected(format!(
        "unknown patch type: {text} in map: {}",
        shown(&Value::Object(fields))
    ))
}

/// A value as a server written in Go prints it.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => shown_list(items),
        Value::Object(fields) => {
            let fields: Vec<String> = fields
                .iter()
                .map(|(name, value)| format!("{name}:{}", shown(value)))
                .collect();
            format!("map[{}]", fields.join(" "))
        }
        value => value.to_string(),
    }
}

fn shown_list(items: &[Value]) -> String {
    let items: Vec<String> = items.iter().map(shown).collect();
    format!("[{}]", items.join(" "))
}

#[cfg(test)]
#[expect(clippy::needless_pass_by_value, reason = "calls read better")]
mod tests;
