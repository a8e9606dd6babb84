//! Watching a resource: its state if asked for, then every change, as a stream of bytes.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::Stream;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::config::StreamingLists;
use crate::core::filter::Seen;
use crate::core::list::not_a_version;
use crate::core::{Core, Filter};
use crate::error::{ApiError, Cause};
use crate::request::ListOptions;
use crate::resource::Resource;
use crate::store::{Cursor, Stored, TooOld};

/// How many events are read from the log at a time.
const BATCH: usize = 256;
/// How many bytes are gathered before they are handed out.
const FRAME: usize = 32 << 10;

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

/// An open watch.
pub(crate) struct Watch {
    filter: Filter,
    encoder: Box<dyn WatchEncoder>,
    start: Start,
    bookmarks: Option<Bookmarks>,
    deadline: Instant,
    bookmark_signal: watch::Receiver<u64>,
    cut: watch::Receiver<u64>,
    stop: CancellationToken,
}

/// How a watch begins.
enum Start {
    /// With the state at the cursor, told as objects that were added.
    Initial {
        state: VecDeque<Arc<Stored>>,
        cursor: Cursor,
        /// Whether a bookmark says where the state ends.
        announce: bool,
    },
    Live(Cursor),
    /// With the news that it cannot begin, and nothing else.
    Refused(ApiError),
    Ended,
}

struct Bookmarks {
    interval: Duration,
    next: Instant,
}

impl Signals {
    /// Sends a bookmark to every watch that allows them, now.
    pub(crate) fn bookmark(&self) {
        self.bookmark.send_modify(|count| *count += 1);
    }

    /// Ends all watches, as if their connections were lost.
    pub(crate) fn cut(&self) {
        self.cut.send_modify(|count| *count += 1);
    }
}

impl Core {
    /// Opens a watch of the objects that `filter` picks.
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
    ) -> Result<Watch, ApiError> {
        if options.send_initial_events.is_some()
            && self.config.streaming_lists == StreamingLists::Disabled
        {
            let cause = Cause::forbidden(
                "sendInitialEvents",
                "sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled",
            );
            return Err(ApiError::invalid_kind(
                "meta.k8s.io",
                "ListOptions",
                "",
                vec![cause],
            ));
        }
        let from = match options.resource_version.as_deref() {
            None => None,
            Some(version) => Some(
                version
                    .parse::<u64>()
                    .map_err(|_| ApiError::unclassified(not_a_version(version)))?,
            ),
        };
        let initial = options
            .send_initial_events
            .unwrap_or(matches!(from, None | Some(0)));
        let announce =
            initial && options.bookmarks && self.config.streaming_lists == StreamingLists::Enabled;
        let start = if initial {
            self.begin_with_state(resource, &filter, from, announce)
        } else {
            let from = from.filter(|from| *from > 0);
            let from = from.unwrap_or_else(|| self.store.revision());
            match self.store.watch(&resource.storage, from) {
                Ok(cursor) => Start::Live(cursor),
                Err(TooOld { oldest }) => Start::Refused(ApiError::expired(format!(
                    "too old resource version: {from} ({oldest})"
                ))),
            }
        };
        let timeout = options.timeout.map_or_else(
            || {
                let range = &self.config.watch_timeout;
                self.ids.duration(*range.start(), *range.end())
            },
            Duration::from_secs,
        );
        let now = Instant::now();
        let interval = self.config.bookmark_interval;
        Ok(Watch {
            filter,
            encoder,
            start,
            bookmarks: options.bookmarks.then(|| Bookmarks {
                interval,
                next: now + interval,
            }),
            deadline: now + timeout,
            bookmark_signal: self.signals.bookmark.subscribe(),
            cut: self.signals.cut.subscribe(),
            stop: self.stop.clone(),
        })
    }

    fn begin_with_state(
        &self,
        resource: &Resource,
        filter: &Filter,
        from: Option<u64>,
        announce: bool,
    ) -> Start {
        let (snapshot, cursor) = self.store.follow(&resource.storage);
        if let Some(from) = from
            && from > snapshot.revision()
        {
            return Start::Refused(ApiError::too_large_resource_version(
                from,
                snapshot.revision(),
            ));
        }
        let state = filter
            .candidates(&snapshot, None)
            .filter(|object| filter.selects(object))
            .cloned()
            .collect();
        Start::Initial {
            state,
            cursor,
            announce,
        }
    }
}

impl Watch {
    /// The events as they come, one JSON document a line, until the watch ends.
    pub(crate) fn into_stream(self) -> impl Stream<Item = Bytes> + Send + 'static {
        futures::stream::unfold(self, |mut watch| async move {
            let frame = watch.next().await?;
            Some((frame, watch))
        })
    }

    /// The next bytes; `None` at the end.
    async fn next(&mut self) -> Option<Bytes> {
        let mut out = Vec::new();
        loop {
            match std::mem::replace(&mut self.start, Start::Ended) {
                Start::Ended => return None,
                Start::Refused(error) => {
                    write_event("ERROR", &mut out, |out| {
                        serde_json::to_writer(out, &error.to_status())
                            .expect("a Status encodes into memory");
                    });
                    return Some(out.into());
                }
                Start::Initial {
                    mut state,
                    cursor,
                    announce,
                } => {
                    while out.len() < FRAME
                        && let Some(object) = state.pop_front()
                    {
                        self.write("ADDED", &object, object.revision(), &mut out);
                    }
                    if !state.is_empty() {
                        self.start = Start::Initial {
                            state,
                            cursor,
                            announce,
                        };
                        return Some(out.into());
                    }
                    if announce {
                        self.write_bookmark(&cursor, true, &mut out);
                    }
                    self.start = Start::Live(cursor);
                    if !out.is_empty() {
                        return Some(out.into());
                    }
                }
                Start::Live(mut cursor) => {
                    let Ok(events) = cursor.read(BATCH) else {
                        // Too slow: the client comes back with the last version that it saw.
                        return None;
                    };
                    for event in &events {
                        match self.filter.see(event) {
                            None => {}
                            Some(Seen::Added(object)) => {
                                write(
                                    &mut *self.encoder,
                                    "ADDED",
                                    object,
                                    event.revision,
                                    &mut out,
                                );
                            }
                            Some(Seen::Modified(object)) => {
                                write(
                                    &mut *self.encoder,
                                    "MODIFIED",
                                    object,
                                    event.revision,
                                    &mut out,
                                );
                            }
                            Some(Seen::Deleted(object)) => {
                                write(
                                    &mut *self.encoder,
                                    "DELETED",
                                    object,
                                    event.revision,
                                    &mut out,
                                );
                            }
                        }
                    }
                    if out.is_empty() && events.is_empty() {
                        if !self.wait(&mut cursor, &mut out).await {
                            return (!out.is_empty()).then(|| out.into());
                        }
                    }
                    self.start = Start::Live(cursor);
                    if !out.is_empty() {
                        return Some(out.into());
                    }
                }
            }
        }
    }

    /// Waits for something to do; false at the end of the watch.
    async fn wait(&mut self, cursor: &mut Cursor, out: &mut Vec<u8>) -> bool {
        let bookmark = self.bookmarks.as_ref().map(|bookmarks| bookmarks.next);
        tokio::select! {
            biased;
            () = self.stop.cancelled() => false,
            _ = self.cut.changed() => false,
            () = cursor.ready() => true,
            () = sleep_until(self.deadline) => {
                if self.bookmarks.is_some() {
                    self.write_bookmark(cursor, false, out);
                }
                false
            }
            () = sleep_until(bookmark.unwrap_or(self.deadline)), if bookmark.is_some() => {
                self.write_bookmark(cursor, false, out);
                true
            }
            _ = self.bookmark_signal.changed(), if bookmark.is_some() => {
                self.write_bookmark(cursor, false, out);
                true
            }
        }
    }

    fn write_bookmark(&mut self, cursor: &Cursor, initial: bool, out: &mut Vec<u8>) {
        let mut metadata = json!({ "resourceVersion": cursor.position().to_string() });
        if initial {
            metadata["annotations"] = json!({ "k8s.io/initial-events-end": "true" });
        }
        write_event("BOOKMARK", out, |out| self.encoder.bookmark(metadata, out));
        if let Some(bookmarks) = &mut self.bookmarks {
            bookmarks.next = Instant::now() + bookmarks.interval;
        }
    }

    fn write(&mut self, kind: &str, object: &Stored, revision: u64, out: &mut Vec<u8>) {
        write(&mut *self.encoder, kind, object, revision, out);
    }
}

fn write(
    encoder: &mut dyn WatchEncoder,
    kind: &str,
    object: &Stored,
    revision: u64,
    out: &mut Vec<u8>,
) {
    write_event(kind, out, |out| encoder.object(object, revision, out));
}

fn write_event(kind: &str, out: &mut Vec<u8>, object: impl FnOnce(&mut Vec<u8>)) {
    out.extend_from_slice(br#"{"type":""#);
    out.extend_from_slice(kind.as_bytes());
    out.extend_from_slice(br#"","object":"#);
    object(out);
    out.extend_from_slice(b"}\n");
}
