use std::borrow::Cow;
use std::ops::Range;

/// Why a text could not be scanned, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem} at byte {offset}")]
pub struct ScanError {
    offset: usize,
    problem: Problem,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Problem {
    #[error("the text ends")]
    UnexpectedEnd,
    #[error("expected {0}")]
    Expected(&'static str),
    #[error("{0}")]
    Invalid(&'static str),
}

impl ScanError {
    pub(crate) const fn expected(offset: usize, what: &'static str) -> Self {
        Self {
            offset,
            problem: Problem::Expected(what),
        }
    }

    pub(crate) const fn invalid(offset: usize, what: &'static str) -> Self {
        Self {
            offset,
            problem: Problem::Invalid(what),
        }
    }

    const fn end(offset: usize) -> Self {
        Self {
            offset,
            problem: Problem::UnexpectedEnd,
        }
    }

    /// Where in the scanned text the problem is, in bytes from its start.
    pub const fn offset(&self) -> usize {
        self.offset
    }

    /// Whether the text ended inside the value, so that more text might complete it.
    pub const fn is_incomplete(&self) -> bool {
        matches!(self.problem, Problem::UnexpectedEnd)
    }

    /// The same error in a text that this one is a part of, from `start` on.
    pub(crate) const fn within(mut self, start: usize) -> Self {
        self.offset += start;
        self
    }
}

/// A place in a JSON text, and the steps that can be taken from it.
#[derive(Clone, Debug)]
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// A string of the text, without its quotes and still escaped.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RawStr {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) escaped: bool,
}

/// The value of a member that should be a string.
///
/// That it is none is found out when it is needed: the rest of the object counts all the same.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Field {
    /// There is no such member, or it is null.
    #[default]
    Absent,
    Text(RawStr),
    /// Something else, at this offset.
    Other(usize),
}

impl Field {
    /// The string, if there is one.
    pub(crate) const fn string(self) -> Result<Option<RawStr>, ScanError> {
        match self {
            Self::Absent => Ok(None),
            Self::Text(string) => Ok(Some(string)),
            Self::Other(offset) => Err(ScanError::expected(offset, "a string")),
        }
    }
}

impl RawStr {
    /// The string's value.
    pub(crate) fn text(self, source: &[u8]) -> Result<Cow<'_, str>, ScanError> {
        let invalid = || ScanError::invalid(self.start, "a string that is not valid");
        if self.escaped {
            let quoted = &source[self.start - 1..=self.end];
            return serde_json::from_slice(quoted)
                .map(Cow::Owned)
                .map_err(|_| invalid());
        }
        std::str::from_utf8(&source[self.start..self.end])
            .map(Cow::Borrowed)
            .map_err(|_| invalid())
    }

    /// Whether the string's value is `text`.
    pub(crate) fn is(self, source: &[u8], text: &str) -> bool {
        if self.escaped {
            self.text(source).is_ok_and(|own| own == text)
        } else {
            &source[self.start..self.end] == text.as_bytes()
        }
    }
}

impl<'a> Cursor<'a> {
    pub(crate) const fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at }
    }

    pub(crate) const fn at(&self) -> usize {
        self.at
    }

    /// The next byte that is no whitespace, not consumed.
    pub(crate) fn peek(&mut self) -> Result<u8, ScanError> {
        while let Some(&byte) = self.bytes.get(self.at) {
            if !matches!(byte, b' ' | b'\n' | b'\t' | b'\r') {
                return Ok(byte);
            }
            self.at += 1;
        }
        Err(ScanError::end(self.at))
    }

    /// Consumes `byte` if it comes next.
    pub(crate) fn accept(&mut self, byte: u8) -> Result<bool, ScanError> {
        let found = self.peek()? == byte;
        self.at += usize::from(found);
        Ok(found)
    }

    /// Consumes `byte`, which must come next.
    pub(crate) fn expect(&mut self, byte: u8, what: &'static str) -> Result<(), ScanError> {
        if self.accept(byte)? {
            Ok(())
        } else {
            Err(ScanError::expected(self.at, what))
        }
    }

    /// Nothing but whitespace may follow.
    pub(crate) fn finish(&mut self) -> Result<(), ScanError> {
        match self.peek() {
            Err(_) => Ok(()),
            Ok(_) => Err(ScanError::expected(self.at, "the end of the text")),
        }
    }

    /// A string, its quotes consumed.
    pub(crate) fn string(&mut self) -> Result<RawStr, ScanError> {
        self.expect(b'"', "a string")?;
        let start = self.at;
        let escaped = self.skip_string()?;
        Ok(RawStr {
            start,
            end: self.at - 1,
            escaped,
        })
    }

    /// A string, or `null` for none.
    pub(crate) fn string_or_null(&mut self) -> Result<Option<RawStr>, ScanError> {
        if self.peek()? == b'n' {
            self.skip_value()?;
            return Ok(None);
        }
        self.string().map(Some)
    }

    /// The value of a member that should be a string, whatever it is.
    pub(crate) fn field(&mut self) -> Result<Field, ScanError> {
        match self.peek()? {
            b'"' => self.string().map(Field::Text),
            b'n' => self.skip_value().map(|_| Field::Absent),
            _ => self.skip_value().map(|value| Field::Other(value.start)),
        }
    }

    /// The key of a member and the colon after it.
    pub(crate) fn key(&mut self) -> Result<RawStr, ScanError> {
        let key = self.string()?;
        self.expect(b':', "`:`")?;
        Ok(key)
    }

    /// Any value, passed over; where it was.
    pub(crate) fn skip_value(&mut self) -> Result<Range<usize>, ScanError> {
        let first = self.peek()?;
        let start = self.at;
        match first {
            b'"' => {
                self.at += 1;
                self.skip_string()?;
            }
            b'{' | b'[' => {
                self.at += 1;
                self.skip_nested()?;
            }
            b't' => self.skip_literal(b"true")?,
            b'f' => self.skip_literal(b"false")?,
            b'n' => self.skip_literal(b"null")?,
            b'-' | b'0'..=b'9' => self.skip_number()?,
            _ => return Err(ScanError::expected(self.at, "a value")),
        }
        Ok(start..self.at)
    }

    /// The members of an object, one call per member; `null` counts as an object without any.
    pub(crate) fn members(
        &mut self,
        mut member: impl FnMut(&mut Self, RawStr) -> Result<(), ScanError>,
    ) -> Result<(), ScanError> {
        if self.peek()? == b'n' {
            self.skip_value()?;
            return Ok(());
        }
        self.expect(b'{', "an object")?;
        if self.accept(b'}')? {
            return Ok(());
        }
        loop {
            let key = self.key()?;
            member(self, key)?;
            if self.accept(b'}')? {
                return Ok(());
            }
            self.expect(b',', "`,` or `}`")?;
        }
    }

    /// The elements of an array, one call per element; `null` counts as an empty one.
    pub(crate) fn elements(
        &mut self,
        mut element: impl FnMut(&mut Self) -> Result<(), ScanError>,
    ) -> Result<(), ScanError> {
        if self.peek()? == b'n' {
            self.skip_value()?;
            return Ok(());
        }
        self.expect(b'[', "an array")?;
        if self.accept(b']')? {
            return Ok(());
        }
        loop {
            element(self)?;
            if self.accept(b']')? {
                return Ok(());
            }
            self.expect(b',', "`,` or `]`")?;
        }
    }

    fn skip_literal(&mut self, literal: &'static [u8]) -> Result<(), ScanError> {
        let rest = &self.bytes[self.at..];
        if rest.starts_with(literal) {
            self.at += literal.len();
            Ok(())
        } else if literal.starts_with(rest) {
            Err(ScanError::end(self.bytes.len()))
        } else {
            Err(ScanError::expected(self.at, "a value"))
        }
    }

    /// A number ends where something else begins, so at the end of the text it is incomplete.
    fn skip_number(&mut self) -> Result<(), ScanError> {
        while let Some(byte) = self.bytes.get(self.at) {
            if !matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E') {
                return Ok(());
            }
            self.at += 1;
        }
        Err(ScanError::end(self.at))
    }

    /// The rest of a string from behind its opening quote; whether it holds escapes.
    #[inline]
    fn skip_string(&mut self) -> Result<bool, ScanError> {
        let mut escaped = false;
        loop {
            let Some(stop) = quote_or_backslash(self.bytes, self.at) else {
                return Err(ScanError::end(self.bytes.len()));
            };
            if self.bytes[stop] == b'"' {
                self.at = stop + 1;
                return Ok(escaped);
            }
            // What follows a backslash is never the end of the string.
            escaped = true;
            self.at = stop + 2;
        }
    }

    /// The rest of an object or array from behind its opening bracket.
    ///
    /// Nearly all of a scan's time is spent here.
    fn skip_nested(&mut self) -> Result<(), ScanError> {
        let bytes = self.bytes;
        let mut at = self.at;
        let mut depth = 1_usize;
        while let Some(&byte) = bytes.get(at) {
            at += 1;
            match CLASS[usize::from(byte)] {
                Class::Other => {}
                Class::Quote => loop {
                    let Some(stop) = quote_or_backslash(bytes, at) else {
                        return Err(ScanError::end(bytes.len()));
                    };
                    if bytes[stop] == b'"' {
                        at = stop + 1;
                        break;
                    }
                    at = stop + 2;
                },
                Class::Open => depth += 1,
                Class::Close => {
                    depth -= 1;
                    if depth == 0 {
                        self.at = at;
                        return Ok(());
                    }
                }
            }
        }
        Err(ScanError::end(bytes.len()))
    }
}

#[derive(Clone, Copy)]
enum Class {
    Other,
    Quote,
    Open,
    Close,
}

static CLASS: [Class; 256] = {
    let mut table = [Class::Other; 256];
    table[b'"' as usize] = Class::Quote;
    table[b'{' as usize] = Class::Open;
    table[b'[' as usize] = Class::Open;
    table[b'}' as usize] = Class::Close;
    table[b']' as usize] = Class::Close;
    table
};

/// The first quote or backslash at or after `from`.
///
/// Eight bytes at a time: the strings of an object are too short for a call into a vectorised
/// search to pay, and too long to look at byte by byte.
#[inline(always)]
fn quote_or_backslash(bytes: &[u8], from: usize) -> Option<usize> {
    const ONES: u64 = u64::from_le_bytes([0x01; 8]);
    const HIGH: u64 = u64::from_le_bytes([0x80; 8]);
    const QUOTES: u64 = u64::from_le_bytes([b'"'; 8]);
    const BACKSLASHES: u64 = u64::from_le_bytes([b'\\'; 8]);

    let mut at = from;
    while let Some(chunk) = bytes.get(at..at + 8) {
        let word = u64::from_le_bytes(chunk.try_into().expect("the slice has 8 bytes"));
        let quotes = word ^ QUOTES;
        let backslashes = word ^ BACKSLASHES;
        // The lowest set bit marks the first zero byte; bits above it may be false.
        let found = (quotes.wrapping_sub(ONES) & !quotes
            | backslashes.wrapping_sub(ONES) & !backslashes)
            & HIGH;
        if found != 0 {
            return Some(at + (found.trailing_zeros() / 8) as usize);
        }
        at += 8;
    }
    let tail = bytes.get(at..)?;
    tail.iter()
        .position(|byte| matches!(byte, b'"' | b'\\'))
        .map(|found| at + found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_quote_or_backslash_is_found_at_every_alignment() {
        for length in 0..24 {
            for mark in [b'"', b'\\'] {
                let mut bytes = vec![b'a'; length];
                assert_eq!(quote_or_backslash(&bytes, 0), None);
                for place in 0..length {
                    // Neighbours that differ from the mark in one bit only.
                    bytes.fill(mark ^ 1);
                    bytes[place] = mark;
                    assert_eq!(quote_or_backslash(&bytes, 0), Some(place));
                }
            }
        }
    }

    #[test]
    fn errors_name_the_offset() {
        let error = Cursor::new(br#"{"a" 1}"#, 0)
            .members(|cursor, _| cursor.skip_value().map(drop))
            .unwrap_err();
        assert_eq!(error.to_string(), "expected `:` at byte 5");
        let error = Cursor::new(b"[1, 2", 0).skip_value().unwrap_err();
        assert_eq!(error.to_string(), "the text ends at byte 5");
        assert!(error.is_incomplete());
    }
}
