use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use k8s_openapi::api::core::v1::Container;
use kubewright_clock::Clock;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep};

use super::ask::Ask;
use super::engine::{Next, ProbeEngine, ResultEffect};
use super::manager::Statuses;
use super::shared::{Shared, Ticket};
use super::{ProbeUpdate, Prober};
use crate::moment::Moment;

/// The task of one probe of one container.
pub(super) struct Worker<A> {
    pub(super) ticket: Ticket,
    pub(super) engine: ProbeEngine,
    pub(super) container: Container,
    pub(super) period: Duration,
    /// How long it waits before it looks for the first time.
    pub(super) delay: Duration,
    pub(super) prober: Arc<Prober<A>>,
    pub(super) statuses: Statuses,
    pub(super) clock: Clock,
    pub(super) updates: mpsc::Sender<ProbeUpdate>,
    pub(super) shared: Arc<Shared>,
}

impl<A: Ask> Worker<A> {
    /// Probes until there is nothing to probe any more, or it is stopped.
    pub(super) async fn run(self) {
        let stop = self.ticket.stop.clone();
        let _ = stop.run_until_cancelled(self.work()).await;
    }

    async fn work(mut self) {
        sleep(self.delay).await;
        let mut ticks = interval_at(Instant::now() + self.period, self.period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        while self.turn().await {
            tokio::select! {
                _ = ticks.tick() => {}
                () = self.ticket.prompt.notified() => {}
            }
        }
    }

    /// Whether there is another turn to come.
    async fn turn(&mut self) -> bool {
        let status = (self.statuses)(&self.ticket.key.pod);
        let (effects, next) = self
            .engine
            .look(status.as_deref(), Moment::now(&self.clock));
        for effect in effects {
            self.publish(effect).await;
        }
        match next {
            Next::Wait => return true,
            Next::End => return false,
            Next::Probe => {}
        }
        let (Some(id), Some(status)) = (self.engine.container().cloned(), status) else {
            return true;
        };
        let pod_ip = status.pod_ip.as_deref().unwrap_or_default();
        let (kind, pod) = (self.ticket.key.kind, &self.ticket.pod);
        let probed = self.prober.probe(kind, pod, &self.container, &id, pod_ip);
        let probed = AssertUnwindSafe(probed).catch_unwind().await;
        if probed.is_err() {
            tracing::error!(pod = %self.ticket.key.pod, container = %id, %kind, "a probe has panicked");
        }
        // Of one that could not be asked nothing is known: it is as it was.
        if let Ok(Ok(answer)) = probed
            && let Some(effect) = self.engine.count(answer)
        {
            self.publish(effect).await;
        }
        true
    }

    async fn publish(&self, effect: ResultEffect) {
        let is_news = self.shared.apply(&self.ticket, &effect);
        if let (true, ResultEffect::Set(container, outcome)) = (is_news, effect) {
            let update = ProbeUpdate {
                kind: self.ticket.key.kind,
                outcome,
                container,
                pod: self.ticket.key.pod.clone(),
            };
            // Without a listener there is nobody to tell; results are read all the same.
            let _ = self.updates.send(update).await;
        }
    }
}
