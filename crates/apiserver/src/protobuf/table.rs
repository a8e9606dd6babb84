//! What the fields of the messages are: the table in `data/protobuf.json`.

use std::collections::HashMap;
use std::sync::LazyLock;

use serde::Deserialize;

/// All messages, by name and by the kind that they are.
#[derive(Debug)]
pub(super) struct Table {
    kinds: HashMap<&'static str, &'static str>,
    messages: HashMap<&'static str, Message>,
}

/// A message: a struct of the Go types of Kubernetes.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) name: &'static str,
    /// By tag, ascending.
    fields: Vec<FieldType>,
}

/// What a field is.
#[derive(Debug)]
pub(super) struct FieldType {
    tag: u32,
    /// Its name in JSON; `None` if its own fields stand there in its place.
    pub(super) name: Option<&'static str>,
    pub(super) form: Form,
    pub(super) scalar: Type,
    /// Whether JSON shows the field when it is empty.
    pub(super) empty: Empty,
}

/// How often a value stands in a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Once,
    List,
    /// Entries with a string for a key.
    Map,
}

/// Whether JSON shows a field that is empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Empty {
    Shown,
    LeftOut,
}

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    String,
    Bytes,
    Bool,
    Int32,
    Int64,
    Double,
    Time,
    MicroTime,
    Quantity,
    IntOrString,
    /// JSON in bytes.
    Json,
    /// A list of strings in a message of its own.
    Strings,
    SchemaOrBool,
    SchemaOrArray,
    SchemaOrStrings,
    Message(&'static str),
}

/// The table; read once.
pub(super) fn table() -> &'static Table {
    static TABLE: LazyLock<Table> = LazyLock::new(Table::load);
    &TABLE
}

#[derive(Deserialize)]
struct Source<'a> {
    #[serde(borrow)]
    kinds: HashMap<&'a str, &'a str>,
    #[serde(borrow)]
    messages: HashMap<&'a str, &'a str>,
}

impl Table {
    fn load() -> Self {
        let source: Source<'static> =
            serde_json::from_str(include_str!("../../data/protobuf.json"))
                .expect("data/protobuf.json is part of this crate and tested");
        let messages = source
            .messages
            .into_iter()
            .map(|(name, fields)| {
                let fields = fields.split(", ").filter(|field| !field.is_empty());
                let fields = fields.map(FieldType::parse).collect();
                (name, Message { name, fields })
            })
            .collect();
        Self {
            kinds: source.kinds,
            messages,
        }
    }

    /// The message that objects of a kind are.
    pub(super) fn kind(&self, api_version: &str, kind: &str) -> Option<&Message> {
        // Every group has options of its own name for the same message.
        let name = match kind {
            "DeleteOptions" => "meta.v1.DeleteOptions",
            kind => *self.kinds.get(format!("{api_version} {kind}").as_str())?,
        };
        Some(self.message(name))
    }

    /// The message of a name that the table itself mentions.
    pub(super) fn message(&self, name: &str) -> &Message {
        self.messages
            .get(name)
            .expect("data/protobuf.json has every message that it mentions, which is tested")
    }
}

impl Message {
    pub(super) fn field(&self, tag: u32) -> Option<&FieldType> {
        let index = self
            .fields
            .binary_search_by_key(&tag, |field| field.tag)
            .ok()?;
        self.fields.get(index)
    }
}

impl FieldType {
    /// Reads `7 env []core.v1.EnvVar`: tag, name (`~` for none), form and type, and `!` if shown when empty.
    fn parse(text: &'static str) -> Self {
        let mut parts = text.splitn(3, ' ');
        let mut part = || {
            parts
                .next()
                .expect("a field of data/protobuf.json has three parts")
        };
        let (tag, name, kind) = (part(), part(), part());
        let (kind, empty) = match kind.strip_suffix('!') {
            Some(kind) => (kind, Empty::Shown),
            None => (kind, Empty::LeftOut),
        };
        let (kind, form) = if let Some(kind) = kind.strip_prefix("[]") {
            (kind, Form::List)
        } else if let Some(kind) = kind.strip_prefix("{}") {
            (kind, Form::Map)
        } else {
            (kind, Form::Once)
        };
        Self {
            tag: tag
                .parse()
                .expect("a tag of data/protobuf.json is a number"),
            name: (name != "~").then_some(name),
            form,
            scalar: Type::parse(kind),
            empty,
        }
    }
}

impl Type {
    fn parse(text: &'static str) -> Self {
        match text {
            "string" => Self::String,
            "bytes" => Self::Bytes,
            "bool" => Self::Bool,
            "int32" => Self::Int32,
            "int64" => Self::Int64,
            "double" => Self::Double,
            "time" => Self::Time,
            "microtime" => Self::MicroTime,
            "quantity" => Self::Quantity,
            "int-or-string" => Self::IntOrString,
            "json" | "raw" => Self::Json,
            "strings" => Self::Strings,
            "schema-or-bool" => Self::SchemaOrBool,
            "schema-or-array" => Self::SchemaOrArray,
            "schema-or-strings" => Self::SchemaOrStrings,
            message => Self::Message(message),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::io::Read;

    use serde_json::Value;

    use super::*;
    use crate::registry::Registry;

    #[test]
    fn every_message_that_is_mentioned_is_there_and_has_each_tag_once() {
        for message in table().messages.values() {
            let tags: BTreeSet<u32> = message.fields.iter().map(|field| field.tag).collect();
            assert_eq!(tags.len(), message.fields.len(), "{}", message.name);
            assert!(
                message.fields.is_sorted_by_key(|field| field.tag),
                "{}",
                message.name
            );
            for field in &message.fields {
                if let Type::Message(name) = field.scalar {
                    assert!(
                        table().messages.contains_key(name),
                        "{}: {name}",
                        message.name
                    );
                }
                assert!(field.name.is_some() || field.form == Form::Once);
            }
        }
        for name in table().kinds.values() {
            assert!(table().messages.contains_key(name), "{name}");
        }
    }

    #[test]
    fn every_kind_that_is_created_is_there() {
        for resource in Registry::kubernetes().resources().iter() {
            // Its types are in a module of their own, and no client sends it in protobuf.
            if resource.kind == "APIService" {
                continue;
            }
            assert!(
                table()
                    .kind(&resource.api_version(), &resource.kind)
                    .is_some(),
                "{} {}",
                resource.api_version(),
                resource.kind
            );
        }
    }

    /// The names in JSON of the fields of a message, those of inline messages included.
    fn names(message: &Message) -> BTreeSet<&'static str> {
        message
            .fields
            .iter()
            .flat_map(|field| match (field.name, field.scalar) {
                (Some(name), _) => BTreeSet::from([name]),
                (None, Type::Message(inline)) => names(table().message(inline)),
                (None, _) => panic!("only messages are inline"),
            })
            .collect()
    }

    #[test]
    fn messages_have_the_fields_of_their_openapi_definitions() {
        let mut text = String::new();
        flate2::read::GzDecoder::new(&include_bytes!("../../data/schema.json.gz")[..])
            .read_to_string(&mut text)
            .unwrap();
        let source: Value = serde_json::from_str(&text).unwrap();
        let mut compared = 0;
        for (name, definition) in source["definitions"].as_object().unwrap() {
            let short = name
                .trim_start_matches("io.k8s.")
                .trim_start_matches("apimachinery.pkg.apis.")
                .trim_start_matches("apiextensions-apiserver.pkg.apis.")
                .trim_start_matches("api.");
            let Some(message) = table().messages.get(short) else {
                continue;
            };
            let properties: BTreeSet<&str> = definition["properties"]
                .as_object()
                .into_iter()
                .flatten()
                .map(|(name, _)| name.as_str())
                .filter(|name| {
                    !matches!(*name, "apiVersion" | "kind") || names(message).contains(name)
                })
                .collect();
            assert_eq!(names(message), properties, "{name}");
            compared += 1;
        }
        assert!(
            compared > 450,
            "{compared} of {} messages",
            table().messages.len()
        );
    }
}
