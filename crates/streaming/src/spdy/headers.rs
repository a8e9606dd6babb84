//! Header blocks: what a stream is opened with, compressed over the whole life of a connection.

use zlib_rs::{Deflate, DeflateFlush, Inflate, InflateError, InflateFlush, Status};

use super::FrameError;
use super::dictionary::DICTIONARY;

/// The largest header block, unpacked. Those of Kubernetes are below 100 bytes.
const MAX_BLOCK: usize = 64 << 10;
/// The most headers of a block, each of which is compared with those before it. Kubernetes has three.
const MAX_HEADERS: usize = 64;
/// A window that the dictionary fits into; the largest would cost 256 KiB for each connection.
const WINDOW_BITS: u8 = 11;

/// Names and values. Names are in lower case, and each is there once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Headers(Vec<(String, String)>);

impl Headers {
    /// The first value of a name.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let (_, value) = self
            .0
            .iter()
            .find(|(has, _)| has.eq_ignore_ascii_case(name))?;
        value.split('\0').next()
    }

    #[cfg(any(feature = "client", test))]
    pub(crate) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.0.push((name.to_ascii_lowercase(), value.into()));
        self
    }

    fn encode(&self) -> Vec<u8> {
        let length = |len: usize| u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes();
        let mut block = Vec::new();
        block.extend_from_slice(&length(self.0.len()));
        for part in self.0.iter().flat_map(|(name, value)| [name, value]) {
            block.extend_from_slice(&length(part.len()));
            block.extend_from_slice(part.as_bytes());
        }
        block
    }

    fn decode(mut block: &[u8]) -> Result<Self, FrameError> {
        let count = number(&mut block)?;
        if count > MAX_HEADERS {
            return Err(FrameError::TooLarge);
        }
        let mut headers = Self::default();
        for _ in 0..count {
            let name = text(&mut block)?.to_ascii_lowercase();
            let value = text(&mut block)?.to_owned();
            if name.is_empty() || headers.get(&name).is_some() {
                return Err(FrameError::Headers);
            }
            headers.0.push((name, value));
        }
        if block.is_empty() {
            Ok(headers)
        } else {
            Err(FrameError::Headers)
        }
    }
}

fn number(block: &mut &[u8]) -> Result<usize, FrameError> {
    let (number, rest) = block.split_first_chunk().ok_or(FrameError::Headers)?;
    *block = rest;
    usize::try_from(u32::from_be_bytes(*number)).map_err(|_| FrameError::Headers)
}

fn text<'a>(block: &mut &'a [u8]) -> Result<&'a str, FrameError> {
    let length = number(block)?;
    let (text, rest) = block.split_at_checked(length).ok_or(FrameError::Headers)?;
    *block = rest;
    std::str::from_utf8(text).map_err(|_| FrameError::Headers)
}

/// Packs the blocks of one direction, in the order in which they are sent.
pub(super) struct Packer(Option<Deflate>);

impl Packer {
    pub(super) fn new() -> Self {
        Self(None)
    }

    pub(super) fn pack(&mut self, headers: &Headers) -> Result<Vec<u8>, FrameError> {
        let deflate = match &mut self.0 {
            Some(deflate) => deflate,
            None => {
                let mut deflate = Deflate::new(6, true, WINDOW_BITS);
                deflate
                    .set_dictionary(&DICTIONARY)
                    .map_err(|_| FrameError::Compression)?;
                self.0.insert(deflate)
            }
        };
        let block = headers.encode();
        let mut packed = Vec::new();
        let mut piece = [0; 1024];
        let start = deflate.total_in();
        loop {
            let read = position(deflate.total_in() - start);
            let before = deflate.total_out();
            deflate
                .compress(&block[read..], &mut piece, DeflateFlush::SyncFlush)
                .map_err(|_| FrameError::Compression)?;
            let written = position(deflate.total_out() - before);
            packed.extend_from_slice(&piece[..written]);
            if written < piece.len() {
                return Ok(packed);
            }
        }
    }
}

/// Unpacks the blocks of one direction, in the order in which they arrive.
pub(super) struct Unpacker(Inflate);

impl Unpacker {
    pub(super) fn new() -> Self {
        Self(Inflate::new(true, 15))
    }

    pub(super) fn unpack(&mut self, packed: &[u8]) -> Result<Headers, FrameError> {
        let mut block = Vec::new();
        let mut piece = [0; 1024];
        let start = self.0.total_in();
        loop {
            let read = position(self.0.total_in() - start);
            let before = self.0.total_out();
            match self
                .0
                .decompress(&packed[read..], &mut piece, InflateFlush::SyncFlush)
            {
                Ok(Status::Ok | Status::BufError) => {}
                Err(InflateError::NeedDict { .. }) => {
                    self.0
                        .set_dictionary(&DICTIONARY)
                        .map_err(|_| FrameError::Compression)?;
                    continue;
                }
                // The end of the compressed stream comes with the end of the connection.
                Ok(Status::StreamEnd) | Err(_) => return Err(FrameError::Compression),
            }
            let written = position(self.0.total_out() - before);
            block.extend_from_slice(&piece[..written]);
            if block.len() > MAX_BLOCK {
                return Err(FrameError::TooLarge);
            }
            if written < piece.len() {
                break;
            }
        }
        if position(self.0.total_in() - start) < packed.len() {
            return Err(FrameError::Compression);
        }
        Headers::decode(&block)
    }
}

/// A place in a buffer, which is never above what a `usize` holds.
fn position(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::collection::{btree_map, vec};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn blocks_of_one_connection_lean_on_each_other() {
        let (mut packer, mut unpacker) = (Packer::new(), Unpacker::new());
        let stdin = Headers::default().with("streamType", "stdin");
        let mut sizes = Vec::new();
        for headers in [stdin.clone(), Headers::default(), stdin] {
            let packed = packer.pack(&headers).unwrap();
            assert_eq!(unpacker.unpack(&packed).unwrap(), headers);
            sizes.push(packed.len());
        }
        assert!(sizes[2] < sizes[0], "{sizes:?}");
    }

    #[test]
    fn a_large_block_passes_and_one_too_large_does_not() {
        for (size, passes) in [(60 << 10, true), (70 << 10, false)] {
            let headers = Headers::default().with("large", "x".repeat(size));
            let packed = Packer::new().pack(&headers).unwrap();
            let unpacked = Unpacker::new().unpack(&packed);
            if passes {
                assert_eq!(unpacked.unwrap(), headers);
            } else {
                assert_eq!(unpacked, Err(FrameError::TooLarge));
            }
        }
    }

    #[test]
    fn blocks_that_say_more_than_they_hold_are_refused() {
        let one = Headers::default().with("a", "b").encode();
        assert!(Headers::decode(&one).is_ok());
        for length in 0..one.len() {
            assert_eq!(Headers::decode(&one[..length]), Err(FrameError::Headers));
        }
        let twice = [&2_u32.to_be_bytes()[..], &one[4..], &one[4..]].concat();
        assert_eq!(Headers::decode(&twice), Err(FrameError::Headers));
        let more = [&one[..], b"x"].concat();
        assert_eq!(Headers::decode(&more), Err(FrameError::Headers));
        let none = [1_u32.to_be_bytes(), u32::MAX.to_be_bytes()].concat();
        assert_eq!(Headers::decode(&none), Err(FrameError::Headers));
    }

    #[test]
    fn more_headers_than_anybody_needs_are_too_many() {
        let headers = |count: usize| {
            let names = (0..count).map(|number| number.to_string());
            names.fold(Headers::default(), |all, name| all.with(&name, ""))
        };
        let most = headers(MAX_HEADERS);
        assert_eq!(Headers::decode(&most.encode()), Ok(most));
        let more = headers(MAX_HEADERS + 1).encode();
        assert_eq!(Headers::decode(&more), Err(FrameError::TooLarge));
    }

    proptest! {
        #[test]
        fn chance_is_a_block_or_an_error(block in vec(any::<u8>(), 0..60), count in 0..4_u32) {
            let _ = Headers::decode(&block);
            // Closer to the truth: a few headers with lengths that are small.
            let lengths: Vec<u8> = block.iter().flat_map(|byte| [0, 0, 0, byte % 8]).collect();
            let _ = Headers::decode(&[&count.to_be_bytes()[..], &lengths].concat());
        }

        #[test]
        fn what_was_encoded_is_decoded(
            headers in btree_map("[a-z]{1,8}", "[ -~]{0,40}", 0..5),
        ) {
            let headers = headers
                .into_iter()
                .fold(Headers::default(), |all, (name, value)| all.with(&name, value));
            prop_assert_eq!(Headers::decode(&headers.encode()), Ok(headers));
        }
    }
}
