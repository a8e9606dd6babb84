use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer};

/// A length of time as Go writes it: `1h30m`, `100ms`, `-1.5s`, `0`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GoDuration {
    nanos: i64,
}

/// A text that is no length of time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("time: invalid duration {0:?}")]
pub struct NotADuration(String);

/// Units, and how many nanoseconds they are.
const UNITS: [(&str, i128); 8] = [
    ("ns", 1),
    ("us", 1_000),
    // Both letters that look like this one.
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

impl GoDuration {
    /// This many seconds.
    pub const fn from_secs(seconds: i64) -> Self {
        Self {
            nanos: seconds * 1_000_000_000,
        }
    }

    /// This many milliseconds.
    pub const fn from_millis(millis: i64) -> Self {
        Self {
            nanos: millis * 1_000_000,
        }
    }

    /// As much of a length of time as is whole milliseconds.
    pub fn truncated_to_millis(duration: Duration) -> Self {
        let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Self {
            nanos: millis.saturating_mul(1_000_000),
        }
    }

    /// Whether it is no time at all, which in a file is as good as saying nothing.
    pub const fn is_zero(self) -> bool {
        self.nanos == 0
    }

    /// The time, if it is not negative.
    pub fn get(self) -> Option<Duration> {
        u64::try_from(self.nanos).ok().map(Duration::from_nanos)
    }
}

impl FromStr for GoDuration {
    type Err = NotADuration;

    fn from_str(text: &str) -> Result<Self, NotADuration> {
        match parse(text) {
            Some(nanos) => Ok(Self { nanos }),
            None => Err(NotADuration(text.to_owned())),
        }
    }
}

fn parse(text: &str) -> Option<i64> {
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut nanos = 0_i128;
    while !rest.is_empty() {
        let (part, after) = part(rest)?;
        nanos = nanos.checked_add(part)?;
        rest = after;
    }
    i64::try_from(sign * nanos).ok()
}

/// The nanoseconds of a number and its unit at the beginning, and what follows.
fn part(text: &str) -> Option<(i128, &str)> {
    let is_number = |c: char| c.is_ascii_digit() || c == '.';
    let (number, rest) = text.split_at(text.find(|c| !is_number(c))?);
    let (unit, rest) = rest.split_at(rest.find(is_number).unwrap_or(rest.len()));
    let (_, scale) = UNITS.iter().find(|(name, _)| *name == unit)?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return None;
    }
    let whole: i128 = match whole {
        "" => 0,
        whole => whole.parse().ok()?,
    };
    let mut nanos = whole.checked_mul(*scale)?;
    // Each digit is exact in nanoseconds of its hour, minute or second, or below them.
    let mut divisor = 1_i128;
    for digit in fraction.bytes().take(15) {
        divisor *= 10;
        nanos += i128::from(digit - b'0') * scale / divisor;
    }
    Some((nanos, rest))
}

impl fmt::Display for GoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.nanos.unsigned_abs();
        if self.nanos < 0 {
            f.write_str("-")?;
        }
        match nanos {
            0 => f.write_str("0s"),
            1..1_000 => write!(f, "{nanos}ns"),
            1_000..1_000_000 => write!(f, "{}µs", decimal(nanos, 1_000)),
            1_000_000..1_000_000_000 => write!(f, "{}ms", decimal(nanos, 1_000_000)),
            _ => {
                let seconds = nanos / 1_000_000_000;
                if seconds >= 3600 {
                    write!(f, "{}h", seconds / 3600)?;
                }
                if seconds >= 60 {
                    write!(f, "{}m", seconds / 60 % 60)?;
                }
                write!(f, "{}s", decimal(nanos % 60_000_000_000, 1_000_000_000))
            }
        }
    }
}

/// A number in units of `scale`, which is a power of ten, without zeros at its end.
fn decimal(nanos: u64, scale: u64) -> String {
    let digits = scale.ilog10() as usize;
    let (whole, rest) = (nanos / scale, nanos % scale);
    if rest == 0 {
        return whole.to_string();
    }
    let fraction = format!("{rest:0digits$}");
    format!("{whole}.{}", fraction.trim_end_matches('0'))
}

impl<'de> Deserialize<'de> for GoDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_written_as_go_does() {
        for (text, nanos, shown) in [
            ("0", 0, "0s"),
            ("10s", 10_000_000_000, "10s"),
            ("1h30m", 5_400_000_000_000, "1h30m0s"),
            ("1.5h", 5_400_000_000_000, "1h30m0s"),
            ("-1.5s", -1_500_000_000, "-1.5s"),
            ("+5m", 300_000_000_000, "5m0s"),
            ("100ms", 100_000_000, "100ms"),
            ("1500us", 1_500_000, "1.5ms"),
            (".5µs", 500, "500ns"),
            ("1h0.001s", 3_600_001_000_000, "1h0m0.001s"),
            ("1.0000000001s", 1_000_000_000, "1s"),
        ] {
            let duration: GoDuration = text.parse().unwrap();
            assert_eq!(
                (duration.nanos, duration.to_string().as_str()),
                (nanos, shown),
                "{text}"
            );
        }
        for text in [
            "", "-", "1", "s", "1d", "1 s", ".s", "1..2s", "3000000h", "1s2",
        ] {
            let refused = text.parse::<GoDuration>().unwrap_err();
            assert_eq!(
                refused.to_string(),
                format!("time: invalid duration {text:?}")
            );
        }
    }
}
