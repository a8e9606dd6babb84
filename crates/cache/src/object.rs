use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::decode::{Codec, DecodeError, Memo};
use crate::key::ObjectKey;
use crate::metadata::Metadata;
use crate::scan::{self, ScanError};

/// An object as a source delivers it: metadata parsed, body as JSON without `managedFields`.
///
/// It has no type yet; the store that takes it in knows the type.
#[derive(Debug)]
pub struct EncodedObject {
    meta: Metadata,
}

impl EncodedObject {
    pub(crate) const fn new(meta: Metadata) -> Self {
        Self { meta }
    }

    /// Encodes an object given as JSON.
    ///
    /// # Errors
    ///
    /// When the text is no object with the metadata that Kubernetes gives one.
    pub fn from_json(json: &[u8]) -> Result<Self, ScanError> {
        scan::object(json)?.encode()
    }

    /// The metadata.
    pub const fn meta(&self) -> &Metadata {
        &self.meta
    }

    /// The object's JSON without `managedFields`.
    pub fn body(&self) -> &str {
        &self.meta.body
    }
}

/// One version of one object, shared between the store, its snapshots and the handlers.
///
/// Cheap to clone and immutable: nobody can change what others see.
///
/// # Guarantees
///
/// - [`Object::meta`] is parsed already and never fails.
/// - [`Object::get`] decodes at the first call. The store keeps what was asked for lately
///   ([`StoreConfig::decoded_cache`](crate::StoreConfig::decoded_cache)), and what it does not keep
///   is decoded anew.
pub struct Object<K> {
    entry: Arc<Entry<K>>,
}

pub(crate) struct Entry<K> {
    pub(crate) meta: Metadata,
    pub(crate) memo: Memo<K>,
    codec: Arc<Codec<K>>,
}

impl<K> Object<K> {
    pub(crate) fn new(encoded: EncodedObject, codec: Arc<Codec<K>>) -> Self {
        Self {
            entry: Arc::new(Entry {
                meta: encoded.meta,
                memo: Memo::default(),
                codec,
            }),
        }
    }

    /// The parsed part of the object.
    pub fn meta(&self) -> &Metadata {
        &self.entry.meta
    }

    /// The object's key.
    pub fn key(&self) -> &ObjectKey {
        self.meta().key()
    }

    /// The object's JSON as the server sent it, without `managedFields`.
    ///
    /// Borrowed where the retention keeps the text as it is.
    pub fn body(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.entry.meta.body)
    }

    /// The typed object, decoded now unless it is still at hand.
    ///
    /// # Errors
    ///
    /// When the body does not decode as `K`. The error is remembered: each version of an object
    /// is tried, counted and reported once.
    pub fn get(&self) -> Result<Arc<K>, DecodeError> {
        self.entry.codec.typed(&self.entry)
    }

    /// Whether both are the same version of the same incarnation.
    ///
    /// Objects that no server has versioned are the same only if they share their memory.
    pub fn same_version(&self, other: &Self) -> bool {
        let (own, others) = (self.meta(), other.meta());
        Arc::ptr_eq(&self.entry, &other.entry)
            || (own.resource_version.is_concrete()
                && own.resource_version == others.resource_version
                && own.uid == others.uid
                && own.key == others.key)
    }

    /// Whether both share one memory, as the two sides of a resync do.
    pub fn ptr_eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.entry, &other.entry)
    }
}

impl<K: DeserializeOwned + 'static> Object<K> {
    /// An object of its own, outside any store.
    ///
    /// There is no cache of decoded objects for it: every [`Object::get`] decodes.
    ///
    /// # Errors
    ///
    /// When the text is no object with the metadata that Kubernetes gives one.
    pub fn from_json(json: &[u8]) -> Result<Self, ScanError> {
        let encoded = EncodedObject::from_json(json)?;
        Ok(Self::new(encoded, Arc::new(Codec::detached())))
    }
}

impl<K: DeserializeOwned + Serialize + 'static> Object<K> {
    /// Encodes a typed object, outside any store.
    ///
    /// # Errors
    ///
    /// When it does not serialise to an object with a name.
    pub fn from_typed(object: &K) -> Result<Self, EncodeError> {
        let json = serde_json::to_vec(object)?;
        Ok(Self::from_json(&json)?)
    }
}

impl<K> Clone for Object<K> {
    fn clone(&self) -> Self {
        Self {
            entry: Arc::clone(&self.entry),
        }
    }
}

impl<K> fmt::Debug for Object<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let meta = self.meta();
        write!(f, "{}@{}", meta.key(), meta.resource_version())
    }
}

/// Why a typed object could not be made an [`Object`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// It does not serialise.
    #[error("the object does not serialise")]
    Serialize(#[from] serde_json::Error),
    /// What it serialises to is no Kubernetes object.
    #[error("the object's JSON has no usable metadata")]
    Scan(#[from] ScanError),
}
