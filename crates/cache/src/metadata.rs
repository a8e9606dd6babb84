use std::borrow::Cow;
use std::fmt;

use jiff::Timestamp;

use crate::key::ObjectKey;
use crate::scan;
use crate::uid::Uid;
use crate::version::ResourceVersion;

/// The part of an object that is parsed when it arrives: what keys, orders, owns and selects it.
///
/// Handlers, predicates and indexes that need no more than this never decode an object.
pub struct Metadata {
    pub(crate) key: ObjectKey,
    pub(crate) uid: Uid,
    pub(crate) resource_version: ResourceVersion,
    pub(crate) generation: Option<i64>,
    pub(crate) creation_timestamp: Option<Timestamp>,
    pub(crate) deletion_timestamp: Option<Timestamp>,
    /// How many labels there are.
    pub(crate) labels: usize,
    /// Keys and values of the labels in turn, sorted by key and without duplicates; then the
    /// finalizers.
    pub(crate) strings: Box<[Span]>,
    pub(crate) owners: Box<[OwnerSpans]>,
    /// The JSON of the annotations, in `body`.
    pub(crate) annotations: Span,
    /// The object's JSON without `managedFields`, which most spans point into.
    pub(crate) body: Box<str>,
    /// The strings that were escaped in the body; spans count it as following the body.
    pub(crate) unescaped: Box<str>,
}

/// A piece of the texts that a [`Metadata`] holds; it never splits a character.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Span {
    start: u32,
    length: u32,
}

impl Span {
    pub(crate) const EMPTY: Self = Self {
        start: 0,
        length: 0,
    };

    pub(crate) fn new(start: usize, length: usize) -> Self {
        let narrow = |number: usize| {
            u32::try_from(number).expect("a scan refuses texts that 32 bits cannot count")
        };
        Self {
            start: narrow(start),
            length: narrow(length),
        }
    }
}

#[derive(Default)]
pub(crate) struct OwnerSpans {
    pub(crate) uid: Uid,
    pub(crate) api_version: Span,
    pub(crate) kind: Span,
    pub(crate) name: Span,
    pub(crate) controller: bool,
    pub(crate) block_owner_deletion: bool,
}

impl Metadata {
    /// The object's key.
    pub const fn key(&self) -> &ObjectKey {
        &self.key
    }

    /// The object's namespace, if it has one.
    pub fn namespace(&self) -> Option<&str> {
        self.key.namespace()
    }

    /// The object's name.
    pub fn name(&self) -> &str {
        self.key.name()
    }

    /// The incarnation of the object; empty on objects that no server has seen.
    pub const fn uid(&self) -> &Uid {
        &self.uid
    }

    /// The version of the object; empty on objects that no server has seen.
    pub const fn resource_version(&self) -> &ResourceVersion {
        &self.resource_version
    }

    /// How often the desired state has changed, where the kind counts it.
    pub const fn generation(&self) -> Option<i64> {
        self.generation
    }

    /// When the object was created.
    pub const fn creation_timestamp(&self) -> Option<Timestamp> {
        self.creation_timestamp
    }

    /// When the object was asked to go away; it stays while it has finalizers.
    pub const fn deletion_timestamp(&self) -> Option<Timestamp> {
        self.deletion_timestamp
    }

    /// Whether the object was asked to go away.
    pub const fn is_being_deleted(&self) -> bool {
        self.deletion_timestamp.is_some()
    }

    /// The labels, sorted by key.
    pub const fn labels(&self) -> Labels<'_> {
        Labels { meta: self }
    }

    /// The value of one label.
    pub fn label(&self, key: &str) -> Option<&str> {
        self.labels().get(key)
    }

    /// The finalizers, in the object's order.
    pub fn finalizers(&self) -> impl ExactSizeIterator<Item = &str> {
        self.strings[2 * self.labels..]
            .iter()
            .map(|span| self.text(*span))
    }

    /// The owners, in the object's order.
    pub fn owner_references(&self) -> impl ExactSizeIterator<Item = OwnerReference<'_>> {
        self.owners.iter().map(|spans| OwnerReference {
            api_version: self.text(spans.api_version),
            kind: self.text(spans.kind),
            name: self.text(spans.name),
            uid: &spans.uid,
            controller: spans.controller,
            block_owner_deletion: spans.block_owner_deletion,
        })
    }

    /// The owner that manages the object: the first with `controller: true`.
    pub fn controller_of(&self) -> Option<OwnerReference<'_>> {
        self.owner_references().find(|owner| owner.controller)
    }

    /// The value of one annotation, read from the body at every call.
    ///
    /// Annotations are not kept parsed: they can be as large as the rest of the object and few
    /// programs look at more than one.
    pub fn annotation(&self, key: &str) -> Option<Cow<'_, str>> {
        scan::member(self.text(self.annotations), key)
    }

    fn text(&self, span: Span) -> &str {
        let (start, length) = (span.start as usize, span.length as usize);
        match start.checked_sub(self.body.len()) {
            Some(start) if length > 0 => &self.unescaped[start..start + length],
            _ => &self.body[start..start + length],
        }
    }
}

impl fmt::Debug for Metadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metadata")
            .field("key", &self.key)
            .field("uid", &self.uid)
            .field("resource_version", &self.resource_version)
            .finish_non_exhaustive()
    }
}

/// The labels of an object.
#[derive(Clone, Copy)]
pub struct Labels<'a> {
    meta: &'a Metadata,
}

impl<'a> Labels<'a> {
    /// The value of the label `key`.
    pub fn get(self, key: &str) -> Option<&'a str> {
        let pairs = self.spans();
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = usize::midpoint(low, high);
            match self.meta.text(pairs[2 * middle]).cmp(key) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => return Some(self.meta.text(pairs[2 * middle + 1])),
            }
        }
        None
    }

    /// Keys and values, sorted by key.
    pub fn iter(self) -> impl ExactSizeIterator<Item = (&'a str, &'a str)> {
        self.spans()
            .chunks_exact(2)
            .map(move |pair| (self.meta.text(pair[0]), self.meta.text(pair[1])))
    }

    /// How many labels there are.
    pub const fn len(self) -> usize {
        self.meta.labels
    }

    /// Whether there are none.
    pub const fn is_empty(self) -> bool {
        self.len() == 0
    }

    fn spans(self) -> &'a [Span] {
        &self.meta.strings[..2 * self.meta.labels]
    }
}

impl PartialEq for Labels<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl fmt::Debug for Labels<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// A reference from an object to one of its owners.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OwnerReference<'a> {
    /// The owner's `apiVersion`, `group/version` or `version`.
    pub api_version: &'a str,
    /// The owner's kind.
    pub kind: &'a str,
    /// The owner's name; it is in the same namespace or has none.
    pub name: &'a str,
    /// The owner's incarnation.
    pub uid: &'a Uid,
    /// Whether the owner manages the object; at most one of an object's owners does.
    pub controller: bool,
    /// Whether a foreground deletion of the owner waits for the object.
    pub block_owner_deletion: bool,
}
