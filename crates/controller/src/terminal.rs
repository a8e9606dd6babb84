//! Errors that no retry can mend.

use std::error::Error;
use std::fmt;

/// An error that trying again cannot mend until something changes.
///
/// A reconcile that returns it, or an error that has it among its [sources](Error::source), is
/// counted and logged as an error, and not tried again before the object changes.
///
/// # Example
///
/// ```
/// use kubewright_controller::TerminalError;
///
/// #[derive(Debug, thiserror::Error)]
/// enum ReconcileError {
///     #[error("the spec cannot be followed")]
///     Spec(#[source] TerminalError),
/// }
///
/// let error = ReconcileError::Spec(TerminalError::new("replicas is negative"));
/// assert!(TerminalError::is_in(&error));
/// ```
///
/// Under `#[error(transparent)]` an error shows the terminal error's own sources instead of the
/// terminal error: override [`Reconciler::is_terminal`](crate::Reconciler::is_terminal) then.
///
/// Answers to controller-runtime's `reconcile.TerminalError`.
#[derive(Debug)]
pub struct TerminalError {
    cause: Box<dyn Error + Send + Sync>,
}

impl TerminalError {
    /// Makes an error, or a text, terminal.
    pub fn new(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            cause: cause.into(),
        }
    }

    /// Whether `error` is a terminal error, or has one among its sources.
    pub fn is_in(error: &(dyn Error + 'static)) -> bool {
        let mut next = Some(error);
        while let Some(error) = next {
            if error.is::<Self>() {
                return true;
            }
            next = error.source();
        }
        false
    }
}

impl fmt::Display for TerminalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.cause, f)
    }
}

impl Error for TerminalError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause.source()
    }
}
