//! How many keys are where.

/// The number of keys in each stage of a queue at one moment.
///
/// A key that is delayed while it is also ready or being processed is counted in both stages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueStats {
    /// Keys that the next `get` calls will hand out.
    pub ready: usize,
    /// Keys handed out and not done.
    pub processing: usize,
    /// Those of `processing` that will be ready again once they are done.
    pub rerun: usize,
    /// Deadlines ahead: those of `add_after`, and the own delays of `add_rate_limited`.
    pub delayed: usize,
    /// Rate-limited keys whose own delay is over and that wait for a token.
    pub awaiting_token: usize,
}
