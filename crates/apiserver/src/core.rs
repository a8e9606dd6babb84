//! The operations of the server on its objects: what the HTTP handlers and the background loops are made of.
//!
//! Every operation is synchronous. Writes compute the new object from a state that they read
//! without a lock, and commit it if that state still holds; if not, they compute again.

mod create;
mod definitions;
mod delete;
mod filter;
mod list;
mod namespace;
mod token;
mod update;
mod watch;

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use parking_lot::Mutex;
use serde_json::Value;

use self::definitions::Served;
pub(crate) use self::delete::{Deleted, FOREGROUND, ORPHAN};
pub(crate) use self::filter::Filter;
pub(crate) use self::list::{Page, not_a_version};
pub(crate) use self::update::{Replaced, invalid_object};
pub(crate) use self::watch::WatchEncoder;
use crate::config::{Config, ConfigError};
use crate::error::ApiError;
use crate::faults::Faults;
use crate::ids::Ids;
use crate::metrics::Metrics;
use crate::registry::Registry;
use crate::resource::Resource;
use crate::store::{Bounds, Key, Store, Stored};
use crate::tokens::Signer;

/// The state of a server and the operations on it. Shared by `Arc`.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) config: Config,
    pub(crate) registry: Registry,
    pub(crate) store: Arc<Store>,
    pub(crate) ids: Ids,
    /// Makes the tokens of service accounts, and knows them again.
    pub(crate) signer: Signer,
    /// The definitions whose resources are served.
    definitions: Mutex<HashMap<Key, Served>>,
    /// What open watches are told to do.
    pub(crate) signals: watch::Signals,
    /// What requests meet.
    pub(crate) faults: Faults,
    /// How many requests there were.
    pub(crate) metrics: Metrics,
}

impl Core {
    /// # Errors
    ///
    /// If there is no key to sign tokens with.
    pub(crate) fn new(config: Config) -> Result<Self, ConfigError> {
        Ok(Self {
            signer: Signer::new(&config)?,
            registry: Registry::kubernetes(),
            store: Arc::new(Store::new(Bounds {
                changes: config.history,
                bytes: config.history_bytes,
            })),
            ids: Ids::new(config.seed),
            definitions: Mutex::default(),
            signals: watch::Signals::default(),
            faults: Faults::new(config.seed),
            metrics: Metrics::new(),
            config,
        })
    }

    /// The object, as it is now.
    ///
    /// # Errors
    ///
    /// 404 if there is none.
    pub(crate) fn get(&self, resource: &Resource, key: &Key) -> Result<Arc<Stored>, ApiError> {
        self.store
            .get(&resource.storage, key)
            .ok_or_else(|| ApiError::not_found(resource, key.name()))
    }

    /// The wall time, in the whole seconds that objects carry.
    pub(crate) fn now(&self) -> Timestamp {
        let now = self.config.clock.now();
        Timestamp::from_second(now.as_second()).unwrap_or(now)
    }

    /// The wall time as objects carry it.
    pub(crate) fn timestamp(&self) -> Value {
        timestamp(self.now())
    }
}

/// A time as metadata has it.
fn timestamp(time: Timestamp) -> Value {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string().into()
}
