use std::borrow::Cow;

use jiff::Timestamp;
use jiff::fmt::temporal::Pieces;
use jiff::tz::{Offset, TimeZone};
use memchr::memchr;
use serde::Deserialize;

/// Which of its two streams a container wrote to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LogStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// How the lines of a log file are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// That of CRI: `<time> stdout|stderr <tags> <content>`, whose first tag is `F` for a line that
    /// is full and `P` for a part of one.
    Cri,
    /// That of Docker's `json-file`: objects with `log`, `stream` and `time`.
    DockerJson,
}

/// What a line of a log file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// When it was written.
    pub time: Timestamp,
    /// How far the clock that it was read from is from UTC.
    pub offset: Offset,
    /// To which stream.
    pub stream: LogStream,
    /// Whether it is only a part of a line, and more of it follows. Docker does not say so.
    pub is_part: bool,
    /// What was written; with a line feed at the end unless it is a part of a line.
    pub content: Cow<'a, [u8]>,
}

/// A line is not of the format that its file has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MalformedLine {
    /// There is no time, or none that can be read.
    #[error("timestamp is not found")]
    Time,
    /// There is no stream, or none of the two.
    #[error("stream type is not found")]
    Stream,
    /// There are no tags.
    #[error("log tag is not found")]
    Tag,
    /// It is no JSON object with the fields of a log.
    #[error("not a log in JSON")]
    Json,
}

#[derive(Deserialize)]
struct DockerLine<'a> {
    #[serde(default, borrow)]
    log: Cow<'a, str>,
    #[serde(borrow)]
    stream: Cow<'a, str>,
    #[serde(borrow)]
    time: Cow<'a, str>,
}

impl LogFormat {
    /// The format that a line is written in.
    pub fn of(line: &[u8]) -> Option<Self> {
        let mut formats = [Self::Cri, Self::DockerJson].into_iter();
        formats.find(|format| format.parse(line).is_ok())
    }

    /// Reads a line, with the line feed at its end if it has one.
    ///
    /// # Errors
    ///
    /// If it is not of this format.
    pub fn parse(self, line: &[u8]) -> Result<Record<'_>, MalformedLine> {
        match self {
            Self::Cri => parse_cri(line),
            Self::DockerJson => parse_docker(line),
        }
    }
}

impl Record<'_> {
    /// The time as it is put before lines: RFC 3339 with all nine digits of the nanoseconds.
    pub fn time_text(&self) -> String {
        let time = self.time.to_zoned(TimeZone::fixed(self.offset));
        let zone = if self.offset == Offset::UTC {
            "Z"
        } else {
            "%:z"
        };
        time.strftime(&format!("%Y-%m-%dT%H:%M:%S%.9f{zone}"))
            .to_string()
    }
}

fn parse_cri(line: &[u8]) -> Result<Record<'_>, MalformedLine> {
    let (time, rest) = split(line).ok_or(MalformedLine::Time)?;
    let time = std::str::from_utf8(time).map_err(|_| MalformedLine::Time)?;
    let (time, offset) = parse_time(time)?;
    let (stream, rest) = split(rest).ok_or(MalformedLine::Stream)?;
    let stream = LogStream::named(stream).ok_or(MalformedLine::Stream)?;
    let (tags, mut content) = split(rest).ok_or(MalformedLine::Tag)?;
    // Other tags than the first have no meaning yet.
    let is_part = tags == b"P" || tags.starts_with(b"P:");
    if is_part {
        content = content.strip_suffix(b"\n").unwrap_or(content);
    }
    Ok(Record {
        time,
        offset,
        stream,
        is_part,
        content: Cow::Borrowed(content),
    })
}

fn parse_docker(line: &[u8]) -> Result<Record<'_>, MalformedLine> {
    let line: DockerLine<'_> = serde_json::from_slice(line).map_err(|_| MalformedLine::Json)?;
    let (time, offset) = parse_time(&line.time)?;
    let stream = LogStream::named(line.stream.as_bytes()).ok_or(MalformedLine::Stream)?;
    Ok(Record {
        time,
        offset,
        stream,
        is_part: false,
        content: match line.log {
            Cow::Borrowed(log) => Cow::Borrowed(log.as_bytes()),
            Cow::Owned(log) => Cow::Owned(log.into_bytes()),
        },
    })
}

fn parse_time(text: &str) -> Result<(Timestamp, Offset), MalformedLine> {
    let parse = || {
        let pieces = Pieces::parse(text).ok()?;
        let offset = pieces.to_numeric_offset()?;
        let time = pieces.date().to_datetime(pieces.time()?);
        Some((offset.to_timestamp(time).ok()?, offset))
    };
    parse().ok_or(MalformedLine::Time)
}

fn split(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = memchr(b' ', line)?;
    Some((&line[..at], &line[at + 1..]))
}

impl LogStream {
    fn named(name: &[u8]) -> Option<Self> {
        match name {
            b"stdout" => Some(Self::Stdout),
            b"stderr" => Some(Self::Stderr),
            _ => None,
        }
    }
}
