//! The rules for names that the controller makes itself.

/// What the name of every pod of a set begins with, for the server to complete.
///
/// The set's name and a dash, unless the dash would make a prefix that no pod's name may have.
pub(crate) fn pod_name_prefix(set: &str) -> String {
    let prefix = format!("{set}-");
    if is_name_prefix(&prefix) {
        prefix
    } else {
        set.to_owned()
    }
}

/// Whether names may begin so: a trailing dash is fine, since more follows.
fn is_name_prefix(prefix: &str) -> bool {
    match prefix.strip_suffix('-') {
        // Judged with its last two characters replaced by a letter.
        Some(rest) if rest.is_ascii() && !rest.is_empty() => {
            is_dns_subdomain(&format!("{}a", &rest[..rest.len() - 1]))
        }
        _ => is_dns_subdomain(prefix),
    }
}

/// A DNS-1123 subdomain: at most 253 characters, labels of lower-case letters, digits and
/// inner dashes, joined by dots.
pub(crate) fn is_dns_subdomain(name: &str) -> bool {
    let is_label = |label: &str| {
        let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let bytes = label.as_bytes();
        bytes.first().is_some_and(|&byte| inner(byte))
            && bytes.last().is_some_and(|&byte| inner(byte))
            && bytes.iter().all(|&byte| inner(byte) || byte == b'-')
    };
    name.len() <= 253 && name.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dash_follows_every_ordinary_name() {
        assert_eq!(pod_name_prefix("web"), "web-");
        assert_eq!(pod_name_prefix("a.b"), "a.b-");
        assert_eq!(pod_name_prefix("w"), "w-");
        let longest = "x".repeat(253);
        assert_eq!(pod_name_prefix(&longest), format!("{longest}-"));
    }

    #[test]
    fn no_dash_where_it_would_make_an_invalid_prefix() {
        let too_long = "x".repeat(254);
        assert_eq!(pod_name_prefix(&too_long), too_long);
        assert_eq!(pod_name_prefix("Web"), "Web");
        assert_eq!(pod_name_prefix("ä"), "ä");
        assert_eq!(pod_name_prefix(""), "");
    }
}
