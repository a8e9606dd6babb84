//! The syntax of names.

use std::sync::LazyLock;

use regex::Regex;

pub(crate) use crate::syntax::subdomain;

const LABEL: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const LABEL_1035: &str = "[a-z]([-a-z0-9]*[a-z0-9])?";

/// What is wrong with `name` as a DNS label of RFC 1123.
pub(crate) fn label(name: &str) -> Vec<String> {
    static SYNTAX: LazyLock<Regex> = LazyLock::new(|| whole(LABEL));
    check(name, &SYNTAX, || {
        format!(
            "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', \
             and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', \
             regex used for validation is '{LABEL}')"
        )
    })
}

/// What is wrong with `name` as a DNS label of RFC 1035, which begins with a letter.
pub(crate) fn label_1035(name: &str) -> Vec<String> {
    static SYNTAX: LazyLock<Regex> = LazyLock::new(|| whole(LABEL_1035));
    check(name, &SYNTAX, || {
        format!(
            "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with \
             an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or \
             'abc-123', regex used for validation is '{LABEL_1035}')"
        )
    })
}

/// What is wrong with `name` as a part of a URL path, which all names must be able to be.
pub(crate) fn path_segment(name: &str) -> Vec<String> {
    if matches!(name, "." | "..") {
        return vec![format!("may not be '{name}'")];
    }
    ["/", "%"]
        .into_iter()
        .filter(|part| name.contains(part))
        .map(|part| format!("may not contain '{part}'"))
        .collect()
}

/// What is wrong with `name` as the key of a config map or secret.
pub(crate) fn config_map_key(name: &str) -> Vec<String> {
    const KEY: &str = "[-._a-zA-Z0-9]+";
    static SYNTAX: LazyLock<Regex> = LazyLock::new(|| whole(KEY));
    let mut problems = Vec::new();
    if name.len() > 253 {
        problems.push("must be no more than 253 bytes".to_owned());
    }
    if !SYNTAX.is_match(name) {
        problems.push(format!(
            "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. \
             'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '{KEY}')"
        ));
    }
    match name {
        "." => problems.push("must not be '.'".to_owned()),
        ".." => problems.push("must not be '..'".to_owned()),
        name if name.starts_with("..") => problems.push("must not start with '..'".to_owned()),
        _ => {}
    }
    problems
}

/// What is wrong with `name` as the name of a port.
pub(crate) fn port(name: &str) -> Vec<String> {
    let mut problems = Vec::new();
    if name.len() > 15 {
        problems.push("must be no more than 15 characters".to_owned());
    }
    if !name
        .chars()
        .all(|c| matches!(c, 'a'..='z' | '0'..='9' | '-'))
    {
        problems.push(
            "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)".to_owned(),
        );
    }
    if !name.chars().any(|c| c.is_ascii_lowercase()) {
        problems.push("must contain at least one letter (a-z)".to_owned());
    }
    if name.contains("--") {
        problems.push("must not contain consecutive hyphens".to_owned());
    }
    if name.starts_with('-') || name.ends_with('-') {
        problems.push("must not begin or end with a hyphen".to_owned());
    }
    problems
}

fn check(name: &str, syntax: &Regex, why: impl FnOnce() -> String) -> Vec<String> {
    let mut problems = Vec::new();
    if name.len() > 63 {
        problems.push("must be no more than 63 bytes".to_owned());
    }
    if !syntax.is_match(name) {
        problems.push(why());
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
    fn names_are_told_from_what_is_none() {
        for (check, good, bad) in [
            (label as fn(&str) -> Vec<String>, "1-a", "a.b"),
            (label_1035, "a-1", "1-a"),
            (path_segment, "A b:", "a/b"),
            (config_map_key, "A_b.c", "a/b"),
            (port, "http-80", "80"),
        ] {
            assert_eq!(check(good), Vec::<String>::new(), "{good}");
            assert_ne!(check(bad), Vec::<String>::new(), "{bad}");
        }
        assert_eq!(label(&"a".repeat(64)), ["must be no more than 63 bytes"]);
        assert_eq!(config_map_key(".."), ["must not be '..'"]);
    }
}
