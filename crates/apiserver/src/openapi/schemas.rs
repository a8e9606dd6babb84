//! The schemas of a document: those that its operations mention, and all that these mention.

use std::collections::HashMap;
use std::io::Read;
use std::sync::LazyLock;

use flate2::read::GzDecoder;
use serde_json::{Map, Value, json};

use crate::resource::{Origin, Resource};

const OBJECT_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";
const LIST_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta";

/// The definitions of Kubernetes as they are published, which is more than the server needs of them for itself.
struct Source {
    definitions: Map<String, Value>,
    /// By group, version and kind.
    kinds: HashMap<(String, String, String), String>,
}

fn source() -> &'static Source {
    static SOURCE: LazyLock<Source> = LazyLock::new(Source::load);
    &SOURCE
}

impl Source {
    fn load() -> Self {
        const INVARIANT: &str = "data/schema.json.gz is part of this crate and tested";
        let mut text = String::new();
        GzDecoder::new(&include_bytes!("../../data/schema.json.gz")[..])
            .read_to_string(&mut text)
            .expect(INVARIANT);
        let mut file: Value = serde_json::from_str(&text).expect(INVARIANT);
        let Value::Object(definitions) = file["definitions"].take() else {
            unreachable!("{INVARIANT}");
        };
        let mut kinds = HashMap::new();
        for (name, definition) in &definitions {
            for kind in definition["x-kubernetes-group-version-kind"]
                .as_array()
                .into_iter()
                .flatten()
            {
                let part = |key: &str| kind[key].as_str().unwrap_or_default().to_owned();
                kinds.insert((part("group"), part("version"), part("kind")), name.clone());
            }
        }
        Self { definitions, kinds }
    }
}

/// The schemas that a document has collected.
#[derive(Debug, Default)]
pub(super) struct Schemas(Map<String, Value>);

impl Schemas {
    pub(super) fn into_map(self) -> Map<String, Value> {
        self.0
    }

    /// A reference to the schema of a kind of `resource`; an open object where nothing is known of it.
    pub(super) fn of_kind(
        &mut self,
        resource: &Resource,
        group: &str,
        version: &str,
        kind: &str,
    ) -> Value {
        if let Origin::Custom(custom) = &resource.origin
            && group == resource.group
        {
            return self.custom(resource, &custom.open_api, kind);
        }
        let key = (group.to_owned(), version.to_owned(), kind.to_owned());
        match source().kinds.get(&key) {
            Some(name) => self.reference(name),
            None => json!({ "type": "object" }),
        }
    }

    /// A reference to a definition, which is collected with all that it mentions.
    pub(super) fn reference(&mut self, name: &str) -> Value {
        if !self.0.contains_key(name)
            && let Some(definition) = source().definitions.get(name)
        {
            // In its place first: definitions mention themselves.
            self.0.insert(name.to_owned(), Value::Null);
            let definition = self.rewritten(definition);
            self.0.insert(name.to_owned(), definition);
        }
        json!({ "$ref": format!("#/components/schemas/{name}") })
    }

    /// A schema with its references turned from names of definitions to places in the document.
    fn rewritten(&mut self, schema: &Value) -> Value {
        match schema {
            Value::Object(fields) => {
                let mut rewritten = Map::new();
                for (key, value) in fields {
                    if key == "$ref" && value.is_string() {
                        continue;
                    }
                    rewritten.insert(key.clone(), self.rewritten(value));
                }
                let Some(Value::String(name)) = fields.get("$ref") else {
                    return Value::Object(rewritten);
                };
                let reference = self.reference(name);
                if rewritten.is_empty() {
                    return reference;
                }
                // A reference stands alone: what is said beside it is said around it.
                rewritten.insert("allOf".to_owned(), json!([reference]));
                Value::Object(rewritten)
            }
            Value::Array(items) => items.iter().map(|item| self.rewritten(item)).collect(),
            other => other.clone(),
        }
    }

    /// The schema of a custom resource, or of a list of them.
    fn custom(&mut self, resource: &Resource, schema: &Value, kind: &str) -> Value {
        let reversed: Vec<&str> = resource.group.rsplit('.').collect();
        let name = format!("{}.{}.{kind}", reversed.join("."), resource.version);
        if !self.0.contains_key(&name) {
            let mut schema = match kind == resource.list_kind {
                true => {
                    let item = self.custom(resource, schema, &resource.kind);
                    json!({
                        "type": "object",
                        "required": ["items"],
                        "properties": {
                            "items": { "type": "array", "items": item },
                            "metadata": self.reference(LIST_META),
                        },
                    })
                }
                false => {
                    let mut schema = match schema {
                        Value::Object(_) => schema.clone(),
                        _ => {
                            json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true })
                        }
                    };
                    schema["properties"]["metadata"] = self.reference(OBJECT_META);
                    schema
                }
            };
            schema["properties"]["apiVersion"] = json!({ "type": "string" });
            schema["properties"]["kind"] = json!({ "type": "string" });
            schema["x-kubernetes-group-version-kind"] =
                json!([{ "group": resource.group, "version": resource.version, "kind": kind }]);
            self.0.insert(name.clone(), schema);
        }
        json!({ "$ref": format!("#/components/schemas/{name}") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definitions_that_mention_themselves_are_collected_once() {
        let mut schemas = Schemas::default();
        let name = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps";
        let reference = schemas.reference(name);
        assert_eq!(reference["$ref"], format!("#/components/schemas/{name}"));
        let collected = schemas.into_map();
        assert_eq!(collected[name]["properties"]["not"], reference);
        assert!(collected.values().all(|schema| !schema.is_null()));
    }
}
