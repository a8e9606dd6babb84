//! Whether a value fulfils a schema, with the words in which a real server says what is wrong.

mod alternatives;
mod format;
mod lists;
mod numbers;

use serde_json::{Map, Value};

use super::{Additional, Constraints, ListType, Schema, Type};
use crate::error::Cause;
use crate::path::Path;

/// What is wrong with `new` by `schema`.
///
/// Where `old` is given, what was wrong already and has not changed is let be: a schema that
/// became stricter does not stand in the way of changes elsewhere.
pub(crate) fn validate(schema: &Schema, new: &Value, old: Option<&Value>) -> Vec<Cause> {
    let mut findings = Findings::default();
    findings.value(schema, new, old, Path::Root);
    lists::check(schema, new, old, Path::Root, &mut findings.causes);
    findings.causes
}

/// As [`validate`], for a value at `path`, types and constraints alone.
pub(crate) fn validate_at(schema: &Schema, value: &Value, path: Path<'_>) -> Vec<Cause> {
    let mut findings = Findings::default();
    findings.value(schema, value, None, path);
    findings.causes
}

/// What one validation has found.
#[derive(Default)]
struct Findings {
    causes: Vec<Cause>,
    /// How many values were looked at: of several alternatives that fail, the one that goes
    /// deepest is most likely what was meant.
    matched: usize,
}

impl Findings {
    fn value(&mut self, schema: &Schema, new: &Value, old: Option<&Value>, path: Path<'_>) {
        if old == Some(new) {
            return;
        }
        self.matched += 1;
        if !self.has_type(schema, new, path) {
            return;
        }
        if let Some(constraints) = schema.constraints.as_deref() {
            if !constraints.values.is_empty() && !constraints.values.contains(new) {
                self.causes
                    .push(not_supported(path, new, &constraints.values));
            }
            if !new.is_null() {
                self.alternatives(constraints, new, path);
            }
        }
        match new {
            Value::String(text) => self.string(schema, text, path),
            Value::Number(number) => {
                numbers::check(schema, number, path, &mut self.causes);
            }
            Value::Array(items) => self.array(schema, items, old, path),
            Value::Object(fields) => self.object(schema, fields, old, path),
            Value::Null | Value::Bool(_) => {}
        }
    }

    /// Whether the value has a type that the schema allows; what follows makes no sense otherwise.
    fn has_type(&mut self, schema: &Schema, value: &Value, path: Path<'_>) -> bool {
        let expected = match (schema.int_or_string, schema.kind) {
            (true, _) => "integer,string",
            (false, Some(kind)) => kind.name(),
            (false, None) => return true,
        };
        let fits = match (value, schema.kind) {
            (Value::Null, _) => schema.nullable,
            (Value::String(_), _) if schema.int_or_string => true,
            (Value::Number(number), _) if schema.int_or_string => numbers::is_whole(number),
            (Value::Object(_), Some(Type::Object))
            | (Value::Array(_), Some(Type::Array))
            | (Value::String(_), Some(Type::String))
            | (Value::Bool(_), Some(Type::Boolean))
            | (Value::Number(_), Some(Type::Number)) => true,
            (Value::Number(number), Some(Type::Integer)) => numbers::is_whole(number),
            _ => false,
        };
        if !fits {
            let found = type_name(value);
            self.causes.push(Cause::type_invalid(
                place(path),
                &found.into(),
                format!("{path} in body must be of type {expected}: \"{found}\""),
            ));
        }
        fits
    }

    fn string(&mut self, schema: &Schema, text: &str, path: Path<'_>) {
        if let Some(cause) = string(schema.constraints.as_deref(), text, path) {
            self.causes.push(cause);
        }
        if let Some(format) = schema.format.as_deref()
            && !format::accepts(format, text)
        {
            self.causes.push(Cause::type_invalid(
                place(path),
                &text.into(),
                format!(
                    "{path} in body must be of type {format}: {}",
                    Value::from(text)
                ),
            ));
        }
    }

    fn array(&mut self, schema: &Schema, items: &[Value], old: Option<&Value>, path: Path<'_>) {
        if let Some(items_schema) = &schema.items {
            for (index, item) in items.iter().enumerate() {
                let old = old.and_then(|old| counterpart(schema, old, item));
                self.value(items_schema, item, old, path.index(index));
            }
        }
        let Some(constraints) = schema.constraints.as_deref() else {
            return;
        };
        let size = items.len();
        if let Some(min) = constraints.min_items.filter(|min| (size as u64) < *min) {
            self.causes.push(Cause::invalid(
                place(path),
                &size.into(),
                format!("{path} in body should have at least {min} items"),
            ));
        }
        if let Some(max) = constraints.max_items.filter(|max| size as u64 > *max) {
            self.causes.push(Cause::too_many(place(path), size, max));
        }
        if constraints.unique_items && (1..size).any(|index| items[..index].contains(&items[index]))
        {
            self.causes.push(Cause::invalid(
                place(path),
                &Value::from(""),
                format!("{path} in body shouldn't contain duplicates"),
            ));
        }
    }

    fn object(
        &mut self,
        schema: &Schema,
        fields: &Map<String, Value>,
        old: Option<&Value>,
        path: Path<'_>,
    ) {
        let size = fields.len();
        if let Some(constraints) = schema.constraints.as_deref() {
            if let Some(min) = constraints
                .min_properties
                .filter(|min| (size as u64) < *min)
            {
                self.causes.push(Cause::invalid(
                    place(path),
                    &size.into(),
                    format!("{path} in body should have at least {min} properties"),
                ));
            }
            if let Some(max) = constraints.max_properties.filter(|max| size as u64 > *max) {
                self.causes.push(Cause::too_many(place(path), size, max));
            }
        }
        for (name, value) in fields {
            let child = match (schema.properties.get(name), &schema.additional) {
                (Some(property), _) => property,
                (None, Additional::Of(values)) => &**values,
                (None, Additional::None | Additional::Any) => continue,
            };
            let old = old.and_then(|old| old.get(name));
            self.value(child, value, old, path.field(name));
        }
        for name in &schema.required {
            if !fields.contains_key(name) {
                self.causes.push(Cause::required(path.field(name), ""));
            }
        }
    }
}

/// What is wrong with a text; a real server tells the first thing only.
fn string(constraints: Option<&Constraints>, text: &str, path: Path<'_>) -> Option<Cause> {
    let constraints = constraints?;
    let length = text.chars().count() as u64;
    if let Some(max) = constraints.max_length.filter(|max| length > *max) {
        return Some(Cause::too_long(place(path), max));
    }
    if let Some(min) = constraints.min_length.filter(|min| length < *min) {
        return Some(Cause::invalid(
            place(path),
            &text.into(),
            format!("{path} in body should be at least {min} chars long"),
        ));
    }
    let pattern = constraints
        .pattern
        .as_ref()
        .filter(|pattern| !pattern.matches(text))?;
    Some(Cause::invalid(
        place(path),
        &text.into(),
        format!("{path} in body should match '{}'", pattern.source),
    ))
}

fn not_supported(path: Path<'_>, value: &Value, values: &[Value]) -> Cause {
    let values: Vec<String> = values
        .iter()
        .map(|value| match value {
            Value::String(text) => text.clone(),
            value => value.to_string(),
        })
        .collect();
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    Cause::not_supported(place(path), value, &values)
}

/// The item of an old list that `item` is the new version of; only lists that merge by key tell.
fn counterpart<'a>(schema: &Schema, old: &'a Value, item: &Value) -> Option<&'a Value> {
    let ListType::Map(keys) = &schema.list else {
        return None;
    };
    let same = |other: &&Value| keys.iter().all(|key| other.get(key) == item.get(key));
    old.as_array()?.iter().find(same)
}

/// How the field of a cause names a place; the root has no name.
fn place(path: Path<'_>) -> String {
    match path {
        Path::Root => "<nil>".to_owned(),
        path => path.to_string(),
    }
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if numbers::is_whole(number) => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

#[cfg(test)]
#[expect(clippy::needless_pass_by_value, reason = "calls read better")]
mod tests;
