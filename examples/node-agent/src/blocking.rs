use std::future::pending;
use std::panic::resume_unwind;

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::spawn_blocking;

/// Does work that waits for disks where it keeps nobody waiting: on a thread of its own.
///
/// A runtime of one thread does it in place. Such a one is that of a test or a simulation, in which
/// what comes after is then the same each time. A panic of the work is the caller's.
///
/// # Cancel safety
///
/// Work that was begun is done to its end, though nobody hears of it.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    if Handle::current().runtime_flavor() == RuntimeFlavor::CurrentThread {
        return work();
    }
    match spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            // The runtime ends, and this with it.
            Err(_) => pending().await,
        },
    }
}
