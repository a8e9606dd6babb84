use jiff::{SignedDuration, Timestamp};

use crate::log::LogStream;

/// What is asked for of a log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogOptions {
    /// Whether lines are awaited as long as the container runs. Default: false.
    pub follow: bool,
    /// Whether the log is that of the container before this one. Default: false.
    pub previous: bool,
    /// Only what was written at this time or later. Default: all.
    pub since: Option<Timestamp>,
    /// Whether each line begins with its time. Default: false.
    pub timestamps: bool,
    /// Only so many lines at the end. Default: all.
    pub tail_lines: Option<u64>,
    /// After so many bytes it ends. Default: never.
    pub limit_bytes: Option<u64>,
    /// Which streams. Default: both.
    pub streams: LogStreams,
}

/// Which streams of a log are asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogStreams {
    /// Both, as they were written.
    #[default]
    All,
    /// One of them.
    Only(LogStream),
}

impl LogOptions {
    /// Only what was written in the last so many seconds before `now`, or at `time` or later; if
    /// both are given, whichever is less.
    pub fn since(mut self, seconds: Option<i64>, time: Option<Timestamp>, now: Timestamp) -> Self {
        let seconds = seconds.map(|seconds| {
            let start = now.checked_sub(SignedDuration::from_secs(seconds));
            start.unwrap_or(Timestamp::MIN)
        });
        self.since = seconds.max(time);
        self
    }
}

impl LogStreams {
    pub(super) fn includes(self, stream: LogStream) -> bool {
        match self {
            Self::All => true,
            Self::Only(only) => only == stream,
        }
    }
}
