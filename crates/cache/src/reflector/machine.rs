//! What a reflector does next, decided without doing it.

#[cfg(test)]
mod tests;
mod watch;

use std::time::Duration;

use fastrand::Rng;
use tokio::time::Instant;

use super::backoff::{Backoff, RetryWindow};
use super::config::{InitialList, ReflectorConfig};
use crate::source::{InitialEvents, ListOptions, Page, SourceError, VersionMatch, WatchOptions};
use crate::version::ResourceVersion;
use watch::Watch;

/// The page size where none is configured, client-go's.
const DEFAULT_PAGE: u32 = 500;

/// What happened.
#[derive(Debug)]
pub(super) enum Input {
    /// A page was gathered.
    Page(Page),
    /// A page could not be fetched.
    ListFailed(SourceError),
    /// What was gathered has been handed on.
    Committed,
    /// The watch is open.
    Opened,
    /// The watch could not be opened.
    OpenFailed(SourceError),
    /// An event was read, and has been gathered or handed on.
    Event(Kind, Option<ResourceVersion>),
    /// The server closed the watch.
    Ended,
    /// The open watch failed.
    WatchFailed(SourceError),
    /// The time given with the last step is over.
    TimeIsUp,
    /// Every object has been asked to be shown again.
    Resynced,
}

/// What an event was about, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Added,
    /// Modified or deleted, or not readable but for its version.
    Other,
    /// Nothing of it can be read.
    Noise,
    Bookmark,
    /// The bookmark that ends the initial events.
    InitialEventsEnd,
}

/// What to do.
#[derive(Debug, PartialEq)]
pub(super) enum Step {
    /// Fetch a page and gather its items, forgetting what was gathered unless it is a later page.
    List(ListOptions),
    /// Hand on what was gathered, as the state at this version.
    Commit(ResourceVersion),
    /// Open a watch. Where it sends initial events, gather them, forgetting what was gathered.
    Watch(WatchOptions),
    /// Read the next event of the open watch, but wait no longer than until then.
    Read(Instant),
    /// Ask for every object to be shown again.
    Resync,
    /// Close the watch, tell of its failure, and report it as failed.
    GiveUp(Failure),
    /// Do nothing for so long.
    Wait(Duration),
}

/// How a watch fails without an error of its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// Nothing came for so long.
    Idle(Duration),
    /// It ended as soon as it was open.
    Short,
    /// It ended before its initial events were complete.
    Incomplete,
}

/// The state between two steps.
#[derive(Debug)]
pub(super) struct Machine {
    config: ReflectorConfig,
    rng: Rng,
    phase: Phase,
    /// The version the log is at; empty before the first complete picture.
    last: ResourceVersion,
    /// Whether the server has said that it does not have `last`.
    unavailable: bool,
    /// Whether the server pages even the lists it could answer from its cache, so has no cache.
    always_page: bool,
    /// Whether streaming lists are worth trying.
    streaming: bool,
    list_backoff: Backoff,
    watch_backoff: Backoff,
    internal_errors: RetryWindow,
    next_resync: Option<Instant>,
}

#[derive(Debug)]
enum Phase {
    /// Waiting before a complete picture is obtained anew.
    BeforeList,
    /// Fetching pages.
    Listing(Listing),
    /// A streaming list, from its request to its end.
    Streaming(Watch),
    /// Handing on a complete picture of this version; a watch goes on from it if there is one.
    Committing(ResourceVersion, Option<Watch>),
    /// Waiting before the watch is opened anew.
    BeforeWatch,
    /// A watch, from its request to its end.
    Watching(Watch),
}

#[derive(Debug)]
struct Listing {
    /// The version the first page asked for.
    requested: ResourceVersion,
    limit: Option<u32>,
    /// The version of the first page, while a later one is being fetched. Should the server go on
    /// from a newer state than it began with, a watch from the first version misses nothing.
    first: Option<ResourceVersion>,
}

impl Machine {
    pub(super) fn new(config: ReflectorConfig) -> Self {
        Self {
            rng: Rng::with_seed(config.seed),
            phase: Phase::BeforeList,
            last: ResourceVersion::default(),
            unavailable: false,
            always_page: false,
            streaming: config.initial_list == InitialList::Streaming,
            list_backoff: Backoff::new(config.backoff.clone()),
            watch_backoff: Backoff::new(config.backoff.clone()),
            internal_errors: RetryWindow::new(config.max_internal_error_retry),
            next_resync: None,
            config,
        }
    }

    /// The first step.
    pub(super) fn start(&mut self, now: Instant) -> Step {
        self.begin_cycle(now)
    }

    /// The next step after something happened.
    ///
    /// # Panics
    ///
    /// When the input cannot follow the last step.
    pub(super) fn on_event(&mut self, now: Instant, input: Input) -> Step {
        let phase = std::mem::replace(&mut self.phase, Phase::BeforeList);
        match (phase, input) {
            (Phase::BeforeList, Input::TimeIsUp) => self.begin_cycle(now),
            (Phase::Listing(listing), Input::Page(page)) => self.page(listing, page),
            (Phase::Listing(listing), Input::ListFailed(error)) => {
                self.list_failed(listing, &error)
            }
            (Phase::Committing(version, watch), Input::Committed) => {
                self.committed(now, version, watch)
            }
            (Phase::Streaming(watch), Input::Opened) => self.read_initial(watch.begin(now)),
            (Phase::Streaming(watch), Input::Event(kind, version)) => {
                self.initial_event(now, watch, kind, version)
            }
            (Phase::Streaming(_), Input::OpenFailed(SourceError::Idle(_))) => self.retry_list(None),
            (Phase::Streaming(watch), Input::OpenFailed(error) | Input::WatchFailed(error)) => {
                self.streaming_failed(now, &watch, &error)
            }
            (Phase::Streaming(watch), Input::Ended) => {
                self.phase = Phase::Streaming(watch);
                Step::GiveUp(Failure::Incomplete)
            }
            (Phase::Streaming(watch), Input::TimeIsUp) => {
                self.phase = Phase::Streaming(watch);
                Step::GiveUp(Failure::Idle(self.config.response_timeout))
            }
            (Phase::BeforeWatch, Input::TimeIsUp) => self.open_watch(now),
            (Phase::Watching(watch), Input::Opened) => self.read(watch.begin(now)),
            (Phase::Watching(_), Input::OpenFailed(error)) => self.open_failed(&error),
            (Phase::Watching(watch), Input::Event(kind, version)) => {
                self.event(now, watch, kind, version)
            }
            (Phase::Watching(watch), Input::Ended) => self.ended(now, watch),
            (Phase::Watching(watch), Input::WatchFailed(error)) => {
                self.watch_failed(now, &watch, &error)
            }
            (Phase::Watching(watch), Input::TimeIsUp) => self.time_is_up(now, watch),
            (Phase::Watching(watch), Input::Resynced) => {
                self.next_resync = self.config.resync.map(|period| now + period);
                self.read(watch)
            }
            (phase, input) => unreachable!("{input:?} cannot follow {phase:?}"),
        }
    }

    /// Whether events are part of a complete picture still being obtained.
    pub(super) const fn is_streaming(&self) -> bool {
        matches!(self.phase, Phase::Streaming(_))
    }

    fn begin_cycle(&mut self, now: Instant) -> Step {
        self.next_resync = None;
        if self.streaming {
            self.open_streaming(now)
        } else {
            self.begin_list()
        }
    }

    // Lists

    fn begin_list(&mut self) -> Step {
        let requested = if self.unavailable {
            ResourceVersion::default()
        } else if self.last.is_empty() {
            ResourceVersion::ANY
        } else {
            self.last.clone()
        };
        let limit = match self.config.page_size {
            Some(size) => Some(size.get()),
            // A server with a cache answers a list at a version from that, in one page; only a
            // list of the most recent state goes to the storage behind it.
            None if requested.is_concrete() && !self.always_page => None,
            None => Some(DEFAULT_PAGE),
        };
        self.list_first(requested, limit)
    }

    fn list_first(&mut self, requested: ResourceVersion, limit: Option<u32>) -> Step {
        let options = ListOptions {
            version_match: requested
                .is_concrete()
                .then_some(VersionMatch::NotOlderThan),
            resource_version: requested.clone(),
            limit,
            continue_token: None,
        };
        self.phase = Phase::Listing(Listing {
            requested,
            limit,
            first: None,
        });
        Step::List(options)
    }

    fn page(&mut self, mut listing: Listing, page: Page) -> Step {
        let version = listing.first.take().unwrap_or(page.resource_version);
        let Some(token) = page.continue_token else {
            return self.commit(version, None);
        };
        self.always_page |= listing.requested == ResourceVersion::ANY;
        listing.first = Some(version);
        let limit = listing.limit;
        self.phase = Phase::Listing(listing);
        Step::List(ListOptions {
            continue_token: Some(token),
            limit,
            ..ListOptions::default()
        })
    }

    fn list_failed(&mut self, listing: Listing, error: &SourceError) -> Step {
        match error {
            // The snapshot that the pages were taken from is gone: everything, in one page.
            SourceError::Expired { .. } if listing.first.is_some() && listing.limit.is_some() => {
                self.list_first(listing.requested, None)
            }
            SourceError::Expired { .. } | SourceError::ResourceVersionTooLarge { .. }
                if !self.unavailable =>
            {
                self.unavailable = true;
                self.begin_list()
            }
            error => self.retry_list(retry_after(error)),
        }
    }

    /// Obtains a complete picture anew, after a while.
    fn retry_list(&mut self, at_least: Option<Duration>) -> Step {
        self.phase = Phase::BeforeList;
        let delay = self.list_backoff.next(&mut self.rng);
        Step::Wait(delay.max(at_least.unwrap_or_default()))
    }

    fn commit(&mut self, version: ResourceVersion, watch: Option<Watch>) -> Step {
        self.phase = Phase::Committing(version.clone(), watch);
        Step::Commit(version)
    }

    fn committed(&mut self, now: Instant, version: ResourceVersion, watch: Option<Watch>) -> Step {
        self.last = version;
        self.unavailable = false;
        self.list_backoff.reset();
        self.next_resync = self.config.resync.map(|period| now + period);
        match watch {
            Some(mut watch) => {
                // The log may have kept us waiting; that was not the server's silence.
                watch.heard = now;
                watch.replays = false;
                watch.bring_news();
                self.read(watch)
            }
            None => self.open_watch(now),
        }
    }

    // Streaming lists

    fn open_streaming(&mut self, now: Instant) -> Step {
        let version = if self.unavailable {
            ResourceVersion::default()
        } else {
            self.last.clone()
        };
        let watch = self.new_watch(now, true);
        let options = WatchOptions {
            resource_version: version,
            timeout: Some(watch.timeout),
            initial_events: InitialEvents::Sent,
        };
        self.phase = Phase::Streaming(watch);
        Step::Watch(options)
    }

    fn initial_event(
        &mut self,
        now: Instant,
        mut watch: Watch,
        kind: Kind,
        version: Option<ResourceVersion>,
    ) -> Step {
        watch.hear(now, kind);
        match (kind, version) {
            (Kind::InitialEventsEnd, Some(version)) => self.commit(version, Some(watch)),
            _ => self.read_initial(watch),
        }
    }

    fn streaming_failed(&mut self, now: Instant, watch: &Watch, error: &SourceError) -> Step {
        match error {
            SourceError::Expired { .. } | SourceError::ResourceVersionTooLarge { .. }
                if !self.unavailable =>
            {
                self.unavailable = true;
                self.open_streaming(now)
            }
            SourceError::Expired { .. }
            | SourceError::ResourceVersionTooLarge { .. }
            | SourceError::TooManyRequests { .. }
            | SourceError::Unreachable(_)
            | SourceError::Transport(_) => self.retry_list(retry_after(error)),
            SourceError::Incomplete if !watch.has_lasted(self.config.response_timeout, now) => {
                self.retry_list(None)
            }
            // A server that refuses, or never ends the initial events, will do so again.
            SourceError::Invalid { .. } | SourceError::Idle(_) | SourceError::Incomplete => {
                self.streaming = false;
                self.begin_list()
            }
            _ => self.begin_list(),
        }
    }

    // Watches

    fn open_watch(&mut self, now: Instant) -> Step {
        let watch = self.new_watch(now, !self.last.is_concrete());
        let options = WatchOptions {
            resource_version: self.last.clone(),
            timeout: Some(watch.timeout),
            initial_events: InitialEvents::Omitted,
        };
        self.phase = Phase::Watching(watch);
        Step::Watch(options)
    }

    fn new_watch(&mut self, now: Instant, replays: bool) -> Watch {
        let seconds = self.config.min_watch_timeout.as_secs();
        let timeout = Duration::from_secs(self.rng.u64(seconds..2 * seconds));
        Watch::new(now, timeout, replays)
    }

    /// Waits for the next initial event.
    fn read_initial(&mut self, watch: Watch) -> Step {
        let end = watch.heard + self.config.response_timeout;
        self.phase = Phase::Streaming(watch);
        Step::Read(end)
    }

    /// Waits for the next event, until something else is due.
    fn read(&mut self, watch: Watch) -> Step {
        let end = watch.end_of_patience(&self.config);
        self.phase = Phase::Watching(watch);
        Step::Read(self.next_resync.map_or(end, |resync| resync.min(end)))
    }

    fn event(
        &mut self,
        now: Instant,
        mut watch: Watch,
        kind: Kind,
        version: Option<ResourceVersion>,
    ) -> Step {
        watch.hear(now, kind);
        // What cannot be read says nothing about whether the replay is over.
        watch.replays &= matches!(kind, Kind::Added | Kind::Noise);
        if let Some(version) = version
            && !watch.replays
            && version != self.last
        {
            self.last = version;
            watch.bring_news();
            self.watch_backoff.reset();
        }
        // A stream that never pauses would put a resync off for ever.
        if self.is_resync_due(now) {
            self.phase = Phase::Watching(watch);
            return Step::Resync;
        }
        self.read(watch)
    }

    fn is_resync_due(&self, now: Instant) -> bool {
        self.next_resync.is_some_and(|resync| resync <= now)
    }

    fn time_is_up(&mut self, now: Instant, watch: Watch) -> Step {
        if self.is_resync_due(now) {
            self.phase = Phase::Watching(watch);
            return Step::Resync;
        }
        if watch.end_of_patience(&self.config) > now {
            return self.read(watch);
        }
        let silence = now - watch.heard;
        self.phase = Phase::Watching(watch);
        Step::GiveUp(Failure::Idle(silence))
    }

    fn ended(&mut self, now: Instant, watch: Watch) -> Step {
        if watch.was_short(now) {
            self.phase = Phase::Watching(watch);
            return Step::GiveUp(Failure::Short);
        }
        self.judge(now, &watch);
        self.open_watch(now)
    }

    fn open_failed(&mut self, error: &SourceError) -> Step {
        match error {
            SourceError::Unreachable(_)
            | SourceError::Transport(_)
            | SourceError::Idle(_)
            | SourceError::TooManyRequests { .. } => self.retry_watch(retry_after(error)),
            _ => self.relist(),
        }
    }

    fn watch_failed(&mut self, now: Instant, watch: &Watch, error: &SourceError) -> Step {
        self.judge(now, watch);
        match error {
            SourceError::TooManyRequests { .. } => self.retry_watch(retry_after(error)),
            SourceError::Idle(_) => self.retry_watch(None),
            SourceError::Transport(_) if !watch.was_short(now) => self.open_watch(now),
            SourceError::Transport(_) => self.retry_watch(None),
            SourceError::Internal { .. } if self.internal_errors.retry(now) => self.open_watch(now),
            _ => self.relist(),
        }
    }

    fn judge(&mut self, now: Instant, watch: &Watch) {
        if watch.has_lasted(self.config.backoff.healthy_after, now) {
            self.watch_backoff.reset();
        }
    }

    /// Opens the watch anew where it left off, after a while.
    fn retry_watch(&mut self, at_least: Option<Duration>) -> Step {
        self.phase = Phase::BeforeWatch;
        let delay = self.watch_backoff.next(&mut self.rng);
        Step::Wait(delay.max(at_least.unwrap_or_default()))
    }

    /// Obtains a complete picture anew because of a watch, after a while.
    fn relist(&mut self) -> Step {
        self.phase = Phase::BeforeList;
        Step::Wait(self.watch_backoff.next(&mut self.rng))
    }
}

/// The least time the server wants to be left alone.
const fn retry_after(error: &SourceError) -> Option<Duration> {
    match error {
        SourceError::TooManyRequests { retry_after, .. } => *retry_after,
        _ => None,
    }
}
