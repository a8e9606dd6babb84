//! Objects as clients send them.

use serde_json::Value;

use crate::error::ApiError;
use crate::resource::{Origin, Resource};

/// Refuses an object of another kind than the resource's; one that does not say is taken to be of it.
pub(super) fn check_kind(resource: &Resource, object: &mut Value) -> Result<(), ApiError> {
    let text = |field: &str| object[field].as_str().unwrap_or_default();
    let (kind, api_version) = (text("kind"), text("apiVersion"));
    let ours = resource.api_version();
    let cannot = |why: String| {
        let kind = if kind.is_empty() {
            &resource.kind
        } else {
            kind
        };
        Err(ApiError::bad_request(format!(
            "{kind} in version \"{}\" cannot be handled as a {}: {why}",
            resource.version, resource.kind,
        )))
    };
    let builtin = matches!(resource.origin, Origin::BuiltIn { .. });
    if !api_version.is_empty() && api_version != ours {
        if !builtin {
            return Err(ApiError::bad_request(format!(
                "the API version in the data ({api_version}) does not match the expected API version ({ours})"
            )));
        }
        return cannot(format!(
            "no kind \"{kind}\" is registered for version \"{api_version}\" in scheme \"k8s.io/kubernetes/pkg/api/legacyscheme/scheme.go:30\""
        ));
    }
    if !kind.is_empty() && kind != resource.kind {
        let internal = match resource.group.as_str() {
            "" => "core",
            group => group.split('.').next().unwrap_or(group),
        };
        return cannot(format!(
            "converting ({version}.{kind}) to ({internal}.{}): unknown conversion",
            resource.kind,
            version = resource.version,
        ));
    }
    object["kind"] = resource.kind.as_str().into();
    object["apiVersion"] = ours.into();
    Ok(())
}
