use std::fmt;
use std::sync::Arc;

/// The identity of one incarnation of an object: `metadata.uid`.
///
/// Two objects that bear the same key one after the other have different uids.
/// Cheap to clone: a uid in the usual form (a lower-case UUID) is kept as its 16 bytes, any
/// other as one reference-counted string.
///
/// ```
/// use kubewright_cache::Uid;
///
/// let uid = Uid::from("6f1d5a3e-0b5c-4a53-9f0e-1c2d3e4f5a6b");
/// assert_eq!(uid, "6f1d5a3e-0b5c-4a53-9f0e-1c2d3e4f5a6b");
/// assert_eq!(uid.to_string(), "6f1d5a3e-0b5c-4a53-9f0e-1c2d3e4f5a6b");
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uid(Repr);

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Repr {
    /// Only texts that [`hyphenated`] gives back unchanged, so that equal texts are equal here.
    Uuid([u8; 16]),
    Text(Option<Arc<str>>),
}

impl Uid {
    /// Whether there is no uid at all, as on objects that no server has seen.
    pub fn is_empty(&self) -> bool {
        matches!(self.0, Repr::Text(None))
    }
}

impl Default for Uid {
    /// The empty uid.
    fn default() -> Self {
        Self(Repr::Text(None))
    }
}

impl From<&str> for Uid {
    fn from(text: &str) -> Self {
        if let Some(bytes) = parse(text.as_bytes()) {
            return Self(Repr::Uuid(bytes));
        }
        Self(Repr::Text((!text.is_empty()).then(|| text.into())))
    }
}

impl PartialEq<str> for Uid {
    fn eq(&self, text: &str) -> bool {
        match &self.0 {
            Repr::Uuid(bytes) => hyphenated(bytes) == text.as_bytes(),
            Repr::Text(own) => own.as_deref().unwrap_or_default() == text,
        }
    }
}

impl PartialEq<&str> for Uid {
    fn eq(&self, text: &&str) -> bool {
        self == *text
    }
}

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Repr::Uuid(bytes) => {
                let text = hyphenated(bytes);
                f.pad(std::str::from_utf8(&text).expect("hexadecimal digits are ASCII"))
            }
            Repr::Text(text) => f.pad(text.as_deref().unwrap_or_default()),
        }
    }
}

impl fmt::Debug for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Uid({self})")
    }
}

/// The bytes of a lower-case hyphenated UUID; `None` for any other text.
fn parse(text: &[u8]) -> Option<[u8; 16]> {
    const fn nibble(digit: u8) -> Option<u8> {
        match digit {
            b'0'..=b'9' => Some(digit - b'0'),
            b'a'..=b'f' => Some(digit - b'a' + 10),
            _ => None,
        }
    }
    if text.len() != 36 {
        return None;
    }
    let mut bytes = [0; 16];
    let mut at = 0;
    for byte in &mut bytes {
        if matches!(at, 8 | 13 | 18 | 23) {
            if text[at] != b'-' {
                return None;
            }
            at += 1;
        }
        *byte = nibble(text[at])? << 4 | nibble(text[at + 1])?;
        at += 2;
    }
    Some(bytes)
}

fn hyphenated(bytes: &[u8; 16]) -> [u8; 36] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = [b'-'; 36];
    let mut at = 0;
    for byte in bytes {
        if matches!(at, 8 | 13 | 18 | 23) {
            at += 1;
        }
        text[at] = DIGITS[usize::from(byte >> 4)];
        text[at + 1] = DIGITS[usize::from(byte & 15)];
        at += 2;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_comes_back_unchanged() {
        for text in [
            "",
            "u1",
            "6f1d5a3e-0b5c-4a53-9f0e-1c2d3e4f5a6b",
            "6F1D5A3E-0B5C-4A53-9F0E-1C2D3E4F5A6B",
            "6f1d5a3e00b5c-4a53-9f0e-1c2d3e4f5a6b",
            "6f1d5a3e-0b5c-4a53-9f0e-1c2d3e4f5a6g",
            "6f1d5a3e-0b5c-4a53-9f0e-1c2d3e4f5a6b7",
        ] {
            let uid = Uid::from(text);
            assert_eq!(uid.to_string(), text);
            assert_eq!(uid, text);
            assert_eq!(uid.is_empty(), text.is_empty());
        }
    }

    #[test]
    fn case_tells_uids_apart() {
        assert_ne!(
            Uid::from("6f1d5a3e-0b5c-4a53-9f0e-1c2d3e4f5a6b"),
            Uid::from("6F1D5A3E-0B5C-4A53-9F0E-1C2D3E4F5A6B")
        );
    }
}
