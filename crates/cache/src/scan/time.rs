use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;

/// A time as Kubernetes writes it, RFC 3339.
pub(super) fn timestamp(text: &str) -> Option<Timestamp> {
    whole_seconds(text.as_bytes()).or_else(|| text.parse().ok())
}

/// The form that `metav1.Time` always has, `2024-05-01T12:00:00Z`.
fn whole_seconds(text: &[u8]) -> Option<Timestamp> {
    let digits = |from: usize, count: usize| {
        text[from..from + count]
            .iter()
            .try_fold(0_i16, |sum, byte| {
                byte.is_ascii_digit()
                    .then(|| sum * 10 + i16::from(byte - b'0'))
            })
    };
    let two = |from| digits(from, 2).and_then(|number| i8::try_from(number).ok());
    let [.., b'Z'] = text else { return None };
    let punctuated = text.len() == 20
        && text[4] == b'-'
        && text[7] == b'-'
        && text[10] == b'T'
        && text[13] == b':'
        && text[16] == b':';
    if !punctuated {
        return None;
    }
    let civil = DateTime::new(
        digits(0, 4)?,
        two(5)?,
        two(8)?,
        two(11)?,
        two(14)?,
        two(17)?,
        0,
    );
    Offset::UTC.to_timestamp(civil.ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_short_way_agrees_with_the_parser() {
        for text in [
            "2024-05-01T12:00:00Z",
            "1969-12-31T23:59:59Z",
            "2024-02-29T00:00:00Z",
        ] {
            assert_eq!(whole_seconds(text.as_bytes()), Some(text.parse().unwrap()));
        }
    }

    #[test]
    fn other_forms_take_the_long_way() {
        for text in ["2024-05-01T12:00:00.25Z", "2024-05-01T14:00:00+02:00"] {
            assert_eq!(whole_seconds(text.as_bytes()), None);
            assert_eq!(timestamp(text), Some(text.parse().unwrap()));
        }
        for text in ["", "Z", "2024-02-30T00:00:00Z", "2024-05-01 noon, or soZ"] {
            assert_eq!(timestamp(text), None, "{text:?}");
        }
    }
}
