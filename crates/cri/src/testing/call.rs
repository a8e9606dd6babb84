use std::fmt;

use tokio::time::Instant;

/// A call that a [`FakeRuntime`](super::FakeRuntime) received. Displays as `StopContainer web/app`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The call, as CRI names it.
    pub method: &'static str,
    /// What it was about: a pod's name for sandboxes, `pod/container` for containers, a name for
    /// images; the bare id of what is not there, and empty for calls about the runtime.
    pub subject: String,
    /// How many seconds the runtime was asked to wait; 0 in calls that do not ask.
    pub seconds: i64,
    /// When it came.
    pub at: Instant,
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.method)?;
        if self.subject.is_empty() {
            Ok(())
        } else {
            write!(f, " {}", self.subject)
        }
    }
}
