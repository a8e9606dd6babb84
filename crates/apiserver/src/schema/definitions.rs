//! The schema of the built-in kinds, from the data that is part of this crate.

use std::collections::HashMap;
use std::io::Read;
use std::sync::LazyLock;

use flate2::read::GzDecoder;
use serde_json::Value;

use super::{Schema, presence};

/// All definitions of the Kubernetes API, by name and by the kind that they define.
#[derive(Debug)]
pub(crate) struct Definitions {
    by_name: HashMap<String, Schema>,
    by_kind: HashMap<(String, String, String), String>,
}

/// The definitions of Kubernetes 1.36; read once.
pub(crate) fn definitions() -> &'static Definitions {
    static DEFINITIONS: LazyLock<Definitions> = LazyLock::new(Definitions::load);
    &DEFINITIONS
}

impl Definitions {
    fn load() -> Self {
        let mut text = String::new();
        GzDecoder::new(&include_bytes!("../../data/schema.json.gz")[..])
            .read_to_string(&mut text)
            .expect("data/schema.json.gz is part of this crate and tested");
        let source: Value = serde_json::from_str(&text)
            .expect("data/schema.json.gz is part of this crate and tested");
        let mut definitions = Self {
            by_name: HashMap::new(),
            by_kind: HashMap::new(),
        };
        for (name, source) in source["definitions"].as_object().into_iter().flatten() {
            for gvk in source["x-kubernetes-group-version-kind"]
                .as_array()
                .into_iter()
                .flatten()
            {
                let part = |key: &str| gvk[key].as_str().unwrap_or_default().to_owned();
                definitions
                    .by_kind
                    .insert((part("group"), part("version"), part("kind")), name.clone());
            }
            definitions
                .by_name
                .insert(name.clone(), Schema::parse(source));
        }
        presence::mark(&mut definitions.by_name);
        definitions
    }

    /// The definition of that name.
    pub(crate) fn get(&self, name: &str) -> Option<&Schema> {
        self.by_name.get(name)
    }

    /// The name of the definition of a kind.
    pub(crate) fn of_kind(&self, group: &str, version: &str, kind: &str) -> Option<&str> {
        self.by_kind
            .get(&(group.to_owned(), version.to_owned(), kind.to_owned()))
            .map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::ListType;

    #[test]
    fn every_reference_leads_to_a_definition() {
        for (name, schema) in &definitions().by_name {
            schema.any(&|node| {
                if let Some(reference) = &node.reference {
                    assert!(
                        definitions().get(reference).is_some(),
                        "{name}: {reference}"
                    );
                }
                false
            });
        }
    }

    #[test]
    fn kinds_are_found_and_carry_their_merge_keys() {
        let name = definitions().of_kind("", "v1", "Pod").unwrap();
        let pod = definitions().get(name).unwrap();
        let spec = pod.child("spec").unwrap().resolve();
        let containers = spec.child("containers").unwrap();
        assert!(containers.merge.merge);
        assert_eq!(containers.merge.key.as_deref(), Some("name"));
        let container = containers.items.as_ref().unwrap().resolve();
        let ports = container.child("ports").unwrap();
        assert_eq!(ports.merge.key.as_deref(), Some("containerPort"));
        assert_eq!(
            ports.list,
            ListType::Map(vec!["containerPort".to_owned(), "protocol".to_owned()])
        );
    }
}
