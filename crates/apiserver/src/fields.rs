//! Decoding: types, unknown fields and duplicate fields of what a client sends.

use serde_json::Value;

use crate::error::ApiError;
use crate::resource::Resource;

/// What to do with fields that the kind does not have, and with fields that stand twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum FieldValidation {
    Ignore,
    /// Drop them and warn: what a server does unless told otherwise.
    #[default]
    Warn,
    Strict,
}

/// Decodes a request body as an object of `resource`: checks types, drops unknown fields and
/// brings values into the form that the server stores.
///
/// `duplicates` are the paths of fields that stood twice in the body, in the order in which they
/// were met. Returns warnings for the `Warning` header.
///
/// # Errors
///
/// 400 for a value of the wrong type, and under [`FieldValidation::Strict`] for fields that are
/// unknown or stand twice.
pub(crate) fn check(
    resource: &Resource,
    object: &mut Value,
    validation: FieldValidation,
    duplicates: &[String],
) -> Result<Vec<String>, ApiError> {
    decode(resource, object, validation, duplicates).map_err(|why| {
        ApiError::bad_request(format!(
            "{kind} in version \"{version}\" cannot be handled as a {kind}: {why}",
            kind = resource.kind,
            version = resource.version,
        ))
    })
}

/// As [`check`], for the result of a patch; `patch` is the patch as it was sent.
///
/// # Errors
///
/// 422 where [`check`] answers 400.
pub(crate) fn check_patched(
    resource: &Resource,
    object: &mut Value,
    validation: FieldValidation,
    patch: &str,
) -> Result<Vec<String>, ApiError> {
    use crate::error::Cause;
    decode(resource, object, validation, &[]).map_err(|why| {
        let cause = Cause::invalid("patch", &Value::from(patch), why);
        ApiError::invalid_kind("", "", "", vec![cause])
    })
}

fn decode(
    _resource: &Resource,
    _object: &mut Value,
    validation: FieldValidation,
    duplicates: &[String],
) -> Result<Vec<String>, String> {
    let problems: Vec<String> = duplicates
        .iter()
        .map(|path| format!("duplicate field \"{path}\""))
        .collect();
    match validation {
        FieldValidation::Ignore => Ok(Vec::new()),
        FieldValidation::Warn => Ok(problems),
        FieldValidation::Strict if problems.is_empty() => Ok(problems),
        FieldValidation::Strict => Err(format!("strict decoding error: {}", problems.join(", "))),
    }
}
