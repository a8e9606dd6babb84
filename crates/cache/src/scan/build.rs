use std::borrow::Cow;
use std::ops::Range;

use super::cursor::{Cursor, Field, RawStr, ScanError};
use super::object::Scanned;
use super::time::timestamp;
use crate::metadata::{Metadata, OwnerSpans, Span};
use crate::object::EncodedObject;
use crate::uid::Uid;

/// The text that spans point into, while they are being collected.
struct Texts {
    /// The length of the body; what lies behind it is in `unescaped`.
    body: usize,
    unescaped: String,
}

impl Scanned<'_> {
    /// The owned form: metadata parsed, body copied without `managedFields`.
    ///
    /// # Errors
    ///
    /// When a part of the metadata that is kept parsed has another type than Kubernetes gives
    /// it, there is no name, or the text is not UTF-8.
    pub fn encode(&self) -> Result<EncodedObject, ScanError> {
        let key = self.key()?;
        let body = self.body()?;
        let mut texts = Texts {
            body: body.len(),
            unescaped: String::new(),
        };
        // Two quotes a string, which is exact where none is escaped.
        let quotes = self.count(self.fields.labels.as_ref(), b'"')
            + self.count(self.fields.finalizers.as_ref(), b'"');
        let mut strings = Vec::with_capacity(quotes / 2);
        self.labels(&mut texts, &mut strings)?;
        let labels = strings.len() / 2;
        if let Some(range) = &self.fields.finalizers {
            Cursor::new(self.source, range.start).elements(|cursor| {
                let finalizer = cursor.string()?;
                strings.push(self.span(&mut texts, finalizer)?);
                Ok(())
            })?;
        }
        Ok(EncodedObject::new(Metadata {
            key,
            uid: self.uid()?,
            resource_version: self.resource_version()?,
            generation: self.generation()?,
            creation_timestamp: self.time(self.fields.creation_timestamp)?,
            deletion_timestamp: self.time(self.fields.deletion_timestamp)?,
            labels,
            strings: strings.into_boxed_slice(),
            owners: self.owners(&mut texts)?.into_boxed_slice(),
            annotations: self
                .fields
                .annotations
                .as_ref()
                .map_or(Span::EMPTY, |range| self.shifted(range.clone())),
            body,
            unescaped: texts.unescaped.into_boxed_str(),
        }))
    }

    /// The text without what is cut.
    fn body(&self) -> Result<Box<str>, ScanError> {
        if u32::try_from(self.source.len()).is_err() {
            return Err(ScanError::invalid(0, "an object of 4 GiB or more"));
        }
        let mut body = Vec::with_capacity(self.source.len() - self.cuts.length());
        let mut from = 0;
        for cut in self.cuts.iter() {
            body.extend_from_slice(&self.source[from..cut.start]);
            from = cut.end;
        }
        body.extend_from_slice(&self.source[from..]);
        match String::from_utf8(body) {
            Ok(body) => Ok(body.into_boxed_str()),
            Err(error) => {
                let offset = error.utf8_error().valid_up_to();
                Err(ScanError::invalid(offset, "text that is not UTF-8"))
            }
        }
    }

    /// Adds keys and values of the labels in turn, sorted by key.
    fn labels(&self, texts: &mut Texts, strings: &mut Vec<Span>) -> Result<(), ScanError> {
        let Some(range) = &self.fields.labels else {
            return Ok(());
        };
        let mut last: Option<Cow<'_, str>> = None;
        let mut sorted = true;
        Cursor::new(self.source, range.start).members(|cursor, key| {
            let text = key.text(self.source)?;
            sorted &= last.as_ref().is_none_or(|last| *last < text);
            last = Some(text);
            strings.push(self.span(texts, key)?);
            strings.push(self.string(cursor, texts)?);
            Ok(())
        })?;
        // Servers sort; texts from elsewhere may not.
        if !sorted {
            self.sorted_labels(range, texts, strings)?;
        }
        Ok(())
    }

    /// Puts the labels in the place of `strings`, sorted by key, the last of those that share one.
    fn sorted_labels(
        &self,
        range: &Range<usize>,
        texts: &mut Texts,
        strings: &mut Vec<Span>,
    ) -> Result<(), ScanError> {
        let mut members = Vec::new();
        Cursor::new(self.source, range.start).members(|cursor, key| {
            let spans = [self.span(texts, key)?, self.string(cursor, texts)?];
            members.push((key.text(self.source)?, spans));
            Ok(())
        })?;
        members.sort_by(|(a, _), (b, _)| a.cmp(b));
        // Deduplication keeps the first of a run; what is kept takes over the last's value.
        members.dedup_by(|later, kept| {
            let same = later.0 == kept.0;
            if same {
                kept.1 = later.1;
            }
            same
        });
        strings.clear();
        strings.extend(members.into_iter().flat_map(|(_, spans)| spans));
        Ok(())
    }

    /// A string, empty if it is null.
    fn string(&self, cursor: &mut Cursor<'_>, texts: &mut Texts) -> Result<Span, ScanError> {
        match cursor.string_or_null()? {
            Some(string) => self.span(texts, string),
            None => Ok(Span::EMPTY),
        }
    }

    /// How many bytes of a kind there are in the value of a member.
    fn count(&self, range: Option<&Range<usize>>, byte: u8) -> usize {
        range.map_or(0, |range| {
            memchr::memchr_iter(byte, &self.source[range.clone()]).count()
        })
    }

    fn owners(&self, texts: &mut Texts) -> Result<Vec<OwnerSpans>, ScanError> {
        let braces = self.count(self.fields.owner_references.as_ref(), b'{');
        let mut owners = Vec::with_capacity(braces);
        let Some(range) = &self.fields.owner_references else {
            return Ok(owners);
        };
        Cursor::new(self.source, range.start).elements(|cursor| {
            owners.push(self.owner(cursor, texts)?);
            Ok(())
        })?;
        Ok(owners)
    }

    fn owner(&self, cursor: &mut Cursor<'_>, texts: &mut Texts) -> Result<OwnerSpans, ScanError> {
        let mut owner = OwnerSpans::default();
        if cursor.peek()? != b'{' {
            return Err(ScanError::expected(cursor.at(), "an owner reference"));
        }
        cursor.members(|cursor, key| {
            let target = match &*key.text(self.source)? {
                "apiVersion" => &mut owner.api_version,
                "kind" => &mut owner.kind,
                "name" => &mut owner.name,
                "uid" => {
                    owner.uid = Uid::from(&*self.text(cursor.field()?)?);
                    return Ok(());
                }
                "controller" => {
                    owner.controller = self.boolean(cursor)?;
                    return Ok(());
                }
                "blockOwnerDeletion" => {
                    owner.block_owner_deletion = self.boolean(cursor)?;
                    return Ok(());
                }
                _ => return cursor.skip_value().map(drop),
            };
            *target = self.string(cursor, texts)?;
            Ok(())
        })?;
        Ok(owner)
    }

    /// A boolean; null counts as false.
    fn boolean(&self, cursor: &mut Cursor<'_>) -> Result<bool, ScanError> {
        let value = cursor.skip_value()?;
        match &self.source[value.clone()] {
            b"true" => Ok(true),
            b"false" | b"null" => Ok(false),
            _ => Err(ScanError::expected(value.start, "a boolean")),
        }
    }

    fn generation(&self) -> Result<Option<i64>, ScanError> {
        let Some(range) = &self.fields.generation else {
            return Ok(None);
        };
        serde_json::from_slice(&self.source[range.clone()])
            .map_err(|_| ScanError::expected(range.start, "an integer as generation"))
    }

    fn time(&self, field: Field) -> Result<Option<jiff::Timestamp>, ScanError> {
        let Some(string) = field.string()? else {
            return Ok(None);
        };
        match timestamp(&string.text(self.source)?) {
            Some(time) => Ok(Some(time)),
            None => Err(ScanError::expected(string.start, "an RFC 3339 time")),
        }
    }

    /// Where in the kept texts the string's value is.
    fn span(&self, texts: &mut Texts, string: RawStr) -> Result<Span, ScanError> {
        if !string.escaped {
            return Ok(self.shifted(string.start..string.end));
        }
        let start = texts.body + texts.unescaped.len();
        let value = string.text(self.source)?;
        texts.unescaped.push_str(&value);
        Ok(Span::new(start, value.len()))
    }

    fn shifted(&self, range: Range<usize>) -> Span {
        Span::new(self.cuts.shift(range.start), range.len())
    }
}
