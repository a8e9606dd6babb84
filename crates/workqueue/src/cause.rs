//! What the adds of one run leave behind for it.

/// A value that adds carry and that merges when adds do.
///
/// Any number of adds of a key end in one run.
/// Each may bring a value of this type (see [`WorkQueue::add_with`](crate::WorkQueue::add_with));
/// the values of the adds that a run answers are merged in the order of the adds and handed out with
/// the key.
/// A key whose delay ran out is added with `Self::default()`.
///
/// Causes are made, merged and dropped under the queue's lock: that is quick, does not call the
/// queue and does not panic.
///
/// `()` is the cause of a queue that asks for none.
///
/// # Example
///
/// ```
/// use kubewright_workqueue::{Cause, WorkQueue};
///
/// #[derive(Default)]
/// struct Count(u32);
///
/// impl Cause for Count {
///     fn merge(&mut self, later: Self) {
///         self.0 += later.0;
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let queue = WorkQueue::<_, Count>::new(Default::default());
/// queue.add_with("web", Count(1));
/// queue.add_with("web", Count(2));
/// let item = queue.get().await.expect("the queue is not shut down");
/// assert_eq!(item.cause().0, 3);
/// # }
/// ```
pub trait Cause: Default {
    /// Takes in the value of a later add of the same key.
    fn merge(&mut self, later: Self);
}

impl Cause for () {
    fn merge(&mut self, (): Self) {}
}
