//! Watching a resource: its state if asked for, then every change.

mod engine;
mod stream;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::Stream;
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::Instant;

use self::engine::{Engine, Phase, Schedule};
use crate::config::StreamingLists;
use crate::core::list::not_a_version;
use crate::core::{Core, Filter};
use crate::error::{ApiError, Cause};
use crate::request::ListOptions;
use crate::resource::Resource;
use crate::store::{Stored, TooOld};

/// How one watcher wants objects shown.
pub(crate) trait WatchEncoder: Send + 'static {
    /// Appends an object as it was at `revision`.
    fn object(&mut self, object: &Stored, revision: u64, out: &mut Vec<u8>);
    /// Appends the object of a bookmark, given its metadata.
    fn bookmark(&mut self, metadata: Value, out: &mut Vec<u8>);
}

/// What all open watches are told to do.
#[derive(Debug, Default)]
pub(crate) struct Signals {
    bookmark: watch::Sender<u64>,
    cut: watch::Sender<u64>,
}

impl Signals {
    /// Sends a bookmark to every watch that allows them, now.
    pub(crate) fn bookmark(&self) {
        self.bookmark.send_modify(|count| *count += 1);
    }

    /// Ends all watches, as if the server were restarted.
    pub(crate) fn cut(&self) {
        self.cut.send_modify(|count| *count += 1);
    }
}

impl Core {
    /// Opens a watch of the objects that `filter` picks: its events as they come, one JSON
    /// document a line, until it ends.
    ///
    /// # Errors
    ///
    /// 500 for a resource version that is no number, as a real server answers; 422 for initial
    /// events on a server without. A version that lies too far back is told in the stream.
    pub(crate) fn watch(
        &self,
        resource: &Resource,
        filter: Filter,
        options: &ListOptions,
        encoder: Box<dyn WatchEncoder>,
    ) -> Result<impl Stream<Item = Bytes> + Send + use<>, ApiError> {
        let streaming = self.config.streaming_lists == StreamingLists::Enabled;
        if options.send_initial_events.is_some() && !streaming {
            let cause = Cause::forbidden(
                "sendInitialEvents",
                "sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled",
            );
            let (group, kind) = ("meta.k8s.io", "ListOptions");
            return Err(ApiError::invalid_kind(group, kind, "", vec![cause]));
        }
        let from = match options.resource_version.as_deref() {
            None => 0,
            Some(version) => version
                .parse::<u64>()
                .map_err(|_| ApiError::unclassified(not_a_version(version)))?,
        };
        // Without a version, the state comes first, whether asked for or not.
        let phase = match options.send_initial_events.unwrap_or(from == 0) {
            true => self.begin_with_state(resource, &filter, from, options.bookmarks && streaming),
            false => self.begin_after(resource, from),
        };
        let lasting = options.timeout.map_or_else(
            || {
                let range = &self.config.watch_timeout;
                self.ids.duration(*range.start(), *range.end())
            },
            Duration::from_secs,
        );
        let interval = options.bookmarks.then_some(self.config.bookmark_interval);
        let schedule = Schedule::new(Instant::now(), lasting, interval);
        let engine = Engine::new(filter, encoder, phase, schedule);
        Ok(stream::events(engine, &self.signals))
    }

    /// The state at this moment, if that is not older than `from`, and then what follows.
    fn begin_with_state(
        &self,
        resource: &Resource,
        filter: &Filter,
        from: u64,
        announce: bool,
    ) -> Phase {
        let (snapshot, cursor) = self.store.follow(&resource.storage);
        let now = snapshot.revision();
        if from > now {
            return Phase::Refused(ApiError::too_large_resource_version(from, now));
        }
        let objects = filter.candidates(&snapshot, None);
        let state = objects
            .filter(|object| filter.selects(object))
            .map(Arc::clone)
            .collect();
        Phase::Initial {
            state,
            cursor,
            announce,
        }
    }

    /// What follows `from`, or this moment if that is 0.
    fn begin_after(&self, resource: &Resource, from: u64) -> Phase {
        if from == 0 {
            return Phase::Live(self.store.follow(&resource.storage).1);
        }
        match self.store.watch(&resource.storage, from) {
            Ok(cursor) => Phase::Live(cursor),
            Err(TooOld { oldest }) => Phase::Refused(ApiError::expired(format!(
                "too old resource version: {from} ({oldest})"
            ))),
        }
    }
}
