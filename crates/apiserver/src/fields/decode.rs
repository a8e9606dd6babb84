//! Decoding of built-in objects as a typed server does it: types checked, unknown fields dropped,
//! empty values left out, values that are always written put in.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use kubewright_quantity::Quantity;
use serde_json::{Map, Value, json};

use crate::path::Path;
use crate::schema::{Additional, Presence, Schema, Type, definitions};

/// One decoding; collects the paths of unknown fields.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    pub(super) unknown: Vec<String>,
}

/// Where a value stands, for error messages: the structure that has the field, and the path.
#[derive(Clone, Copy)]
struct Place<'a> {
    owner: &'a str,
    path: Path<'a>,
}

impl Decoder {
    /// Decodes the value that `definition` describes.
    ///
    /// # Errors
    ///
    /// The text that explains which value has the wrong type.
    pub(super) fn definition(
        &mut self,
        definition: &str,
        value: &mut Value,
        path: Path<'_>,
    ) -> Result<(), String> {
        let place = Place { owner: "", path };
        self.reference(definition, value, place)
    }

    fn value(
        &mut self,
        schema: &Schema,
        value: &mut Value,
        place: Place<'_>,
    ) -> Result<(), String> {
        if let Some(definition) = &schema.reference {
            return self.reference(definition, value, place);
        }
        match (schema.kind, &mut *value) {
            (Some(Type::Object), Value::Object(fields)) => self.map(schema, fields, place),
            (Some(Type::Array), Value::Array(items)) => {
                let Some(schema) = &schema.items else {
                    return Ok(());
                };
                for (index, item) in items.iter_mut().enumerate() {
                    let path = place.path.index(index);
                    self.element(schema, item, Place { path, ..place })?;
                }
                Ok(())
            }
            (Some(Type::String), Value::String(text)) => match schema.format.as_deref() {
                Some("byte") => bytes(text),
                _ => Ok(()),
            },
            (Some(Type::Integer), Value::Number(number)) => {
                let fits = match schema.format.as_deref() {
                    Some("int32") => number.as_i64().is_some_and(|n| i32::try_from(n).is_ok()),
                    _ => number.is_i64(),
                };
                match fits {
                    true => Ok(()),
                    false => Err(mismatch(&format!("number {number}"), schema, place)),
                }
            }
            (Some(Type::Number), Value::Number(_))
            | (Some(Type::Boolean), Value::Bool(_))
            | (None, _) => Ok(()),
            (_, value) => Err(mismatch(type_name(value), schema, place)),
        }
    }

    /// An item of a list or a value of a map, where `null` means the zero value.
    fn element(
        &mut self,
        schema: &Schema,
        value: &mut Value,
        place: Place<'_>,
    ) -> Result<(), String> {
        if value.is_null() {
            *value = zero(schema);
            if value.is_null() {
                return Ok(());
            }
        }
        self.value(schema, value, place)
    }

    fn map(
        &mut self,
        schema: &Schema,
        fields: &mut Map<String, Value>,
        place: Place<'_>,
    ) -> Result<(), String> {
        if !schema.properties.is_empty() {
            return self.structure(schema, fields, place);
        }
        if let Additional::Of(schema) = &schema.additional {
            for (key, value) in fields {
                let path = place.path.key(key);
                self.element(schema, value, Place { path, ..place })?;
            }
        }
        Ok(())
    }

    fn structure(
        &mut self,
        schema: &Schema,
        fields: &mut Map<String, Value>,
        place: Place<'_>,
    ) -> Result<(), String> {
        let path = &place.path;
        fields.retain(|name, _| {
            let known = schema.properties.contains_key(name);
            if !known {
                self.unknown.push(path.field(name).to_string());
            }
            known
        });
        for (name, property) in &schema.properties {
            let place = Place {
                path: path.field(name),
                ..place
            };
            match (fields.get_mut(name), &property.presence) {
                (None | Some(Value::Null), Presence::Always(empty)) => {
                    let mut value = empty.clone();
                    if value.is_object() {
                        self.value(property, &mut value, place)?;
                    }
                    fields.insert(name.clone(), value);
                }
                (None, _) => {}
                (Some(Value::Null), _) => {
                    fields.remove(name);
                }
                (Some(value), presence) => {
                    self.value(property, value, place)?;
                    if *presence == Presence::Filled && is_empty(value) {
                        fields.remove(name);
                    }
                }
            }
        }
        Ok(())
    }

    fn reference(
        &mut self,
        definition: &str,
        value: &mut Value,
        place: Place<'_>,
    ) -> Result<(), String> {
        let short = definition.rsplit('.').next().unwrap_or(definition);
        let schema = definitions().get(definition);
        match (short, &mut *value) {
            ("Quantity", Value::Number(number)) => {
                let quantity = Quantity::parse(&number.to_string()).map_err(|e| e.to_string())?;
                *value = quantity.to_string().into();
                Ok(())
            }
            ("Quantity", Value::String(text)) => {
                *text = Quantity::parse(text.trim())
                    .map_err(|e| e.to_string())?
                    .to_string();
                Ok(())
            }
            ("Time", Value::String(text)) => time(text, "%Y-%m-%dT%H:%M:%SZ"),
            ("MicroTime", Value::String(text)) => time(text, "%Y-%m-%dT%H:%M:%S%.6fZ"),
            ("IntOrString", Value::Number(number)) if number.is_i64() => Ok(()),
            ("IntOrString", Value::String(_)) => Ok(()),
            ("RawExtension" | "FieldsV1" | "JSON", _) => Ok(()),
            ("JSONSchemaPropsOrBool", Value::Bool(_)) => Ok(()),
            (
                "JSONSchemaPropsOrBool" | "JSONSchemaPropsOrArray" | "JSONSchemaPropsOrStringArray",
                Value::Object(_),
            ) => self.reference(&definition.replace(short, "JSONSchemaProps"), value, place),
            ("JSONSchemaPropsOrArray", Value::Array(items)) => {
                let definition = definition.replace(short, "JSONSchemaProps");
                for (index, item) in items.iter_mut().enumerate() {
                    let path = place.path.index(index);
                    self.reference(&definition, item, Place { path, ..place })?;
                }
                Ok(())
            }
            ("JSONSchemaPropsOrStringArray", Value::Array(_)) => Ok(()),
            (_, Value::Object(fields)) => match schema {
                Some(schema) => self.map(
                    schema,
                    fields,
                    Place {
                        owner: short,
                        ..place
                    },
                ),
                None => Ok(()),
            },
            (_, value) => Err(format!(
                "json: cannot unmarshal {} into Go struct field {}.{} of type v1.{short}",
                type_name(value),
                place.owner,
                place.path.fields(),
            )),
        }
    }
}

/// What a typed server holds where a list or map has `null`.
fn zero(schema: &Schema) -> Value {
    match (schema.reference.as_deref(), schema.kind) {
        (Some(name), _) if name.ends_with("IntOrString") => json!(0),
        (Some(name), _) if name.ends_with("Quantity") => json!("0"),
        (Some(_), _) => match schema.resolve().properties.is_empty() {
            true => Value::Null,
            false => json!({}),
        },
        (None, Some(Type::String)) => json!(""),
        (None, Some(Type::Integer | Type::Number)) => json!(0),
        (None, Some(Type::Boolean)) => json!(false),
        (None, _) => Value::Null,
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Bool(true) => false,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
    }
}

fn bytes(text: &mut String) -> Result<(), String> {
    use base64::DecodeError;
    if text.contains(['\n', '\r']) {
        text.retain(|c| !matches!(c, '\n' | '\r'));
    }
    STANDARD.decode(text.as_bytes()).map(drop).map_err(|error| {
        let at = match error {
            DecodeError::InvalidByte(at, _) => at,
            DecodeError::InvalidLastSymbol { offset, .. } => offset,
            DecodeError::InvalidLength(length) => length,
            DecodeError::InvalidPadding => text.trim_end_matches('=').len(),
        };
        format!("illegal base64 data at input byte {at}")
    })
}

fn time(text: &mut String, format: &str) -> Result<(), String> {
    let parsed = match text.as_bytes().get(10) {
        Some(b'T') => text.parse::<Timestamp>().ok(),
        _ => None,
    };
    let parsed = parsed.ok_or_else(|| {
        format!(
            "parsing time {} as \"2006-01-02T15:04:05Z07:00\": cannot parse {} as \"2006\"",
            Value::from(text.as_str()),
            Value::from(text.as_str()),
        )
    })?;
    *text = parsed.strftime(format).to_string();
    Ok(())
}

pub(super) fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn mismatch(found: &str, schema: &Schema, place: Place<'_>) -> String {
    format!(
        "json: cannot unmarshal {found} into Go struct field {}.{} of type {}",
        place.owner,
        place.path.fields(),
        go_type(schema),
    )
}

/// The type of a value as a server written in Go names it.
fn go_type(schema: &Schema) -> String {
    if let Some(name) = &schema.reference {
        return format!("v1.{}", name.rsplit('.').next().unwrap_or(name));
    }
    match (schema.kind, schema.format.as_deref()) {
        (Some(Type::String), Some("byte")) => "[]uint8".to_owned(),
        (Some(Type::String), _) => "string".to_owned(),
        (Some(Type::Integer), format) => format.unwrap_or("int64").to_owned(),
        (Some(Type::Number), _) => "float64".to_owned(),
        (Some(Type::Boolean), _) => "bool".to_owned(),
        (Some(Type::Array), _) => match &schema.items {
            Some(items) => format!("[]{}", go_type(items)),
            None => "[]interface {}".to_owned(),
        },
        (Some(Type::Object), _) => match &schema.additional {
            Additional::Of(values) => format!("map[string]{}", go_type(values)),
            Additional::None | Additional::Any => "map[string]interface {}".to_owned(),
        },
        (None, _) => "interface {}".to_owned(),
    }
}
