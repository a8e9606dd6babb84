use std::borrow::Cow;
use std::ops::Range;

use super::cursor::{Cursor, Field, RawStr, ScanError};
use super::cuts::Cuts;
use crate::key::ObjectKey;
use crate::uid::Uid;
use crate::version::ResourceVersion;

/// The annotation by which a bookmark says that a streaming list is complete.
const INITIAL_EVENTS_END: &str = "k8s.io/initial-events-end";

/// What one pass found in the JSON of one object, still borrowed from it.
///
/// Identity and version are at hand before anything of the object is copied;
/// [`Scanned::encode`] makes the owned form.
#[derive(Clone, Debug)]
pub struct Scanned<'a> {
    /// The object's own text, from `{` to `}`; all positions below are in it.
    pub(super) source: &'a [u8],
    pub(super) kind: Field,
    pub(super) fields: Fields,
    /// What the body leaves out.
    pub(super) cuts: Cuts,
}

/// The members of `metadata` that are read, `None` where absent or null.
#[derive(Clone, Debug, Default)]
pub(super) struct Fields {
    pub(super) name: Field,
    pub(super) namespace: Field,
    pub(super) uid: Field,
    pub(super) resource_version: Field,
    pub(super) generation: Option<Range<usize>>,
    pub(super) creation_timestamp: Field,
    pub(super) deletion_timestamp: Field,
    pub(super) labels: Option<Range<usize>>,
    pub(super) annotations: Option<Range<usize>>,
    pub(super) finalizers: Option<Range<usize>>,
    pub(super) owner_references: Option<Range<usize>>,
}

/// Scans a text that is one object.
///
/// # Errors
///
/// When the text is no JSON object, its `metadata` is none, or something follows it.
///
/// # Example
///
/// ```
/// use kubewright_cache::scan;
///
/// let json = br#"{"metadata": {"name": "a", "managedFields": [{}], "uid": "u"}, "data": {}}"#;
/// let object = scan::object(json)?.encode()?;
/// assert_eq!(object.meta().name(), "a");
/// assert_eq!(object.body(), r#"{"metadata": {"name": "a",  "uid": "u"}, "data": {}}"#);
/// # Ok::<(), kubewright_cache::ScanError>(())
/// ```
pub fn object(json: &[u8]) -> Result<Scanned<'_>, ScanError> {
    let (scanned, end) = prefix(json, 0)?;
    Cursor::new(json, end).finish()?;
    Ok(scanned)
}

/// Scans the object that begins at or after `start`, and says where it ends.
///
/// Offsets in errors count from the start of `bytes`.
pub(crate) fn prefix(bytes: &[u8], start: usize) -> Result<(Scanned<'_>, usize), ScanError> {
    let mut cursor = Cursor::new(bytes, start);
    if cursor.peek()? != b'{' {
        return Err(ScanError::expected(cursor.at(), "an object"));
    }
    let begin = cursor.at();
    let source = &bytes[begin..];
    let mut scanned = Scanned {
        source,
        kind: Field::Absent,
        fields: Fields::default(),
        cuts: Cuts::default(),
    };
    let mut cursor = Cursor::new(source, 0);
    cursor
        .members(|cursor, key| {
            if key.is(source, "metadata") {
                scanned.metadata(cursor)
            } else if key.is(source, "kind") {
                scanned.kind = cursor.field()?;
                Ok(())
            } else {
                cursor.skip_value().map(drop)
            }
        })
        .map_err(|error| error.within(begin))?;
    scanned.source = &source[..cursor.at()];
    Ok((scanned, begin + cursor.at()))
}

impl<'a> Scanned<'a> {
    /// The object's whole text, as it was scanned.
    pub const fn source(&self) -> &'a [u8] {
        self.source
    }

    /// `kind`, if the object states one.
    pub fn kind(&self) -> Option<Cow<'a, str>> {
        self.kind.string().ok()??.text(self.source).ok()
    }

    /// The object's key.
    ///
    /// # Errors
    ///
    /// When `metadata.name` is missing or empty, or a part of the key holds a `/`.
    pub fn key(&self) -> Result<ObjectKey, ScanError> {
        let (namespace, name) = self.names()?;
        Ok(ObjectKey::namespaced(&namespace, &name))
    }

    /// Namespace, empty if there is none, and name.
    ///
    /// # Errors
    ///
    /// As for [`Scanned::key`].
    pub(crate) fn names(&self) -> Result<(Cow<'a, str>, Cow<'a, str>), ScanError> {
        let name = self
            .fields
            .name
            .string()?
            .ok_or(ScanError::invalid(0, "an object without metadata.name"))?;
        let namespace = self.text(self.fields.namespace)?;
        let text = name.text(self.source)?;
        if text.is_empty() || text.contains('/') || namespace.contains('/') {
            return Err(ScanError::invalid(name.start, "a name that is no name"));
        }
        Ok((namespace, text))
    }

    /// `metadata.uid`, empty if there is none.
    ///
    /// # Errors
    ///
    /// When it is no valid string.
    pub fn uid(&self) -> Result<Uid, ScanError> {
        Ok(Uid::from(&*self.text(self.fields.uid)?))
    }

    /// `metadata.resourceVersion`, empty if there is none.
    ///
    /// # Errors
    ///
    /// When it is no valid string.
    pub fn resource_version(&self) -> Result<ResourceVersion, ScanError> {
        let text = self.text(self.fields.resource_version)?;
        Ok(ResourceVersion::from(&*text))
    }

    /// Whether this is the bookmark that ends the initial events of a streaming list.
    pub fn ends_initial_events(&self) -> bool {
        let Some(annotations) = &self.fields.annotations else {
            return false;
        };
        let mut ends = false;
        let scanned = Cursor::new(self.source, annotations.start).members(|cursor, key| {
            if key.is(self.source, INITIAL_EVENTS_END) {
                let value = cursor.string_or_null()?;
                ends = value.is_some_and(|value| value.is(self.source, "true"));
                Ok(())
            } else {
                cursor.skip_value().map(drop)
            }
        });
        scanned.is_ok() && ends
    }

    /// The value of a string, empty where it is absent.
    pub(super) fn text(&self, field: Field) -> Result<Cow<'a, str>, ScanError> {
        match field.string()? {
            Some(string) => string.text(self.source),
            None => Ok(Cow::Borrowed("")),
        }
    }

    /// Reads `metadata`, forgetting what an earlier member of that name held.
    fn metadata(&mut self, cursor: &mut Cursor<'a>) -> Result<(), ScanError> {
        self.fields = Fields::default();
        if cursor.peek()? == b'n' {
            return cursor.skip_value().map(drop);
        }
        cursor.expect(b'{', "an object as metadata")?;
        if cursor.accept(b'}')? {
            return Ok(());
        }
        // The last comma that stays: a last member takes it along when it is cut.
        let mut comma = None;
        loop {
            cursor.peek()?;
            let start = cursor.at();
            let key = cursor.key()?;
            let cut = self.fields.member(cursor, self.source, key)?;
            let end = cursor.at();
            if cursor.accept(b'}')? {
                if cut {
                    self.cuts.add(comma.unwrap_or(start)..end);
                }
                return Ok(());
            }
            cursor.expect(b',', "`,` or `}`")?;
            let next = cursor.at();
            if cut {
                self.cuts.add(start..next);
            } else {
                comma = Some(next - 1);
            }
        }
    }
}

impl Fields {
    /// Reads one member of `metadata`; whether it is one that the body leaves out.
    fn member(
        &mut self,
        cursor: &mut Cursor<'_>,
        source: &[u8],
        key: RawStr,
    ) -> Result<bool, ScanError> {
        let unescaped;
        let name = if key.escaped {
            unescaped = key.text(source)?;
            unescaped.as_bytes()
        } else {
            &source[key.start..key.end]
        };
        match name {
            b"name" => self.name = cursor.field()?,
            b"namespace" => self.namespace = cursor.field()?,
            b"uid" => self.uid = cursor.field()?,
            b"resourceVersion" => self.resource_version = cursor.field()?,
            b"generation" => self.generation = Some(cursor.skip_value()?),
            b"creationTimestamp" => self.creation_timestamp = cursor.field()?,
            b"deletionTimestamp" => self.deletion_timestamp = cursor.field()?,
            b"labels" => self.labels = Some(cursor.skip_value()?),
            b"annotations" => self.annotations = Some(cursor.skip_value()?),
            b"finalizers" => self.finalizers = Some(cursor.skip_value()?),
            b"ownerReferences" => self.owner_references = Some(cursor.skip_value()?),
            b"managedFields" => {
                cursor.skip_value()?;
                return Ok(true);
            }
            _ => {
                cursor.skip_value()?;
            }
        }
        Ok(false)
    }
}

/// The value of a member of an object of strings, given as JSON; `None` where it is absent.
pub(crate) fn member<'a>(json: &'a str, name: &str) -> Option<Cow<'a, str>> {
    let mut value = None;
    Cursor::new(json.as_bytes(), 0)
        .members(|cursor, key| {
            if key.is(json.as_bytes(), name) {
                value = cursor.string_or_null()?;
                Ok(())
            } else {
                cursor.skip_value().map(drop)
            }
        })
        .ok()?;
    value?.text(json.as_bytes()).ok()
}
