//! The syntax of names.

/// What is wrong with a DNS label.
pub(crate) fn label(name: &str) -> Option<&'static str> {
    let inner = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
    if name.len() > 63 {
        Some("must be no more than 63 bytes")
    } else if framed(name, inner) {
        None
    } else {
        Some(
            "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', \
             and must start and end with an alphanumeric character",
        )
    }
}

/// What is wrong with a DNS subdomain: labels with dots in between.
pub(crate) fn subdomain(name: &str) -> Option<&'static str> {
    let inner = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
    if name.len() > 253 {
        Some("must be no more than 253 bytes")
    } else if name.split('.').all(|part| framed(part, inner)) {
        None
    } else {
        Some(
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' \
             or '.', and must start and end with an alphanumeric character",
        )
    }
}

/// What is wrong with a uid. Directories are called by it, and it comes after a `_` there.
pub(crate) fn uid(uid: &str) -> Option<&'static str> {
    let inner = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'.');
    if uid.len() > 63 {
        Some("must be no more than 63 bytes")
    } else if framed(uid, inner) {
        None
    } else {
        Some(
            "must consist of alphanumeric characters, '-' or '.', and must start and end with an \
             alphanumeric character",
        )
    }
}

/// What is wrong with the key of a label or annotation.
pub(crate) fn qualified(key: &str) -> Option<&'static str> {
    let (prefix, name) = match key.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, key),
    };
    if let Some(prefix) = prefix
        && let Some(problem) = subdomain(&prefix.to_lowercase())
    {
        return Some(problem);
    }
    if name.len() > 63 {
        Some("name part must be no more than 63 bytes")
    } else if framed(name, in_label_value) {
        None
    } else {
        Some(
            "name part must consist of alphanumeric characters, '-', '_' or '.', and must start \
             and end with an alphanumeric character",
        )
    }
}

/// What is wrong with the value of a label.
pub(crate) fn label_value(value: &str) -> Option<&'static str> {
    if value.len() > 63 {
        Some("must be no more than 63 bytes")
    } else if value.is_empty() || framed(value, in_label_value) {
        None
    } else {
        Some(
            "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' \
             or '.', and must start and end with an alphanumeric character",
        )
    }
}

/// What is wrong with the name of a port.
pub(crate) fn port(name: &str) -> Option<&'static str> {
    let inner = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
    if name.len() > 15 {
        Some("must be no more than 15 characters")
    } else if !name.bytes().all(inner) {
        Some("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    } else if !name.bytes().any(|c| c.is_ascii_lowercase()) {
        Some("must contain at least one letter (a-z)")
    } else if name.contains("--") {
        Some("must not contain consecutive hyphens")
    } else if name.starts_with('-') || name.ends_with('-') {
        Some("must not begin or end with a hyphen")
    } else {
        None
    }
}

/// What is wrong with the name of an environment variable.
pub(crate) fn variable(name: &str) -> Option<&'static str> {
    if name.bytes().all(|c| matches!(c, b' '..=b'~') && c != b'=') {
        None
    } else {
        Some(
            "a valid environment variable name must consist only of printable ASCII characters other than '='",
        )
    }
}

fn in_label_value(c: u8) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.')
}

/// Whether `name` is made of `inner`, and alphanumeric at both ends.
fn framed(name: &str, inner: impl Fn(u8) -> bool) -> bool {
    let bytes = name.as_bytes();
    let end = |c: Option<&u8>| c.is_some_and(u8::is_ascii_alphanumeric);
    end(bytes.first()) && end(bytes.last()) && bytes.iter().all(|c| inner(*c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_from_what_is_none() {
        for (check, good, bad) in [
            (label as fn(&str) -> Option<&'static str>, "1-a", "a.b"),
            (label, "a", ""),
            (label, "a", "-a"),
            (subdomain, "a.b-c", "a..b"),
            (subdomain, "a.b-c", "A"),
            (qualified, "example.com/A_b", "example.com/"),
            (qualified, "A.b", "a/b/c"),
            (uid, "7f0B-4", "../../etc"),
            (uid, "a", "/"),
            (uid, "a.b", "a_b"),
            (label_value, "", "-"),
            (label_value, "A.b_c", "a b"),
            (port, "http-80", "80"),
            (port, "a", "a--b"),
            (variable, "A b", "A=B"),
            (variable, "my.var-1", "ä"),
        ] {
            assert_eq!(check(good), None, "{good}");
            assert!(check(bad).is_some(), "{bad}");
        }
        assert!(label(&"a".repeat(64)).is_some() && label(&"a".repeat(63)).is_none());
    }
}
