//! What objects look like: the schema of built-in kinds and of custom resources, in one form.

mod constraints;
mod definitions;
mod presence;
mod validate;

use std::collections::BTreeMap;

use serde_json::Value;

pub(crate) use self::constraints::Constraints;
pub(crate) use self::definitions::definitions;
pub(crate) use self::presence::Presence;
pub(crate) use self::validate::{validate, validate_at};
use crate::resource::{Origin, Resource};

/// The schema of one value.
#[derive(Clone, Debug, Default)]
pub(crate) struct Schema {
    /// The definition that describes the value instead of this node.
    pub(crate) reference: Option<String>,
    /// `None` where any type may stand.
    pub(crate) kind: Option<Type>,
    pub(crate) format: Option<String>,
    pub(crate) nullable: bool,
    pub(crate) properties: BTreeMap<String, Schema>,
    pub(crate) additional: Additional,
    pub(crate) items: Option<Box<Schema>>,
    pub(crate) required: Vec<String>,
    pub(crate) default: Option<Value>,
    pub(crate) int_or_string: bool,
    pub(crate) preserve_unknown: bool,
    pub(crate) embedded_resource: bool,
    pub(crate) list: ListType,
    pub(crate) merge: Merge,
    pub(crate) presence: Presence,
    /// What values must fulfil beyond their type; `None` where there is nothing.
    pub(crate) constraints: Option<Box<Constraints>>,
    /// Whether CEL rules hang on this node.
    pub(crate) has_cel_rules: bool,
}

/// The JSON type of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    Object,
    Array,
    String,
    Integer,
    Number,
    Boolean,
}

/// What stands under the keys of an object that are no properties.
#[derive(Clone, Debug, Default)]
pub(crate) enum Additional {
    /// Nothing is said of them: there are none.
    #[default]
    None,
    Any,
    Of(Box<Schema>),
}

/// How two versions of a list are understood as one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum ListType {
    #[default]
    Atomic,
    Set,
    /// Items are told apart by the values of these fields.
    Map(Vec<String>),
}

/// How a strategic merge patch treats a value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Merge {
    /// The value is replaced as a whole.
    pub(crate) replace: bool,
    /// The list merges: by `key`, or as a set of primitives where there is none.
    pub(crate) merge: bool,
    /// The field that tells the items of a list apart.
    pub(crate) key: Option<String>,
}

/// The schema of the objects of `resource`; `None` for a built-in kind without one.
pub(crate) fn of(resource: &Resource) -> Option<&Schema> {
    match &resource.origin {
        Origin::BuiltIn { definition } => definitions().get(definition.as_deref()?),
        Origin::Custom(version) => Some(&version.schema),
    }
}

impl Schema {
    /// Reads an OpenAPI schema; keywords that this server has no use for are left out.
    pub(crate) fn parse(source: &Value) -> Self {
        let text = |key: &str| source[key].as_str().map(str::to_owned);
        let flag = |key: &str| source[key] == true;
        let strategy = source["x-kubernetes-patch-strategy"].as_str().unwrap_or("");
        Self {
            reference: text("$ref"),
            kind: source["type"].as_str().and_then(Type::parse),
            format: text("format"),
            nullable: flag("nullable"),
            properties: children(&source["properties"]),
            additional: match &source["additionalProperties"] {
                Value::Object(_) => {
                    Additional::Of(Box::new(Self::parse(&source["additionalProperties"])))
                }
                Value::Bool(true) => Additional::Any,
                _ => Additional::None,
            },
            items: source["items"]
                .is_object()
                .then(|| Box::new(Self::parse(&source["items"]))),
            required: strings(&source["required"]),
            default: source.get("default").cloned(),
            int_or_string: flag("x-kubernetes-int-or-string"),
            preserve_unknown: flag("x-kubernetes-preserve-unknown-fields"),
            embedded_resource: flag("x-kubernetes-embedded-resource"),
            list: match source["x-kubernetes-list-type"].as_str() {
                Some("set") => ListType::Set,
                Some("map") => ListType::Map(strings(&source["x-kubernetes-list-map-keys"])),
                _ => ListType::Atomic,
            },
            merge: Merge {
                replace: strategy == "replace",
                merge: strategy.split(',').any(|s| s == "merge"),
                key: text("x-kubernetes-patch-merge-key"),
            },
            presence: Presence::default(),
            constraints: Constraints::parse(source).map(Box::new),
            has_cel_rules: source["x-kubernetes-validations"]
                .as_array()
                .is_some_and(|rules| !rules.is_empty()),
        }
    }

    /// This schema, or the definition that it refers to.
    pub(crate) fn resolve(&self) -> &Self {
        match &self.reference {
            Some(name) => definitions().get(name).unwrap_or(self),
            None => self,
        }
    }

    /// Whether the value is a map: an object whose keys are free.
    pub(crate) fn is_map(&self) -> bool {
        self.properties.is_empty() && !matches!(self.additional, Additional::None)
    }

    /// The schema of what stands under `key` of an object.
    pub(crate) fn child(&self, key: &str) -> Option<&Self> {
        match (self.properties.get(key), &self.additional) {
            (Some(property), _) => Some(property),
            (None, Additional::Of(schema)) => Some(schema),
            (None, Additional::None | Additional::Any) => None,
        }
    }

    /// Whether this node or one below it satisfies `test`; references are not followed.
    pub(crate) fn any(&self, test: &impl Fn(&Self) -> bool) -> bool {
        test(self)
            || self.properties.values().any(|p| p.any(test))
            || self.items.as_ref().is_some_and(|i| i.any(test))
            || matches!(&self.additional, Additional::Of(schema) if schema.any(test))
    }
}

impl Type {
    fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "object" => Self::Object,
            "array" => Self::Array,
            "string" => Self::String,
            "integer" => Self::Integer,
            "number" => Self::Number,
            "boolean" => Self::Boolean,
            _ => return None,
        })
    }

    /// The name that schemas use.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Object => "object",
            Self::Array => "array",
            Self::String => "string",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
        }
    }
}

fn children(source: &Value) -> BTreeMap<String, Schema> {
    source
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, source)| (name.clone(), Schema::parse(source)))
        .collect()
}

fn strings(source: &Value) -> Vec<String> {
    source
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|s| s.as_str().map(str::to_owned))
        .collect()
}
