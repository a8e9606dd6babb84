//! The wire format of protobuf: fields of a number and a value.

use std::fmt;

/// Bytes that are not the message they should be.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Malformed(String);

impl Malformed {
    pub(super) fn new(why: impl fmt::Display) -> Self {
        Self(why.to_string())
    }

    /// A field that a message does not have.
    pub(super) fn unknown(message: &str, tag: u32) -> Self {
        Self(format!("field {tag} of {message} is not known"))
    }

    /// Says where it was found.
    pub(super) fn within(self, place: &str) -> Self {
        Self(format!("{place}: {}", self.0))
    }
}

/// One field as it stands in a message.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Field<'a> {
    pub(super) tag: u32,
    pub(super) wire: Wire<'a>,
}

/// The value of a field, as far as the wire tells its type.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Wire<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32(u32),
}

impl<'a> Wire<'a> {
    pub(super) fn varint(self) -> Result<u64, Malformed> {
        match self {
            Self::Varint(value) => Ok(value),
            _ => Err(Malformed::new("not a number")),
        }
    }

    pub(super) fn double(self) -> Result<f64, Malformed> {
        match self {
            Self::Fixed64(bits) => Ok(f64::from_bits(bits)),
            _ => Err(Malformed::new("not a floating-point number")),
        }
    }

    pub(super) fn bytes(self) -> Result<&'a [u8], Malformed> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            _ => Err(Malformed::new("not a sequence of bytes")),
        }
    }

    pub(super) fn text(self) -> Result<&'a str, Malformed> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Malformed::new("not UTF-8"))
    }
}

/// The fields of a message, in the order of the wire; ends after the first error.
#[derive(Clone, Debug)]
pub(super) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(super) fn of(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    fn field(&mut self) -> Result<Field<'a>, Malformed> {
        let key = varint(&mut self.rest)?;
        let tag = u32::try_from(key >> 3)
            .map_err(|_| Malformed::new("a field number that is too large"))?;
        let wire = match key & 7 {
            0 => Wire::Varint(varint(&mut self.rest)?),
            1 => Wire::Fixed64(u64::from_le_bytes(self.array()?)),
            2 => {
                let length = varint(&mut self.rest)?;
                let length = usize::try_from(length).unwrap_or(usize::MAX);
                Wire::Bytes(self.take(length)?)
            }
            5 => Wire::Fixed32(u32::from_le_bytes(self.array()?)),
            other => return Err(Malformed::new(format!("wire type {other}"))),
        };
        Ok(Field { tag, wire })
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or_else(ends_early)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let taken = self.take(N)?;
        taken.try_into().map_err(|_| ends_early())
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.rest = &[];
        }
        Some(field)
    }
}

/// Takes a number of up to ten bytes, seven bits in each, the lowest first.
pub(super) fn varint(bytes: &mut &[u8]) -> Result<u64, Malformed> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first().ok_or_else(ends_early)?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(Malformed::new("a number of more than ten bytes"))
}

fn ends_early() -> Malformed {
    Malformed::new("the message ends too early")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_wire_types_are_read() {
        let bytes = [
            0x08, 0x96, 0x01, // 1: varint 150
            0x11, 0, 0, 0, 0, 0, 0, 0xf8, 0x3f, // 2: double 1.5
            0x1a, 0x02, b'h', b'i', // 3: bytes
            0x25, 7, 0, 0, 0, // 4: fixed32
        ];
        let fields: Vec<Field<'_>> = Fields::of(&bytes).map(Result::unwrap).collect();
        assert_eq!(
            fields[0],
            Field {
                tag: 1,
                wire: Wire::Varint(150)
            }
        );
        assert_eq!(fields[1].wire.double().unwrap(), 1.5);
        assert_eq!(fields[2].wire.text().unwrap(), "hi");
        assert_eq!(fields[3].wire, Wire::Fixed32(7));
        assert!(fields[0].wire.bytes().is_err() && fields[2].wire.varint().is_err());
    }

    #[test]
    fn numbers_have_up_to_ten_bytes() {
        let mut longest = &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01][..];
        assert_eq!(varint(&mut longest).unwrap(), u64::MAX);
        assert!(varint(&mut &[0x80; 11][..]).is_err());
        assert!(varint(&mut &[0x80][..]).is_err());
    }

    #[test]
    fn an_error_ends_the_fields() {
        let fields: Vec<_> = Fields::of(&[0x0a, 0x05, b'x']).collect();
        assert_eq!(fields.len(), 1);
        assert!(fields[0].is_err());
    }
}
