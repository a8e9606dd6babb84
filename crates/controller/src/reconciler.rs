//! User code that brings one object into its desired state.

use std::error::Error;

use crate::{Action, Request, TerminalError};

/// Brings the object that a key names into its desired state.
///
/// A closure `Fn(Request) -> impl Future<Output = Result<Action, E>>` is a reconciler.
/// Implement the trait for a type where the reconciler has state: it is in `self`.
///
/// # Guarantees
///
/// - No two reconciles of one key overlap. Those of different keys do, up to
///   [`ControllerConfig::concurrency`](crate::ControllerConfig::concurrency).
/// - Whatever changed before a reconcile began is in the stores of the controller's sources by then.
///   Whatever changed since causes another one.
/// - A reconcile is called for deleted objects too: the store has none of that key then.
/// - An error, a panic and a timeout cost one key one attempt; the key is tried again after a delay
///   that grows with each failure.
///
/// # Cancel safety
///
/// The future is dropped unfinished if it exceeds
/// [`ControllerConfig::reconcile_timeout`](crate::ControllerConfig::reconcile_timeout), or if the
/// controller stops and it does not finish within
/// [`ControllerConfig::stop_timeout`](crate::ControllerConfig::stop_timeout).
///
/// # Example
///
/// ```
/// use kubewright_controller::{Action, Reconciler, Request};
///
/// struct Greeter {
///     greeting: String,
/// }
///
/// impl Reconciler for Greeter {
///     type Error = std::fmt::Error;
///
///     async fn reconcile(&self, request: Request) -> Result<Action, Self::Error> {
///         println!("{}, {}", self.greeting, request.key().name());
///         Ok(Action::done())
///     }
/// }
/// ```
///
/// Answers to controller-runtime's `reconcile.Reconciler`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not reconcile",
    label = "expected a `Reconciler`",
    note = "implement `Reconciler`, or pass a closure \
            `|request: Request| async move {{ Ok::<_, MyError>(Action::done()) }}`",
    note = "the future has to be `Send`, and the error a `std::error::Error + Send + Sync`"
)]
pub trait Reconciler: Send + Sync + 'static {
    /// What can go wrong.
    type Error: Error + Send + Sync + 'static;

    /// Reconciles one key.
    ///
    /// # Errors
    ///
    /// Any error makes the controller try the key again after a delay, unless it is
    /// [terminal](Reconciler::is_terminal).
    fn reconcile(
        &self,
        request: Request,
    ) -> impl Future<Output = Result<Action, Self::Error>> + Send;

    /// Whether trying again cannot help until something changes.
    ///
    /// The default says so of a [`TerminalError`], and of every error that has one among its
    /// [sources](Error::source).
    fn is_terminal(error: &Self::Error) -> bool {
        TerminalError::is_in(error)
    }
}

impl<F, Fut, E> Reconciler for F
where
    F: Fn(Request) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Action, E>> + Send,
    E: Error + Send + Sync + 'static,
{
    type Error = E;

    fn reconcile(&self, request: Request) -> impl Future<Output = Result<Action, E>> + Send {
        self(request)
    }
}
