use futures::future::join_all;

/// How a slow start went.
#[derive(Debug, PartialEq, Eq)]
pub struct SlowStart<E> {
    /// The number of calls that succeeded.
    pub successes: usize,
    /// The first error of the batch that ended it; `None` if all calls succeeded.
    pub error: Option<E>,
}

/// Makes up to `count` calls in batches that double as long as nothing fails.
///
/// The first batch has `initial` calls. The calls of a batch run concurrently, and all of them
/// end before the next batch begins. A batch with any failure is the last one, so that a quota
/// or a broken webhook costs a few refused requests rather than `count` of them.
///
/// # Cancel safety
///
/// Dropping the future drops the calls that are under way; how many of them took effect is
/// then unknown.
pub async fn slow_start_batch<F, E>(
    count: usize,
    initial: usize,
    mut call: impl FnMut() -> F,
) -> SlowStart<E>
where
    F: Future<Output = Result<(), E>>,
{
    let mut successes = 0;
    let mut remaining = count;
    let mut batch = initial.min(remaining);
    while batch > 0 {
        let mut error = None;
        for outcome in join_all((0..batch).map(|_| call())).await {
            match outcome {
                Ok(()) => successes += 1,
                Err(failure) => error = error.or(Some(failure)),
            }
        }
        if error.is_some() {
            return SlowStart { successes, error };
        }
        remaining -= batch;
        batch = remaining.min(2 * batch);
    }
    SlowStart {
        successes,
        error: None,
    }
}
