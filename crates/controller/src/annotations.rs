//! The annotations of an object, read from its JSON and from nothing else of it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;

#[derive(Deserialize)]
struct Partial<'a> {
    #[serde(borrow, default)]
    metadata: PartialMeta<'a>,
}

#[derive(Default, Deserialize)]
struct PartialMeta<'a> {
    #[serde(borrow, default)]
    annotations: Option<BTreeMap<Cow<'a, str>, Cow<'a, str>>>,
}

/// The annotations in `body`; none if it has none, or if they are no map of strings.
pub(crate) fn of(body: &str) -> BTreeMap<Cow<'_, str>, Cow<'_, str>> {
    serde_json::from_str::<Partial<'_>>(body)
        .ok()
        .and_then(|object| object.metadata.annotations)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn annotations_are_found_wherever_they_stand() {
        let body = r#"{"spec":{"metadata":{"annotations":{"no":"no"}}},
            "metadata":{"name":"n","annotations":{"b":"2","a\n":"\u00e4"},"labels":{"l":"v"}}}"#;
        let found: Vec<_> = of(body).into_iter().collect();
        assert_eq!(
            found,
            [("a\n".into(), "ä".into()), ("b".into(), "2".into())]
        );
    }

    #[test]
    fn what_is_no_map_of_strings_counts_as_none() {
        for body in [
            "{}",
            r#"{"metadata":{}}"#,
            r#"{"metadata":{"annotations":null}}"#,
            r#"{"metadata":{"annotations":{"a":1}}}"#,
            "no json",
        ] {
            assert!(of(body).is_empty(), "{body}");
        }
    }
}
