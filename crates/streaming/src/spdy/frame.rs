//! SPDY/3 frames, and their form on the wire. Knows no streams and no sockets.

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use thiserror::Error;

use super::headers::{Headers, Packer, Unpacker};

#[cfg(test)]
mod tests;

const VERSION: u16 = 3;
const HEAD: usize = 8;
const FLAG_FIN: u8 = 1;
/// The largest control frame. Kubernetes' are below 100 bytes; data frames have no limit, since
/// they are never held as a whole.
const MAX_CONTROL: usize = 64 << 10;

const SYN_STREAM: u16 = 1;
const SYN_REPLY: u16 = 2;
const RST_STREAM: u16 = 3;
const PING: u16 = 6;
const GO_AWAY: u16 = 7;
const HEADERS: u16 = 8;

/// Why a connection cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum FrameError {
    #[error("a frame of SPDY version {0}")]
    Version(u16),
    #[error("a malformed frame of type {0}")]
    Malformed(u16),
    #[error("a frame or a header block above the limit")]
    TooLarge,
    #[error("a header block that cannot be unpacked")]
    Compression,
    #[error("a malformed header block")]
    Headers,
}

/// The frames that matter here.
///
/// Settings and window updates are read and left aside, as spdystream does, which knows no flow
/// control: it neither keeps to windows nor opens them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    SynStream {
        id: u32,
        fin: bool,
        headers: Headers,
    },
    SynReply {
        id: u32,
        fin: bool,
        headers: Headers,
    },
    RstStream {
        id: u32,
        status: u32,
    },
    Ping(u32),
    GoAway {
        last: u32,
        status: u32,
    },
    /// More headers of a stream, which mean nothing to Kubernetes.
    Headers {
        id: u32,
        fin: bool,
    },
    /// A data frame, or a part of one: only the last part can be the end of the stream.
    Data {
        id: u32,
        fin: bool,
        data: Bytes,
    },
}

pub(crate) struct Encoder(Packer);

impl Encoder {
    pub(crate) fn new() -> Self {
        Self(Packer::new())
    }

    pub(crate) fn encode(&mut self, frame: &Frame, out: &mut BytesMut) -> Result<(), FrameError> {
        match frame {
            Frame::SynStream { id, fin, headers } => {
                let packed = self.0.pack(headers)?;
                control(out, SYN_STREAM, *fin, 10 + packed.len())?;
                out.put_u32(*id);
                // No associated stream, priority and credentials are 0.
                out.put_bytes(0, 6);
                out.extend_from_slice(&packed);
            }
            Frame::SynReply { id, fin, headers } => {
                let packed = self.0.pack(headers)?;
                control(out, SYN_REPLY, *fin, 4 + packed.len())?;
                out.put_u32(*id);
                out.extend_from_slice(&packed);
            }
            Frame::RstStream { id, status } => {
                control(out, RST_STREAM, false, 8)?;
                out.put_u32(*id);
                out.put_u32(*status);
            }
            Frame::Ping(id) => {
                control(out, PING, false, 4)?;
                out.put_u32(*id);
            }
            Frame::GoAway { last, status } => {
                control(out, GO_AWAY, false, 8)?;
                out.put_u32(*last);
                out.put_u32(*status);
            }
            Frame::Headers { id, fin } => {
                let packed = self.0.pack(&Headers::default())?;
                control(out, HEADERS, *fin, 4 + packed.len())?;
                out.put_u32(*id);
                out.extend_from_slice(&packed);
            }
            Frame::Data { id, fin, data } => {
                out.put_u32(*id);
                length(out, *fin, data.len())?;
                out.extend_from_slice(data);
            }
        }
        Ok(())
    }
}

fn control(out: &mut BytesMut, kind: u16, fin: bool, size: usize) -> Result<(), FrameError> {
    out.put_u16(0x8000 | VERSION);
    out.put_u16(kind);
    length(out, fin, size)
}

fn length(out: &mut BytesMut, fin: bool, size: usize) -> Result<(), FrameError> {
    let size = u32::try_from(size).ok().filter(|size| *size < 1 << 24);
    let size = size.ok_or(FrameError::TooLarge)?;
    out.put_u32(u32::from(if fin { FLAG_FIN } else { 0 }) << 24 | size);
    Ok(())
}

/// Takes frames off a buffer that bytes are added to as they arrive.
pub(crate) struct Decoder {
    unpacker: Unpacker,
    /// What is left of the data frame that has begun.
    data: Option<Rest>,
    /// Bytes of a frame that is left aside.
    skip: usize,
}

#[derive(Clone, Copy)]
struct Rest {
    id: u32,
    fin: bool,
    left: usize,
}

impl Decoder {
    pub(crate) fn new() -> Self {
        Self {
            unpacker: Unpacker::new(),
            data: None,
            skip: 0,
        }
    }

    /// The next frame, if enough of it is there.
    pub(crate) fn decode(&mut self, input: &mut BytesMut) -> Result<Option<Frame>, FrameError> {
        loop {
            if self.skip > 0 {
                let skipped = self.skip.min(input.len());
                input.advance(skipped);
                self.skip -= skipped;
            }
            if let Some(rest) = self.data {
                return Ok(self.data_frame(rest, input));
            }
            let Some(head) = input.first_chunk::<HEAD>() else {
                return Ok(None);
            };
            let [a, b, c, d, flags, x, y, z] = *head;
            let size = u32::from_be_bytes([0, x, y, z]) as usize;
            if a & 0x80 == 0 {
                input.advance(HEAD);
                self.data = Some(Rest {
                    id: u32::from_be_bytes([a, b, c, d]),
                    fin: flags & FLAG_FIN != 0,
                    left: size,
                });
                continue;
            }
            let version = u16::from_be_bytes([a & 0x7f, b]);
            let kind = u16::from_be_bytes([c, d]);
            if version != VERSION {
                return Err(FrameError::Version(version));
            }
            if !matches!(
                kind,
                SYN_STREAM | SYN_REPLY | RST_STREAM | PING | GO_AWAY | HEADERS
            ) {
                input.advance(HEAD);
                self.skip = size;
                continue;
            }
            if size > MAX_CONTROL {
                return Err(FrameError::TooLarge);
            }
            if input.len() < HEAD + size {
                return Ok(None);
            }
            input.advance(HEAD);
            let body = input.split_to(size);
            return self.control(kind, flags & FLAG_FIN != 0, &body).map(Some);
        }
    }

    /// As much of the data as is there. The empty frame that ends a stream is a frame as well.
    fn data_frame(&mut self, rest: Rest, input: &mut BytesMut) -> Option<Frame> {
        let Rest { id, fin, left } = rest;
        if left > 0 && input.is_empty() {
            return None;
        }
        let data = input.split_to(left.min(input.len())).freeze();
        let left = left - data.len();
        self.data = (left > 0).then_some(Rest { id, fin, left });
        let fin = fin && left == 0;
        Some(Frame::Data { id, fin, data })
    }

    fn control(&mut self, kind: u16, fin: bool, mut body: &[u8]) -> Result<Frame, FrameError> {
        let malformed = FrameError::Malformed(kind);
        let number = |body: &mut &[u8]| body.try_get_u32().map_err(|_| malformed);
        let id = number(&mut body)? & 0x7fff_ffff;
        // Streams and pings count from 1; a peer that goes away may have accepted none.
        if id == 0 && kind != GO_AWAY {
            return Err(malformed);
        }
        let frame = match kind {
            SYN_STREAM => {
                let (_, packed) = body.split_at_checked(6).ok_or(malformed)?;
                let headers = self.unpacker.unpack(packed)?;
                return Ok(Frame::SynStream { id, fin, headers });
            }
            SYN_REPLY => {
                let headers = self.unpacker.unpack(body)?;
                return Ok(Frame::SynReply { id, fin, headers });
            }
            HEADERS => {
                // Unpacked all the same: what comes later leans on it.
                self.unpacker.unpack(body)?;
                return Ok(Frame::Headers { id, fin });
            }
            RST_STREAM => Frame::RstStream {
                id,
                status: number(&mut body)?,
            },
            GO_AWAY => Frame::GoAway {
                last: id,
                status: number(&mut body)?,
            },
            _ => Frame::Ping(id),
        };
        if body.is_empty() {
            Ok(frame)
        } else {
            Err(malformed)
        }
    }
}
