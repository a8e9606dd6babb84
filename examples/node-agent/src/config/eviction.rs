use std::fmt;
use std::str::FromStr;

use kubewright_quantity::Quantity;

/// How little of something there may be left.
#[derive(Clone, Copy, Debug)]
pub enum Threshold {
    /// This much.
    Amount(Quantity),
    /// This part of all there is, in percent.
    Percentage(f64),
}

/// A text that is no threshold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidThreshold(String);

/// Upstream's defaults on Linux.
pub(super) const DEFAULTS: [(&str, &str); 5] = [
    ("memory.available", "100Mi"),
    ("nodefs.available", "10%"),
    ("nodefs.inodesFree", "5%"),
    ("imagefs.available", "15%"),
    ("imagefs.inodesFree", "5%"),
];

impl Threshold {
    /// Whether it is what a threshold is turned off by: `0%` or `100%`.
    pub(super) fn is_off(self) -> bool {
        matches!(self, Self::Percentage(percent) if percent <= 0.0 || percent >= 100.0)
    }

    /// The amount that it means of a capacity.
    pub fn of(self, capacity: u64) -> u64 {
        match self {
            Self::Amount(amount) => u64::try_from(amount.value()).unwrap_or_default(),
            Self::Percentage(percent) => {
                // Thousandths of a percent are as exact as anybody writes them.
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "a percentage is between 0 and 100"
                )]
                let parts = (percent * 1000.0).round() as u128;
                u64::try_from(u128::from(capacity) * parts / 100_000).unwrap_or(u64::MAX)
            }
        }
    }
}

impl FromStr for Threshold {
    type Err = InvalidThreshold;

    fn from_str(text: &str) -> Result<Self, InvalidThreshold> {
        let refuse = |why: &str| InvalidThreshold(format!("eviction threshold {text:?} {why}"));
        if let Some(number) = text.strip_suffix('%') {
            let percent: f64 = number.parse().map_err(|_| refuse("is no percentage"))?;
            return if (0.0..=100.0).contains(&percent) {
                Ok(Self::Percentage(percent))
            } else {
                Err(refuse("must be between 0% and 100%"))
            };
        }
        let amount = Quantity::parse(text)
            .map_err(|error| InvalidThreshold(format!("eviction threshold {text:?}: {error}")))?;
        if amount.is_negative() {
            return Err(refuse("must be positive"));
        }
        Ok(Self::Amount(amount))
    }
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Amount(amount) => amount.fmt(f),
            Self::Percentage(percent) => write!(f, "{percent}%"),
        }
    }
}
