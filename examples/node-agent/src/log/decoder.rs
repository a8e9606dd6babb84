use memchr::memchr;

use crate::log::filter::Filter;
use crate::log::{LogError, LogFormat, LogOptions};

/// How much of one line is kept. Of a longer one the rest is passed on as it comes; runtimes write
/// lines of 16 KiB at most, unless they are told otherwise.
const LONGEST_LINE: usize = 1 << 20;

/// Turns the bytes of a log file into those that were asked for. How the bytes are cut does not
/// matter.
#[derive(Debug)]
pub(super) struct Decoder {
    format: Option<LogFormat>,
    filter: Filter,
    /// The beginning of the line that is under way.
    line: Vec<u8>,
    /// What of the line that is under way was passed on already.
    begun: Begun,
    /// How many lines may still be read.
    lines_left: Option<u64>,
    longest: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Begun {
    Nothing,
    /// The head and some of the content.
    Some {
        is_part: bool,
    },
    /// It is malformed: the rest of it is skipped.
    Malformed,
}

impl Decoder {
    pub(super) fn new(options: &LogOptions) -> Self {
        Self {
            format: None,
            filter: Filter::new(options),
            line: Vec::new(),
            begun: Begun::Nothing,
            // What is written while the end of a log is read is not part of its end.
            lines_left: options.tail_lines.filter(|_| !options.follow),
            longest: LONGEST_LINE,
        }
    }

    /// Whether nothing that comes will be passed on.
    pub(super) fn is_done(&self) -> bool {
        self.filter.is_done() || self.lines_left == Some(0)
    }

    /// Takes the next bytes of the file, and appends what was asked for.
    pub(super) fn push(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) -> Result<(), LogError> {
        while !bytes.is_empty() && !self.is_done() {
            let room = self.longest - self.line.len();
            let end = memchr(b'\n', bytes).map(|at| at + 1);
            let take = end.unwrap_or(bytes.len()).min(room);
            let (piece, rest) = bytes.split_at(take);
            bytes = rest;
            let ends = end == Some(take);
            if self.line.is_empty() && ends {
                // The usual case: nothing is copied before it is filtered.
                self.piece(piece, ends, out)?;
                continue;
            }
            self.line.extend_from_slice(piece);
            if ends || self.line.len() == self.longest {
                let mut line = std::mem::take(&mut self.line);
                self.piece(&line, ends, out)?;
                line.clear();
                self.line = line;
            }
        }
        Ok(())
    }

    /// The file ends here: what there is of the line under way is all there will be.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), LogError> {
        let line = std::mem::take(&mut self.line);
        if !line.is_empty() && !self.is_done() {
            self.piece(&line, true, out)?;
        }
        self.begun = Begun::Nothing;
        Ok(())
    }

    /// Takes a line, or as much of it as is kept.
    fn piece(&mut self, piece: &[u8], ends: bool, out: &mut Vec<u8>) -> Result<(), LogError> {
        match self.begun {
            Begun::Nothing => self.head(piece, out)?,
            Begun::Some { is_part: true } if ends => {
                let content = piece.strip_suffix(b"\n").unwrap_or(piece);
                self.filter.more(content, out);
            }
            Begun::Some { .. } => self.filter.more(piece, out),
            Begun::Malformed => {}
        }
        if ends {
            if matches!(self.begun, Begun::Some { .. })
                && let Some(left) = &mut self.lines_left
            {
                *left -= 1;
            }
            self.begun = Begun::Nothing;
        }
        Ok(())
    }

    fn head(&mut self, line: &[u8], out: &mut Vec<u8>) -> Result<(), LogError> {
        let format = match self.format {
            Some(format) => format,
            None => *self.format.insert(LogFormat::of(line).ok_or_else(|| {
                let start = &line[..line.len().min(256)];
                let line = String::from_utf8_lossy(start).into_owned();
                LogError::UnsupportedFormat { line }
            })?),
        };
        match format.parse(line) {
            Ok(record) => {
                self.filter.record(&record, out);
                self.begun = Begun::Some {
                    is_part: record.is_part,
                };
            }
            Err(error) => {
                tracing::warn!(%error, "a line of a log is left out");
                self.begun = Begun::Malformed;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::log::{LogStream, LogStreams};

    fn decode(options: &LogOptions, pieces: &[&[u8]], longest: usize) -> String {
        let mut decoder = Decoder::new(options);
        decoder.longest = longest;
        let mut out = Vec::new();
        for piece in pieces {
            decoder.push(piece, &mut out).unwrap();
        }
        decoder.finish(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn line(stream: &str, tag: &str, content: &str) -> String {
        format!("2016-10-06T00:17:09.669794202Z {stream} {tag} {content}\n")
    }

    #[test]
    fn a_line_that_is_too_long_to_be_kept_is_passed_on_in_pieces() {
        let long = "x".repeat(1000);
        let log = line("stdout", "F", &long) + &line("stderr", "F", &long) + "end\n";
        let options = LogOptions {
            timestamps: true,
            streams: LogStreams::Only(LogStream::Stdout),
            ..LogOptions::default()
        };
        let expected = format!("2016-10-06T00:17:09.669794202Z {long}\n");
        assert_eq!(decode(&options, &[log.as_bytes()], 100), expected);
    }

    #[test]
    fn a_malformed_line_costs_no_other() {
        let log = line("stdout", "F", "a") + "nonsense\n" + &line("stdout", "F", "b");
        assert_eq!(
            decode(&LogOptions::default(), &[log.as_bytes()], 1000),
            "a\nb\n"
        );
    }

    #[test]
    fn a_file_of_another_format_is_refused_with_its_first_line() {
        let mut decoder = Decoder::new(&LogOptions::default());
        let error = decoder.push(b"nonsense\n", &mut Vec::new()).unwrap_err();
        assert_eq!(error.to_string(), "unsupported log format: \"nonsense\\n\"");
    }

    proptest! {
        #[test]
        fn how_a_file_is_cut_does_not_matter(
            lines in prop::collection::vec(("stdout|stderr", "[FP]", "[a-z ]{0,40}"), 0..20),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..10),
            longest in 80_usize..200,
            tail in prop::option::of(0_u64..30),
        ) {
            let log: String = lines.iter().map(|(stream, tag, text)| line(stream, tag, text)).collect();
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(log.len() + 1)).collect();
            cuts.sort_unstable();
            cuts.push(log.len());
            let mut pieces = Vec::new();
            let mut start = 0;
            for cut in cuts {
                pieces.push(&log.as_bytes()[start..cut]);
                start = cut;
            }
            let options = LogOptions {
                tail_lines: tail,
                ..LogOptions::default()
            };
            let expected: String = lines
                .iter()
                .take(tail.map_or(usize::MAX, |tail| tail as usize))
                .map(|(_, tag, text)| format!("{text}{}", if tag == "F" { "\n" } else { "" }))
                .collect();
            prop_assert_eq!(decode(&options, &pieces, longest), expected);
        }
    }
}
