//! What a successful reconcile asks for.

use std::time::Duration;

/// What to do after a successful reconcile.
///
/// # Example
///
/// ```
/// use std::time::Duration;
/// use kubewright_controller::Action;
///
/// let action = Action::requeue_after(Duration::from_secs(30));
/// assert_ne!(action, Action::done());
/// ```
#[must_use = "an action does nothing unless a reconcile returns it"]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Action {
    pub(crate) next: Next,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    Wait,
    After(Duration),
    RateLimited,
}

impl Action {
    /// Nothing more, until something changes. Past failures of the key are forgotten.
    pub const fn done() -> Self {
        Self { next: Next::Wait }
    }

    /// Another reconcile once `delay` is over; changes of the object come through before.
    ///
    /// Past failures of the key are forgotten.
    /// If a delay of the key is under way already, the earlier deadline wins.
    pub const fn requeue_after(delay: Duration) -> Self {
        Self {
            next: Next::After(delay),
        }
    }

    /// Another reconcile when the limiters allow it, as after an error but without being one.
    ///
    /// It counts as a failure of the key for the length of the delay.
    pub const fn requeue_rate_limited() -> Self {
        Self {
            next: Next::RateLimited,
        }
    }
}
