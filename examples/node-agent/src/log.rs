//! Logs of containers, as runtimes write them.
//!
//! A container writes to its runtime, and the agent looks at the file once in a while: nothing here
//! can stop one that writes faster than logs are looked at, nor can kubelet.
//! What bounds a log, and what does not, is said at [`LogRotation`].

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
    LogRotation, LogRuntime, RotatedLogs, RotationError, RotationPolicy, remove_log,
};
pub use subject::{NoLog, container_to_read};
