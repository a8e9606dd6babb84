//! Logs of containers, as runtimes write them.

mod rotation;

pub use rotation::{
    LogRotation, LogRuntime, RotationError, RotationPlan, RotationPolicy, remove_log,
};
