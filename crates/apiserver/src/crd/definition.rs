//! Whether a definition of custom resources is one that can be served.

mod version;

use serde_json::Value;

use super::{structural, text, versions};
use crate::error::Cause;
use crate::path::Path;
use crate::validation::names;

/// What is wrong with a definition.
pub(crate) fn validate_definition(definition: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    name(definition, &mut causes);
    spec(&definition["spec"], &mut causes);
    causes
}

/// What is wrong with a change of a definition.
pub(crate) fn validate_definition_update(new: &Value, old: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    spec(&new["spec"], &mut causes);
    let established = old["status"]["conditions"]
        .as_array()
        .into_iter()
        .flatten()
        .any(|condition| condition["type"] == "Established" && condition["status"] == "True");
    let mut immutable = vec!["group", "names.plural"];
    if established {
        immutable.extend(["scope", "names.kind"]);
    }
    for path in immutable {
        let pointer = format!("/spec/{}", path.replace('.', "/"));
        let value = |object: &Value| object.pointer(&pointer).cloned().unwrap_or_default();
        if value(new) != value(old) {
            causes.push(Cause::invalid(
                format!("spec.{path}"),
                &value(new),
                "field is immutable",
            ));
        }
    }
    stored_versions(new, &mut causes);
    causes
}

/// A version in which objects are stored must stay.
fn stored_versions(definition: &Value, causes: &mut Vec<Cause>) {
    let stored = definition["status"]["storedVersions"].as_array();
    for (index, name) in stored.into_iter().flatten().enumerate() {
        if !versions(definition).any(|version| version["name"] == *name) {
            let name_text = text(name);
            causes.push(Cause::invalid(
                format!("status.storedVersions[{index}]"),
                name,
                format!(
                    "missing from spec.versions; {name_text} was previously a storage version, and must remain in \
                     spec.versions until a storage migration ensures no data remains persisted in {name_text} and \
                     removes {name_text} from status.storedVersions"
                ),
            ));
        }
    }
}

fn name(definition: &Value, causes: &mut Vec<Cause>) {
    let name = text(&definition["metadata"]["name"]);
    let mut problems = names::subdomain(&name);
    let spec = &definition["spec"];
    if name
        != format!(
            "{}.{}",
            text(&spec["names"]["plural"]),
            text(&spec["group"])
        )
    {
        problems.push("must be spec.names.plural+\".\"+spec.group".to_owned());
    }
    for problem in problems {
        causes.push(Cause::invalid(
            "metadata.name",
            &name.as_str().into(),
            problem,
        ));
    }
}

fn spec(spec: &Value, causes: &mut Vec<Cause>) {
    let root = Path::Root;
    let path = root.field("spec");
    group(spec, path, causes);
    match spec["scope"].as_str().unwrap_or_default() {
        "" => causes.push(Cause::required(path.field("scope"), "")),
        "Cluster" | "Namespaced" => {}
        other => causes.push(Cause::not_supported(
            path.field("scope"),
            &other.into(),
            &["Cluster", "Namespaced"],
        )),
    }
    if spec["preserveUnknownFields"] == true {
        causes.push(Cause::invalid(
            path.field("preserveUnknownFields"),
            &true.into(),
            "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead",
        ));
    }
    all_versions(spec, path, causes);
    let names_path = path.field("names");
    for required in ["plural", "singular", "kind", "listKind"] {
        if text(&spec["names"][required]).is_empty() {
            causes.push(Cause::required(names_path.field(required), ""));
        }
    }
    names(&spec["names"], names_path, causes);
    conversion(&spec["conversion"], path.field("conversion"), causes);
}

fn group(spec: &Value, path: Path<'_>, causes: &mut Vec<Cause>) {
    let group = text(&spec["group"]);
    let path = path.field("group");
    let problems = names::subdomain(&group);
    if group.is_empty() {
        causes.push(Cause::required(path, ""));
    } else if !problems.is_empty() {
        causes.push(Cause::invalid(path, &group.into(), problems.join(",")));
    } else if !group.contains('.') {
        causes.push(Cause::invalid(
            path,
            &group.into(),
            "should be a domain with at least one dot",
        ));
    }
}

fn all_versions(spec: &Value, path: Path<'_>, causes: &mut Vec<Cause>) {
    let empty = Vec::new();
    let versions = spec["versions"].as_array().unwrap_or(&empty);
    let versions_path = path.field("versions");
    for (index, version) in versions.iter().enumerate() {
        let path = versions_path.index(index);
        if !version["schema"]["openAPIV3Schema"].is_object() {
            causes.push(Cause::required(
                path.field("schema").field("openAPIV3Schema"),
                "",
            ));
        }
    }
    for (index, version) in versions.iter().enumerate() {
        version::check(version, versions_path.index(index), causes);
    }
    // A schema that all versions share is spoken of as one.
    let validation = path.field("validation");
    let shared = versions
        .iter()
        .all(|version| version["schema"] == versions[0]["schema"]);
    for (index, version) in versions.iter().enumerate() {
        let version_path = versions_path.index(index);
        let place = match shared {
            true if index > 0 => break,
            true => validation,
            false => version_path.field("schema"),
        };
        let open_api = &version["schema"]["openAPIV3Schema"];
        if open_api.is_object() {
            schema(version, open_api, place.field("openAPIV3Schema"), causes);
        }
    }
    let is_duplicate = |index: usize| {
        versions[..index]
            .iter()
            .any(|other| other["name"] == versions[index]["name"])
    };
    if (1..versions.len()).any(is_duplicate) {
        causes.push(Cause::invalid(
            versions_path,
            &spec["versions"],
            "must contain unique version names",
        ));
    }
    let stored = versions.iter().filter(|version| version["storage"] == true);
    if stored.count() != 1 {
        causes.push(Cause::invalid(
            versions_path,
            &spec["versions"],
            "must have exactly one version marked as storage version",
        ));
    }
}

fn schema(version: &Value, schema: &Value, path: Path<'_>, causes: &mut Vec<Cause>) {
    if version["subresources"]["status"].is_object() {
        const ALLOWED: &[&str] = &[
            "description",
            "example",
            "exclusiveMaximum",
            "exclusiveMinimum",
            "externalDocs",
            "format",
            "items",
            "maximum",
            "maxItems",
            "maxLength",
            "minimum",
            "minItems",
            "minLength",
            "multipleOf",
            "pattern",
            "properties",
            "required",
            "title",
            "type",
            "uniqueItems",
            "$schema",
            "x-kubernetes-preserve-unknown-fields",
            "x-kubernetes-validations",
        ];
        let wrong = super::fields(schema)
            .into_iter()
            .flatten()
            .find(|(keyword, _)| !ALLOWED.contains(&keyword.as_str()));
        if let Some((keyword, _)) = wrong {
            causes.push(Cause::forbidden(
                path.field(keyword),
                "not allowed at the root of the schema if the status subresource is enabled",
            ));
        }
    }
    if schema["nullable"] == true {
        causes.push(Cause::forbidden(
            path.field("nullable"),
            "nullable cannot be true at the root",
        ));
    }
    causes.extend(structural::check(schema, path));
}

fn names(names: &Value, path: Path<'_>, causes: &mut Vec<Cause>) {
    let mut check = |path: String, name: &str, lower: &str| {
        let problems = names::label_1035(lower);
        if name.is_empty() || problems.is_empty() {
            return;
        }
        let mixed = if name == lower && !path.ends_with("ind") {
            ""
        } else {
            "may have mixed case, but should otherwise match: "
        };
        causes.push(Cause::invalid(
            path,
            &name.into(),
            format!("{mixed}{}", problems.join(",")),
        ));
    };
    for field in ["plural", "singular"] {
        let name = text(&names[field]);
        check(path.field(field).to_string(), &name, &name);
    }
    for field in ["kind", "listKind"] {
        let name = text(&names[field]);
        check(path.field(field).to_string(), &name, &name.to_lowercase());
    }
    for field in ["shortNames", "categories"] {
        let list = super::texts(&names[field]);
        for (index, name) in list.iter().enumerate() {
            check(path.field(field).index(index).to_string(), name, name);
        }
    }
    let kind = text(&names["kind"]);
    if !kind.is_empty() && names["kind"] == names["listKind"] {
        causes.push(Cause::invalid(
            path.field("listKind"),
            &kind.into(),
            "kind and listKind may not be the same",
        ));
    }
}

fn conversion(conversion: &Value, path: Path<'_>, causes: &mut Vec<Cause>) {
    match conversion["strategy"].as_str() {
        None | Some("None") => {
            if conversion["webhook"].is_object() {
                causes.push(Cause::forbidden(
                    path.field("webhookClientConfig"),
                    "should not be set when strategy is not set to Webhook",
                ));
            }
        }
        Some("Webhook") => causes.push(Cause::forbidden(
            path.field("strategy"),
            "kubewright-apiserver does not support conversion by webhooks",
        )),
        Some(other) => causes.push(Cause::not_supported(
            path.field("strategy"),
            &other.into(),
            &["None", "Webhook"],
        )),
    }
}
