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
        let mut strings = self.labels(&mut texts)?;
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

    /// Keys and values in turn, sorted by key.
    fn labels(&self, texts: &mut Texts) -> Result<Vec<Span>, ScanError> {
        let Some(range) = &self.fields.labels else {
            return Ok(Vec::new());
        };
        let mut members = Vec::new();
        let mut sorted = true;
        let mut last: Cow<'_, str> = Cow::Borrowed("");
        let mut cursor = Cursor::new(self.source, range.start);
        cursor.members(|cursor, key| {
            let text = key.text(self.source)?;
            sorted &= members.is_empty() || last < text;
            last = text;
            // A null is an empty string to a map of strings.
            members.push((key, cursor.string_or_null()?));
            Ok(())
        })?;
        if !sorted {
            members = self.sorted_labels(members)?;
        }
        let mut spans = Vec::with_capacity(2 * members.len());
        for (key, value) in members {
            spans.push(self.span(texts, key)?);
            spans.push(match value {
                Some(value) => self.span(texts, value)?,
                None => Span::EMPTY,
            });
        }
        Ok(spans)
    }

    /// Sorts by key and keeps the last of those that share one.
    fn sorted_labels(
        &self,
        members: Vec<(RawStr, Option<RawStr>)>,
    ) -> Result<Vec<(RawStr, Option<RawStr>)>, ScanError> {
        let mut keyed = members
            .into_iter()
            .map(|(key, value)| Ok((key.text(self.source)?, key, value)))
            .collect::<Result<Vec<_>, ScanError>>()?;
        keyed.sort_by(|(a, ..), (b, ..)| a.cmp(b));
        // Deduplication keeps the first of a run; what is kept takes over the last's value.
        keyed.dedup_by(|later, kept| {
            let same = later.0 == kept.0;
            if same {
                kept.2 = later.2;
            }
            same
        });
        Ok(keyed
            .into_iter()
            .map(|(_, key, value)| (key, value))
            .collect())
    }

    fn owners(&self, texts: &mut Texts) -> Result<Vec<OwnerSpans>, ScanError> {
        let mut owners = Vec::new();
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
            *target = match cursor.string_or_null()? {
                Some(string) => self.span(texts, string)?,
                None => Span::EMPTY,
            };
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
