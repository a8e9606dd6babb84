//! What a request asks for: the resource its path names, and the options in its query.

mod options;
mod query;
mod route;

pub(crate) use self::options::{DeleteOptions, DryRun, ListOptions, VersionMatch, WriteOptions};
pub(crate) use self::query::Query;
pub(crate) use self::route::{Route, Target};
