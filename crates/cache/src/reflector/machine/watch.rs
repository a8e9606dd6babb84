use std::time::Duration;

use tokio::time::Instant;

use super::Kind;
use crate::reflector::config::ReflectorConfig;

/// A watch that ends sooner than this and without news was not worth opening.
const SHORT_WATCH: Duration = Duration::from_secs(1);

/// One watch, from its request to its end.
#[derive(Debug)]
pub(super) struct Watch {
    /// When the server is to close it, counted from its opening.
    pub(super) timeout: Duration,
    opened: Instant,
    /// When something was last heard of it.
    pub(super) heard: Instant,
    /// Whether it has brought the log to another version.
    brought_news: bool,
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
            brought_news: false,
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
        self.sends_bookmarks |= kind == Kind::Bookmark;
    }

    /// It has brought the log to another version.
    pub(super) const fn bring_news(&mut self) {
        self.brought_news = true;
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

    /// Whether it ended too soon, and without news, to have been worth opening.
    ///
    /// What brings no news may come from a server that sends the same after each request, or from
    /// what is no API server: no reason to ask it again at once.
    pub(super) fn was_short(&self, now: Instant) -> bool {
        !self.brought_news && now - self.opened < SHORT_WATCH
    }

    /// Whether it has been open for so long.
    pub(super) fn has_lasted(&self, time: Duration, now: Instant) -> bool {
        now - self.opened >= time
    }
}
