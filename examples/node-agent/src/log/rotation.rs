mod compressor;
mod files;
mod rotated;
mod rotator;

pub use files::RotationError;
pub use rotated::RotatedLogs;
pub(super) use rotator::uncompressed_files;
pub use rotator::{LogRotation, LogRuntime, RotationPolicy, remove_log};
