use std::collections::BTreeMap;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};

/// The end of the name of a log that is compressed.
pub(super) const COMPRESSED: &str = ".gz";

/// The end of the name of a log that is being compressed.
pub(super) const TEMPORARY: &str = ".tmp";

/// The end of the name of a rotated log: when it was.
const TIME: &str = "%Y%m%d-%H%M%S";

/// What was rotated of one log, by the names of the files.
///
/// Names sort by age, as those do that end with the time of their rotation.
/// All lists are in this order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RotatedLogs {
    logs: BTreeMap<String, Forms>,
}

/// In which forms there is a log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Forms {
    is_plain: bool,
    is_compressed: bool,
    is_half_compressed: bool,
}

impl Forms {
    /// Whether all of it is there.
    fn is_whole(self) -> bool {
        self.is_plain || self.is_compressed
    }
}

impl RotatedLogs {
    /// Sorts out files of these names.
    pub fn new(names: impl IntoIterator<Item = String>) -> Self {
        let mut logs = BTreeMap::<String, Forms>::new();
        for name in names {
            if let Some(log) = name.strip_suffix(COMPRESSED) {
                logs.entry(log.to_owned()).or_default().is_compressed = true;
            } else if let Some(log) = name.strip_suffix(TEMPORARY) {
                logs.entry(log.to_owned()).or_default().is_half_compressed = true;
            } else {
                logs.entry(name).or_default().is_plain = true;
            }
        }
        Self { logs }
    }

    /// The logs that go, whatever form they are in, before the next one is rotated: there may be
    /// `max_files` afterwards, that one and the one that is written included.
    ///
    /// Answers to `removeExcessLogs` of Kubernetes 1.36.
    pub fn excess(&self, max_files: u32) -> Vec<&str> {
        let room = usize::try_from(max_files.saturating_sub(2)).unwrap_or(usize::MAX);
        let whole = self.logs.iter().filter(|(_, forms)| forms.is_whole());
        let excess = whole.clone().count().saturating_sub(room);
        whole.take(excess).map(|(log, _)| log.as_str()).collect()
    }

    /// The files that somebody left who was killed while he compressed: halves, and copies of what
    /// is compressed.
    ///
    /// Answers to `cleanupUnusedLogs` of Kubernetes 1.36.
    pub fn unused(&self) -> Vec<String> {
        let mut unused = Vec::new();
        for (log, forms) in &self.logs {
            if forms.is_plain && forms.is_compressed {
                unused.push(log.clone());
            }
            if forms.is_half_compressed {
                unused.push(format!("{log}{TEMPORARY}"));
            }
        }
        unused
    }

    /// The logs that are not compressed.
    pub fn uncompressed(&self) -> Vec<&str> {
        let plain = |forms: &Forms| forms.is_plain && !forms.is_compressed;
        let plain = self.logs.iter().filter(|(_, forms)| plain(forms));
        plain.map(|(log, _)| log.as_str()).collect()
    }

    /// The logs that are to be compressed: all but the newest, which may still be read by its name.
    pub fn to_compress(&self) -> Vec<&str> {
        let mut whole = self.logs.iter().filter(|(_, forms)| forms.is_whole());
        let newest = whole.next_back().map(|(log, _)| log.as_str());
        let mut plain = self.uncompressed();
        plain.retain(|log| Some(*log) != newest);
        plain
    }

    /// The name that `log` gets if it is rotated now: later than all others, so that it sorts last
    /// and replaces none, though clocks go back and seconds may be longer than a look at the logs.
    pub fn next(&self, log: &str, now: Timestamp) -> String {
        let name = |time: DateTime| format!("{log}.{}", time.strftime(TIME));
        let time_of = |name: &String| {
            let time = name.strip_prefix(log)?.strip_prefix('.')?;
            DateTime::strptime(TIME, time).ok()
        };
        let wanted = name(TimeZone::UTC.to_datetime(now));
        match self.logs.keys().rev().find_map(time_of) {
            Some(newest) if name(newest) >= wanted => name(newest.saturating_add(1.second())),
            _ => wanted,
        }
    }
}
