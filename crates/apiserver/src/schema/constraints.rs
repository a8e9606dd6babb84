//! What a schema demands of a value beyond its type.

use regex::Regex;
use serde_json::{Number, Value};

use super::Schema;

/// The constraints of one schema node.
#[derive(Clone, Debug, Default)]
pub(crate) struct Constraints {
    pub(crate) minimum: Option<Number>,
    pub(crate) exclusive_minimum: bool,
    pub(crate) maximum: Option<Number>,
    pub(crate) exclusive_maximum: bool,
    pub(crate) multiple_of: Option<Number>,
    pub(crate) min_length: Option<u64>,
    pub(crate) max_length: Option<u64>,
    pub(crate) pattern: Option<Pattern>,
    pub(crate) min_items: Option<u64>,
    pub(crate) max_items: Option<u64>,
    pub(crate) unique_items: bool,
    pub(crate) min_properties: Option<u64>,
    pub(crate) max_properties: Option<u64>,
    pub(crate) values: Vec<Value>,
    pub(crate) all_of: Vec<Schema>,
    pub(crate) any_of: Vec<Schema>,
    pub(crate) one_of: Vec<Schema>,
    pub(crate) not: Option<Box<Schema>>,
}

/// A regular expression, and how it was written.
#[derive(Clone, Debug)]
pub(crate) struct Pattern {
    pub(crate) source: String,
    /// `None` where the expression cannot be compiled; such a pattern accepts everything.
    pub(crate) regex: Option<Regex>,
}

impl Constraints {
    /// The constraints in `source`; `None` if there are none.
    pub(super) fn parse(source: &Value) -> Option<Self> {
        const KEYWORDS: &[&str] = &[
            "minimum",
            "maximum",
            "multipleOf",
            "minLength",
            "maxLength",
            "pattern",
            "minItems",
            "maxItems",
            "uniqueItems",
            "minProperties",
            "maxProperties",
            "enum",
            "allOf",
            "anyOf",
            "oneOf",
            "not",
        ];
        if !KEYWORDS.iter().any(|keyword| source.get(keyword).is_some()) {
            return None;
        }
        let number = |key: &str| source[key].as_number().cloned();
        let count = |key: &str| source[key].as_u64();
        let schemas = |key: &str| -> Vec<Schema> {
            source[key]
                .as_array()
                .into_iter()
                .flatten()
                .map(Schema::parse)
                .collect()
        };
        Some(Self {
            minimum: number("minimum"),
            exclusive_minimum: source["exclusiveMinimum"] == true,
            maximum: number("maximum"),
            exclusive_maximum: source["exclusiveMaximum"] == true,
            multiple_of: number("multipleOf"),
            min_length: count("minLength"),
            max_length: count("maxLength"),
            pattern: source["pattern"].as_str().map(Pattern::new),
            min_items: count("minItems"),
            max_items: count("maxItems"),
            unique_items: source["uniqueItems"] == true,
            min_properties: count("minProperties"),
            max_properties: count("maxProperties"),
            values: source["enum"].as_array().cloned().unwrap_or_default(),
            all_of: schemas("allOf"),
            any_of: schemas("anyOf"),
            one_of: schemas("oneOf"),
            not: source["not"]
                .is_object()
                .then(|| Box::new(Schema::parse(&source["not"]))),
        })
    }
}

impl Pattern {
    fn new(source: &str) -> Self {
        Self {
            source: source.to_owned(),
            regex: Regex::new(source).ok(),
        }
    }

    pub(crate) fn matches(&self, text: &str) -> bool {
        self.regex.as_ref().is_none_or(|regex| regex.is_match(text))
    }
}
