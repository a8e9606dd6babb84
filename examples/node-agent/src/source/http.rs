mod poll;

use std::time::Duration;

use http::{HeaderMap, Uri};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::pod::PodSource;
use crate::source::{Closed, PodSets, SetSource};
use poll::Poll;

/// How many failures in a row are logged as warnings.
const TOLD_FAILURES: u32 = 3;

/// Static pods that a web server has: one `Pod`, or a `PodList`.
///
/// # Guarantees
///
/// - The URL is asked every period, by GET and with the given headers, and each time for 10 s at most.
/// - A body that did not change is not read again, whether it was valid or not.
/// - Whatever goes wrong, the last set stands: no answer, a status other than 200, a redirection
///   (which is not followed), more than 10 MiB, a body that is not pods. An empty body is an error
///   too, but one that says that no pods are wanted.
/// - The first three failures in a row are warnings; after that they are only debug messages.
///
/// Answers to `NewSourceURL` of Kubernetes 1.36, which follows redirections.
#[derive(Debug)]
pub struct HttpSource {
    poll: Poll,
    period: Duration,
}

/// A text that is not the URL of a web server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{url:?} is not an http or https URL")]
pub struct InvalidUrl {
    /// The text.
    pub url: String,
}

impl HttpSource {
    /// The pods that `url` has, which is asked every `period` (upstream: 20 s).
    ///
    /// # Errors
    ///
    /// When the URL is none.
    ///
    /// # Panics
    ///
    /// If the period is zero.
    pub fn new(
        url: &str,
        headers: HeaderMap,
        node_name: impl Into<String>,
        period: Duration,
    ) -> Result<Self, InvalidUrl> {
        assert!(!period.is_zero(), "a period is longer than nothing");
        let invalid = || InvalidUrl {
            url: url.to_owned(),
        };
        let uri: Uri = url.parse().map_err(|_| invalid())?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.authority().is_none() {
            return Err(invalid());
        }
        Ok(Self {
            poll: Poll::new(url.to_owned(), uri, headers, node_name.into()),
            period,
        })
    }

    async fn deliver(mut self, sets: PodSets) -> Result<(), Closed> {
        let mut ticks = interval(self.period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut failures = 0_u32;
        loop {
            ticks.tick().await;
            let polled = self.poll.once().await;
            match &polled.failure {
                None => failures = 0,
                Some(error) if failures < TOLD_FAILURES => {
                    failures += 1;
                    tracing::warn!("static pods cannot be fetched: {error:#}");
                }
                Some(error) => tracing::debug!("static pods cannot be fetched: {error:#}"),
            }
            if let Some(pods) = polled.pods {
                sets.send(pods).await?;
            }
        }
    }
}

impl SetSource for HttpSource {
    const SOURCE: PodSource = PodSource::Http;

    async fn run(self, sets: PodSets, token: CancellationToken) {
        let _ = token.run_until_cancelled(self.deliver(sets)).await;
    }
}
