//! Where the pods of the node come from.
//!
//! ```text
//!  FileSource ─┐
//!  HttpSource ─┼─full sets─▶ Merge ──PodUpdate──▶ sync loop
//!  ApiSource ──┘
//! ```
//!
//! Each source delivers all it wants at once, whenever that changes. [`Merge`] finds out what has
//! changed since its last set; [`Sources`] drives them all.

mod api;
mod driver;
mod file;
mod http;
pub mod manifest;
mod merge;
mod ready;
mod update;

pub use api::ApiSource;
pub use driver::{Closed, PodSet, PodSets, SetSource, Sources};
pub use file::FileSource;
pub use http::{HttpSource, InvalidUrl};
pub use merge::{Duplicate, Merge, Merged};
pub use ready::SourcesReady;
pub use update::{Operation, PodUpdate};
