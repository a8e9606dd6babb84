use jiff::Timestamp;

use crate::log::{LogOptions, LogStreams, Record};

/// Lets through what was asked for of a log, record by record.
#[derive(Debug)]
pub(super) struct Filter {
    streams: LogStreams,
    since: Option<Timestamp>,
    timestamps: bool,
    /// How many bytes may still be let through.
    left: u64,
    /// Whether the next record begins a line.
    starts_line: bool,
    /// Whether the record that is under way is let through.
    passes: bool,
}

impl Filter {
    pub(super) fn new(options: &LogOptions) -> Self {
        Self {
            streams: options.streams,
            since: options.since,
            timestamps: options.timestamps,
            left: options.limit_bytes.unwrap_or(u64::MAX),
            starts_line: true,
            passes: false,
        }
    }

    /// Whether nothing more is let through.
    pub(super) fn is_done(&self) -> bool {
        self.left == 0
    }

    /// Appends what is asked for of a record.
    pub(super) fn record(&mut self, record: &Record<'_>, out: &mut Vec<u8>) {
        self.passes = self.streams.includes(record.stream)
            && self.since.is_none_or(|since| record.time >= since);
        if !self.passes {
            return;
        }
        if self.timestamps && self.starts_line {
            self.emit(record.time_text().as_bytes(), out);
            self.emit(b" ", out);
        }
        self.content(&record.content, out);
        // A part of a line without content ends the line, as upstream has it.
        self.starts_line |= record.content.is_empty();
    }

    /// Appends more of the record that came last.
    pub(super) fn more(&mut self, content: &[u8], out: &mut Vec<u8>) {
        if self.passes {
            self.content(content, out);
        }
    }

    fn content(&mut self, content: &[u8], out: &mut Vec<u8>) {
        self.emit(content, out);
        if let Some(last) = content.last() {
            self.starts_line = *last == b'\n';
        }
    }

    fn emit(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let room = usize::try_from(self.left).unwrap_or(usize::MAX);
        let bytes = &bytes[..bytes.len().min(room)];
        out.extend_from_slice(bytes);
        self.left -= bytes.len() as u64;
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use jiff::tz::Offset;

    use super::*;
    use crate::log::LogStream::{self, Stderr, Stdout};

    const LINE: &str = "abcdefg\n";

    fn record(stream: LogStream, nanosecond: i32) -> Record<'static> {
        Record {
            time: Timestamp::new(1234, nanosecond).unwrap(),
            offset: Offset::UTC,
            stream,
            is_part: false,
            content: Cow::Borrowed(LINE.as_bytes()),
        }
    }

    #[track_caller]
    fn check(options: &LogOptions, records: &[Record<'_>], expected: &str) {
        let mut filter = Filter::new(options);
        let mut out = Vec::new();
        for record in records {
            filter.record(record, &mut out);
        }
        assert_eq!(String::from_utf8(out).unwrap(), expected, "{options:?}");
    }

    fn options(change: impl FnOnce(&mut LogOptions)) -> LogOptions {
        let mut options = LogOptions::default();
        change(&mut options);
        options
    }

    /// Answers to `TestWriteLogs`.
    #[test]
    fn write_logs() {
        let only = |stream| options(|options| options.streams = LogStreams::Only(stream));
        let out = [record(Stdout, 43210)];
        let err = [record(Stderr, 43210)];
        check(&LogOptions::default(), &out, LINE);
        check(&LogOptions::default(), &err, LINE);
        check(&only(Stdout), &out, LINE);
        check(&only(Stderr), &err, LINE);
        check(&only(Stderr), &out, "");
        check(&only(Stdout), &err, "");

        let since = |second| options(|options| options.since = Timestamp::new(second, 43210).ok());
        check(&since(1235), &out, "");
        check(&since(1234), &out, LINE);

        let timed = options(|options| options.timestamps = true);
        check(
            &timed,
            &err,
            &format!("1970-01-01T00:20:34.000043210Z {LINE}"),
        );
    }

    /// Answers to `TestWriteLogsWithBytesLimit`.
    #[test]
    fn write_logs_with_bytes_limit() {
        let limit = |bytes| options(|options| options.limit_bytes = Some(bytes));
        let three = [Stdout; 3].map(|stream| record(stream, 4321));
        check(&limit(3), &three, "abc");
        check(&limit(8 + 3), &three, "abcdefg\nabc");
        check(&limit(3 * 8), &three, "abcdefg\nabcdefg\nabcdefg\n");
        check(&limit(0), &three, "");
        let both = [Stdout, Stderr, Stderr].map(|stream| record(stream, 4321));
        check(&limit(8 + 3), &both, "abcdefg\nabc");

        let time = "1970-01-01T00:20:34.000004321Z";
        let mut timed = limit(time.len() as u64 + 1 + 8 + 2);
        timed.timestamps = true;
        check(&timed, &three, &format!("{time} {LINE}19"));
    }

    #[test]
    fn a_line_in_parts_has_one_time_whatever_the_other_stream_writes() {
        let part = |stream, content: &'static str| Record {
            content: Cow::Borrowed(content.as_bytes()),
            ..record(stream, 0)
        };
        let mut asked = options(|options| options.timestamps = true);
        asked.streams = LogStreams::Only(Stdout);
        check(
            &asked,
            &[part(Stdout, "ab"), part(Stderr, "x\n"), part(Stdout, "c\n")],
            "1970-01-01T00:20:34.000000000Z abc\n",
        );
    }
}
