//! One version of one object, and its encoding, made once.

use std::ops::Range;
use std::sync::OnceLock;

use serde_json::Value;

use crate::resource::Resource;
use crate::store::Key;

/// One committed version of an object. Never changes.
///
/// The JSON of a version is made at most once, without `kind` and `apiVersion`: those differ
/// between a list item, a watch event and the versions of a custom resource, so a [`Head`] puts
/// them in front. The place of `metadata.resourceVersion` is remembered too, because a deletion is
/// told with the last state of the object under a new resource version.
#[derive(Debug)]
pub(crate) struct Stored {
    key: Key,
    revision: u64,
    value: Value,
    encoded: OnceLock<Encoded>,
}

/// The JSON of an object without `kind` and `apiVersion`.
#[derive(Debug)]
struct Encoded {
    json: Box<[u8]>,
    /// Where the digits of `metadata.resourceVersion` are.
    revision: Range<usize>,
}

/// The `kind` and `apiVersion` that stand before the rest of an object.
#[derive(Clone, Debug)]
pub(crate) struct Head(Vec<u8>);

impl Stored {
    /// A version of an object; `metadata.resourceVersion` of `value` says `revision` too.
    pub(crate) fn new(key: Key, revision: u64, value: Value) -> Self {
        Self {
            key,
            revision,
            value,
            encoded: OnceLock::new(),
        }
    }

    pub(crate) fn key(&self) -> &Key {
        &self.key
    }

    /// The resource version of the write that made this version.
    pub(crate) fn revision(&self) -> u64 {
        self.revision
    }

    pub(crate) fn value(&self) -> &Value {
        &self.value
    }

    /// `metadata.uid`.
    pub(crate) fn uid(&self) -> &str {
        self.value["metadata"]["uid"].as_str().unwrap_or_default()
    }

    /// Whether `metadata.deletionTimestamp` is set.
    pub(crate) fn is_terminating(&self) -> bool {
        !self.value["metadata"]["deletionTimestamp"].is_null()
    }

    /// How many bytes of JSON this version has.
    pub(crate) fn size(&self) -> usize {
        self.encoded().json.len()
    }

    /// Appends the JSON of this version, as if it had been written at `revision`.
    pub(crate) fn write(&self, head: &Head, revision: u64, out: &mut Vec<u8>) {
        let encoded = self.encoded();
        if revision == self.revision {
            return head.write(&encoded.json, out);
        }
        head.write(&encoded.json[..encoded.revision.start], out);
        out.extend_from_slice(revision.to_string().as_bytes());
        out.extend_from_slice(&encoded.json[encoded.revision.end..]);
    }

    fn encoded(&self) -> &Encoded {
        self.encoded.get_or_init(|| Encoded::of(&self.value))
    }
}

impl Head {
    /// For an object that says what it is.
    pub(crate) fn typed(resource: &Resource) -> Self {
        Self::of(&resource.kind, &resource.api_version())
    }

    /// For an object of another kind than its resource's, such as a Scale.
    pub(crate) fn of(kind: &str, api_version: &str) -> Self {
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

    /// Writes an object; `json` starts with its brace and has `metadata` at least.
    fn write(&self, json: &[u8], out: &mut Vec<u8>) {
        out.push(b'{');
        out.extend_from_slice(&self.0);
        out.extend_from_slice(&json[1..]);
    }
}

impl Encoded {
    fn of(value: &Value) -> Self {
        let mut out = Vec::with_capacity(1024);
        let mut revision = 0..0;
        let fields = value.as_object().into_iter().flatten();
        let mut separator = b'{';
        for (name, field) in fields {
            if name == "apiVersion" || name == "kind" {
                continue;
            }
            write_name(separator, name, &mut out);
            separator = b',';
            match field {
                Value::Object(metadata) if name == "metadata" => {
                    let mut separator = b'{';
                    for (name, field) in metadata {
                        write_name(separator, name, &mut out);
                        separator = b',';
                        let start = out.len();
                        write_value(field, &mut out);
                        if name == "resourceVersion" {
                            // Without the quotes.
                            revision = start + 1..out.len() - 1;
                        }
                    }
                    if separator == b'{' {
                        out.push(b'{');
                    }
                    out.push(b'}');
                }
                field => write_value(field, &mut out),
            }
        }
        if separator == b'{' {
            out.push(b'{');
        }
        out.push(b'}');
        Self {
            json: out.into_boxed_slice(),
            revision,
        }
    }
}

fn write_name(separator: u8, name: &str, out: &mut Vec<u8>) {
    out.push(separator);
    serde_json::to_writer(&mut *out, name).expect("a string encodes into memory");
    out.push(b':');
}

fn write_value(value: &Value, out: &mut Vec<u8>) {
    serde_json::to_writer(&mut *out, value).expect("a JSON value encodes into memory");
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn stored() -> Stored {
        let value = json!({
            "apiVersion": "v1", "kind": "ConfigMap", "data": {"k\"": "v"},
            "metadata": {"name": "a", "namespace": "b", "resourceVersion": "9"},
        });
        Stored::new(Key::new("b", "a"), 9, value)
    }

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> Value {
        let mut out = Vec::new();
        write(&mut out);
        serde_json::from_slice(&out).unwrap()
    }

    #[test]
    fn an_object_is_written_with_the_kind_asked_for() {
        let object = written(|out| stored().write(&Head::of("Thing", "x/v2"), 9, out));
        assert_eq!(object["kind"], "Thing");
        assert_eq!(object["apiVersion"], "x/v2");
        assert_eq!(object["data"], json!({"k\"": "v"}));
        assert_eq!(object["metadata"], stored().value()["metadata"]);
        let item = written(|out| stored().write(&Head::none(), 9, out));
        assert!(item.get("kind").is_none() && item.get("apiVersion").is_none());
        assert_eq!(item["data"], object["data"]);
    }

    #[test]
    fn an_object_is_written_as_of_another_revision() {
        let object = written(|out| stored().write(&Head::none(), 12345, out));
        assert_eq!(
            object["metadata"],
            json!({"name": "a", "namespace": "b", "resourceVersion": "12345"})
        );
    }
}
