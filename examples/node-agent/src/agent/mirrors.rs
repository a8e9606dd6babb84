use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use tokio::time::{Instant, interval};
use tokio_util::sync::CancellationToken;

use super::handler::Handler;
use crate::node::NodeWatch;
use crate::pod::{PodName, PodUid, is_static};

/// How often it is seen whether the node is registered.
const REGISTRATION_PERIOD: Duration = Duration::from_millis(100);
/// How long the mirror of a pod that is gone is left, so that it tells how the pod ended.
const LAST_WORDS: Duration = Duration::from_secs(30);

/// Makes the mirrors of static pods as soon as the node is registered: their first syncs came too
/// early for that, and their next ones are far off.
///
/// Answers to kubelet's `fastStaticPodsRegistration`.
pub(super) async fn make_first(handler: Arc<Handler>, watch: NodeWatch, stop: CancellationToken) {
    let parts = &handler.parts;
    let work = async {
        let Some(mirrors) = &parts.mirrors else {
            return;
        };
        let mut looks = interval(REGISTRATION_PERIOD);
        while watch.node().is_none() {
            looks.tick().await;
        }
        let pods: Vec<_> = parts.pods.lock().pods().cloned().collect();
        for pod in pods.iter().filter(|pod| is_static(pod)) {
            let (_, mirror) = parts.pod_and_mirror(pod);
            if let Err(error) = mirrors.reconcile(pod, mirror.as_deref()).await {
                // The next sync of the pod tries again.
                tracing::warn!(pod = %PodName::of(pod), %error, "a static pod has no mirror");
            }
        }
    };
    stop.run_until_cancelled(Box::pin(work)).await;
}

/// Removes the mirrors of static pods that are gone, each time the sync loop has cleaned up. The loop
/// does not wait for it: an API server that hangs would hold up all pods.
pub(super) async fn remove_orphans(handler: Arc<Handler>, stop: CancellationToken) {
    let work = async {
        let mut orphaned_since = HashMap::new();
        loop {
            handler.cleaned_up.notified().await;
            handler.remove_orphaned_mirrors(&mut orphaned_since).await;
        }
    };
    stop.run_until_cancelled(Box::pin(work)).await;
}

impl Handler {
    async fn remove_orphaned_mirrors(&self, since: &mut HashMap<PodName, Instant>) {
        let parts = &self.parts;
        let Some(mirrors) = &parts.mirrors else {
            return;
        };
        let orphans: Vec<_> = {
            let pods = parts.pods.lock();
            let names = pods.orphaned_mirrors().into_iter();
            let of = |name: &PodName| {
                pods.mirror_named(name)
                    .map(|it| pods.resolve(&PodUid::of(it)))
            };
            names.filter_map(|name| Some((of(&name)?, name))).collect()
        };
        since.retain(|name, _| orphans.iter().any(|(_, orphan)| orphan == name));
        let now = Instant::now();
        // Its status is to tell how the pod ended.
        let is_due = |uid: &PodUid, since: Instant| {
            let is_late = now.duration_since(since) > LAST_WORDS;
            is_late || !parts.statuses.is_untold(uid)
        };
        let removals = orphans.iter().filter(|(uid, name)| {
            let is_ending = self.workers.is_static_pod_terminating(name);
            !is_ending && is_due(uid, *since.entry(name.clone()).or_insert(now))
        });
        let removals = removals.map(|(_, name)| async move {
            if let Err(error) = mirrors.delete(name, None).await {
                tracing::warn!(pod = %name, %error, "a mirror pod of nothing cannot be removed");
            }
        });
        join_all(removals).await;
    }
}
