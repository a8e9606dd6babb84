//! A watch as a stream: the engine, driven by changes and by tokio's clock.

use bytes::Bytes;
use futures::Stream;
use tokio::sync::watch;
use tokio::task::coop;
use tokio::time::{Instant, sleep_until};

use super::Signals;
use super::engine::{Engine, Turn};

/// An open watch.
struct Watch {
    engine: Engine,
    bookmark: watch::Receiver<u64>,
    cut: watch::Receiver<u64>,
}

/// What `engine` says, as it says it. Dropping the stream ends the watch.
pub(super) fn events(
    engine: Engine,
    signals: &Signals,
) -> impl Stream<Item = Bytes> + Send + use<> {
    let watch = Watch {
        engine,
        bookmark: signals.bookmark.subscribe(),
        cut: signals.cut.subscribe(),
    };
    futures::stream::unfold(watch, |mut watch| async move {
        let bytes = watch.next().await?;
        Some((bytes, watch))
    })
}

impl Watch {
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            // A watch of which nothing is selected must not keep its thread while others write.
            coop::consume_budget().await;
            if self.cut.has_changed().unwrap_or_default() {
                return None;
            }
            match self.engine.turn(Instant::now()) {
                Turn::Say(bytes) => return Some(bytes.into()),
                Turn::End => return None,
                Turn::Wait(until) => tokio::select! {
                    biased;
                    _ = self.cut.changed() => return None,
                    () = self.engine.ready() => {}
                    () = sleep_until(until) => {}
                    Ok(()) = self.bookmark.changed() => self.engine.hurry_bookmark(Instant::now()),
                },
            }
        }
    }
}
