//! Frames against chance: whatever was encoded comes back, however it is cut, and whatever comes is
//! a frame or an error.

use bytes::{Bytes, BytesMut};
use proptest::collection::vec;
use proptest::prelude::*;

use super::{Decoder, Encoder, Frame, FrameError};
use crate::spdy::Headers;

fn headers() -> impl Strategy<Value = Headers> {
    proptest::collection::btree_map("[a-z]{1,8}", "[ -~]{0,40}", 0..5).prop_map(|all| {
        all.into_iter()
            .fold(Headers::default(), |headers, (name, value)| {
                headers.with(&name, value)
            })
    })
}

fn frame() -> impl Strategy<Value = Frame> {
    let id = 1..0x8000_0000_u32;
    prop_oneof![
        (id.clone(), any::<bool>(), headers()).prop_map(|(id, fin, headers)| Frame::SynStream {
            id,
            fin,
            headers
        }),
        (id.clone(), any::<bool>(), headers()).prop_map(|(id, fin, headers)| Frame::SynReply {
            id,
            fin,
            headers
        }),
        (id.clone(), any::<u32>()).prop_map(|(id, status)| Frame::RstStream { id, status }),
        id.clone().prop_map(Frame::Ping),
        (0..0x8000_0000_u32, any::<u32>())
            .prop_map(|(last, status)| Frame::GoAway { last, status }),
        (id.clone(), any::<bool>()).prop_map(|(id, fin)| Frame::Headers { id, fin }),
        (id, any::<bool>(), vec(any::<u8>(), 0..200)).prop_map(|(id, fin, data)| Frame::Data {
            id,
            fin,
            data: data.into()
        }),
    ]
}

fn encode(frames: &[Frame]) -> Vec<u8> {
    let mut encoder = Encoder::new();
    let mut wire = BytesMut::new();
    for frame in frames {
        encoder.encode(frame, &mut wire).unwrap();
    }
    wire.to_vec()
}

/// Decodes what arrives in pieces of these lengths, over and over.
fn decode(wire: &[u8], pieces: &[usize]) -> Result<Vec<Frame>, FrameError> {
    let mut decoder = Decoder::new();
    let mut input = BytesMut::new();
    let mut frames: Vec<Frame> = Vec::new();
    let mut rest = wire;
    for piece in pieces.iter().cycle() {
        let (now, later) = rest.split_at((*piece).min(rest.len()));
        rest = later;
        input.extend_from_slice(now);
        while let Some(frame) = decoder.decode(&mut input)? {
            frames.push(frame);
        }
        if rest.is_empty() {
            break;
        }
    }
    Ok(frames)
}

/// Puts the parts of data frames together again.
fn whole(frames: Vec<Frame>, lengths: &[usize]) -> Vec<Frame> {
    let mut lengths = lengths.iter();
    let mut left = 0;
    let mut whole = Vec::new();
    for frame in frames {
        match (frame, whole.last_mut()) {
            (
                Frame::Data { data, fin, .. },
                Some(Frame::Data {
                    data: before,
                    fin: end,
                    ..
                }),
            ) if left > 0 => {
                left -= data.len();
                *before = Bytes::from([&before[..], &data[..]].concat());
                *end = fin;
            }
            (Frame::Data { id, fin, data }, _) => {
                left = lengths.next().unwrap() - data.len();
                whole.push(Frame::Data { id, fin, data });
            }
            (frame, _) => whole.push(frame),
        }
    }
    whole
}

proptest! {
    #[test]
    fn what_was_encoded_comes_back(
        frames in vec(frame(), 0..12),
        pieces in vec(1_usize..60, 1..6),
    ) {
        let lengths: Vec<usize> = frames
            .iter()
            .filter_map(|frame| match frame {
                Frame::Data { data, .. } => Some(data.len()),
                _ => None,
            })
            .collect();
        let decoded = decode(&encode(&frames), &pieces).unwrap();
        prop_assert_eq!(whole(decoded, &lengths), frames);
    }

    #[test]
    fn chance_is_a_frame_or_an_error(wire in vec(any::<u8>(), 0..400)) {
        let _ = decode(&wire, &[7]);
    }

    /// Closer to the truth than chance alone: a control frame of each type with any body.
    #[test]
    fn any_body_is_a_frame_or_an_error(
        kind in 0..12_u8,
        flags in any::<u8>(),
        body in vec(any::<u8>(), 0..60),
    ) {
        let length = u8::try_from(body.len()).unwrap();
        let wire = [&[0x80, 3, 0, kind, flags, 0, 0, length], &body[..]].concat();
        let _ = decode(&wire, &[wire.len()]);
    }

    #[test]
    fn damage_is_a_frame_or_an_error(
        frames in vec(frame(), 1..6),
        at in any::<prop::sample::Index>(),
        with in any::<u8>(),
    ) {
        let mut wire = encode(&frames);
        let at = at.index(wire.len());
        wire[at] = with;
        let _ = decode(&wire, &[wire.len()]);
    }
}

/// Settings, window updates and what nobody has thought of yet are left aside.
#[test]
fn frames_that_mean_nothing_are_skipped() {
    let settings =
        b"\x80\x03\x00\x04\x00\x00\x00\x0c\x00\x00\x00\x01\x04\x00\x00\x07\x00\x00\x00\x64";
    let window = b"\x80\x03\x00\x09\x00\x00\x00\x08\x00\x00\x00\x01\x00\x01\x00\x00";
    let unknown = b"\x80\x03\x01\x00\x00\x00\x00\x01x";
    let wire = [&settings[..], window, unknown, &encode(&[Frame::Ping(1)])].concat();
    for piece in 1..wire.len() {
        assert_eq!(decode(&wire, &[piece]).unwrap(), [Frame::Ping(1)]);
    }
}

/// A data frame is passed on as it comes, and needs no more memory than what was read.
#[test]
fn a_data_frame_is_not_gathered() {
    let mut decoder = Decoder::new();
    let mut input = BytesMut::from(&b"\x00\x00\x00\x05\x01\xff\xff\xffab"[..]);
    let frame = decoder.decode(&mut input).unwrap().unwrap();
    let data = Bytes::from_static(b"ab");
    assert_eq!(
        frame,
        Frame::Data {
            id: 5,
            fin: false,
            data
        }
    );
    assert_eq!(decoder.decode(&mut input).unwrap(), None);
}
