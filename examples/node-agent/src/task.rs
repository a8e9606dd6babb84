use std::panic::resume_unwind;

use tokio::task::JoinError;

/// Has the panic of a task go on in this one, which owns it. That one was cancelled is no news.
pub(crate) fn surface<T>(ended: Result<T, JoinError>) {
    if let Err(error) = ended
        && let Ok(panic) = error.try_into_panic()
    {
        resume_unwind(panic);
    }
}
