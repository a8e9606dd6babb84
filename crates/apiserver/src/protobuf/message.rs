//! From the fields of a message to the JSON that it stands for.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Map, Number, Value};

use super::table::{Empty, FieldType, Form, Message, Type, table};
use super::wire::{Field, Fields, Malformed, Wire, varint};

/// How deep messages may stand in each other; only schemas nest at will.
const MAX_DEPTH: usize = 64;

/// Reads the fields of a message.
pub(super) fn read(
    message: &Message,
    bytes: &[u8],
    depth: usize,
) -> Result<Map<String, Value>, Malformed> {
    let mut object = Map::new();
    fill(&mut object, message, bytes, depth).map_err(|error| error.within(message.name))?;
    Ok(object)
}

fn fill(
    object: &mut Map<String, Value>,
    message: &Message,
    bytes: &[u8],
    depth: usize,
) -> Result<(), Malformed> {
    if depth > MAX_DEPTH {
        return Err(Malformed::new("messages nest too deep"));
    }
    for field in Fields::of(bytes) {
        let Field { tag, wire } = field?;
        let field = message
            .field(tag)
            .ok_or_else(|| Malformed::unknown(message.name, tag))?;
        let Some(name) = field.name else {
            if let Type::Message(inline) = field.scalar {
                fill(object, table().message(inline), wire.bytes()?, depth + 1)?;
            }
            continue;
        };
        match field.form {
            Form::Once => {
                let value = value(field.scalar, wire, depth)?;
                if field.empty == Empty::Shown && !value.is_null() || !is_empty(&value) {
                    object.insert(name.to_owned(), value);
                }
            }
            Form::List => {
                let list = object
                    .entry(name)
                    .or_insert_with(|| Value::Array(Vec::new()));
                if let Value::Array(list) = list {
                    items(field, wire, depth, list)?;
                }
            }
            Form::Map => {
                let (key, value) = entry(field, wire.bytes()?, depth)?;
                let map = object
                    .entry(name)
                    .or_insert_with(|| Value::Object(Map::new()));
                if let Value::Object(map) = map {
                    map.insert(key, value);
                }
            }
        }
    }
    Ok(())
}

/// Whether Go's JSON leaves a value out where it leaves out the empty.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
    }
}

/// Reads what one field adds to a list: an item, or many numbers packed together.
fn items(
    field: &FieldType,
    wire: Wire<'_>,
    depth: usize,
    list: &mut Vec<Value>,
) -> Result<(), Malformed> {
    let number = matches!(field.scalar, Type::Int32 | Type::Int64 | Type::Bool);
    match wire {
        Wire::Bytes(mut packed) if number => {
            while !packed.is_empty() {
                let item = Wire::Varint(varint(&mut packed)?);
                list.push(value(field.scalar, item, depth)?);
            }
        }
        wire => list.push(value(field.scalar, wire, depth)?),
    }
    Ok(())
}

/// Reads an entry of a map; what is missing in it is empty.
fn entry(field: &FieldType, bytes: &[u8], depth: usize) -> Result<(String, Value), Malformed> {
    let (mut key, mut found) = (String::new(), None);
    for part in Fields::of(bytes) {
        match part? {
            Field { tag: 1, wire } => wire.text()?.clone_into(&mut key),
            Field { tag: 2, wire } => found = Some(value(field.scalar, wire, depth)?),
            Field { tag, .. } => return Err(Malformed::unknown("a map entry", tag)),
        }
    }
    let value = match found {
        Some(value) => value,
        None => value(field.scalar, Wire::Bytes(&[]), depth)?,
    };
    Ok((key, value))
}

fn value(scalar: Type, wire: Wire<'_>, depth: usize) -> Result<Value, Malformed> {
    Ok(match scalar {
        Type::String => wire.text()?.into(),
        Type::Bytes => STANDARD.encode(wire.bytes()?).into(),
        Type::Bool => Value::Bool(wire.varint()? != 0),
        Type::Int32 => int32(wire)?.into(),
        Type::Int64 => int64(wire)?.into(),
        Type::Double => Number::from_f64(wire.double()?)
            .ok_or_else(|| Malformed::new("a number that JSON cannot hold"))?
            .into(),
        Type::Time => time(wire.bytes()?, "%Y-%m-%dT%H:%M:%SZ")?,
        Type::MicroTime => time(wire.bytes()?, "%Y-%m-%dT%H:%M:%S.%6fZ")?,
        Type::Quantity => quantity(wire.bytes()?)?,
        Type::IntOrString => int_or_string(wire.bytes()?)?,
        Type::Json => json(wire.bytes()?)?,
        Type::Strings => strings(wire.bytes()?)?,
        Type::SchemaOrBool => schema_or_bool(wire.bytes()?, depth)?,
        Type::SchemaOrArray => schema_or_array(wire.bytes()?, depth)?,
        Type::SchemaOrStrings => schema_or_strings(wire.bytes()?, depth)?,
        Type::Message(name) => {
            Value::Object(read(table().message(name), wire.bytes()?, depth + 1)?)
        }
    })
}

fn int64(wire: Wire<'_>) -> Result<i64, Malformed> {
    Ok(wire.varint()?.cast_signed())
}

fn int32(wire: Wire<'_>) -> Result<i32, Malformed> {
    i32::try_from(int64(wire)?).map_err(|_| Malformed::new("a number of more than 32 bits"))
}

/// Seconds and nanoseconds since 1970; the empty message is no time.
fn time(bytes: &[u8], format: &str) -> Result<Value, Malformed> {
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    let (mut seconds, mut nanos) = (0, 0);
    for field in Fields::of(bytes) {
        match field? {
            Field { tag: 1, wire } => seconds = int64(wire)?,
            Field { tag: 2, wire } => nanos = int32(wire)?,
            Field { tag, .. } => return Err(Malformed::unknown("meta.v1.Time", tag)),
        }
    }
    let time = Timestamp::new(seconds, nanos).map_err(Malformed::new)?;
    Ok(time.strftime(format).to_string().into())
}

fn quantity(bytes: &[u8]) -> Result<Value, Malformed> {
    let mut text = "";
    for field in Fields::of(bytes) {
        match field? {
            Field { tag: 1, wire } => text = wire.text()?,
            Field { tag, .. } => return Err(Malformed::unknown("resource.Quantity", tag)),
        }
    }
    Ok(text.into())
}

fn int_or_string(bytes: &[u8]) -> Result<Value, Malformed> {
    let (mut kind, mut number, mut text) = (0, 0, "");
    for field in Fields::of(bytes) {
        match field? {
            Field { tag: 1, wire } => kind = wire.varint()?,
            Field { tag: 2, wire } => number = int32(wire)?,
            Field { tag: 3, wire } => text = wire.text()?,
            Field { tag, .. } => return Err(Malformed::unknown("intstr.IntOrString", tag)),
        }
    }
    match kind {
        0 => Ok(number.into()),
        1 => Ok(text.into()),
        other => Err(Malformed::new(format!("an IntOrString of type {other}"))),
    }
}

/// A message whose one field holds JSON.
fn json(bytes: &[u8]) -> Result<Value, Malformed> {
    let mut raw = &[][..];
    for field in Fields::of(bytes) {
        match field? {
            Field { tag: 1, wire } => raw = wire.bytes()?,
            Field { tag, .. } => return Err(Malformed::unknown("an embedded value", tag)),
        }
    }
    if raw.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(raw)
        .map_err(|error| Malformed::new(format!("an embedded value: {error}")))
}

fn strings(bytes: &[u8]) -> Result<Value, Malformed> {
    let mut items = Vec::new();
    for field in Fields::of(bytes) {
        match field? {
            Field { tag: 1, wire } => items.push(Value::from(wire.text()?)),
            Field { tag, .. } => return Err(Malformed::unknown("a list of strings", tag)),
        }
    }
    Ok(items.into())
}

fn schema(wire: Wire<'_>, depth: usize) -> Result<Value, Malformed> {
    value(
        Type::Message("apiextensions.v1.JSONSchemaProps"),
        wire,
        depth,
    )
}

fn schema_or_bool(bytes: &[u8], depth: usize) -> Result<Value, Malformed> {
    let (mut allows, mut found) = (false, None);
    for field in Fields::of(bytes) {
        match field? {
            Field { tag: 1, wire } => allows = wire.varint()? != 0,
            Field { tag: 2, wire } => found = Some(schema(wire, depth)?),
            Field { tag, .. } => return Err(Malformed::unknown("a schema or a boolean", tag)),
        }
    }
    Ok(found.unwrap_or(Value::Bool(allows)))
}

fn schema_or_array(bytes: &[u8], depth: usize) -> Result<Value, Malformed> {
    let (mut one, mut many) = (Value::Null, Vec::new());
    for field in Fields::of(bytes) {
        match field? {
            Field { tag: 1, wire } => one = schema(wire, depth)?,
            Field { tag: 2, wire } => many.push(schema(wire, depth)?),
            Field { tag, .. } => return Err(Malformed::unknown("a schema or a list of them", tag)),
        }
    }
    Ok(if many.is_empty() { one } else { many.into() })
}

fn schema_or_strings(bytes: &[u8], depth: usize) -> Result<Value, Malformed> {
    let (mut one, mut names) = (Value::Null, Vec::new());
    for field in Fields::of(bytes) {
        match field? {
            Field { tag: 1, wire } => one = schema(wire, depth)?,
            Field { tag: 2, wire } => names.push(Value::from(wire.text()?)),
            Field { tag, .. } => {
                return Err(Malformed::unknown("a schema or a list of names", tag));
            }
        }
    }
    Ok(if names.is_empty() { one } else { names.into() })
}
