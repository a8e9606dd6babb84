//! Bodies in Kubernetes' protobuf encoding, read into the JSON that they stand for.
//!
//! `kubectl create` and typed clients send built-in kinds so. What the bytes mean is told by a
//! table of messages (`data/protobuf.json`), not by generated types: a message is read straight
//! into the value that its JSON would have been.
//!
//! Go writes every field that is no pointer, be it empty, where its JSON would leave it out. The
//! table says which fields those are, and they are left out here too. Nothing else is: a field
//! that the table does not know is an error, as is a kind.

mod message;
mod table;
#[cfg(test)]
mod tests;
mod wire;

use http::StatusCode;
use serde_json::Value;

use crate::error::ApiError;
use table::table;
use wire::{Field, Fields, Malformed};

/// The bytes that every protobuf body of Kubernetes starts with.
const MAGIC: &[u8] = b"k8s\0";

/// Reads a body: an envelope that names version and kind, around the object itself.
///
/// # Errors
///
/// 415 for a kind that is not known in protobuf, which are all that definitions have added; 400
/// for bytes that are not what they say they are.
pub(crate) fn decode(bytes: &[u8]) -> Result<Value, ApiError> {
    let envelope = Envelope::read(bytes).map_err(|error| malformed(&error))?;
    let Some(message) = table().kind(envelope.api_version, envelope.kind) else {
        return Err(ApiError::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "UnsupportedMediaType",
            format!(
                "kubewright-apiserver does not read kind {:?} of {:?} in protobuf; send it as application/json",
                envelope.kind, envelope.api_version
            ),
        ));
    };
    let mut object =
        message::read(message, envelope.object, 0).map_err(|error| malformed(&error))?;
    object.insert("apiVersion".to_owned(), envelope.api_version.into());
    object.insert("kind".to_owned(), envelope.kind.into());
    Ok(Value::Object(object))
}

fn malformed(error: &Malformed) -> ApiError {
    ApiError::bad_request(format!(
        "couldn't get version/kind; protobuf parse error: {error}"
    ))
}

/// What is around every object: `runtime.Unknown`.
#[derive(Debug, Default)]
struct Envelope<'a> {
    api_version: &'a str,
    kind: &'a str,
    object: &'a [u8],
}

impl<'a> Envelope<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let bytes = bytes.strip_prefix(MAGIC).ok_or_else(|| {
            Malformed::new("the body does not start with the prefix of Kubernetes")
        })?;
        let mut envelope = Self::default();
        for field in Fields::of(bytes) {
            match field? {
                Field { tag: 1, wire } => {
                    for field in Fields::of(wire.bytes()?) {
                        match field? {
                            Field { tag: 1, wire } => envelope.api_version = wire.text()?,
                            Field { tag: 2, wire } => envelope.kind = wire.text()?,
                            Field { tag, .. } => {
                                return Err(Malformed::unknown("runtime.TypeMeta", tag));
                            }
                        }
                    }
                }
                Field { tag: 2, wire } => envelope.object = wire.bytes()?,
                Field { tag: 3, wire } => match wire.text()? {
                    "" => {}
                    other => return Err(Malformed::new(format!("content encoding {other:?}"))),
                },
                Field { tag: 4, wire } => match wire.text()? {
                    "" | "application/vnd.kubernetes.protobuf" => {}
                    other => return Err(Malformed::new(format!("content type {other:?}"))),
                },
                Field { tag, .. } => return Err(Malformed::unknown("runtime.Unknown", tag)),
            }
        }
        Ok(envelope)
    }
}
