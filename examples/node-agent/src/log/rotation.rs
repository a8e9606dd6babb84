mod files;
mod plan;
mod rotator;

pub use files::RotationError;
pub use plan::RotationPlan;
pub use rotator::{LogRotation, LogRuntime, RotationPolicy, remove_log};
