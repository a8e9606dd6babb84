//! Decoding: types, unknown fields and duplicate fields of what a client sends.

mod decode;
mod prune;

use serde_json::{Value, json};

use self::decode::Decoder;
pub(crate) use self::prune::prune;
use crate::crd::CustomVersion;
use crate::error::{ApiError, Cause};
use crate::path::Path;
use crate::resource::{Origin, Resource};
use crate::schema::definitions;

/// What to do with fields that the kind does not have, and with fields that stand twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum FieldValidation {
    /// Drop them.
    Ignore,
    /// Drop them and warn: what a server does unless told otherwise.
    #[default]
    Warn,
    /// Refuse the object.
    Strict,
}

/// Decodes a request body as an object of `resource`.
///
/// Fills in `apiVersion` and `kind`, checks the types of all values, drops unknown fields, and
/// brings the rest into the form that a typed server writes: quantities and times in canonical
/// form, empty values gone, values that are always written present.
/// It is idempotent, and needed again after anything that edits an object by hand.
///
/// `duplicates` are the paths of fields that stood twice in the body, in the order in which they
/// were met. Returns the texts of warnings for the `Warning` header.
///
/// # Errors
///
/// 400 for an object of another kind or version, for a value of the wrong type, and under
/// [`FieldValidation::Strict`] for fields that are unknown or stand twice.
pub(crate) fn check(
    resource: &Resource,
    object: &mut Value,
    validation: FieldValidation,
    duplicates: &[String],
) -> Result<Vec<String>, ApiError> {
    let sent = Sent::read(resource, object);
    decode(resource, object, validation, duplicates).map_err(|refusal| match refusal {
        Refusal::Decoding(why) => ApiError::bad_request(format!(
            "{} in version \"{}\" cannot be handled as a {}: {why}",
            sent.kind, sent.version, resource.kind,
        )),
        Refusal::Version(why) => ApiError::bad_request(why),
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
    decode(resource, object, validation, &[]).map_err(|refusal| match refusal {
        Refusal::Decoding(why) => {
            let cause = Cause::invalid("patch", &Value::from(patch), why);
            ApiError::invalid_kind("", "", "", vec![cause])
        }
        Refusal::Version(why) => ApiError::bad_request(why),
    })
}

/// The status of an object of `resource` of which nothing is known; `None` if its kind has no status,
/// or one that is free.
pub(crate) fn default_status(resource: &Resource) -> Option<Value> {
    let Origin::BuiltIn { definition } = &resource.origin else {
        return None;
    };
    let schema = definitions().get(definition.as_deref()?)?;
    let status = schema.child("status")?;
    let mut value = json!({});
    Decoder::default()
        .definition(status.reference.as_deref()?, &mut value, Path::Root)
        .ok()?;
    Some(value)
}

/// Why an object is no object of its resource.
enum Refusal {
    Decoding(String),
    Version(String),
}

fn decode(
    resource: &Resource,
    object: &mut Value,
    validation: FieldValidation,
    duplicates: &[String],
) -> Result<Vec<String>, Refusal> {
    if !object.is_object() {
        return Err(Refusal::Decoding(
            "couldn't get version/kind; json parse error: the body is no JSON object".to_owned(),
        ));
    }
    for field in ["apiVersion", "kind"] {
        if !object[field].is_null() && !object[field].is_string() {
            return Err(Refusal::Decoding(format!(
                "couldn't get version/kind; json parse error: json: cannot unmarshal {} into Go struct field .{field} of type string",
                decode::type_name(&object[field]),
            )));
        }
    }
    let unknown = match &resource.origin {
        Origin::BuiltIn { definition } => built_in(resource, definition.as_deref(), object)?,
        Origin::Custom(version) => custom(resource, version, object)?,
    };
    let problems: Vec<String> = duplicates
        .iter()
        .map(|path| format!("duplicate field \"{path}\""))
        .chain(
            unknown
                .iter()
                .map(|path| format!("unknown field \"{path}\"")),
        )
        .collect();
    match validation {
        FieldValidation::Ignore => Ok(Vec::new()),
        FieldValidation::Warn => Ok(problems),
        FieldValidation::Strict if problems.is_empty() => Ok(problems),
        FieldValidation::Strict => Err(Refusal::Decoding(format!(
            "strict decoding error: {}",
            problems.join(", ")
        ))),
    }
}

fn built_in(
    resource: &Resource,
    definition: Option<&str>,
    object: &mut Value,
) -> Result<Vec<String>, Refusal> {
    let sent = Sent::read(resource, object);
    if (
        sent.group.as_str(),
        sent.version.as_str(),
        sent.kind.as_str(),
    ) != (&resource.group, &resource.version, &resource.kind)
    {
        return Err(sent.refusal(resource));
    }
    object["apiVersion"] = resource.api_version().into();
    object["kind"] = resource.kind.as_str().into();
    let Some(definition) = definition else {
        return Ok(Vec::new());
    };
    let mut decoder = Decoder::default();
    decoder
        .definition(definition, object, Path::Root)
        .map_err(Refusal::Decoding)?;
    decoder.unknown.sort();
    Ok(decoder.unknown)
}

fn custom(
    resource: &Resource,
    version: &CustomVersion,
    object: &mut Value,
) -> Result<Vec<String>, Refusal> {
    for (field, name) in [("kind", "Kind"), ("apiVersion", "apiVersion")] {
        if object[field].as_str().is_none_or(str::is_empty) {
            return Err(Refusal::Decoding(format!(
                "Object '{name}' is missing in '{object}'"
            )));
        }
    }
    if object["apiVersion"] != resource.api_version() {
        return Err(Refusal::Version(version_mismatch(
            object["apiVersion"].as_str().unwrap_or_default(),
            resource,
        )));
    }
    let mut unknown = metadata(object, Path::Root).map_err(Refusal::Decoding)?;
    unknown.extend(prune(object, &version.schema));
    unknown.sort();
    Ok(unknown)
}

/// Decodes the metadata of an object whose other fields are free.
fn metadata(object: &mut Value, path: Path<'_>) -> Result<Vec<String>, String> {
    const OBJECT_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";
    let mut decoder = Decoder::default();
    if object["metadata"].is_null() {
        object["metadata"] = json!({});
    }
    decoder.definition(OBJECT_META, &mut object["metadata"], path.field("metadata"))?;
    Ok(decoder.unknown)
}

/// The kind that a body says it has; that of the resource where it says nothing.
struct Sent {
    group: String,
    version: String,
    kind: String,
}

impl Sent {
    fn read(resource: &Resource, object: &Value) -> Self {
        let (group, version) = match object["apiVersion"].as_str() {
            None | Some("") => (resource.group.as_str(), resource.version.as_str()),
            Some(given) => given.split_once('/').unwrap_or(("", given)),
        };
        let kind = match object["kind"].as_str() {
            None | Some("") => resource.kind.as_str(),
            Some(given) => given,
        };
        Self {
            group: group.to_owned(),
            version: version.to_owned(),
            kind: kind.to_owned(),
        }
    }

    fn api_version(&self) -> String {
        match self.group.as_str() {
            "" => self.version.clone(),
            group => format!("{group}/{}", self.version),
        }
    }

    /// Why an object of this kind cannot be taken by `resource`.
    fn refusal(&self, resource: &Resource) -> Refusal {
        if definitions()
            .of_kind(&self.group, &self.version, &self.kind)
            .is_none()
        {
            return Refusal::Decoding(format!(
                "no kind \"{}\" is registered for version \"{}\" in scheme \"k8s.io/kubernetes/pkg/api/legacyscheme/scheme.go:30\"",
                self.kind,
                self.api_version(),
            ));
        }
        if self.kind != resource.kind {
            return Refusal::Decoding(format!(
                "converting ({}.{}) to ({}.{}): unknown conversion",
                self.version,
                self.kind,
                internal_package(&resource.storage.group),
                resource.kind,
            ));
        }
        Refusal::Version(version_mismatch(&self.api_version(), resource))
    }
}

fn version_mismatch(sent: &str, resource: &Resource) -> String {
    format!(
        "the API version in the data ({sent}) does not match the expected API version ({})",
        resource.api_version()
    )
}

/// Where a real server keeps the unversioned form of the kinds of a group.
fn internal_package(group: &str) -> &str {
    match group {
        "" => "core",
        group => group.split('.').next().unwrap_or(group),
    }
}

#[cfg(test)]
#[expect(clippy::needless_pass_by_value, reason = "calls read better")]
mod tests;
