//! The object that a row is about, and what is asked of any object.

use jiff::Timestamp;
use serde_json::Value;

use super::age;
use crate::selector::LabelSelector;

/// An object at a moment.
pub(super) struct Subject<'a> {
    pub(super) object: &'a Value,
    pub(super) now: Timestamp,
}

impl<'a> Subject<'a> {
    /// What is at a JSON pointer; null if there is nothing.
    pub(super) fn at(&self, pointer: &str) -> &'a Value {
        self.object.pointer(pointer).unwrap_or(&Value::Null)
    }

    /// The text at a pointer, or none.
    pub(super) fn text(&self, pointer: &str) -> Option<&'a str> {
        self.at(pointer).as_str().filter(|text| !text.is_empty())
    }

    /// The text at a pointer, or `default`.
    pub(super) fn text_or(&self, pointer: &str, default: &str) -> Value {
        self.text(pointer).unwrap_or(default).into()
    }

    /// The first text that is at one of the pointers, or nothing.
    pub(super) fn first_text(&self, pointers: &[&str]) -> &'a str {
        pointers
            .iter()
            .find_map(|pointer| self.text(pointer))
            .unwrap_or_default()
    }

    /// The number at a pointer, or 0.
    pub(super) fn int(&self, pointer: &str) -> i64 {
        self.at(pointer).as_i64().unwrap_or_default()
    }

    /// Whether there is a true at a pointer.
    pub(super) fn flag(&self, pointer: &str) -> bool {
        self.at(pointer) == &Value::Bool(true)
    }

    /// The items of the list at a pointer.
    pub(super) fn list(&self, pointer: &str) -> &'a [Value] {
        self.at(pointer).as_array().map_or(&[], Vec::as_slice)
    }

    /// How many items or entries are at a pointer.
    pub(super) fn count(&self, pointer: &str) -> usize {
        match self.at(pointer) {
            Value::Array(items) => items.len(),
            Value::Object(fields) => fields.len(),
            _ => 0,
        }
    }

    pub(super) fn name(&self) -> Value {
        self.at("/metadata/name")
            .as_str()
            .unwrap_or_default()
            .into()
    }

    pub(super) fn age(&self) -> Value {
        self.since("/metadata/creationTimestamp").into()
    }

    /// How long ago the time at a pointer was.
    pub(super) fn since(&self, pointer: &str) -> String {
        age::since(self.text(pointer), self.now)
    }

    pub(super) fn is_deleted(&self) -> bool {
        !self.at("/metadata/deletionTimestamp").is_null()
    }

    /// The condition of a type, in the list at `/status/conditions`.
    pub(super) fn condition(&self, kind: &str) -> Option<&'a Value> {
        let mut conditions = self.list("/status/conditions").iter();
        conditions.find(|condition| condition["type"] == kind)
    }

    /// Whether the condition of a type is there and true.
    pub(super) fn has_condition(&self, kind: &str) -> bool {
        self.condition(kind)
            .is_some_and(|condition| condition["status"] == "True")
    }

    /// The names and the images of the containers of a pod template.
    pub(super) fn containers(&self, template: &str) -> [Value; 2] {
        let containers = self.list(&format!("{template}/spec/containers"));
        ["name", "image"].map(|field| {
            let texts: Vec<&str> = containers
                .iter()
                .map(|c| c[field].as_str().unwrap_or_default())
                .collect();
            texts.join(",").into()
        })
    }

    /// A label selector, in the text that `kubectl` takes.
    pub(super) fn selector(&self, pointer: &str) -> Value {
        match LabelSelector::from_value(self.at(pointer)) {
            Ok(selector) if selector.is_empty() => "<none>".into(),
            Ok(selector) => selector.to_string().into(),
            Err(_) => "<error>".into(),
        }
    }

    /// Labels as `a=1,b=2`.
    pub(super) fn labels(&self, pointer: &str) -> Value {
        let labels = self.at(pointer).as_object().into_iter().flatten();
        let labels: Vec<String> = labels
            .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
            .collect();
        none_if_empty(&labels.join(","))
    }
}

/// A text, or `<none>`.
pub(super) fn none_if_empty(text: &str) -> Value {
    match text {
        "" => "<none>".into(),
        text => text.into(),
    }
}

/// A text, or `<unset>`.
pub(super) fn unset_if_empty(text: &str) -> Value {
    match text {
        "" => "<unset>".into(),
        text => text.into(),
    }
}

/// The first three texts, and how many more there are.
pub(super) fn first_three(texts: &[String]) -> String {
    match texts.len() {
        0..=3 => texts.join(","),
        length => format!("{} + {} more...", texts[..3].join(","), length - 3),
    }
}

/// A value that is a number or a text, as text.
pub(super) fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}
