//! The syntax of label keys and values, and what the API says where they break it.

use std::sync::LazyLock;

use regex::Regex;

const QUALIFIED_NAME: &str = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";
const LABEL_VALUE: &str = "(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?";
const SUBDOMAIN: &str = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*";

/// What is wrong with `key` as the key of a label or an annotation: an optional DNS prefix, `/` and a name.
pub(crate) fn label_key(key: &str) -> Vec<String> {
    static NAME: LazyLock<Regex> = LazyLock::new(|| whole(QUALIFIED_NAME));
    let charset = format!(
        "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an \
         alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for \
         validation is '{QUALIFIED_NAME}')"
    );
    let mut problems = Vec::new();
    let name = match key.split('/').collect::<Vec<_>>().as_slice() {
        [name] => *name,
        [prefix, name] => {
            if prefix.is_empty() {
                problems.push("prefix part must be non-empty".to_owned());
            } else {
                problems.extend(subdomain(prefix).iter().map(|p| format!("prefix part {p}")));
            }
            *name
        }
        _ => {
            return vec![format!(
                "a valid label key {charset} with an optional DNS subdomain prefix and '/' (e.g. \
                 'example.com/MyName')"
            )];
        }
    };
    if name.is_empty() {
        problems.push("name part must be non-empty".to_owned());
    } else if name.len() > 63 {
        problems.push("name part must be no more than 63 bytes".to_owned());
    }
    if !NAME.is_match(name) {
        problems.push(format!("name part {charset}"));
    }
    problems
}

/// What is wrong with `value` as the value of a label.
pub(crate) fn label_value(value: &str) -> Vec<String> {
    static VALUE: LazyLock<Regex> = LazyLock::new(|| whole(LABEL_VALUE));
    let mut problems = Vec::new();
    if value.len() > 63 {
        problems.push("must be no more than 63 bytes".to_owned());
    }
    if !VALUE.is_match(value) {
        problems.push(format!(
            "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' \
             or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or \
             'my_value',  or '12345', regex used for validation is '{LABEL_VALUE}')"
        ));
    }
    problems
}

/// What is wrong with `name` as a DNS subdomain of RFC 1123.
pub(crate) fn subdomain(name: &str) -> Vec<String> {
    static NAME: LazyLock<Regex> = LazyLock::new(|| whole(SUBDOMAIN));
    let mut problems = Vec::new();
    if name.len() > 253 {
        problems.push("must be no more than 253 bytes".to_owned());
    }
    if !NAME.is_match(name) {
        problems.push(format!(
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' \
             or '.', and must start and end with an alphanumeric character (e.g. 'example.com', \
             regex used for validation is '{SUBDOMAIN}')"
        ));
    }
    problems
}

fn whole(pattern: &str) -> Regex {
    Regex::new(&format!("^(?:{pattern})$")).expect("the patterns of this module are constants")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_an_optional_prefix_and_a_name() {
        for good in ["a", "a.b_c-D", "example.com/x", "0"] {
            assert_eq!(label_key(good), Vec::<String>::new(), "{good}");
        }
        for (bad, part) in [
            ("", "name part must be non-empty"),
            ("-a", "name part must consist of"),
            ("/x", "prefix part must be non-empty"),
            ("Upper.com/x", "prefix part a lowercase RFC 1123 subdomain"),
            ("a/b/c", "optional DNS subdomain prefix"),
            (&"x".repeat(64), "no more than 63"),
        ] {
            assert!(label_key(bad).join("; ").contains(part), "{bad}");
        }
    }

    #[test]
    fn values_may_be_empty_but_not_end_in_punctuation() {
        assert!(label_value("").is_empty());
        assert!(label_value("a_b.c").is_empty());
        assert!(!label_value("a-").is_empty());
        assert!(!label_value("a b").is_empty());
        assert_eq!(label_value(&"x".repeat(64)).len(), 1);
    }
}
