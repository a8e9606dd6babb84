//! Logs of containers, as runtimes write them.

mod container;
mod decoder;
mod error;
mod filter;
mod line;
mod options;
mod reader;
mod rotation;
mod subject;
mod tail;
mod watch;

pub use container::container_log;
pub use error::LogError;
pub use line::{LogFormat, LogStream, MalformedLine, Record};
pub use options::{LogOptions, LogStreams};
pub use reader::{LogChunks, LogReader};
pub use rotation::{
    LogRotation, LogRuntime, RotationError, RotationPlan, RotationPolicy, remove_log,
};
pub use subject::{NoLog, container_to_read};
