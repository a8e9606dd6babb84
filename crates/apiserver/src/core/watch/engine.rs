//! What a watch says next, given the time.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use super::WatchEncoder;
use crate::core::Filter;
use crate::core::filter::Seen;
use crate::error::ApiError;
use crate::store::{Cursor, Event, Stored};

/// How many events are read from the log at a time.
const BATCH: usize = 256;
/// How many bytes are gathered before they are handed out.
const FRAME: usize = 32 << 10;

/// A watch without its surroundings.
///
/// Between two turns it holds at most one batch of events, however slow its reader is.
pub(super) struct Engine {
    filter: Filter,
    encoder: Box<dyn WatchEncoder>,
    phase: Phase,
    /// Events that were read and are still to be told.
    pending: VecDeque<Arc<Event>>,
    /// Everything up to this revision has been told.
    told: u64,
    /// Once the time is up: what had happened by then, which is still told.
    last: Option<u64>,
    schedule: Schedule,
}

/// How far a watch has come.
pub(super) enum Phase {
    /// It tells the state at the cursor, as objects that were added.
    Initial {
        state: VecDeque<Arc<Stored>>,
        cursor: Cursor,
        /// Whether a bookmark says where the state ends.
        announce: bool,
    },
    /// It tells what changes.
    Live(Cursor),
    /// It cannot begin, and says so.
    Refused(ApiError),
    Ended,
}

/// When a watch does something by itself.
pub(super) struct Schedule {
    deadline: Instant,
    /// How often bookmarks come, and when the next one does.
    bookmarks: Option<(Duration, Instant)>,
}

/// What comes next.
pub(super) enum Turn {
    /// These bytes.
    Say(Vec<u8>),
    /// Nothing, before this time or before there is a change.
    Wait(Instant),
    /// The end of the stream.
    End,
}

impl Schedule {
    /// A watch from `now` on that lasts so long and has bookmarks every `interval`.
    pub(super) fn new(now: Instant, lasting: Duration, interval: Option<Duration>) -> Self {
        Self {
            deadline: now + lasting,
            bookmarks: interval.map(|interval| (interval, now + interval)),
        }
    }

    fn next(&self) -> Instant {
        match self.bookmarks {
            Some((_, next)) => next.min(self.deadline),
            None => self.deadline,
        }
    }
}

impl Engine {
    pub(super) fn new(
        filter: Filter,
        encoder: Box<dyn WatchEncoder>,
        phase: Phase,
        schedule: Schedule,
    ) -> Self {
        let told = match &phase {
            Phase::Live(cursor) => cursor.position(),
            _ => 0,
        };
        Self {
            filter,
            encoder,
            phase,
            pending: VecDeque::new(),
            told,
            last: None,
            schedule,
        }
    }

    pub(super) fn turn(&mut self, now: Instant) -> Turn {
        let mut out = Vec::new();
        self.advance(now, &mut out);
        match self.phase {
            _ if !out.is_empty() => Turn::Say(out),
            Phase::Ended => Turn::End,
            _ => Turn::Wait(self.schedule.next()),
        }
    }

    /// Sends a bookmark on the next turn, if the watch allows them.
    pub(super) fn hurry_bookmark(&mut self, now: Instant) {
        if let Some((_, next)) = &mut self.schedule.bookmarks {
            *next = now;
        }
    }

    /// Waits until there may be a change to tell.
    ///
    /// Cancel safe.
    pub(super) async fn ready(&mut self) {
        match &mut self.phase {
            Phase::Live(cursor) if self.pending.is_empty() => cursor.ready().await,
            _ => {}
        }
    }

    fn advance(&mut self, now: Instant, out: &mut Vec<u8>) {
        self.phase = match std::mem::replace(&mut self.phase, Phase::Ended) {
            Phase::Ended => return,
            Phase::Refused(error) => {
                say("ERROR", out, |out| {
                    let status = error.to_status();
                    serde_json::to_writer(out, &status).expect("a Status encodes into memory");
                });
                return;
            }
            Phase::Initial {
                mut state,
                cursor,
                announce,
            } => {
                while out.len() < FRAME
                    && let Some(object) = state.pop_front()
                {
                    self.say_object("ADDED", &object, object.revision(), out);
                }
                if state.is_empty() {
                    self.told = cursor.position();
                    if announce {
                        self.say_bookmark(now, true, out);
                    }
                    Phase::Live(cursor)
                } else {
                    Phase::Initial {
                        state,
                        cursor,
                        announce,
                    }
                }
            }
            Phase::Live(cursor) => {
                // Also on a busy day: a watch that always has something to say comes to an end too.
                if now >= self.schedule.deadline && self.last.is_none() {
                    self.last = Some(cursor.newest());
                }
                let Some(cursor) = self.say_changes(cursor, out) else {
                    return;
                };
                let over = self.last.is_some_and(|last| self.told >= last);
                if self
                    .schedule
                    .bookmarks
                    .is_some_and(|(_, next)| over || now >= next)
                {
                    self.say_bookmark(now, false, out);
                }
                if over {
                    return;
                }
                Phase::Live(cursor)
            }
        };
    }

    /// Tells changes until there are none, or enough for now; `None` if some were lost.
    ///
    /// A watcher that was too slow for the log is not told an error. Its stream ends, and it
    /// comes back with the last version that it saw.
    fn say_changes(&mut self, mut cursor: Cursor, out: &mut Vec<u8>) -> Option<Cursor> {
        while out.len() < FRAME {
            if self.pending.is_empty() {
                self.pending = cursor.read(BATCH).ok()?.into();
            }
            let Some(event) = self.pending.pop_front() else {
                self.told = self.told.max(cursor.position());
                break;
            };
            match self.filter.see(&event) {
                None => {}
                Some(Seen::Added(object)) => {
                    self.say_object("ADDED", object, event.revision, out);
                }
                Some(Seen::Modified(object)) => {
                    self.say_object("MODIFIED", object, event.revision, out);
                }
                Some(Seen::Deleted(object)) => {
                    self.say_object("DELETED", object, event.revision, out);
                }
            }
            self.told = event.revision;
        }
        Some(cursor)
    }

    fn say_object(&mut self, kind: &str, object: &Stored, revision: u64, out: &mut Vec<u8>) {
        say(kind, out, |out| self.encoder.object(object, revision, out));
    }

    fn say_bookmark(&mut self, now: Instant, initial: bool, out: &mut Vec<u8>) {
        let mut metadata = json!({ "resourceVersion": self.told.to_string() });
        if initial {
            metadata["annotations"] = json!({ "k8s.io/initial-events-end": "true" });
        }
        say("BOOKMARK", out, |out| self.encoder.bookmark(metadata, out));
        if let Some((interval, next)) = &mut self.schedule.bookmarks {
            *next = now + *interval;
        }
    }
}

fn say(kind: &str, out: &mut Vec<u8>, object: impl FnOnce(&mut Vec<u8>)) {
    out.extend_from_slice(br#"{"type":""#);
    out.extend_from_slice(kind.as_bytes());
    out.extend_from_slice(br#"","object":"#);
    object(out);
    out.extend_from_slice(b"}\n");
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::registry::Registry;
    use crate::request::ListOptions;
    use crate::resource::Resource;
    use crate::store::{Bounds, Head, Key, Store};

    struct Plain;

    impl WatchEncoder for Plain {
        fn object(&mut self, object: &Stored, revision: u64, out: &mut Vec<u8>) {
            object.write(&Head::none(), revision, out);
        }

        fn bookmark(&mut self, metadata: Value, out: &mut Vec<u8>) {
            out.extend_from_slice(json!({ "metadata": metadata }).to_string().as_bytes());
        }
    }

    struct Bench {
        store: Arc<Store>,
        resource: Arc<Resource>,
        start: Instant,
    }

    impl Bench {
        fn new() -> Self {
            let resources = Registry::kubernetes().resources();
            let bounds = Bounds {
                changes: 4096,
                bytes: usize::MAX,
            };
            Self {
                store: Arc::new(Store::new(bounds)),
                resource: Arc::clone(resources.get("", "v1", "configmaps").unwrap()),
                start: Instant::now(),
            }
        }

        /// A watch from now on that lasts 10 s and has bookmarks every 3 s.
        fn watch(&self, labels: Option<&str>) -> Engine {
            let options = ListOptions {
                label_selector: labels.map(str::to_owned),
                ..ListOptions::default()
            };
            let filter = Filter::new(&self.resource, None, &options).unwrap();
            let phase = Phase::Live(self.store.follow(&self.resource.storage).1);
            let interval = Duration::from_secs(3);
            let schedule = Schedule::new(self.start, Duration::from_secs(10), Some(interval));
            Engine::new(filter, Box::new(Plain), phase, schedule)
        }

        fn put(&self, count: u64) {
            for number in 0..count {
                let value = json!({ "metadata": { "name": "a" }, "data": number });
                let key = Key::new("ns", "a");
                self.store
                    .commit(|transaction| transaction.put(&self.resource.storage, key, value));
            }
        }

        fn at(&self, seconds: u64) -> Instant {
            self.start + Duration::from_secs(seconds)
        }
    }

    /// The types and versions in a turn; empty for a wait, `end` for the end.
    fn told(turn: Turn) -> Vec<String> {
        match turn {
            Turn::Wait(_) => Vec::new(),
            Turn::End => vec!["end".to_owned()],
            Turn::Say(bytes) => String::from_utf8(bytes)
                .unwrap()
                .lines()
                .map(|line| {
                    let event: Value = serde_json::from_str(line).unwrap();
                    let version = &event["object"]["metadata"]["resourceVersion"];
                    format!(
                        "{} {}",
                        event["type"].as_str().unwrap(),
                        version.as_str().unwrap()
                    )
                })
                .collect(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn bookmarks_and_the_end_come_in_their_time() {
        let bench = Bench::new();
        let mut watch = bench.watch(None);
        assert!(matches!(watch.turn(bench.at(0)), Turn::Wait(until) if until == bench.at(3)));
        assert_eq!(told(watch.turn(bench.at(3))), ["BOOKMARK 1"]);
        assert!(matches!(watch.turn(bench.at(4)), Turn::Wait(until) if until == bench.at(6)));
        watch.hurry_bookmark(bench.at(5));
        assert_eq!(told(watch.turn(bench.at(5))), ["BOOKMARK 1"]);
        assert_eq!(told(watch.turn(bench.at(9))), ["BOOKMARK 1"]);
        assert!(matches!(watch.turn(bench.at(9)), Turn::Wait(until) if until == bench.at(10)));
        assert_eq!(told(watch.turn(bench.at(10))), ["BOOKMARK 1"]);
        assert_eq!(told(watch.turn(bench.at(10))), ["end"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_watch_that_always_has_something_to_say_keeps_its_times() {
        let bench = Bench::new();
        let mut watch = bench.watch(None);
        for second in 0..10 {
            bench.put(2);
            let first = 2 + 2 * second;
            let mut expected = vec![format!("MODIFIED {}", first + 1)];
            expected.insert(
                0,
                format!("{} {first}", if second == 0 { "ADDED" } else { "MODIFIED" }),
            );
            if second > 0 && second % 3 == 0 {
                expected.push(format!("BOOKMARK {}", first + 1));
            }
            assert_eq!(told(watch.turn(bench.at(second))), expected);
        }
        bench.put(1);
        assert_eq!(
            told(watch.turn(bench.at(10))),
            ["MODIFIED 22", "BOOKMARK 22"]
        );
        assert_eq!(told(watch.turn(bench.at(10))), ["end"]);
    }

    #[tokio::test(start_paused = true)]
    async fn bookmarks_pass_what_is_not_selected() {
        let bench = Bench::new();
        let mut watch = bench.watch(Some("l=1"));
        bench.put(1000);
        assert_eq!(told(watch.turn(bench.at(0))), [""; 0]);
        assert_eq!(told(watch.turn(bench.at(3))), ["BOOKMARK 1001"]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_happened_in_time_is_told_to_a_late_reader() {
        let bench = Bench::new();
        let mut watch = bench.watch(None);
        bench.put(1000);
        let mut all = told(watch.turn(bench.at(10)));
        // What happens from now on is for the next watch.
        bench.put(1000);
        while let Turn::Say(bytes) = watch.turn(bench.at(10)) {
            all.extend(told(Turn::Say(bytes)));
        }
        let bookmarks = all.iter().filter(|event| event.starts_with("BOOKMARK"));
        assert_eq!(bookmarks.count(), 2, "one was due before the end");
        let (bookmark, event) = (all.pop().unwrap(), all.pop().unwrap());
        assert_eq!(bookmark.replace("BOOKMARK", "MODIFIED"), event);
        assert!((1001..1500).contains(&all.len()), "{}", all.len());
    }

    #[tokio::test(start_paused = true)]
    async fn much_is_told_in_pieces() {
        let bench = Bench::new();
        let mut watch = bench.watch(None);
        bench.put(1000);
        let mut all = Vec::new();
        while let Turn::Say(bytes) = watch.turn(bench.at(0)) {
            assert!(bytes.len() < 2 * FRAME);
            all.extend(told(Turn::Say(bytes)));
        }
        let expected: Vec<String> = (2..=1001)
            .map(|version| format!("MODIFIED {version}"))
            .collect();
        assert_eq!(all[1..], expected[1..]);
    }
}
