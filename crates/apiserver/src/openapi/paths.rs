//! The operations of a resource, and the parameters that they take.

use serde_json::{Map, Value, json};

use super::schemas::Schemas;
use crate::resource::Resource;

const STATUS: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.Status";
const DELETE_OPTIONS: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions";
const PATCH: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.Patch";

const READ: &[(&str, &str)] = &[("pretty", "string")];
const WRITE: &[(&str, &str)] = &[
    ("pretty", "string"),
    ("dryRun", "string"),
    ("fieldManager", "string"),
    ("fieldValidation", "string"),
];
const PATCHED: &[(&str, &str)] = &[
    ("pretty", "string"),
    ("dryRun", "string"),
    ("fieldManager", "string"),
    ("fieldValidation", "string"),
    ("force", "boolean"),
];
const DELETE: &[(&str, &str)] = &[
    ("pretty", "string"),
    ("dryRun", "string"),
    ("gracePeriodSeconds", "integer"),
    ("orphanDependents", "boolean"),
    ("propagationPolicy", "string"),
];
const LIST: &[(&str, &str)] = &[
    ("pretty", "string"),
    ("allowWatchBookmarks", "boolean"),
    ("continue", "string"),
    ("fieldSelector", "string"),
    ("labelSelector", "string"),
    ("limit", "integer"),
    ("resourceVersion", "string"),
    ("resourceVersionMatch", "string"),
    ("sendInitialEvents", "boolean"),
    ("timeoutSeconds", "integer"),
    ("watch", "boolean"),
];

/// What a verb of a resource is in HTTP.
struct Verb {
    /// As discovery names it.
    name: &'static str,
    method: &'static str,
    /// As `x-kubernetes-action` names it.
    action: &'static str,
    parameters: &'static [(&'static str, &'static str)],
}

const COLLECTION_VERBS: [Verb; 3] = [
    Verb {
        name: "list",
        method: "get",
        action: "list",
        parameters: LIST,
    },
    Verb {
        name: "create",
        method: "post",
        action: "post",
        parameters: WRITE,
    },
    Verb {
        name: "deletecollection",
        method: "delete",
        action: "deletecollection",
        parameters: DELETE,
    },
];

const OBJECT_VERBS: [Verb; 4] = [
    Verb {
        name: "get",
        method: "get",
        action: "get",
        parameters: READ,
    },
    Verb {
        name: "update",
        method: "put",
        action: "put",
        parameters: WRITE,
    },
    Verb {
        name: "patch",
        method: "patch",
        action: "patch",
        parameters: PATCHED,
    },
    Verb {
        name: "delete",
        method: "delete",
        action: "delete",
        parameters: DELETE,
    },
];

const SUBRESOURCE_VERBS: [Verb; 4] = [
    Verb {
        name: "create",
        method: "post",
        action: "post",
        parameters: WRITE,
    },
    Verb {
        name: "get",
        method: "get",
        action: "get",
        parameters: READ,
    },
    Verb {
        name: "update",
        method: "put",
        action: "put",
        parameters: WRITE,
    },
    Verb {
        name: "patch",
        method: "patch",
        action: "patch",
        parameters: PATCHED,
    },
];

/// What an operation is about.
struct Subject<'a> {
    resource: &'a Resource,
    group: &'a str,
    version: &'a str,
    kind: &'a str,
}

/// Adds the paths of a resource, which start with `base`, and the schemas of what they take and give.
pub(super) fn add(
    resource: &Resource,
    base: &str,
    schemas: &mut Schemas,
    paths: &mut Map<String, Value>,
) {
    let everywhere = format!("{base}/{}", resource.plural);
    let collection = match resource.namespaced {
        true => format!("{base}/namespaces/{{namespace}}/{}", resource.plural),
        false => everywhere.clone(),
    };
    let object = format!("{collection}/{{name}}");
    let subject = Subject {
        resource,
        group: &resource.group,
        version: &resource.version,
        kind: &resource.kind,
    };
    let mut put = |path: &str, subject: &Subject<'_>, verbs: &[&Verb]| {
        if verbs.is_empty() {
            return;
        }
        let mut item = Map::new();
        let variables: Vec<Value> = ["namespace", "name"]
            .iter()
            .filter(|variable| path.contains(&format!("{{{variable}}}")))
            .map(|variable| parameter(variable, "path", "string"))
            .collect();
        if !variables.is_empty() {
            item.insert("parameters".to_owned(), variables.into());
        }
        for verb in verbs {
            item.insert(verb.method.to_owned(), operation(subject, verb, schemas));
        }
        paths.insert(path.to_owned(), Value::Object(item));
    };
    let has = |verb: &&Verb| resource.has_verb(verb.name);
    let collection_verbs: Vec<&Verb> = COLLECTION_VERBS.iter().filter(has).collect();
    let object_verbs: Vec<&Verb> = OBJECT_VERBS.iter().filter(has).collect();
    put(&collection, &subject, &collection_verbs);
    if resource.namespaced {
        let listing: Vec<&Verb> = collection_verbs
            .into_iter()
            .filter(|verb| verb.name == "list")
            .collect();
        put(&everywhere, &subject, &listing);
    }
    put(&object, &subject, &object_verbs);
    for subresource in &resource.subresources {
        // An empty version means those of the resource, and an empty group with a version the core group.
        let (group, version) = match subresource.version.as_str() {
            "" => (&resource.group, &resource.version),
            _ => (&subresource.group, &subresource.version),
        };
        let subject = Subject {
            resource,
            group,
            version,
            kind: &subresource.kind,
        };
        let verbs: Vec<&Verb> = SUBRESOURCE_VERBS
            .iter()
            .filter(|verb| subresource.verbs.iter().any(|name| name == verb.name))
            .collect();
        put(&format!("{object}/{}", subresource.name), &subject, &verbs);
    }
}

fn operation(subject: &Subject<'_>, verb: &Verb, schemas: &mut Schemas) -> Value {
    let Subject {
        resource,
        group,
        version,
        kind,
    } = *subject;
    let of_kind =
        |schemas: &mut Schemas, kind: &str| schemas.of_kind(resource, group, version, kind);
    let answer = match verb.name {
        "list" => of_kind(schemas, &resource.list_kind),
        "delete" | "deletecollection" => schemas.reference(STATUS),
        _ => of_kind(schemas, kind),
    };
    let body = match verb.name {
        "create" | "update" => Some(of_kind(schemas, kind)),
        "patch" => Some(schemas.reference(PATCH)),
        "delete" | "deletecollection" => Some(schemas.reference(DELETE_OPTIONS)),
        _ => None,
    };
    let code = if verb.name == "create" { "201" } else { "200" };
    let parameters: Vec<Value> = verb
        .parameters
        .iter()
        .map(|(name, kind)| parameter(name, "query", kind))
        .collect();
    let mut operation = json!({
        "parameters": parameters,
        "responses": { code: { "description": "", "content": { "application/json": { "schema": answer } } } },
        "x-kubernetes-action": verb.action,
        "x-kubernetes-group-version-kind": { "group": group, "version": version, "kind": kind },
    });
    if let Some(schema) = body {
        let media_type = match verb.name {
            "patch" => "application/merge-patch+json",
            _ => "application/json",
        };
        operation["requestBody"] = json!({ "content": { media_type: { "schema": schema } } });
    }
    operation
}

fn parameter(name: &str, place: &str, kind: &str) -> Value {
    let mut parameter = json!({ "name": name, "in": place, "schema": { "type": kind } });
    if place == "path" {
        parameter["required"] = true.into();
    }
    parameter
}
