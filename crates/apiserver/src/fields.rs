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
mod tests {
    use super::*;
    use crate::registry::Registry;

    fn resource(path: &str) -> Resource {
        let mut parts = path.split(' ');
        let mut part = || parts.next().unwrap();
        let resources = Registry::kubernetes().resources();
        let found = resources.get(part(), part(), part()).unwrap();
        Resource::clone(found)
    }

    #[track_caller]
    fn check_decodes(path: &str, sent: Value, expected: Value) {
        let resource = resource(path);
        let mut object = sent;
        let warnings = check(&resource, &mut object, FieldValidation::Strict, &[]).unwrap();
        assert_eq!(warnings, Vec::<String>::new());
        assert_eq!(object, expected);
        let once = object.clone();
        check(&resource, &mut object, FieldValidation::Strict, &[]).unwrap();
        assert_eq!(object, once, "decoding is idempotent");
    }

    #[track_caller]
    fn check_refuses(path: &str, mut sent: Value, expected: &str) {
        let error = check(&resource(path), &mut sent, FieldValidation::Warn, &[]).unwrap_err();
        assert_eq!(error.to_string(), expected);
        assert_eq!(error.code(), 400);
    }

    #[test]
    fn a_typed_server_writes_what_it_holds_not_what_it_was_sent() {
        check_decodes(
            " v1 configmaps",
            json!({"metadata": {"name": "a", "labels": {}, "creationTimestamp": null}, "data": {}}),
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}),
        );
        check_decodes(
            "apps v1 replicasets",
            json!({"metadata": {"name": "a"}, "spec": {"replicas": 0, "minReadySeconds": 0}}),
            json!({
                "apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "a"},
                "spec": {
                    "replicas": 0,
                    "template": {"metadata": {}, "spec": {"containers": null}},
                },
                "status": {"replicas": 0},
            }),
        );
    }

    #[test]
    fn quantities_and_times_take_their_canonical_form() {
        check_decodes(
            " v1 pods",
            json!({"spec": {"containers": [{
                "name": "c",
                "env": [{"name": "E", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}}],
                "resources": {"limits": {"cpu": 0.5, "memory": "1024Mi"}},
            }]}, "status": {
                "startTime": "2024-05-01T14:00:00.5+02:00",
                "conditions": [{"type": "Ready", "status": "True"}],
            }}),
            json!({
                "apiVersion": "v1", "kind": "Pod", "metadata": {},
                "spec": {"containers": [{
                    "name": "c",
                    "env": [{"name": "E", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "0"}}}],
                    "resources": {"limits": {"cpu": "500m", "memory": "1Gi"}},
                }]},
                "status": {
                    "startTime": "2024-05-01T12:00:00Z",
                    "conditions": [{"type": "Ready", "status": "True", "lastProbeTime": null, "lastTransitionTime": null}],
                },
            }),
        );
        check_decodes(
            "coordination.k8s.io v1 leases",
            json!({"spec": {"renewTime": "2024-05-01T12:00:00.5Z", "leaseTransitions": 0}}),
            json!({
                "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {},
                "spec": {"renewTime": "2024-05-01T12:00:00.500000Z", "leaseTransitions": 0},
            }),
        );
    }

    #[test]
    fn values_of_the_wrong_type_are_refused() {
        check_refuses(
            " v1 configmaps",
            json!({"metadata": {"name": true}}),
            "ConfigMap in version \"v1\" cannot be handled as a ConfigMap: json: cannot unmarshal bool into Go struct field ObjectMeta.metadata.name of type string",
        );
        check_refuses(
            "apps v1 deployments",
            json!({"spec": {"replicas": 1.5}}),
            "Deployment in version \"v1\" cannot be handled as a Deployment: json: cannot unmarshal number 1.5 into Go struct field DeploymentSpec.spec.replicas of type int32",
        );
        check_refuses(
            " v1 pods",
            json!({"spec": {"containers": {}}}),
            "Pod in version \"v1\" cannot be handled as a Pod: json: cannot unmarshal object into Go struct field PodSpec.spec.containers of type []v1.Container",
        );
        check_refuses(
            " v1 secrets",
            json!({"data": {"k": "no base64"}}),
            "Secret in version \"v1\" cannot be handled as a Secret: illegal base64 data at input byte 2",
        );
    }

    #[test]
    fn objects_of_another_kind_or_version_are_refused() {
        check_refuses(
            " v1 configmaps",
            json!({"apiVersion": "v1", "kind": "Secret"}),
            "Secret in version \"v1\" cannot be handled as a ConfigMap: converting (v1.Secret) to (core.ConfigMap): unknown conversion",
        );
        check_refuses(
            " v1 configmaps",
            json!({"apiVersion": "apps/v1", "kind": "ConfigMap"}),
            "ConfigMap in version \"v1\" cannot be handled as a ConfigMap: no kind \"ConfigMap\" is registered for version \"apps/v1\" in scheme \"k8s.io/kubernetes/pkg/api/legacyscheme/scheme.go:30\"",
        );
        check_refuses(
            " v1 configmaps",
            json!({"kind": 5}),
            "ConfigMap in version \"v1\" cannot be handled as a ConfigMap: couldn't get version/kind; json parse error: json: cannot unmarshal number into Go struct field .kind of type string",
        );
        check_refuses(
            "autoscaling v1 horizontalpodautoscalers",
            json!({"apiVersion": "autoscaling/v2"}),
            "the API version in the data (autoscaling/v2) does not match the expected API version (autoscaling/v1)",
        );
    }

    #[test]
    fn unknown_fields_are_dropped_and_told() {
        let pods = resource(" v1 pods");
        let sent = json!({"spec": {"extra": 2, "containers": [{"name": "c", "bogus": 1}]}});
        let mut object = sent.clone();
        let warnings = check(&pods, &mut object, FieldValidation::Warn, &[]).unwrap();
        assert_eq!(
            warnings,
            [
                "unknown field \"spec.containers[0].bogus\"",
                "unknown field \"spec.extra\"",
            ]
        );
        assert_eq!(object["spec"]["extra"], Value::Null);
        let warnings = check(&pods, &mut sent.clone(), FieldValidation::Ignore, &[]).unwrap();
        assert_eq!(warnings, Vec::<String>::new());
        let error = check(&pods, &mut sent.clone(), FieldValidation::Strict, &[]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "Pod in version \"v1\" cannot be handled as a Pod: strict decoding error: unknown field \"spec.containers[0].bogus\", unknown field \"spec.extra\""
        );
        let error =
            check_patched(&pods, &mut sent.clone(), FieldValidation::Strict, "{}").unwrap_err();
        assert_eq!(error.code(), 422);
    }

    #[test]
    fn fields_that_stand_twice_are_told() {
        let duplicates = ["data.k".to_owned(), "data".to_owned()];
        let mut object = json!({"metadata": {"name": "a"}});
        let maps = resource(" v1 configmaps");
        let error = check(&maps, &mut object, FieldValidation::Strict, &duplicates).unwrap_err();
        assert_eq!(
            error.to_string(),
            "ConfigMap in version \"v1\" cannot be handled as a ConfigMap: strict decoding error: duplicate field \"data.k\", duplicate field \"data\""
        );
    }
}
