use bytes::Bytes;

/// Splits a stream of chunks into lines, up to a maximum length.
///
/// A line that lies within one chunk is not copied.
#[derive(Debug)]
pub(super) struct Lines {
    max: usize,
    /// What has arrived and is not split yet.
    chunk: Bytes,
    /// The beginning of a line that went on beyond its chunk.
    partial: Vec<u8>,
    /// Whether the line has been too long, so that its rest is dropped.
    skipping: bool,
}

/// A line, without what ends it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    Whole(Bytes),
    /// A line longer than the maximum, which is gone.
    TooLong,
}

impl Lines {
    pub(super) const fn new(max: usize) -> Self {
        Self {
            max,
            chunk: Bytes::new(),
            partial: Vec::new(),
            skipping: false,
        }
    }

    /// Takes in the next chunk, when there is no next line.
    pub(super) fn feed(&mut self, chunk: Bytes) {
        debug_assert!(self.chunk.is_empty());
        self.chunk = chunk;
    }

    /// The next line that is complete.
    pub(super) fn next(&mut self) -> Option<Line> {
        loop {
            let Some(end) = memchr::memchr(b'\n', &self.chunk) else {
                self.keep();
                return None;
            };
            let rest = self.chunk.split_to(end + 1).slice(..end);
            if let Some(line) = self.complete(rest) {
                return Some(line);
            }
        }
    }

    /// What is left when no more chunks come: a last line that nothing ends.
    pub(super) fn finish(&mut self) -> Option<Line> {
        self.complete(Bytes::new())
    }

    /// The line that ends with `rest`; `None` if it is blank.
    fn complete(&mut self, rest: Bytes) -> Option<Line> {
        if std::mem::take(&mut self.skipping) || self.partial.len() + rest.len() > self.max {
            self.partial.clear();
            return Some(Line::TooLong);
        }
        let line = if self.partial.is_empty() {
            rest
        } else {
            self.partial.extend_from_slice(&rest);
            Bytes::from(std::mem::take(&mut self.partial))
        };
        (!line.trim_ascii().is_empty()).then_some(Line::Whole(line))
    }

    /// Keeps what there is of a line whose end has not come.
    fn keep(&mut self) {
        let chunk = std::mem::take(&mut self.chunk);
        if self.skipping || self.partial.len() + chunk.len() > self.max {
            self.skipping = true;
            self.partial = Vec::new();
        } else {
            self.partial.extend_from_slice(&chunk);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn split(text: &[u8], sizes: &[usize], max: usize) -> Vec<Line> {
        let mut lines = Lines::new(max);
        let mut split = Vec::new();
        let mut rest = text;
        for size in sizes.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (chunk, later) = rest.split_at((*size).clamp(1, rest.len()));
            rest = later;
            lines.feed(Bytes::copy_from_slice(chunk));
            split.extend(std::iter::from_fn(|| lines.next()));
        }
        split.extend(lines.finish());
        split
    }

    proptest! {
        #[test]
        fn lines_come_out_however_the_chunks_are_cut(
            text in "[ab\\r\\n ]{0,60}",
            sizes in prop::collection::vec(1_usize..9, 1..9),
            max in 1_usize..12,
        ) {
            let expected: Vec<Line> = text
                .split('\n')
                .filter(|line| line.len() > max || !line.trim_ascii().is_empty())
                .map(|line| {
                    if line.len() > max {
                        Line::TooLong
                    } else {
                        Line::Whole(Bytes::copy_from_slice(line.as_bytes()))
                    }
                })
                .collect();
            prop_assert_eq!(split(text.as_bytes(), &sizes, max), expected);
        }
    }

    #[test]
    fn no_more_is_kept_of_a_line_than_the_maximum() {
        let mut lines = Lines::new(100);
        for _ in 0..1000 {
            lines.feed(Bytes::from_static(b"0123456789"));
            assert_eq!(lines.next(), None);
            assert!(lines.partial.len() <= 100);
        }
        lines.feed(Bytes::from_static(b"\nnext\n"));
        assert_eq!(lines.next(), Some(Line::TooLong));
        assert_eq!(lines.next(), Some(Line::Whole(Bytes::from_static(b"next"))));
    }

    #[test]
    fn a_line_within_a_chunk_is_not_copied() {
        let chunk = Bytes::from_static(b"one\ntwo\n");
        let mut lines = Lines::new(100);
        lines.feed(chunk.clone());
        let Some(Line::Whole(one)) = lines.next() else {
            panic!("a line")
        };
        assert_eq!(one.as_ptr(), chunk.as_ptr());
    }
}
