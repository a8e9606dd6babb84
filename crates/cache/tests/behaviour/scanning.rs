//! The scanner against `serde_json`.

use kubewright_cache::scan;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// Any text, with what a careless scanner trips over.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-z./-]{0,12}",
        1 => prop::collection::vec(
            prop_oneof![
                Just("\""), Just("\\"), Just("{"), Just("]"), Just("managedFields"), Just("\n"),
                Just("\u{0}"), Just("é"), Just("日"), Just("😀"), Just("metadata"), Just(","), Just(":"),
            ],
            0..8,
        ).prop_map(|parts| parts.concat()),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1e9..1e9).prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((text(), inner), 0..5)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// A member to write: objects are lists of members, so that keys can repeat and order is free.
type Members = Vec<(String, Value)>;

fn strings() -> impl Strategy<Value = Value> {
    prop::collection::vec((text(), text()), 0..5).prop_map(|members| {
        Value::Object(
            members
                .into_iter()
                .map(|(k, v)| (k, Value::from(v)))
                .collect(),
        )
    })
}

fn owners() -> impl Strategy<Value = Value> {
    let owner = (text(), text(), any::<Option<bool>>(), value());
    prop::collection::vec(owner, 0..3).prop_map(|owners| {
        let owners = owners.into_iter().map(|(name, uid, controller, other)| {
            json!({"apiVersion": "v1", "kind": "Owner", "name": name, "uid": uid,
                "controller": controller, "zother": other})
        });
        owners.collect::<Vec<_>>().into()
    })
}

fn metadata() -> impl Strategy<Value = Members> {
    let member = prop_oneof![
        "[a-z]{1,8}".prop_map(|name| ("name".to_owned(), Value::from(name))),
        "[a-z]{0,8}".prop_map(|name| ("namespace".to_owned(), Value::from(name))),
        text().prop_map(|uid| ("uid".to_owned(), Value::from(uid))),
        (0_u64..99).prop_map(|version| ("resourceVersion".to_owned(), version.to_string().into())),
        any::<Option<i64>>().prop_map(|count| ("generation".to_owned(), count.into())),
        strings().prop_map(|labels| ("labels".to_owned(), labels)),
        strings().prop_map(|notes| ("annotations".to_owned(), notes)),
        prop::collection::vec(text(), 0..3).prop_map(|all| ("finalizers".to_owned(), all.into())),
        owners().prop_map(|owners| ("ownerReferences".to_owned(), owners)),
        (0_i64..4_000_000_000).prop_map(|second| {
            let time = jiff::Timestamp::from_second(second).unwrap().to_string();
            ("creationTimestamp".to_owned(), time.into())
        }),
        Just((
            "deletionTimestamp".to_owned(),
            "2024-05-01T12:00:00.5+02:00".into()
        )),
        value().prop_map(|any| ("managedFields".to_owned(), any)),
        (text(), value()).prop_filter("not one that is read", |(key, _)| !key.contains("managed")),
    ];
    (
        prop::collection::vec(member, 0..14),
        "[a-z]{1,8}",
        any::<prop::sample::Index>(),
    )
        .prop_map(|(mut members, name, place)| {
            let place = place.index(members.len() + 1);
            members.insert(place, ("name".to_owned(), name.into()));
            members
        })
}

/// Writes JSON in one of many ways, chosen by `dice`.
struct Writer {
    out: String,
    dice: fastrand::Rng,
}

impl Writer {
    fn space(&mut self) {
        for _ in 0..self.dice.usize(0..3).saturating_sub(1) {
            self.out
                .push(*self.dice.choice(&[' ', '\n', '\t', '\r']).unwrap());
        }
    }

    fn string(&mut self, text: &str) {
        self.out.push('"');
        for char in text.chars() {
            let escape = char < ' ' || matches!(char, '"' | '\\') || self.dice.u8(..) < 20;
            match char {
                '"' | '\\' if self.dice.bool() => self.out.extend(['\\', char]),
                '/' if escape => self.out.push_str("\\/"),
                '\n' if self.dice.bool() => self.out.push_str("\\n"),
                _ if escape => {
                    let mut units = [0; 2];
                    for unit in char.encode_utf16(&mut units) {
                        self.out.push_str(&format!("\\u{unit:04x}"));
                    }
                }
                _ => self.out.push(char),
            }
        }
        self.out.push('"');
    }

    fn members<'a>(&mut self, members: impl IntoIterator<Item = (&'a String, &'a Value)>) {
        self.out.push('{');
        for (place, (key, value)) in members.into_iter().enumerate() {
            if place > 0 {
                self.out.push(',');
            }
            self.space();
            self.string(key);
            self.space();
            self.out.push(':');
            self.value(value);
        }
        self.space();
        self.out.push('}');
    }

    fn value(&mut self, value: &Value) {
        self.space();
        match value {
            Value::String(text) => self.string(text),
            Value::Array(items) => {
                self.out.push('[');
                for (place, item) in items.iter().enumerate() {
                    if place > 0 {
                        self.out.push(',');
                    }
                    self.value(item);
                }
                self.space();
                self.out.push(']');
            }
            Value::Object(members) => self.members(members),
            plain => self.out.push_str(&plain.to_string()),
        }
        self.space();
    }
}

/// Members beside the metadata.
fn others() -> impl Strategy<Value = Members> {
    let other = (text(), value()).prop_filter("no metadata", |(key, _)| !key.contains("metadata"));
    prop::collection::vec(other, 0..4)
}

/// An object's text: metadata anywhere among other members, possibly twice.
fn object() -> impl Strategy<Value = String> {
    (
        others(),
        prop::option::weighted(0.2, metadata()),
        others(),
        metadata(),
        any::<u64>(),
    )
        .prop_map(|(before, earlier, between, metadata, seed)| {
            let mut writer = Writer {
                out: String::new(),
                dice: fastrand::Rng::with_seed(seed),
            };
            let mut parts: Vec<(String, String)> = Vec::new();
            for (key, value) in before {
                parts.push((key, writer.text(|writer| writer.value(&value))));
            }
            if let Some(members) = earlier {
                parts.push((
                    "metadata".into(),
                    writer.text(|writer| writer.all(&members)),
                ));
            }
            for (key, value) in between {
                parts.push((key, writer.text(|writer| writer.value(&value))));
            }
            parts.push((
                "metadata".into(),
                writer.text(|writer| writer.all(&metadata)),
            ));
            writer.space();
            writer.out.push('{');
            for (place, (key, text)) in parts.iter().enumerate() {
                if place > 0 {
                    writer.out.push(',');
                }
                writer.space();
                writer.string(key);
                writer.out.push(':');
                writer.out.push_str(text);
            }
            writer.out.push('}');
            writer.space();
            writer.out
        })
}

impl Writer {
    fn all(&mut self, members: &Members) {
        self.members(members.iter().map(|(key, value)| (key, value)));
    }

    fn text(&mut self, write: impl FnOnce(&mut Self)) -> String {
        let before = std::mem::take(&mut self.out);
        write(self);
        std::mem::replace(&mut self.out, before)
    }
}

/// Asserts that a scan finds what a parser finds.
fn assert_agrees(text: &str) {
    let parsed: Value = serde_json::from_str(text).unwrap();
    let scanned = scan::object(text.as_bytes()).unwrap();
    let object = scanned.encode().unwrap();
    let (meta, expected) = (object.meta(), &parsed["metadata"]);
    let string = |name: &str| expected[name].as_str().unwrap_or_default();
    assert_eq!(meta.name(), string("name"));
    assert_eq!(meta.namespace().unwrap_or_default(), string("namespace"));
    assert_eq!(meta.uid().to_string(), string("uid"));
    assert_eq!(
        meta.resource_version().to_string(),
        string("resourceVersion")
    );
    assert_eq!(meta.generation(), expected["generation"].as_i64());
    let time = |name: &str| expected[name].as_str().map(|text| text.parse().unwrap());
    assert_eq!(meta.creation_timestamp(), time("creationTimestamp"));
    assert_eq!(meta.deletion_timestamp(), time("deletionTimestamp"));

    let empty = Map::new();
    let object_of = |name: &str| expected[name].as_object().unwrap_or(&empty);
    let labels: Vec<_> = meta.labels().iter().collect();
    let expected_labels: Vec<_> = object_of("labels")
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str().unwrap()))
        .collect();
    assert_eq!(labels, expected_labels);
    for (key, value) in expected_labels {
        assert_eq!(meta.label(key), Some(value));
    }
    assert_eq!(meta.label("no such label"), None);
    for (key, value) in object_of("annotations") {
        assert_eq!(meta.annotation(key).as_deref(), value.as_str());
    }
    let finalizers: Vec<_> = meta.finalizers().collect();
    let array_of = |name: &str| expected[name].as_array().cloned().unwrap_or_default();
    assert_eq!(finalizers, array_of("finalizers"));
    let owners: Vec<_> = meta
        .owner_references()
        .map(|owner| {
            (
                owner.name.to_owned(),
                owner.uid.to_string(),
                owner.controller,
            )
        })
        .collect();
    let expected_owners: Vec<_> = array_of("ownerReferences")
        .iter()
        .map(|owner| {
            let text = |name: &str| owner[name].as_str().unwrap().to_owned();
            (text("name"), text("uid"), owner["controller"] == true)
        })
        .collect();
    assert_eq!(owners, expected_owners);
    let controller = meta.controller_of().map(|owner| owner.uid.to_string());
    let expected_controller = expected_owners
        .into_iter()
        .find(|(.., controller)| *controller);
    assert_eq!(controller, expected_controller.map(|(_, uid, _)| uid));

    let mut without = parsed.clone();
    without["metadata"]
        .as_object_mut()
        .unwrap()
        .remove("managedFields");
    let body: Value = serde_json::from_str(object.body()).unwrap();
    assert_eq!(body, without);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_scan_finds_what_a_parser_finds(text in object()) {
        assert_agrees(&text);
    }

    #[test]
    fn no_text_makes_a_scan_panic(
        text in object(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = text.into_bytes();
        for (place, byte) in changes {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        for bytes in [&bytes[..], &bytes[..cut.index(bytes.len())]] {
            let Ok(scanned) = scan::object(bytes) else { continue };
            let Ok(object) = scanned.encode() else { continue };
            // Whatever it took for the metadata, it can be read.
            let meta = object.meta();
            let _ = (meta.labels().iter().count(), meta.finalizers().count());
            let _ = (meta.owner_references().count(), meta.annotation("a"));
            let _ = (scanned.kind(), scanned.ends_initial_events());
        }
    }

    #[test]
    fn a_truncated_object_is_incomplete(text in object(), cut in any::<prop::sample::Index>()) {
        let text = text.trim_end();
        let cut = cut.index(text.len());
        let error = scan::object(&text.as_bytes()[..cut]).unwrap_err();
        prop_assert!(error.is_incomplete(), "{error} in {:?}", &text[..cut.min(text.len())]);
    }
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    for (text, error) in [
        ("", "the text ends at byte 0"),
        ("[]", "expected an object at byte 0"),
        (
            r#"{"metadata": 5}"#,
            "expected an object as metadata at byte 13",
        ),
        (
            r#"{"metadata": {"name": "a"}} x"#,
            "expected the end of the text at byte 28",
        ),
        (r#"{"metadata" {}}"#, "expected `:` at byte 12"),
        (r#"{"metadata": {}"#, "the text ends at byte 15"),
        (
            r#"{"metadata": {"name": 5}}"#,
            "expected a string at byte 22",
        ),
        (
            r#"{"metadata": {"name": "a/b"}}"#,
            "a name that is no name at byte 23",
        ),
        (
            r#"{"metadata": {}}"#,
            "an object without metadata.name at byte 0",
        ),
        (r#"{}"#, "an object without metadata.name at byte 0"),
        (
            r#"{"metadata": {"name": "a", "labels": {"k": 5}}}"#,
            "expected a string at byte 43",
        ),
        (
            r#"{"metadata": {"name": "a", "generation": "1"}}"#,
            "expected an integer as generation at byte 41",
        ),
        (
            r#"{"metadata": {"name": "a", "deletionTimestamp": "soon"}}"#,
            "expected an RFC 3339 time at byte 49",
        ),
        (
            r#"{"metadata": {"name": "a", "ownerReferences": [5]}}"#,
            "expected an owner reference at byte 47",
        ),
    ] {
        let outcome = scan::object(text.as_bytes()).and_then(|object| object.encode());
        assert_eq!(outcome.unwrap_err().to_string(), error, "{text}");
    }
}

/// Depth costs a counter, not a stack.
#[test]
fn nesting_has_no_limit() {
    let depth = 1_000_000;
    let text = format!(
        r#"{{"spec": {}{}, "metadata": {{"name": "a"}}}}"#,
        "[".repeat(depth),
        "]".repeat(depth)
    );
    assert_eq!(
        scan::object(text.as_bytes()).unwrap().key().unwrap().name(),
        "a"
    );
}
