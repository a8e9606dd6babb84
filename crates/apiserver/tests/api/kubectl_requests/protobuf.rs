//! Bodies in protobuf, with everything that kubectl writes into them.

/// A message in protobuf, as kubectl writes it.
pub(super) struct Message {
    api_version: &'static str,
    kind: &'static str,
    fields: Vec<u8>,
}

fn varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// A field that holds text or another message.
pub(super) fn field(tag: u64, content: impl AsRef<[u8]>) -> Vec<u8> {
    let mut out = Vec::new();
    varint(tag << 3 | 2, &mut out);
    varint(content.as_ref().len() as u64, &mut out);
    out.extend_from_slice(content.as_ref());
    out
}

pub(super) fn number(tag: u64, value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    varint(tag << 3, &mut out);
    varint(value, &mut out);
    out
}

pub(super) fn message(parts: &[Vec<u8>]) -> Vec<u8> {
    parts.concat()
}

pub(super) fn entry(key: &str, value: &str) -> Vec<u8> {
    message(&[field(1, key), field(2, value)])
}

/// Metadata with what kubectl always writes: empty text, and a creation time of nothing.
pub(super) fn metadata(name: &str) -> Vec<u8> {
    message(&[
        field(1, name),
        field(2, ""),
        field(3, ""),
        field(4, ""),
        field(5, ""),
        field(6, ""),
        number(7, 0),
        field(8, ""),
    ])
}

impl Message {
    pub(super) fn new(api_version: &'static str, kind: &'static str, parts: &[Vec<u8>]) -> Self {
        Self {
            api_version,
            kind,
            fields: message(parts),
        }
    }

    pub(super) fn enveloped(self) -> Vec<u8> {
        let types = message(&[field(1, self.api_version), field(2, self.kind)]);
        let unknown = message(&[
            field(1, types),
            field(2, self.fields),
            field(3, ""),
            field(4, ""),
        ]);
        [b"k8s\0".as_slice(), &unknown].concat()
    }
}
