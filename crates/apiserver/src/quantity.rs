//! Quantities: amounts of CPU, memory and other resources, such as `100m` or `1.5Gi`.

use std::fmt;

/// A quantity, exact to a billionth.
///
/// Finer amounts are rounded away from zero, and amounts beyond what 64 bits hold are capped, as
/// Kubernetes does. Shown in canonical form: no fraction, and the largest suffix that allows that.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quantity {
    nanos: i128,
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    /// `500m`, `2k`.
    DecimalSi,
    /// `512Mi`.
    BinarySi,
    /// `5e3`.
    DecimalExponent,
}

/// A text that is no quantity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
)]
pub(crate) struct NotAQuantity;

const NANO: i128 = 1_000_000_000;
const MAX: i128 = i64::MAX as i128 * NANO;

impl Quantity {
    /// Reads a quantity.
    ///
    /// # Errors
    ///
    /// If `text` is not a number with an optional suffix or exponent.
    pub(crate) fn parse(text: &str) -> Result<Self, NotAQuantity> {
        let (negative, rest) = match text.as_bytes().first() {
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            _ => (false, text),
        };
        let end = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(rest.len());
        let (number, suffix) = rest.split_at(end);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
            return Err(NotAQuantity);
        }
        let (format, scale) = scale(suffix)?;
        let nanos = amount(whole, fraction, scale).min(MAX);
        Ok(Self {
            nanos: if negative { -nanos } else { nanos },
            format,
        })
    }

    pub(crate) fn is_zero(self) -> bool {
        self.nanos == 0
    }

    pub(crate) fn is_negative(self) -> bool {
        self.nanos < 0
    }

    /// The next multiple of a thousandth that is not smaller.
    pub(crate) fn round_up_to_milli(self) -> Self {
        const MILLI: i128 = NANO / 1000;
        let rest = self.nanos.rem_euclid(MILLI);
        let up = if rest == 0 { 0 } else { MILLI - rest };
        Self {
            nanos: self.nanos + up,
            ..self
        }
    }

    /// Whether it is a whole number.
    pub(crate) fn is_whole(self) -> bool {
        self.nanos % NANO == 0
    }
}

/// What a suffix multiplies with.
#[derive(Clone, Copy)]
enum Scale {
    Ten(i32),
    Two(u32),
}

fn scale(suffix: &str) -> Result<(Format, Scale), NotAQuantity> {
    let decimal = |exponent| Ok((Format::DecimalSi, Scale::Ten(exponent)));
    let binary = |exponent| Ok((Format::BinarySi, Scale::Two(exponent)));
    match suffix {
        "n" => decimal(-9),
        "u" => decimal(-6),
        "m" => decimal(-3),
        "" => decimal(0),
        "k" => decimal(3),
        "M" => decimal(6),
        "G" => decimal(9),
        "T" => decimal(12),
        "P" => decimal(15),
        "E" => decimal(18),
        "Ki" => binary(10),
        "Mi" => binary(20),
        "Gi" => binary(30),
        "Ti" => binary(40),
        "Pi" => binary(50),
        "Ei" => binary(60),
        _ => {
            let exponent = suffix.strip_prefix(['e', 'E']).ok_or(NotAQuantity)?;
            let exponent: i32 = exponent.parse().map_err(|_| NotAQuantity)?;
            Ok((Format::DecimalExponent, Scale::Ten(exponent)))
        }
    }
}

/// The amount in billionths, rounded up, saturating far above the maximum.
fn amount(whole: &str, fraction: &str, scale: Scale) -> i128 {
    const FAR: i128 = i128::MAX / 4;
    // digits * factor / 10^places
    let (factor, mut places) = match scale {
        Scale::Two(exponent) => (NANO << exponent, 0_i64),
        Scale::Ten(exponent) => (1, -9 - i64::from(exponent)),
    };
    places += i64::try_from(fraction.len()).unwrap_or(i64::MAX / 2);
    let mut value: i128 = 0;
    let mut lost = false;
    for digit in whole.bytes().chain(fraction.bytes()) {
        value = value
            .saturating_mul(10)
            .saturating_add(i128::from(digit - b'0'));
        if value > FAR / factor {
            if places <= 0 {
                return FAR;
            }
            // More digits than fit: drop one that lies behind the point.
            lost |= value % 10 != 0;
            value /= 10;
            places -= 1;
        }
    }
    value = value.saturating_mul(factor);
    while places < 0 && value != 0 && value < FAR {
        value = value.saturating_mul(10);
        places += 1;
    }
    while places > 0 && (value != 0 || lost) {
        lost |= value % 10 != 0;
        value /= 10;
        places -= 1;
        if value == 0 {
            break;
        }
    }
    value + i128::from(lost)
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.nanos == other.nanos
    }
}

impl Eq for Quantity {}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.nanos.cmp(&other.nanos)
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.nanos == 0 {
            return f.write_str("0");
        }
        let whole = self.nanos / NANO;
        if self.format == Format::BinarySi && self.is_whole() && whole.abs() >= 1024 {
            let mut value = whole;
            let mut suffixes = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"].into_iter();
            let mut suffix = "";
            while value % 1024 == 0
                && let Some(next) = suffixes.next()
            {
                value /= 1024;
                suffix = next;
            }
            return write!(f, "{value}{suffix}");
        }
        let mut value = self.nanos;
        let mut exponent = -9;
        while value % 1000 == 0 && exponent < 18 {
            value /= 1000;
            exponent += 3;
        }
        if self.format == Format::DecimalExponent {
            return match exponent {
                0 => write!(f, "{value}"),
                _ => write!(f, "{value}e{exponent}"),
            };
        }
        let suffix = match exponent {
            -9 => "n",
            -6 => "u",
            -3 => "m",
            3 => "k",
            6 => "M",
            9 => "G",
            12 => "T",
            15 => "P",
            18 => "E",
            _ => "",
        };
        write!(f, "{value}{suffix}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Quantities of the tables in upstream's `quantity_test.go`.
    #[test]
    fn canonical_forms() {
        for (text, canonical) in [
            ("0", "0"),
            ("0Ki", "0"),
            ("100m", "100m"),
            ("1000m", "1"),
            ("0.5", "500m"),
            ("1000", "1k"),
            ("1024", "1024"),
            ("1024Mi", "1Gi"),
            ("1.5Gi", "1536Mi"),
            ("0.5Ki", "512"),
            ("1025Ki", "1025Ki"),
            ("1023", "1023"),
            ("100k", "100k"),
            ("1.1E", "1100P"),
            ("1e3", "1e3"),
            ("12e4", "120e3"),
            ("1E-3", "1e-3"),
            ("-1.5", "-1500m"),
            (".5Mi", "512Ki"),
            ("5.", "5"),
            ("+5", "5"),
            ("0.1n", "1n"),
            ("0.0000000001", "1n"),
            ("1.0000000001", "1000000001n"),
            (
                "999999999999999999999999999999999999999999",
                "9223372036854775807",
            ),
            ("1Ei", "1Ei"),
        ] {
            let quantity = Quantity::parse(text).unwrap();
            assert_eq!(quantity.to_string(), canonical, "{text}");
            assert_eq!(Quantity::parse(canonical), Ok(quantity), "{text}");
        }
    }

    #[test]
    fn what_is_no_quantity_is_refused() {
        for text in [
            "", "-", ".", "1..2", "1 Mi", "Mi", "1mi", "1e", "1ex", "0x1", "1,5", "1i",
        ] {
            assert_eq!(Quantity::parse(text), Err(NotAQuantity), "{text}");
        }
    }

    #[test]
    fn amounts_compare_whatever_their_form() {
        let q = |text| Quantity::parse(text).unwrap();
        assert_eq!(q("1Ki"), q("1024"));
        assert!(q("1k") < q("1Ki"));
        assert!(q("-1").is_negative() && !q("0").is_negative());
        assert!(q("2").is_whole() && !q("1500m").is_whole());
        assert_eq!(q("1u").round_up_to_milli(), q("1m"));
        assert_eq!(q("-1500u").round_up_to_milli(), q("-1m"));
        assert_eq!(q("2").round_up_to_milli(), q("2"));
    }
}
