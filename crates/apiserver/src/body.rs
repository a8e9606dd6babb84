//! What a client sent: bodies in JSON, YAML or protobuf, read into one kind of value.

mod strict;

use http::StatusCode;
use serde_json::Value;

use crate::error::ApiError;
use crate::protobuf;
use strict::Strict;

const JSON: &str = "application/json";
const YAML: &str = "application/yaml";
const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";

/// A body that was understood.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Body {
    /// What it says; of keys that stand twice the last counts.
    pub(crate) value: Value,
    /// The paths of keys that stand twice in one object, such as `data.k`, in the order met.
    pub(crate) duplicates: Vec<String>,
}

/// Reads a body by its `Content-Type`; without one it is JSON.
///
/// # Errors
///
/// 415 if nothing reads this content type, 400 if the body is not what its type says, or no object.
pub(crate) fn decode(content_type: Option<&str>, bytes: &[u8]) -> Result<Body, ApiError> {
    let media_type = content_type
        .unwrap_or_default()
        .split(';')
        .next()
        .unwrap_or_default();
    let body = match media_type.trim().to_ascii_lowercase().as_str() {
        "" | JSON => decode_json(bytes)?,
        YAML => decode_yaml(bytes)?,
        PROTOBUF => Body {
            value: protobuf::decode(bytes)?,
            duplicates: Vec::new(),
        },
        _ => return Err(ApiError::unsupported_media_type(&[JSON, YAML, PROTOBUF])),
    };
    if body.value.is_object() {
        Ok(body)
    } else {
        Err(malformed("json", "the body is not an object"))
    }
}

/// Reads a JSON document of any shape; patches may be arrays.
///
/// # Errors
///
/// 400 if it is not JSON.
pub(crate) fn decode_json(bytes: &[u8]) -> Result<Body, ApiError> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let body = Strict::read(&mut reader).map_err(|error| malformed("json", error))?;
    reader.end().map_err(|error| malformed("json", error))?;
    Ok(body)
}

/// Reads a YAML document of any shape.
///
/// Plain scalars mean what they mean to the API, which is YAML 1.1: `y` is true and `010` is eight.
///
/// # Errors
///
/// 400 if it is not one YAML document.
pub(crate) fn decode_yaml(bytes: &[u8]) -> Result<Body, ApiError> {
    let text = std::str::from_utf8(bytes).map_err(|error| malformed("yaml", error))?;
    let options = serde_saphyr::options! {
        duplicate_keys: serde_saphyr::options::DuplicateKeyPolicy::LastWins,
        strict_booleans: false,
        legacy_octal_numbers: true,
        with_snippet: false,
    };
    serde_saphyr::with_deserializer_from_str_with_options(text, options, |reader| {
        Strict::read(reader)
    })
    .map_err(|error| malformed("yaml", error))
}

fn malformed(language: &str, why: impl std::fmt::Display) -> ApiError {
    ApiError::new(
        StatusCode::BAD_REQUEST,
        "BadRequest",
        format!("couldn't get version/kind; {language} parse error: {why}"),
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::representation::{Encoding, Representation};

    fn json(text: &str) -> Body {
        decode(Some("application/json; charset=utf-8"), text.as_bytes()).unwrap()
    }

    fn yaml(text: &str) -> Value {
        decode(Some("application/yaml"), text.as_bytes())
            .unwrap()
            .value
    }

    #[test]
    fn json_is_read_with_its_duplicate_keys() {
        let body = json(
            r#"{"data":{"k":"1","k":"2"},"list":[{"a":1},{"b":1,"b":{"c":2}}],"data":{"z":"1"}}"#,
        );
        assert_eq!(body.duplicates, ["data.k", "list[1].b", "data"]);
        assert_eq!(
            body.value,
            json!({"data": {"z": "1"}, "list": [{"a": 1}, {"b": {"c": 2}}]})
        );
        assert_eq!(
            json(r#"{"a":{"x":1},"b":{"x":1}}"#).duplicates,
            Vec::<String>::new()
        );
    }

    #[test]
    fn a_missing_content_type_means_json() {
        assert_eq!(decode(None, b"{}").unwrap().value, json!({}));
        assert_eq!(decode(Some(""), b"{}").unwrap().value, json!({}));
    }

    #[test]
    fn yaml_means_what_it_means_to_the_api() {
        assert_eq!(
            yaml(
                "a: y\nb: 'y'\nc: 010\nd: 1.5\ne: ~\nf: [on, off]\n1: x\ng: 2001-01-01\nh: |\n  l\n"
            ),
            json!({"a": true, "b": "y", "c": 8, "d": 1.5, "e": null, "f": [true, false], "1": "x",
                   "g": "2001-01-01", "h": "l\n"})
        );
        assert_eq!(
            yaml("base: &b {x: 1}\nmore: {<<: *b, y: 2}"),
            json!({"base": {"x": 1}, "more": {"x": 1, "true": 2}})
        );
        let body = decode(Some("application/yaml"), b"a:\n  b: 1\n  b: 2\n").unwrap();
        assert_eq!(body.duplicates, ["a.b"]);
        assert_eq!(body.value, json!({"a": {"b": 2}}));
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for (content_type, text) in [
            ("application/json", "{nope"),
            ("application/json", "{\"a\":"),
            ("application/json", ""),
            ("application/json", "[]"),
            ("application/json", "{} {}"),
            ("application/json", "\"x\""),
            ("application/yaml", "a: ["),
            ("application/yaml", ""),
            ("application/yaml", "- a"),
            ("application/yaml", "a: 1\n---\nb: 2"),
        ] {
            let error = decode(Some(content_type), text.as_bytes()).unwrap_err();
            assert_eq!(
                (error.code().as_u16(), error.reason()),
                (400, Some("BadRequest")),
                "{text:?}"
            );
        }
        assert_eq!(
            decode(Some("application/yaml"), b"a: \xff")
                .unwrap_err()
                .code(),
            400
        );
    }

    #[test]
    fn a_deep_body_is_refused_and_not_a_crash() {
        let deep = format!("{}1{}", "{\"a\":".repeat(100_000), "}".repeat(100_000));
        assert_eq!(decode(None, deep.as_bytes()).unwrap_err().code(), 400);
        let deep = "[".repeat(100_000);
        assert_eq!(
            decode(Some("application/yaml"), deep.as_bytes())
                .unwrap_err()
                .code(),
            400
        );
    }

    #[test]
    fn an_unknown_content_type_is_415_and_names_those_accepted() {
        let error = decode(Some("text/plain"), b"x").unwrap_err();
        assert_eq!(error.code(), 415);
        assert_eq!(
            error.to_string(),
            "the body of the request was in an unknown format - accepted media types include: \
             application/json, application/yaml, application/vnd.kubernetes.protobuf"
        );
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            (-1e9..1e9f64).prop_map(Value::from),
            ".{0,12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(".{0,6}", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_as_yaml_reads_back(value in any_json()) {
            let yaml = Representation { encoding: Encoding::Yaml, ..Representation::PLAIN };
            let text = yaml.encode(&value);
            let read = decode_yaml(&text);
            prop_assert!(read.is_ok(), "{read:?}: {text:?}");
            prop_assert_eq!(read.unwrap().value, value, "{:?}", text);
        }

        #[test]
        fn json_reads_as_serde_json_reads_it(value in any_json()) {
            let body = decode_json(value.to_string().as_bytes()).unwrap();
            prop_assert_eq!(body.value, value);
            prop_assert_eq!(body.duplicates.len(), 0);
        }
    }
}
