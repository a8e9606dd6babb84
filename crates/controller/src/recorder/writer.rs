//! Brings recorded events to their sink, one after the other.

use std::fmt;
use std::time::Duration;

use k8s_openapi::api::core::v1::Event;
use kube_client::Error;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::correlator::{Correlated, Correlator};
use super::{EventPatch, EventSink, RecorderConfig};

/// Writes what an [`EventRecorder`](crate::EventRecorder) records.
#[must_use = "nothing is written unless the writer runs"]
pub struct EventWriter<S> {
    sink: S,
    receiver: mpsc::Receiver<Event>,
    correlator: Correlator,
    tries: u32,
    retry_delay: Duration,
    write_timeout: Duration,
    flush_timeout: Duration,
    random: fastrand::Rng,
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// How an attempt to write ended.
enum Attempt {
    Over,
    Again(BoxError),
}

impl<S: EventSink> EventWriter<S> {
    pub(super) fn new(sink: S, receiver: mpsc::Receiver<Event>, config: &RecorderConfig) -> Self {
        Self {
            sink,
            receiver,
            correlator: Correlator::new(config),
            tries: config.tries,
            retry_delay: config.retry_delay,
            write_timeout: config.write_timeout,
            flush_timeout: config.flush_timeout,
            random: fastrand::Rng::with_seed(config.seed),
        }
    }

    /// Writes events until the token is cancelled, or all recorders are gone and nothing waits.
    ///
    /// When it is stopped, nothing more is recorded, and each event that waits is tried once more,
    /// for [`RecorderConfig::flush_timeout`] in all.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the writing at once; what waits is lost.
    pub async fn run(mut self, token: CancellationToken) {
        let flush_timeout = self.flush_timeout;
        let late = async {
            token.cancelled().await;
            sleep(flush_timeout).await;
        };
        tokio::select! {
            biased;
            () = self.write_all(&token) => {}
            () = late => {
                let lost = self.receiver.len();
                tracing::warn!(lost, ?flush_timeout, "events could not be written before the stop");
            }
        }
    }

    async fn write_all(&mut self, token: &CancellationToken) {
        loop {
            let event = tokio::select! {
                biased;
                () = token.cancelled() => {
                    // What is there is still received.
                    self.receiver.close();
                    self.receiver.recv().await
                }
                event = self.receiver.recv() => event,
            };
            let Some(event) = event else {
                return;
            };
            if let Some(correlated) = self.correlator.correlate(event, Instant::now()) {
                self.write(correlated, token).await;
            }
        }
    }

    async fn write(&mut self, correlated: Correlated, token: &CancellationToken) {
        for attempt in 1.. {
            let Attempt::Again(error) = self.attempt(&correlated).await else {
                return;
            };
            let give_up = attempt >= self.tries || token.is_cancelled();
            report(&correlated.event, &*error, attempt, give_up);
            if give_up {
                return;
            }
            // Many recorders that lose one server do not come back at the same moment.
            let part = if attempt == 1 { self.random.f64() } else { 1.0 };
            tokio::select! {
                () = sleep(self.retry_delay.mul_f64(part)) => {}
                () = token.cancelled() => {}
            }
        }
    }

    async fn attempt(&mut self, correlated: &Correlated) -> Attempt {
        let Correlated { event, key } = correlated;
        match timeout(self.write_timeout, self.send(event)).await {
            Err(late) => return Attempt::Again(late.into()),
            Ok(Ok(stored)) => self.correlator.written(key, &stored),
            Ok(Err(Error::Api(status))) => {
                // It exists already, its namespace is going away, or it is malformed.
                let event = describe(event);
                tracing::warn!(%status, event, "the server refused an event");
            }
            Ok(Err(error @ Error::BuildRequest(_))) => {
                let error = &error as &(dyn std::error::Error + 'static);
                tracing::error!(error, "an event makes no request");
            }
            Ok(Err(error)) => return Attempt::Again(error.into()),
        }
        Attempt::Over
    }

    async fn send(&self, event: &Event) -> Result<Event, Error> {
        if event.count.is_some_and(|count| count > 1) {
            let namespace = event.metadata.namespace.as_deref().unwrap_or_default();
            let name = event.metadata.name.as_deref().unwrap_or_default();
            let patched = self
                .sink
                .patch(namespace, name, &EventPatch::of(event))
                .await;
            if !is_not_found(&patched) {
                return patched;
            }
        }
        self.sink.create(event).await
    }
}

impl<S> fmt::Debug for EventWriter<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventWriter")
            .field("waiting", &self.receiver.len())
            .finish_non_exhaustive()
    }
}

fn report(event: &Event, error: &(dyn std::error::Error + 'static), attempt: u32, give_up: bool) {
    let event = describe(event);
    if give_up {
        tracing::error!(error, attempt, event, "an event could not be written");
    } else {
        tracing::debug!(error, attempt, event, "an event will be written again");
    }
}

fn is_not_found(result: &Result<Event, Error>) -> bool {
    matches!(result, Err(Error::Api(status)) if status.code == 404)
}

fn describe(event: &Event) -> String {
    let [reason, message] =
        [&event.reason, &event.message].map(|text| text.as_deref().unwrap_or_default());
    format!("{reason}: {message}")
}
