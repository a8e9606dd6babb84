//! Bodies in Kubernetes' protobuf encoding, read into the JSON that they stand for.
//!
//! `kubectl create` and typed clients send built-in kinds so. What the bytes mean is told by a
//! table of messages (`data/protobuf.json`), not by generated types: a message is read straight
//! into the value that its JSON would have been.
//!
//! Go writes every field that is no pointer, be it empty, where its JSON would leave it out. The
//! table says which fields those are, and they are left out here too. Nothing else is: a field
//! that the table does not know is an error, as is a kind.

mod message;
mod table;
mod wire;

use http::StatusCode;
use serde_json::Value;

use crate::error::ApiError;
use table::table;
use wire::{Field, Fields, Malformed};

/// The bytes that every protobuf body of Kubernetes starts with.
const MAGIC: &[u8] = b"k8s\0";

/// Reads a body: an envelope that names version and kind, around the object itself.
///
/// # Errors
///
/// 415 for a kind that is not known in protobuf, which are all that definitions have added; 400
/// for bytes that are not what they say they are.
pub(crate) fn decode(bytes: &[u8]) -> Result<Value, ApiError> {
    let envelope = Envelope::read(bytes).map_err(|error| malformed(&error))?;
    let Some(message) = table().kind(envelope.api_version, envelope.kind) else {
        return Err(ApiError::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "UnsupportedMediaType",
            format!(
                "kubewright-apiserver does not read kind {:?} of {:?} in protobuf; send it as application/json",
                envelope.kind, envelope.api_version
            ),
        ));
    };
    let mut object =
        message::read(message, envelope.object, 0).map_err(|error| malformed(&error))?;
    object.insert("apiVersion".to_owned(), envelope.api_version.into());
    object.insert("kind".to_owned(), envelope.kind.into());
    Ok(Value::Object(object))
}

fn malformed(error: &Malformed) -> ApiError {
    ApiError::bad_request(format!(
        "couldn't get version/kind; protobuf parse error: {error}"
    ))
}

/// What is around every object: `runtime.Unknown`.
#[derive(Debug, Default)]
struct Envelope<'a> {
    api_version: &'a str,
    kind: &'a str,
    object: &'a [u8],
}

impl<'a> Envelope<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let bytes = bytes.strip_prefix(MAGIC).ok_or_else(|| {
            Malformed::new("the body does not start with the prefix of Kubernetes")
        })?;
        let mut envelope = Self::default();
        for field in Fields::of(bytes) {
            match field? {
                Field { tag: 1, wire } => {
                    for field in Fields::of(wire.bytes()?) {
                        match field? {
                            Field { tag: 1, wire } => envelope.api_version = wire.text()?,
                            Field { tag: 2, wire } => envelope.kind = wire.text()?,
                            Field { tag, .. } => {
                                return Err(Malformed::unknown("runtime.TypeMeta", tag));
                            }
                        }
                    }
                }
                Field { tag: 2, wire } => envelope.object = wire.bytes()?,
                Field { tag: 3, wire } => match wire.text()? {
                    "" => {}
                    other => return Err(Malformed::new(format!("content encoding {other:?}"))),
                },
                Field { tag: 4, wire } => match wire.text()? {
                    "" | "application/vnd.kubernetes.protobuf" => {}
                    other => return Err(Malformed::new(format!("content type {other:?}"))),
                },
                Field { tag, .. } => return Err(Malformed::unknown("runtime.Unknown", tag)),
            }
        }
        Ok(envelope)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// Writes messages by hand, independently of the table that reads them.
    #[derive(Default)]
    struct Writer(Vec<u8>);

    impl Writer {
        fn varint(mut self, mut value: u64) -> Self {
            while value >= 0x80 {
                self.0.push(value as u8 | 0x80);
                value >>= 7;
            }
            self.0.push(value as u8);
            self
        }

        fn int(self, tag: u64, value: i64) -> Self {
            self.varint(tag << 3).varint(value as u64)
        }

        fn bytes(self, tag: u64, bytes: impl AsRef<[u8]>) -> Self {
            let bytes = bytes.as_ref();
            let mut this = self.varint(tag << 3 | 2).varint(bytes.len() as u64);
            this.0.extend_from_slice(bytes);
            this
        }

        fn message(self, tag: u64, build: impl FnOnce(Self) -> Self) -> Self {
            let inner = build(Self::default());
            self.bytes(tag, inner.0)
        }

        fn entry(self, tag: u64, key: &str, value: impl AsRef<[u8]>) -> Self {
            self.message(tag, |w| w.bytes(1, key).bytes(2, value))
        }

        fn double(self, tag: u64, value: f64) -> Self {
            let mut this = self.varint(tag << 3 | 1);
            this.0.extend_from_slice(&value.to_le_bytes());
            this
        }
    }

    fn body(api_version: &str, kind: &str, build: impl FnOnce(Writer) -> Writer) -> Vec<u8> {
        let envelope = Writer::default()
            .message(1, |w| w.bytes(1, api_version).bytes(2, kind))
            .message(2, build)
            .bytes(3, "")
            .bytes(4, "");
        [MAGIC, &envelope.0].concat()
    }

    fn read(api_version: &str, kind: &str, build: impl FnOnce(Writer) -> Writer) -> Value {
        decode(&body(api_version, kind, build)).unwrap()
    }

    fn refused(bytes: &[u8]) -> (u16, String) {
        let error = decode(bytes).unwrap_err();
        (error.code().as_u16(), error.to_string())
    }

    /// What Go writes of the metadata of a new object.
    fn metadata(w: Writer, name: &str) -> Writer {
        w.message(1, |w| {
            w.bytes(1, name)
                .bytes(2, "")
                .bytes(3, "")
                .bytes(4, "")
                .bytes(5, "")
                .bytes(6, "")
                .int(7, 0)
                .bytes(8, "")
        })
    }

    #[test]
    fn a_namespace_is_read_without_the_fields_that_are_empty() {
        let bytes = b"k8s\0\n\x0f\n\x02v1\x12\tNamespace\x12\r\n\x0b\n\tnamespace";
        assert_eq!(
            decode(bytes).unwrap(),
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "namespace"}})
        );
        let object = read("v1", "Namespace", |w| {
            metadata(w, "n")
                .message(2, |w| w)
                .message(3, |w| w.bytes(1, ""))
        });
        assert_eq!(
            object,
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}})
        );
    }

    #[test]
    fn pointers_keep_their_zeroes() {
        let object = read("apps/v1", "Deployment", |w| {
            metadata(w, "d").message(2, |w| {
                w.int(1, 0)
                    .message(2, |w| w.entry(1, "app", "d"))
                    .message(3, |w| {
                        w.message(2, |w| {
                            w.message(2, |w| {
                                w.bytes(1, "c").bytes(2, "img").message(15, |w| w.int(2, 0))
                            })
                        })
                    })
                    .int(5, 0)
                    .int(7, 0)
            })
        });
        assert_eq!(
            object["spec"],
            json!({
                "replicas": 0,
                "selector": {"matchLabels": {"app": "d"}},
                "template": {"spec": {"containers": [{"name": "c", "image": "img", "securityContext": {"privileged": false}}]}},
            })
        );
    }

    #[test]
    fn bytes_are_base64_and_text_is_text() {
        let object = read("v1", "Secret", |w| {
            metadata(w, "s")
                .entry(2, "k", [0xff, 0])
                .entry(2, "empty", "")
                .bytes(3, "Opaque")
                .entry(4, "t", "x")
                .int(5, 0)
        });
        assert_eq!(object["data"], json!({"k": "/wA=", "empty": ""}));
        assert_eq!(object["stringData"], json!({"t": "x"}));
        assert_eq!(object["immutable"], json!(false));
    }

    #[test]
    fn what_is_inline_in_json_is_inline_here() {
        let object = read("v1", "Pod", |w| {
            metadata(w, "p").message(2, |w| {
                w.message(1, |w| {
                    w.bytes(1, "a")
                        .message(2, |w| w.message(2, |w| w.bytes(1, "")))
                })
                .message(1, |w| {
                    w.bytes(1, "b")
                        .message(2, |w| w.message(19, |w| w.message(1, |w| w.bytes(1, "cm"))))
                })
            })
        });
        assert_eq!(
            object["spec"]["volumes"],
            json!([{"name": "a", "emptyDir": {}}, {"name": "b", "configMap": {"name": "cm"}}])
        );
    }

    #[test]
    fn times_quantities_and_either_or_values_become_their_json() {
        let object = read("v1", "Pod", |w| {
            w.message(1, |w| {
                w.bytes(1, "p")
                    .message(8, |w| w.int(1, 1_000_000_000).int(2, 5))
            })
            .message(2, |w| {
                w.message(2, |w| {
                    w.message(8, |w| {
                        w.message(1, |w| w.bytes(1, "cpu").message(2, |w| w.bytes(1, "100m")))
                    })
                    .message(10, |w| {
                        w.message(1, |w| {
                            w.message(2, |w| w.message(2, |w| w.int(1, 0).int(2, 80).bytes(3, "")))
                        })
                    })
                    .message(11, |w| {
                        w.message(1, |w| {
                            w.message(2, |w| {
                                w.message(2, |w| w.int(1, 1).int(2, 0).bytes(3, "http"))
                            })
                        })
                    })
                })
            })
        });
        assert_eq!(
            object["metadata"]["creationTimestamp"],
            "2001-09-09T01:46:40Z"
        );
        let container = &object["spec"]["containers"][0];
        assert_eq!(container["resources"], json!({"limits": {"cpu": "100m"}}));
        assert_eq!(container["livenessProbe"], json!({"httpGet": {"port": 80}}));
        assert_eq!(
            container["readinessProbe"],
            json!({"httpGet": {"port": "http"}})
        );
        let lease = read("coordination.k8s.io/v1", "Lease", |w| {
            w.message(2, |w| {
                w.bytes(1, "h")
                    .message(4, |w| w.int(1, 1_000_000_000).int(2, 123_456_789))
            })
        });
        assert_eq!(
            lease["spec"],
            json!({"holderIdentity": "h", "renewTime": "2001-09-09T01:46:40.123456Z"})
        );
    }

    #[test]
    fn negative_and_packed_numbers_are_read() {
        let object = read("v1", "Pod", |w| {
            w.message(2, |w| {
                w.int(25, -10).message(14, |w| {
                    w.int(4, 7)
                        .bytes(4, Writer::default().varint(8).varint(u64::MAX).0)
                })
            })
        });
        assert_eq!(
            object["spec"],
            json!({"priority": -10, "securityContext": {"supplementalGroups": [7, 8, -1]}})
        );
    }

    #[test]
    fn a_definition_is_read_with_its_schema() {
        let object = read("apiextensions.k8s.io/v1", "CustomResourceDefinition", |w| {
            w.message(2, |w| {
                w.message(7, |w| {
                    w.message(4, |w| {
                        w.message(1, |w| {
                            w.bytes(5, "object")
                                .double(9, 1.5)
                                .message(8, |w| w.bytes(1, "{\"a\":1}"))
                                .message(24, |w| w.message(1, |w| w.bytes(5, "string")))
                                .message(30, |w| w.int(1, 0))
                                .message(33, |w| w.int(1, 1).message(2, |w| w.bytes(5, "integer")))
                        })
                    })
                })
            })
        });
        assert_eq!(
            object["spec"]["versions"][0]["schema"]["openAPIV3Schema"],
            json!({
                "type": "object", "maximum": 1.5, "default": {"a": 1}, "items": {"type": "string"},
                "additionalProperties": false, "additionalItems": {"type": "integer"},
            })
        );
    }

    #[test]
    fn embedded_objects_are_read_as_json() {
        let object = read("apps/v1", "ControllerRevision", |w| {
            metadata(w, "r")
                .message(2, |w| w.bytes(1, "{\"spec\":{\"a\":[1]}}"))
                .int(3, 4)
        });
        assert_eq!(
            (&object["data"], &object["revision"]),
            (&json!({"spec": {"a": [1]}}), &json!(4))
        );
    }

    #[test]
    fn delete_options_are_known_in_every_group() {
        let object = read("apps/v1", "DeleteOptions", |w| {
            w.int(1, 0)
                .message(2, |w| w.bytes(1, "u"))
                .bytes(4, "Orphan")
        });
        assert_eq!(
            object,
            json!({"apiVersion": "apps/v1", "kind": "DeleteOptions", "gracePeriodSeconds": 0,
                   "preconditions": {"uid": "u"}, "propagationPolicy": "Orphan"})
        );
    }

    #[test]
    fn what_is_not_known_is_refused_and_not_dropped() {
        let (code, message) = refused(&body("example.com/v1", "Widget", |w| w));
        assert_eq!(code, 415);
        assert!(
            message.contains("Widget") && message.contains("application/json"),
            "{message}"
        );
        let (code, message) = refused(&body("v1", "Namespace", |w| w.int(99, 1)));
        assert_eq!(code, 400);
        assert!(
            message.contains("field 99 of core.v1.Namespace"),
            "{message}"
        );
    }

    #[test]
    fn broken_bytes_are_400() {
        for bytes in [
            &b""[..],
            b"{}",
            b"k8s\0\n\xff",
            b"k8s\0\n\x0f\n\x02v1\x12\tNamespace\x12\r\n\x0b\n\tnames",
            b"k8s\0\n\x0f\n\x02v1\x12\tNamespace\x12\x02\x08\x01",
            b"k8s\0\n\x0f\n\x02v1\x12\tNamespace\x12\x05\n\x03\n\x01\xff",
        ] {
            assert_eq!(refused(bytes).0, 400, "{bytes:?}");
        }
        let nested = (0..200).fold(Writer::default(), |w, _| {
            Writer::default().message(25, |_| w)
        });
        let bytes = body("apiextensions.k8s.io/v1", "CustomResourceDefinition", |w| {
            w.message(2, |w| {
                w.message(7, |w| w.message(4, |w| w.message(1, |_| nested)))
            })
        });
        assert!(
            refused(&bytes).1.contains("too deep"),
            "{}",
            refused(&bytes).1
        );
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&[b"k8s\0\n\x0f\n\x02v1\x12\x03Pod\x12", &[bytes.len() as u8][..], &bytes].concat());
            let _ = decode(&[MAGIC, &bytes].concat());
        }
    }
}
