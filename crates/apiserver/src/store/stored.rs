//! One version of one object: its JSON, made once, and what is known of it without decoding.

use std::ops::Range;
use std::sync::Arc;

use serde_json::Value;

use crate::resource::Resource;
use crate::store::Key;
use crate::store::decoded::{Decoded, Slot};

/// One committed version of an object. Never changes.
///
/// What is kept is the JSON. Its decoded form takes ten times as much memory and more, so that it
/// is kept only for objects that were in use lately, and made again for others.
#[derive(Debug)]
pub(crate) struct Stored {
    key: Key,
    revision: u64,
    encoded: Encoded,
    uid: Box<str>,
    /// `metadata.labels`; null if there are none.
    labels: Value,
    terminating: bool,
    /// `spec.nodeName`; empty if there is none.
    node_name: Box<str>,
    /// `status.phase`; empty if there is none.
    phase: Box<str>,
    slot: Arc<Slot>,
    /// Where decoded forms are kept account of; `None` for a version that is not in the store.
    decoded: Option<Arc<Decoded>>,
}

/// The JSON of an object.
///
/// `kind` and `apiVersion` come first and can be left out: they differ between a list item, a watch
/// event and the versions of a custom resource, so a [`Head`] is put in their place. The place of
/// `metadata.resourceVersion` is known too, because a deletion is told with the last state of the
/// object under a new resource version.
#[derive(Debug)]
struct Encoded {
    json: Box<[u8]>,
    /// Where begins what follows `kind` and `apiVersion`.
    rest: usize,
    /// Where the digits of `metadata.resourceVersion` are.
    revision: Range<usize>,
}

/// The `kind` and `apiVersion` that stand before the rest of an object.
#[derive(Clone, Debug)]
pub(crate) struct Head(Vec<u8>);

impl Stored {
    /// A version of an object that is not in the store: what a dry run or an answer shows.
    pub(crate) fn new(key: Key, revision: u64, value: Value) -> Self {
        let metadata = &value["metadata"];
        let text = |value: &Value| value.as_str().unwrap_or_default().into();
        Self {
            key,
            revision,
            encoded: Encoded::of(&value),
            uid: text(&metadata["uid"]),
            labels: metadata["labels"].clone(),
            terminating: !metadata["deletionTimestamp"].is_null(),
            node_name: text(&value["spec"]["nodeName"]),
            phase: text(&value["status"]["phase"]),
            slot: Arc::new(Slot::filled(Arc::new(value))),
            decoded: None,
        }
    }

    /// A version that is committed at `revision`, which `metadata.resourceVersion` says too.
    pub(super) fn committed(key: Key, revision: u64, value: Value, decoded: &Arc<Decoded>) -> Self {
        let stored = Self {
            decoded: Some(Arc::clone(decoded)),
            ..Self::new(key, revision, value)
        };
        decoded.note(&stored.slot, stored.size());
        stored
    }

    pub(crate) fn key(&self) -> &Key {
        &self.key
    }

    /// The resource version of the write that made this version.
    pub(crate) fn revision(&self) -> u64 {
        self.revision
    }

    /// The object, decoded if it is not at hand.
    pub(crate) fn value(&self) -> Arc<Value> {
        let (value, is_new) = self.slot.get(|| {
            serde_json::from_slice(&self.encoded.json).expect("what was encoded can be decoded")
        });
        if is_new && let Some(decoded) = &self.decoded {
            decoded.note(&self.slot, self.size());
        }
        value
    }

    /// `metadata.uid`.
    pub(crate) fn uid(&self) -> &str {
        &self.uid
    }

    /// `metadata.labels`; null if there are none.
    pub(crate) fn labels(&self) -> &Value {
        &self.labels
    }

    /// Whether `metadata.deletionTimestamp` is set.
    pub(crate) fn is_terminating(&self) -> bool {
        self.terminating
    }

    /// `spec.nodeName`, by which every kubelet selects; empty if there is none.
    pub(crate) fn node_name(&self) -> &str {
        &self.node_name
    }

    /// `status.phase`; empty if there is none.
    pub(crate) fn phase(&self) -> &str {
        &self.phase
    }

    /// How many bytes of JSON this version has.
    pub(crate) fn size(&self) -> usize {
        self.encoded.json.len()
    }

    /// Appends the JSON of this version, as if it had been written at `revision`.
    pub(crate) fn write(&self, head: &Head, revision: u64, out: &mut Vec<u8>) {
        let Encoded {
            json,
            rest,
            revision: digits,
        } = &self.encoded;
        out.push(b'{');
        out.extend_from_slice(&head.0);
        if revision == self.revision {
            out.extend_from_slice(&json[*rest..]);
        } else {
            out.extend_from_slice(&json[*rest..digits.start]);
            out.extend_from_slice(revision.to_string().as_bytes());
            out.extend_from_slice(&json[digits.end..]);
        }
    }
}

impl Head {
    /// For an object that says what it is.
    pub(crate) fn typed(resource: &Resource) -> Self {
        Self::of(&resource.kind, &resource.api_version())
    }

    fn of(kind: &str, api_version: &str) -> Self {
        Self(
            format!(
                r#""kind":{},"apiVersion":{},"#,
                Value::from(kind),
                Value::from(api_version)
            )
            .into_bytes(),
        )
    }

    /// For the items of a list whose kind says what they are.
    pub(crate) fn none() -> Self {
        Self(Vec::new())
    }
}

impl Encoded {
    /// Encodes an object, which has `metadata` at least.
    fn of(value: &Value) -> Self {
        let mut out = Vec::with_capacity(1024);
        out.push(b'{');
        for name in ["kind", "apiVersion"] {
            if let Some(field) = value.get(name) {
                write_name(name, &mut out);
                write_value(field, &mut out);
                out.push(b',');
            }
        }
        let rest = out.len();
        let mut revision = rest..rest;
        let fields = value.as_object().into_iter().flatten();
        for (name, field) in fields.filter(|(name, _)| *name != "kind" && *name != "apiVersion") {
            write_name(name, &mut out);
            match field {
                Value::Object(metadata) if name == "metadata" => {
                    out.push(b'{');
                    for (name, field) in metadata {
                        write_name(name, &mut out);
                        let start = out.len();
                        write_value(field, &mut out);
                        if name == "resourceVersion" {
                            // Without the quotes.
                            revision = start + 1..out.len() - 1;
                        }
                        out.push(b',');
                    }
                    end_object(&mut out);
                }
                field => write_value(field, &mut out),
            }
            out.push(b',');
        }
        end_object(&mut out);
        Self {
            json: out.into_boxed_slice(),
            rest,
            revision,
        }
    }
}

fn write_name(name: &str, out: &mut Vec<u8>) {
    serde_json::to_writer(&mut *out, name).expect("a string encodes into memory");
    out.push(b':');
}

fn write_value(value: &Value, out: &mut Vec<u8>) {
    serde_json::to_writer(&mut *out, value).expect("a JSON value encodes into memory");
}

/// Closes an object after its last field and the comma behind it.
fn end_object(out: &mut Vec<u8>) {
    if out.last() == Some(&b',') {
        out.pop();
    }
    out.push(b'}');
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn value() -> Value {
        json!({
            "apiVersion": "v1", "kind": "ConfigMap", "data": {"k\"": "v"}, "n": 1.5e300,
            "metadata": {"name": "a", "namespace": "b", "resourceVersion": "9", "labels": {"l": "1"}},
        })
    }

    fn stored() -> Stored {
        Stored::new(Key::new("b", "a"), 9, value())
    }

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> Value {
        let mut out = Vec::new();
        write(&mut out);
        serde_json::from_slice(&out).unwrap()
    }

    #[test]
    fn an_object_is_written_with_the_kind_asked_for() {
        let mut expected = value();
        assert_eq!(
            written(|out| stored().write(&Head::of("ConfigMap", "v1"), 9, out)),
            expected
        );
        expected["kind"] = "Thing".into();
        expected["apiVersion"] = "x/v2".into();
        assert_eq!(
            written(|out| stored().write(&Head::of("Thing", "x/v2"), 9, out)),
            expected
        );
        let fields = expected.as_object_mut().unwrap();
        fields.retain(|name, _| name != "kind" && name != "apiVersion");
        assert_eq!(
            written(|out| stored().write(&Head::none(), 9, out)),
            expected
        );
    }

    #[test]
    fn an_object_is_written_as_of_another_revision() {
        let mut expected = value();
        expected["metadata"]["resourceVersion"] = "12345".into();
        let head = Head::of("ConfigMap", "v1");
        assert_eq!(written(|out| stored().write(&head, 12345, out)), expected);
    }

    #[test]
    fn small_objects_are_written_whole() {
        for value in [
            json!({"metadata": {}}),
            json!({"metadata": {}, "kind": "A"}),
            json!({"a": 1, "metadata": {"resourceVersion": "0"}}),
        ] {
            let stored = Stored::new(Key::new("", "a"), 0, value.clone());
            let decoded: Value = serde_json::from_slice(&stored.encoded.json).unwrap();
            assert_eq!(decoded, value);
            let mut rest = value;
            rest.as_object_mut().unwrap().remove("kind");
            assert_eq!(written(|out| stored.write(&Head::none(), 0, out)), rest);
        }
    }

    #[test]
    fn a_forgotten_value_is_decoded_again() {
        let decoded = Arc::new(Decoded::with_budget(0));
        let stored = Stored::committed(Key::new("b", "a"), 9, value(), &decoded);
        let (first, second) = (stored.value(), stored.value());
        assert!(!Arc::ptr_eq(&first, &second));
        assert_eq!((&*first, &*second), (&value(), &value()));
        assert_eq!(stored.labels(), &json!({"l": "1"}));
    }
}
