use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

/// A `resourceVersion`: opaque in requests, comparable behind a check.
///
/// Cheap to clone: a decimal that fits 64 bits is kept as a number, any other text as one
/// reference-counted string. The text comes back unchanged either way.
///
/// # Example
///
/// ```
/// use std::cmp::Ordering;
/// use kubewright_cache::ResourceVersion;
///
/// let (older, newer) = (ResourceVersion::from("9"), ResourceVersion::from("10"));
/// assert_eq!(older.compare(&newer), Some(Ordering::Less));
/// assert_eq!(older.compare(&ResourceVersion::from("opaque")), None);
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ResourceVersion(Repr);

#[derive(Clone, PartialEq, Eq, Hash)]
enum Repr {
    /// Only texts without leading zeros, so that equal texts are equal here.
    Number(u64),
    Text(Option<Arc<str>>),
}

impl ResourceVersion {
    /// `0`: in a request, whatever the server has in its cache, however old.
    pub const ANY: Self = Self(Repr::Number(0));

    /// Whether there is no version at all, as on objects that no server has seen.
    pub fn is_empty(&self) -> bool {
        matches!(self.0, Repr::Text(None))
    }

    /// Whether it names a point in history, which neither the empty version nor `0` does.
    pub fn is_concrete(&self) -> bool {
        !self.is_empty() && *self != Self::ANY
    }

    /// Which of two versions of one server is the older; `None` unless both are decimal integers.
    ///
    /// Integers of any length compare by value. The versions of different servers, or of
    /// resources kept in different stores, must not be compared.
    pub fn compare(&self, other: &Self) -> Option<Ordering> {
        match (&self.0, &other.0) {
            (Repr::Number(a), Repr::Number(b)) => Some(a.cmp(b)),
            (Repr::Number(_), Repr::Text(_)) => other.is_huge().then_some(Ordering::Less),
            (Repr::Text(_), Repr::Number(_)) => self.is_huge().then_some(Ordering::Greater),
            (Repr::Text(a), Repr::Text(b)) => (self.is_huge() && other.is_huge()).then(|| {
                let (a, b) = (a.as_deref().unwrap_or(""), b.as_deref().unwrap_or(""));
                a.len().cmp(&b.len()).then_with(|| a.cmp(b))
            }),
        }
    }

    /// Whether this version is known to be at or after `other`.
    pub fn reaches(&self, other: &Self) -> bool {
        self == other || self.compare(other).is_some_and(Ordering::is_ge)
    }

    /// Whether it is an integer too large for 64 bits.
    fn is_huge(&self) -> bool {
        match &self.0 {
            Repr::Text(Some(text)) => is_decimal(text.as_bytes()),
            Repr::Text(None) | Repr::Number(_) => false,
        }
    }
}

impl Default for ResourceVersion {
    /// The empty version: in a request, the most recent state there is.
    fn default() -> Self {
        Self(Repr::Text(None))
    }
}

impl From<&str> for ResourceVersion {
    fn from(text: &str) -> Self {
        if is_decimal(text.as_bytes())
            && let Ok(number) = text.parse()
        {
            return Self(Repr::Number(number));
        }
        Self(Repr::Text((!text.is_empty()).then(|| text.into())))
    }
}

impl From<u64> for ResourceVersion {
    fn from(number: u64) -> Self {
        Self(Repr::Number(number))
    }
}

impl PartialEq<&str> for ResourceVersion {
    fn eq(&self, text: &&str) -> bool {
        match &self.0 {
            Repr::Number(number) => {
                is_decimal(text.as_bytes()) && text.parse().is_ok_and(|other: u64| other == *number)
            }
            Repr::Text(own) => own.as_deref().unwrap_or_default() == *text,
        }
    }
}

impl fmt::Display for ResourceVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Repr::Number(number) => fmt::Display::fmt(number, f),
            Repr::Text(text) => f.pad(text.as_deref().unwrap_or_default()),
        }
    }
}

impl fmt::Debug for ResourceVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ResourceVersion({self})")
    }
}

fn is_decimal(text: &[u8]) -> bool {
    match text {
        [] => false,
        [b'0', rest @ ..] => rest.is_empty(),
        digits => digits.iter().all(u8::is_ascii_digit),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compare(a: &str, b: &str) -> Option<Ordering> {
        ResourceVersion::from(a).compare(&ResourceVersion::from(b))
    }

    #[test]
    fn integers_compare_by_value_at_any_length() {
        assert_eq!(compare("9", "10"), Some(Ordering::Less));
        assert_eq!(compare("7", "7"), Some(Ordering::Equal));
        assert_eq!(
            compare("18446744073709551616", "18446744073709551615"),
            Some(Ordering::Greater)
        );
        assert_eq!(compare("5", "18446744073709551616"), Some(Ordering::Less));
        assert_eq!(
            compare("18446744073709551616", "18446744073709551617"),
            Some(Ordering::Less)
        );
        assert_eq!(
            compare("99999999999999999999", "100000000000000000000"),
            Some(Ordering::Less)
        );
    }

    #[test]
    fn other_texts_do_not_compare() {
        for text in ["", "abc", "01", "-1", "+1", "1.0", " 1"] {
            assert_eq!(compare(text, "1"), None, "{text:?}");
            assert_eq!(compare("1", text), None, "{text:?}");
            assert_eq!(ResourceVersion::from(text).to_string(), text);
        }
    }

    #[test]
    fn reaching_needs_equality_or_order() {
        let version = |text| ResourceVersion::from(text);
        assert!(version("abc").reaches(&version("abc")));
        assert!(!version("abd").reaches(&version("abc")));
        assert!(version("3").reaches(&version("3")));
        assert!(!version("3").reaches(&version("4")));
    }
}
