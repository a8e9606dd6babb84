//! Static pods, as the API server shows them: their mirror pods.

mod client;
mod error;

pub use client::MirrorClient;
pub use error::MirrorError;
