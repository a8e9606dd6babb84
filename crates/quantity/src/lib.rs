//! Quantities: amounts of CPU, memory and other resources, such as `100m` or `1.5Gi`.
//!
//! # Guarantees
//!
//! - Exact to a billionth: no floating point is involved. Finer amounts are rounded away from zero,
//!   and amounts beyond what 64 bits hold are capped, as Kubernetes does.
//! - Amounts compare and add up whatever form they were written in.
//!
//! Answers to `k8s.io/apimachinery/pkg/api/resource`.
//!
//! # Example
//!
//! ```
//! use kubewright_quantity::Quantity;
//!
//! # fn main() -> Result<(), kubewright_quantity::NotAQuantity> {
//! let memory: Quantity = "1.5Gi".parse()?;
//! assert_eq!(memory.value(), 1_610_612_736);
//! assert_eq!(memory.to_string(), "1536Mi");
//! assert_eq!(Quantity::parse("1")? + Quantity::parse("250m")?, Quantity::parse("1250m")?);
//! # Ok(())
//! # }
//! ```

use std::cmp::Ordering;
use std::fmt;
use std::iter::Sum;
use std::ops::{Add, Sub};
use std::str::FromStr;

/// A quantity, exact to a billionth.
///
/// Shown in canonical form: no fraction, and the largest suffix that allows that.
/// A sum has the form of its first part, unless that is zero.
#[derive(Clone, Copy, Debug)]
pub struct Quantity {
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
pub struct NotAQuantity;

const NANO: i128 = 1_000_000_000;
const MILLI: i128 = NANO / 1000;
const MAX: i128 = i64::MAX as i128 * NANO;

impl Quantity {
    /// Nothing.
    pub const ZERO: Self = Self {
        nanos: 0,
        format: Format::DecimalSi,
    };

    /// This many whole units, shown in decimal form.
    pub const fn whole(value: i64) -> Self {
        Self {
            nanos: value as i128 * NANO,
            format: Format::DecimalSi,
        }
    }

    /// This many bytes, shown in binary form.
    pub const fn bytes(value: i64) -> Self {
        Self {
            nanos: value as i128 * NANO,
            format: Format::BinarySi,
        }
    }

    /// This many thousandths, shown in decimal form.
    pub const fn milli(value: i64) -> Self {
        Self {
            nanos: value as i128 * MILLI,
            format: Format::DecimalSi,
        }
    }

    /// Reads a quantity.
    ///
    /// # Errors
    ///
    /// If `text` is not a number with an optional suffix or exponent.
    pub fn parse(text: &str) -> Result<Self, NotAQuantity> {
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

    /// In whole units, rounded away from zero.
    pub fn value(self) -> i64 {
        self.in_units_of(NANO)
    }

    /// In thousandths, rounded away from zero and capped.
    pub fn milli_value(self) -> i64 {
        self.in_units_of(MILLI)
    }

    /// Whether it is nothing.
    pub fn is_zero(self) -> bool {
        self.nanos == 0
    }

    /// Whether it is less than nothing.
    pub fn is_negative(self) -> bool {
        self.nanos < 0
    }

    /// The next multiple of a thousandth that is not smaller.
    pub fn round_up_to_milli(self) -> Self {
        let rest = self.nanos.rem_euclid(MILLI);
        let up = if rest == 0 { 0 } else { MILLI - rest };
        Self {
            nanos: self.nanos + up,
            ..self
        }
    }

    /// Whether it is a whole number.
    pub fn is_whole(self) -> bool {
        self.nanos % NANO == 0
    }

    fn in_units_of(self, unit: i128) -> i64 {
        let units = self.nanos.abs().div_euclid(unit);
        let away = i128::from(self.nanos % unit != 0);
        let units = i64::try_from(units + away).unwrap_or(i64::MAX);
        if self.nanos < 0 { -units } else { units }
    }

    fn with(self, nanos: i128, other: Self) -> Self {
        Self {
            nanos: nanos.clamp(-MAX, MAX),
            format: if self.is_zero() {
                other.format
            } else {
                self.format
            },
        }
    }
}

impl FromStr for Quantity {
    type Err = NotAQuantity;

    fn from_str(text: &str) -> Result<Self, NotAQuantity> {
        Self::parse(text)
    }
}

impl Add for Quantity {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        self.with(self.nanos + other.nanos, other)
    }
}

impl Sub for Quantity {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        self.with(self.nanos - other.nanos, other)
    }
}

impl Sum for Quantity {
    fn sum<I: Iterator<Item = Self>>(quantities: I) -> Self {
        quantities.fold(Self::ZERO, Add::add)
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
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> Ordering {
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
