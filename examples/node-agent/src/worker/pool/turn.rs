use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use anyhow::anyhow;
use futures::FutureExt as _;
use k8s_openapi::api::core::v1::Pod;

use super::shared::{Begun, Shared};
use crate::event::pod_reference;
use crate::pod::{PodName, PodUid};
use crate::runtime::ObservedPod;
use crate::worker::{Outcome, PodSyncer, SyncTurn, Synced, TurnError, Work};

/// Why pods are told of that could not be synced.
const FAILED_SYNC: &str = "FailedSync";

/// Runs a turn that has begun, and says what came of it.
pub(super) async fn run<S: PodSyncer>(
    shared: &Shared,
    syncer: &S,
    uid: &PodUid,
    begun: &Begun,
) -> Outcome {
    let turn = AssertUnwindSafe(attempt(shared, syncer, uid, begun)).catch_unwind();
    let result = turn.await.unwrap_or_else(|panic| {
        let message = message_of(&*panic);
        Err(TurnError::Failed(anyhow!("panic: {message}")))
    });
    match result {
        Ok(Synced::GoesOn) => Outcome::Done,
        Ok(Synced::Ended) => Outcome::PodEnded,
        // What a turn says that was told to end is of no use.
        Err(_) if begun.token.is_cancelled() => Outcome::Cancelled,
        Err(error) => {
            tell(shared, uid, &begun.work, &error);
            error.outcome()
        }
    }
}

async fn attempt<S: PodSyncer>(
    shared: &Shared,
    syncer: &S,
    uid: &PodUid,
    begun: &Begun,
) -> Result<Synced, TurnError> {
    let token = begun.token.clone();
    let ended = match begun.work.clone() {
        Work::Sync { kind, pod, mirror } => {
            let observed = observe(shared, uid, &pod, begun).await?;
            let turn = SyncTurn {
                kind,
                pod,
                mirror,
                observed,
            };
            return syncer.sync_pod(turn, token).await;
        }
        Work::Terminate { pod, grace, status } => {
            let observed = observe(shared, uid, &pod, begun).await?;
            let ending = syncer.sync_terminating_pod(pod, observed, grace, status, token);
            ending.await
        }
        // It says itself what it looks like, and it is not anybody's status.
        Work::TerminateOrphan(observed) => syncer.sync_terminating_orphan(observed, token).await,
        Work::CleanUp { pod } => {
            let observed = observe(shared, uid, &pod, begun).await?;
            syncer.sync_terminated_pod(pod, observed, token).await
        }
    };
    ended.map(|()| Synced::GoesOn)
}

async fn observe(
    shared: &Shared,
    uid: &PodUid,
    pod: &Pod,
    begun: &Begun,
) -> Result<Arc<ObservedPod>, TurnError> {
    let name = PodName::of(pod);
    let observation = shared.observe(uid, &name, begun.last_turn);
    let observation = begun.token.run_until_cancelled(observation).await;
    let observation = observation.ok_or(TurnError::Cancelled)?;
    observation.map_err(|error| TurnError::Failed(anyhow!("error determining status: {error}")))
}

fn tell(shared: &Shared, uid: &PodUid, work: &Work, error: &TurnError) {
    let (name, pod) = match work {
        Work::Sync { pod, .. } | Work::Terminate { pod, .. } | Work::CleanUp { pod } => {
            (PodName::of(pod), Some(pod))
        }
        Work::TerminateOrphan(observed) => (observed.name.clone(), None),
    };
    tracing::warn!(pod = %name, %uid, "error syncing pod, skipping: {error}");
    if let (Some(pod), TurnError::Failed(error)) = (pod, error) {
        let events = &shared.parts.events;
        events.warning(&pod_reference(pod), FAILED_SYNC, format!("{error:#}"));
    }
}

fn message_of(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("it says nothing")
}
