use std::borrow::Cow;

use super::cursor::{Cursor, Field, ScanError};
use super::object::{Scanned, prefix};

/// One line of a watch: the kind of event, and the object it is about.
#[derive(Debug)]
pub(crate) struct Line<'a> {
    source: &'a [u8],
    kind: Field,
    /// The line's `object`, or why it is none.
    pub(crate) object: Result<Scanned<'a>, ScanError>,
}

/// Scans one line of a watch, its object included, in one pass.
///
/// An object that is none is an error inside, so that the kind of the event is known all the same.
pub(crate) fn line(source: &[u8]) -> Result<Line<'_>, ScanError> {
    let mut line = Line {
        source,
        kind: Field::Absent,
        object: Err(ScanError::invalid(0, "a watch event without an object")),
    };
    let mut cursor = Cursor::new(source, 0);
    if cursor.peek()? != b'{' {
        return Err(ScanError::expected(cursor.at(), "a watch event"));
    }
    cursor.members(|cursor, key| {
        if key.is(source, "type") {
            line.kind = cursor.field()?;
        } else if key.is(source, "object") {
            line.object = object(cursor, source)?;
        } else {
            cursor.skip_value()?;
        }
        Ok(())
    })?;
    cursor.finish()?;
    Ok(line)
}

/// The object, with its own error; an error of the line if not even its end can be found.
fn object<'a>(
    cursor: &mut Cursor<'a>,
    source: &'a [u8],
) -> Result<Result<Scanned<'a>, ScanError>, ScanError> {
    match prefix(source, cursor.at()) {
        Ok((object, end)) => {
            *cursor = Cursor::new(source, end);
            Ok(Ok(object))
        }
        Err(error) if error.is_incomplete() => Err(error),
        Err(error) => {
            cursor.skip_value()?;
            Ok(Err(error))
        }
    }
}

impl<'a> Line<'a> {
    /// `type`, empty if there is none.
    pub(crate) fn kind(&self) -> Cow<'a, str> {
        match self.kind {
            Field::Text(kind) => kind.text(self.source).unwrap_or_default(),
            Field::Absent | Field::Other(_) => Cow::Borrowed(""),
        }
    }
}
