//! The scanner against `serde_json`.

use kubewright_cache::scan;
use proptest::prelude::*;
use serde_json::{Map, Value};

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

/// JSON to be written: members come in any order, and keys may repeat.
#[derive(Clone, Debug)]
enum Json {
    /// Null, a boolean or a number.
    Plain(Value),
    Text(String),
    Array(Vec<Json>),
    Object(Members),
}

type Members = Vec<(String, Json)>;

impl From<String> for Json {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<Value> for Json {
    fn from(plain: Value) -> Self {
        Self::Plain(plain)
    }
}

fn value() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Plain(Value::Null)),
        any::<bool>().prop_map(|flag| Json::Plain(flag.into())),
        any::<i64>().prop_map(|number| Json::Plain(number.into())),
        (-1e9..1e9_f64).prop_map(|number: f64| Json::Plain(number.into())),
        text().prop_map(Json::Text),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Json::Array),
            prop::collection::vec((text(), inner), 0..5).prop_map(Json::Object),
        ]
    })
}

/// A map of strings, hardly ever in order.
fn strings() -> impl Strategy<Value = Json> {
    let key = prop_oneof![3 => text(), 1 => Just("twice".to_owned())];
    let member = (key, text()).prop_map(|(key, value)| (key, Json::Text(value)));
    prop::collection::vec(member, 0..7).prop_map(Json::Object)
}

fn owners() -> impl Strategy<Value = Json> {
    let owner = (text(), text(), any::<Option<bool>>(), value()).prop_flat_map(
        |(name, uid, controller, other)| {
            let members: Members = vec![
                ("apiVersion".into(), Json::Text("v1".into())),
                ("kind".into(), Json::Text("Owner".into())),
                ("name".into(), Json::Text(name)),
                ("uid".into(), Json::Text(uid)),
                ("controller".into(), Json::Plain(controller.into())),
                ("other".into(), other),
            ];
            Just(members).prop_shuffle().prop_map(Json::Object)
        },
    );
    prop::collection::vec(owner, 0..3).prop_map(Json::Array)
}

fn metadata() -> impl Strategy<Value = Members> {
    fn named<J: Into<Json>>(name: &str) -> impl Fn(J) -> (String, Json) + use<J> {
        let name = name.to_owned();
        move |value| (name.clone(), value.into())
    }
    let time = (0_i64..4_000_000_000).prop_map(|second| {
        let time = jiff::Timestamp::from_second(second).unwrap();
        ("creationTimestamp".to_owned(), Json::Text(time.to_string()))
    });
    let fractional = "2024-05-01T12:00:00.5+02:00".to_owned();
    let member = prop_oneof![
        "[a-z]{1,8}".prop_map(named("name")),
        "[a-z]{0,8}".prop_map(named("namespace")),
        text().prop_map(named("uid")),
        "[0-9]{1,3}".prop_map(named("resourceVersion")),
        any::<Option<i64>>().prop_map(|count| ("generation".to_owned(), Json::Plain(count.into()))),
        strings().prop_map(named("labels")),
        strings().prop_map(named("annotations")),
        prop::collection::vec(text().prop_map(Json::Text), 0..3)
            .prop_map(|all| ("finalizers".to_owned(), Json::Array(all))),
        owners().prop_map(named("ownerReferences")),
        time,
        Just(fractional).prop_map(named("deletionTimestamp")),
        value().prop_map(named("managedFields")),
        (text(), value()).prop_filter("not one that is read", |(key, _)| !key.contains("managed")),
    ];
    (
        prop::collection::vec(member, 0..14),
        "[a-z]{1,8}",
        any::<prop::sample::Index>(),
    )
        .prop_map(|(mut members, name, place)| {
            let place = place.index(members.len() + 1);
            members.insert(place, ("name".to_owned(), Json::Text(name)));
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
            let space = *self.dice.choice(&[' ', '\n', '\t', '\r']).unwrap();
            self.out.push(space);
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
                    for unit in char.encode_utf16(&mut [0; 2]) {
                        self.out.push_str(&format!("\\u{unit:04x}"));
                    }
                }
                _ => self.out.push(char),
            }
        }
        self.out.push('"');
    }

    /// Elements between brackets, with commas.
    fn list<T>(&mut self, [open, close]: [char; 2], all: &[T], write: impl Fn(&mut Self, &T)) {
        self.out.push(open);
        for (place, one) in all.iter().enumerate() {
            if place > 0 {
                self.out.push(',');
            }
            self.space();
            write(self, one);
            self.space();
        }
        self.out.push(close);
    }

    fn value(&mut self, value: &Json) {
        match value {
            Json::Plain(plain) => self.out.push_str(&plain.to_string()),
            Json::Text(text) => self.string(text),
            Json::Array(items) => self.list(['[', ']'], items, Self::value),
            Json::Object(members) => self.list(['{', '}'], members, |writer, (key, value)| {
                writer.string(key);
                writer.space();
                writer.out.push(':');
                writer.space();
                writer.value(value);
            }),
        }
    }
}

/// Members beside the metadata.
fn others() -> impl Strategy<Value = Members> {
    let other = (text(), value()).prop_filter("no metadata", |(key, _)| !key.contains("metadata"));
    prop::collection::vec(other, 0..4)
}

/// An object's text: metadata anywhere among other members, possibly twice.
fn object() -> impl Strategy<Value = String> {
    let earlier = prop::option::weighted(0.2, metadata());
    (others(), earlier, others(), metadata(), any::<u64>()).prop_map(
        |(mut members, earlier, between, last, seed)| {
            let metadata = |members| ("metadata".to_owned(), Json::Object(members));
            members.extend(earlier.map(metadata));
            members.extend(between);
            members.push(metadata(last));
            let mut writer = Writer {
                out: String::new(),
                dice: fastrand::Rng::with_seed(seed),
            };
            writer.space();
            writer.value(&Json::Object(members));
            writer.space();
            writer.out
        },
    )
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
