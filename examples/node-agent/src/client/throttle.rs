use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use kubewright_workqueue::TokenBucket;
use tokio::time::{Instant, Sleep};
use tower::{Layer, Service};

use crate::config::Rate;

/// A request that waited so long is told of.
const LONG: Duration = Duration::from_secs(1);

/// A client that makes no more requests than a rate allows.
///
/// Requests that are too many wait for their turn, in the order in which they came: the client in
/// front of it has a queue, and hands over the next one only when this is ready.
///
/// Answers to client-go's `tokenBucketRateLimiter`.
#[derive(Debug)]
pub struct Throttle<S> {
    inner: S,
    /// `None` without a limit.
    bucket: Option<TokenBucket>,
    /// Whether the next request may go.
    is_admitted: bool,
    /// Since when the next request waits, and until when.
    waiting: Option<(Instant, Pin<Box<Sleep>>)>,
}

/// Makes a client a [`Throttle`].
#[derive(Clone, Debug)]
pub struct ThrottleLayer {
    bucket: Option<TokenBucket>,
}

impl ThrottleLayer {
    /// A limit at this rate; none if that is zero.
    pub fn new(rate: Rate) -> Self {
        let bucket = rate.bucket();
        Self { bucket }
    }
}

impl<S> Layer<S> for ThrottleLayer {
    type Service = Throttle<S>;

    fn layer(&self, inner: S) -> Throttle<S> {
        Throttle {
            inner,
            bucket: self.bucket.clone(),
            is_admitted: false,
            waiting: None,
        }
    }
}

impl<S> Throttle<S> {
    fn poll_admit(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Some(bucket) = &mut self.bucket else {
            return Poll::Ready(());
        };
        while !self.is_admitted {
            if let Some((_, sleep)) = &mut self.waiting {
                ready!(sleep.as_mut().poll(context));
            }
            let now = Instant::now();
            self.is_admitted = bucket.try_take(now);
            if self.is_admitted {
                if let Some((since, _)) = self.waiting.take()
                    && now.duration_since(since) > LONG
                {
                    let waited = now.duration_since(since);
                    tracing::info!(?waited, "a request waited for the rate limit of its client");
                }
            } else {
                let since = self.waiting.take().map_or(now, |(since, _)| since);
                let until = bucket.available_at().unwrap_or(now);
                self.waiting = Some((since, Box::pin(tokio::time::sleep_until(until))));
            }
        }
        Poll::Ready(())
    }
}

impl<S: Service<R>, R> Service<R> for Throttle<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        ready!(self.poll_admit(context));
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: R) -> S::Future {
        self.is_admitted = false;
        self.inner.call(request)
    }
}
