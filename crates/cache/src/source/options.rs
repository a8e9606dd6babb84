use std::time::Duration;

use crate::version::ResourceVersion;

/// Which page of a collection to fetch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListOptions {
    /// The version to read at: empty for the most recent, [`ResourceVersion::ANY`] for whatever
    /// the server has cached, otherwise at least this old unless `version_match` says more.
    pub resource_version: ResourceVersion,
    /// How `resource_version` is meant; `None` leaves it to the server's defaults.
    pub version_match: Option<VersionMatch>,
    /// The most items a page may hold; `None` for all in one page.
    pub limit: Option<u32>,
    /// The place to go on from, as the page before gave it.
    pub continue_token: Option<String>,
}

/// How the version of a request is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum VersionMatch {
    /// At this version or a later one.
    NotOlderThan,
    /// At exactly this version.
    Exact,
}

/// From where and how to watch a collection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct WatchOptions {
    /// The version after which events are wanted; for a streaming list, the version that its
    /// initial events must reach, empty for the most recent.
    pub resource_version: ResourceVersion,
    /// How long the server is to keep the watch open, in whole seconds; `None` leaves it to the
    /// server.
    pub timeout: Option<Duration>,
    /// What the watch begins with.
    pub initial_events: InitialEvents,
}

/// What a watch begins with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum InitialEvents {
    /// The events after its version.
    #[default]
    Omitted,
    /// An `Added` for every object there is, then a bookmark that ends them: a streaming list.
    Sent,
}
