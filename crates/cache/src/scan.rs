//! Reads what a cache needs of an object's JSON, without building the object.
//!
//! A scan finds the metadata that keys, orders and indexes an object, and where its
//! `managedFields` are, in one pass over the bytes and without allocating. What it passes over
//! (spec, status, everything else) it only brackets: strings are honoured, nesting is counted, and
//! whether that part is valid is found out by whoever decodes it.
//!
//! # Guarantees
//!
//! - Valid JSON scans to the values a JSON parser finds: escapes, any order of keys, any
//!   whitespace; of duplicate keys the last counts.
//! - Invalid JSON never panics and never reads past the value's own brackets; an error names the
//!   byte offset.
//! - Nesting is counted, not recursed into, so depth costs nothing.

mod build;
mod cursor;
mod cuts;
mod line;
mod object;
mod page;
mod time;

pub use cursor::ScanError;
pub(crate) use line::{Line, line};
pub(crate) use object::member;
pub use object::{Scanned, object};
pub(crate) use page::PageScanner;
