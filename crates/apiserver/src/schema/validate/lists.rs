//! Lists that are sets or maps: no item may stand twice.

use serde_json::{Map, Value};

use crate::error::Cause;
use crate::path::Path;
use crate::schema::{Additional, ListType, Schema};

pub(super) fn check(
    schema: &Schema,
    new: &Value,
    old: Option<&Value>,
    path: Path<'_>,
    causes: &mut Vec<Cause>,
) {
    if old == Some(new) {
        return;
    }
    match new {
        Value::Array(items) => {
            match &schema.list {
                ListType::Atomic => {}
                ListType::Set => {
                    let items: Vec<&Value> = items.iter().collect();
                    duplicates(&items, path, causes);
                }
                ListType::Map(keys) => {
                    let keys: Vec<Value> = items.iter().map(|item| key_of(item, keys)).collect();
                    duplicates(&keys.iter().collect::<Vec<_>>(), path, causes);
                }
            }
            if let Some(schema) = &schema.items {
                for (index, item) in items.iter().enumerate() {
                    check(schema, item, None, path.index(index), causes);
                }
            }
        }
        Value::Object(fields) => {
            for (name, value) in fields {
                let old = old.and_then(|old| old.get(name));
                match (schema.properties.get(name), &schema.additional) {
                    (Some(property), _) => check(property, value, old, path.field(name), causes),
                    (None, Additional::Of(values)) => {
                        check(values, value, old, path.key(name), causes);
                    }
                    (None, Additional::None | Additional::Any) => {}
                }
            }
        }
        _ => {}
    }
}

/// The fields of an item that tell it from the others.
fn key_of(item: &Value, keys: &[String]) -> Value {
    let mut fields = Map::new();
    for key in keys {
        if let Some(value) = item.get(key) {
            fields.insert(key.clone(), value.clone());
        }
    }
    Value::Object(fields)
}

/// Names the second of each value that stands more than once.
fn duplicates(values: &[&Value], path: Path<'_>, causes: &mut Vec<Cause>) {
    for (index, value) in values.iter().enumerate() {
        if values[..index]
            .iter()
            .filter(|other| *other == value)
            .count()
            == 1
        {
            causes.push(Cause::duplicate(path.index(index), value));
        }
    }
}
