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

/// What kubectl 1.32 sends, byte by byte.
#[test]
fn bodies_of_kubectl_are_read() {
    for (bytes, object) in [
        (
            &b"k8s\x00\n\x0f\n\x02v1\x12\tNamespace\x12\x1c\n\x14\n\x04demo\x12\x00\x1a\x00\"\x00*\x002\x008\x00B\x00\
               \x12\x00\x1a\x02\n\x00\x1a\x00\"\x00"[..],
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "demo"}}),
        ),
        (
            b"k8s\x00\n\x15\n\x07apps/v1\x12\nDeployment\x12\xbc\x01\n#\n\x03web\x12\x00\x1a\x04demo\"\x00*\x002\x008\x00B\
              \x00Z\n\n\x03app\x12\x03web\x12\x86\x01\x08\x00\x12\x0c\n\n\n\x03app\x12\x03web\x1al\n\x1c\n\x00\x12\x00\x1a\x00\
              \"\x00*\x002\x008\x00B\x00Z\n\n\x03app\x12\x03web\x12L\x12.\n\x05nginx\x12\x05nginx*\x002\n\n\x00\x10\x00\x18P\
              \"\x00*\x00B\x00j\x00r\x00\x80\x01\x00\x88\x01\x00\x90\x01\x00\xa2\x01\x00\x1a\x002\x00B\x00J\x00R\x00X\x00`\
              \x00h\x00\x82\x01\x00\x8a\x01\x00\x9a\x01\x00\xc2\x01\x00\"\x02\n\x00(\x008\x00\x1a\x0c\x08\x00\x10\x00\x18\x00\
              \x20\x00(\x008\x00\x1a\x00\"\x00",
            json!({
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "metadata": {"name": "web", "namespace": "demo", "labels": {"app": "web"}},
                "spec": {
                    "replicas": 0,
                    "selector": {"matchLabels": {"app": "web"}},
                    "template": {
                        "metadata": {"labels": {"app": "web"}},
                        "spec": {"containers": [{"name": "nginx", "image": "nginx", "ports": [{"containerPort": 80}]}]},
                    },
                },
            }),
        ),
        (
            b"k8s\x00\n+\n\x1crbac.authorization.k8s.io/v1\x12\x0bRoleBinding\x12\x88\x01\n\x16\n\x02rb\x12\x00\x1a\x04demo\
              \"\x00*\x002\x008\x00B\x00\x12)\n\x04User\x12\x19rbac.authorization.k8s.io\x1a\x04jane\"\x00\x12\x1d\n\x0e\
              ServiceAccount\x12\x00\x1a\x03bob\"\x04demo\x1a$\n\x19rbac.authorization.k8s.io\x12\x04Role\x1a\x01r\x1a\x00\"\x00",
            json!({
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": "RoleBinding",
                "metadata": {"name": "rb", "namespace": "demo"},
                "subjects": [
                    {"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "jane"},
                    {"kind": "ServiceAccount", "name": "bob", "namespace": "demo"},
                ],
                "roleRef": {"kind": "Role", "apiGroup": "rbac.authorization.k8s.io", "name": "r"},
            }),
        ),
        (
            b"k8s\x00\n \n\tpolicy/v1\x12\x13PodDisruptionBudget\x12:\n\x15\n\x01p\x12\x00\x1a\x04demo\"\x00*\x002\x008\x00B\x00\
              \x12\x15\n\t\x08\x01\x10\x00\x1a\x0350%\x12\x08\n\x06\n\x01a\x12\x01b\x1a\n\x08\x00\x18\x00\x20\x00(\x000\x00\x1a\
              \x00\"\x00",
            json!({
                "apiVersion": "policy/v1",
                "kind": "PodDisruptionBudget",
                "metadata": {"name": "p", "namespace": "demo"},
                "spec": {"minAvailable": "50%", "selector": {"matchLabels": {"a": "b"}}},
                "status": {"disruptionsAllowed": 0, "currentHealthy": 0, "desiredHealthy": 0, "expectedPods": 0},
            }),
        ),
        (
            b"k8s\x00\n(\n\x18authentication.k8s.io/v1\x12\x0cTokenRequest\x12\x1a\n\x10\n\x00\x12\x00\x1a\x00\"\x00*\x002\
              \x008\x00B\x00\x12\x00\x1a\x04\n\x00\x12\x00\x1a\x00\"\x00",
            json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}, "status": {"token": ""}}),
        ),
    ] {
        assert_eq!(decode(bytes).unwrap(), object);
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode(&[b"k8s\0\n\x0f\n\x02v1\x12\x03Pod\x12", &[bytes.len() as u8][..], &bytes].concat());
        let _ = decode(&[MAGIC, &bytes].concat());
    }
}
