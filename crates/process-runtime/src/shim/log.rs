//! The log of a container, as CRI has it: `<time> stdout F <line>`.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::complain;

/// The longest piece of a line; what is longer is told in pieces marked `P`.
const MAX_PIECE: usize = 16 << 10;

/// Which stream of a container it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    Stdout,
    Stderr,
}

/// Cuts the output of a stream into entries of the log.
#[derive(Debug)]
pub(crate) struct Lines {
    stream: Stream,
    /// What came since the last entry; no line end, and no longer than a piece.
    pending: Vec<u8>,
}

impl Stream {
    fn name(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

impl Lines {
    pub(crate) fn new(stream: Stream) -> Self {
        Self {
            stream,
            pending: Vec::new(),
        }
    }

    /// The entries that a part of the output completes.
    pub(crate) fn entries(&mut self, output: &[u8], at: Timestamp) -> Vec<u8> {
        let prefix = self.prefix(at);
        let mut entries = Vec::with_capacity(output.len() * 2);
        let mut rest = output;
        while !rest.is_empty() {
            let room = MAX_PIECE - self.pending.len();
            let reach = &rest[..rest.len().min(room + 1)];
            if let Some(end) = reach.iter().position(|byte| *byte == b'\n') {
                self.complete(&mut entries, &prefix, 'F', &rest[..end]);
                rest = &rest[end + 1..];
            } else if rest.len() > room {
                self.complete(&mut entries, &prefix, 'P', &rest[..room]);
                rest = &rest[room..];
            } else {
                self.pending.extend_from_slice(rest);
                rest = &[];
            }
        }
        entries
    }

    /// The entry of a last line that was not ended.
    pub(crate) fn finish(&mut self, at: Timestamp) -> Vec<u8> {
        let mut entries = Vec::new();
        if !self.pending.is_empty() {
            let prefix = self.prefix(at);
            self.complete(&mut entries, &prefix, 'P', &[]);
        }
        entries
    }

    fn complete(&mut self, entries: &mut Vec<u8>, prefix: &str, tag: char, end: &[u8]) {
        entries.extend_from_slice(prefix.as_bytes());
        entries.push(tag as u8);
        entries.push(b' ');
        entries.append(&mut self.pending);
        entries.extend_from_slice(end);
        entries.push(b'\n');
    }

    fn prefix(&self, at: Timestamp) -> String {
        format!("{at:.9} {} ", self.stream.name())
    }
}

/// The file. What cannot be written is lost and counted, since a container must not stand still
/// because a disk is full.
#[derive(Debug)]
pub(crate) struct LogFile {
    path: PathBuf,
    file: File,
    /// How long the file is, up to the last whole entry.
    length: u64,
    lost: u64,
    is_failing: bool,
}

impl LogFile {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        if let Some(directory) = path.parent() {
            std::fs::create_dir_all(directory)?;
        }
        let file = append_to(path)?;
        let length = file.metadata()?.len();
        Ok(Self {
            path: path.to_owned(),
            file,
            length,
            lost: 0,
            is_failing: false,
        })
    }

    pub(crate) fn write(&mut self, entries: &[u8]) {
        match self.file.write_all(entries) {
            Ok(()) => {
                self.length += entries.len() as u64;
                self.is_failing = false;
            }
            Err(error) => {
                // The half of an entry would spoil the next one as well.
                let _ = self.file.set_len(self.length);
                self.lost += entries.len() as u64;
                if !self.is_failing {
                    self.is_failing = true;
                    let path = self.path.display();
                    complain(&format_args!("{path}: {error}: output is lost"));
                }
            }
        }
    }

    /// Opens the path anew, after the file was renamed away.
    pub(crate) fn reopen(&mut self) -> io::Result<()> {
        let lost = self.lost;
        *self = Self::open(&self.path)?;
        self.lost = lost;
        Ok(())
    }

    /// How many bytes were lost.
    pub(crate) fn lost(&self) -> u64 {
        self.lost
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn log(parts: &[Vec<u8>]) -> Vec<u8> {
        let mut lines = Lines::new(Stream::Stdout);
        let mut log = Vec::new();
        for part in parts {
            log.extend(lines.entries(part, Timestamp::UNIX_EPOCH));
        }
        log.extend(lines.finish(Timestamp::UNIX_EPOCH));
        log
    }

    /// Tags and texts of the entries.
    fn parse(log: &[u8]) -> Vec<(u8, Vec<u8>)> {
        let prefix = b"1970-01-01T00:00:00.000000000Z stdout ";
        let mut entries = Vec::new();
        for line in log.split(|byte| *byte == b'\n') {
            if !line.is_empty() {
                let rest = line.strip_prefix(prefix).unwrap();
                assert_eq!(rest[1], b' ');
                entries.push((rest[0], rest[2..].to_vec()));
            }
        }
        entries
    }

    #[test]
    fn lines_and_pieces_have_their_tags() {
        let exact = vec![b'x'; MAX_PIECE];
        let entries = parse(&log(&[b"one\n\ntwo".to_vec(), b"!\nrest".to_vec()]));
        let texts: Vec<_> = entries
            .iter()
            .map(|(tag, text)| (*tag, text.as_slice()))
            .collect();
        assert_eq!(
            texts,
            [
                (b'F', &b"one"[..]),
                (b'F', b""),
                (b'F', b"two!"),
                (b'P', b"rest")
            ]
        );
        let mut line = exact.clone();
        line.push(b'\n');
        assert_eq!(parse(&log(&[line])), [(b'F', exact.clone())]);
        let mut line = exact.clone();
        line.extend(b"y\n");
        assert_eq!(parse(&log(&[line])), [(b'P', exact), (b'F', b"y".to_vec())]);
    }

    proptest! {
        #[test]
        fn the_log_is_the_output_however_it_comes(
            lines in prop::collection::vec((any::<u8>().prop_filter("no end", |byte| *byte != b'\n'), 0..40_000_usize), 0..5),
            cuts in prop::collection::vec(1..20_000_usize, 1..8),
        ) {
            let mut output = Vec::new();
            for (byte, length) in lines {
                output.extend(std::iter::repeat_n(byte, length));
                output.push(b'\n');
            }
            output.extend(b"end");
            let mut parts = Vec::new();
            let mut rest = output.as_slice();
            for cut in cuts.iter().cycle() {
                if rest.is_empty() { break; }
                let (part, later) = rest.split_at(rest.len().min(*cut));
                parts.push(part.to_vec());
                rest = later;
            }
            let mut again = Vec::new();
            for (tag, text) in parse(&log(&parts)) {
                prop_assert!(text.len() <= MAX_PIECE);
                again.extend(text);
                if tag == b'F' { again.push(b'\n'); }
            }
            prop_assert_eq!(again, output.clone());
            prop_assert_eq!(log(&parts), log(&[output]));
        }
    }
}
