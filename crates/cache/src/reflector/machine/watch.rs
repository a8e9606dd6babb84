use std::time::Duration;

use tokio::time::Instant;

use super::Kind;
use crate::reflector::config::ReflectorConfig;

/// A watch that ends sooner than this and without an event was not worth opening.
const SHORT_WATCH: Duration = Duration::from_secs(1);

/// One watch, from its request to its end.
#[derive(Debug)]
pub(super) struct Watch {
    /// When the server is to close it, counted from its opening.
    pub(super) timeout: Duration,
    opened: Instant,
    /// When something was last heard of it.
    pub(super) heard: Instant,
    events: u64,
    /// Whether it has sent a bookmark, hence sends them regularly.
    sends_bookmarks: bool,
    /// Whether it began without a version, so that its first events replay the state in no order
    /// of versions.
    pub(super) replays: bool,
}

impl Watch {
    pub(super) const fn new(now: Instant, timeout: Duration, replays: bool) -> Self {
        Self {
            timeout,
            opened: now,
            heard: now,
            events: 0,
            sends_bookmarks: false,
            replays,
        }
    }

    /// It is open.
    pub(super) const fn begin(mut self, now: Instant) -> Self {
        self.opened = now;
        self.heard = now;
        self
    }

    /// Something was heard of it.
    pub(super) fn hear(&mut self, now: Instant, kind: Kind) {
        self.heard = now;
        // What is no event may come from something that is no API server: no reason to ask it
        // again at once.
        self.events += u64::from(kind != Kind::Noise);
        self.sends_bookmarks |= kind == Kind::Bookmark;
    }

    /// When it is to be taken for dead if nothing is heard of it until then.
    pub(super) fn end_of_patience(&self, config: &ReflectorConfig) -> Instant {
        let overdue = self.opened + self.timeout + config.response_timeout;
        let idle = self.heard + config.idle_timeout;
        let end = if self.sends_bookmarks {
            overdue.min(idle)
        } else {
            overdue
        };
        // One that is overdue but not silent is not dead.
        let silent = config.response_timeout.min(config.idle_timeout);
        end.max(self.heard + silent)
    }

    /// Whether it ended too soon, and without an event, to have been worth opening.
    pub(super) fn was_short(&self, now: Instant) -> bool {
        self.events == 0 && now - self.opened < SHORT_WATCH
    }

    /// Whether it stood for so long that it was healthy even if nothing happened.
    pub(super) fn was_healthy(&self, now: Instant, config: &ReflectorConfig) -> bool {
        now - self.opened >= config.backoff.healthy_after
    }
}
