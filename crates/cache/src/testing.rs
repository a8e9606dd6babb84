//! A source in memory, for tests of everything that stands on a cache.
//!
//! [`FakeSource`] keeps a versioned collection with its history, serves any number of lists and
//! watches of it, and can be told to misbehave in every way a server and a network do. It answers
//! to client-go's fake controller source.

mod collection;
mod source;
mod watch;

pub use source::{Answer, FakeSource, Request, Seen};
pub use watch::FakeWatch;
