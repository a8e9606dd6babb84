//! Workers that run, and somebody who does what they say.

use std::collections::HashSet;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use node_agent::event::{EventReceiver, EventRecorder};
use node_agent::pleg::{Pleg, PlegOptions, PodCache};
use node_agent::pod::PodUid;
use node_agent::runtime::ObservedPod;
use node_agent::status::Eviction;
use node_agent::worker::{
    PodSyncer, Subject, SyncTurn, Synced, TurnError, UpdateKind, WorkerDriver, WorkerOptions,
    WorkerParts, WorkerPool, WorkerUpdate,
};
use parking_lot::Mutex;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::fixtures::{FakePods, settle, uid};

/// What a worker asked for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Call {
    /// Pod, what happened, its name, and whether it was seen to run.
    Sync(String, UpdateKind, String, bool),
    /// Pod, grace in seconds, and why.
    Terminate(String, Option<u64>, Option<String>),
    Orphan(String),
    CleanUp(String),
}

/// What becomes of a call.
#[derive(Debug)]
pub(crate) enum Fate {
    Done,
    /// The pod has come to its end. Only of a sync.
    Ended,
    Takes(Duration),
    /// It goes on until it is told to end.
    UntilCancelled,
    /// It goes on for ever.
    Deaf,
    Fails(TurnError),
    Panics,
}

type Script = Box<dyn FnMut(&Call) -> Fate + Send>;

/// Does what workers say, as a script says.
pub(crate) struct Syncer {
    calls: Mutex<Vec<(Instant, Call)>>,
    script: Mutex<Script>,
    /// The pods that have a turn.
    busy: Mutex<HashSet<PodUid>>,
}

impl Syncer {
    async fn act(&self, of: &PodUid, call: Call, token: &CancellationToken) -> Turned {
        let free = self.busy.lock().insert(of.clone());
        assert!(free, "{of} has two turns at once");
        let _turn = Leave(self, of);
        self.calls.lock().push((Instant::now(), call.clone()));
        let fate = (self.script.lock())(&call);
        match fate {
            Fate::Done => Ok(Synced::GoesOn),
            Fate::Ended => Ok(Synced::Ended),
            Fate::Takes(time) => {
                sleep(time).await;
                Ok(Synced::GoesOn)
            }
            Fate::UntilCancelled => {
                token.cancelled().await;
                Err(TurnError::Cancelled)
            }
            Fate::Deaf => pending().await,
            Fate::Fails(error) => Err(error),
            Fate::Panics => panic!("as the script says"),
        }
    }
}

type Turned = Result<Synced, TurnError>;

struct Leave<'a>(&'a Syncer, &'a PodUid);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.0.busy.lock().remove(self.1);
    }
}

impl PodSyncer for Syncer {
    async fn sync_pod(&self, turn: SyncTurn, token: CancellationToken) -> Turned {
        let of = PodUid::of(&turn.pod);
        let name = turn.pod.metadata.name.clone().unwrap();
        let call = Call::Sync(of.to_string(), turn.kind, name, turn.observed.is_running());
        self.act(&of, call, &token).await
    }

    async fn sync_terminating_pod(
        &self,
        pod: Arc<Pod>,
        _: Arc<ObservedPod>,
        grace: Option<Duration>,
        eviction: Option<Eviction>,
        token: CancellationToken,
    ) -> Result<(), TurnError> {
        let of = PodUid::of(&pod);
        let grace = grace.map(|grace| grace.as_secs());
        let call = Call::Terminate(of.to_string(), grace, eviction.map(|it| it.reason));
        self.act(&of, call, &token).await.map(drop)
    }

    async fn sync_terminating_orphan(
        &self,
        observed: Arc<ObservedPod>,
        token: CancellationToken,
    ) -> Result<(), TurnError> {
        let call = Call::Orphan(observed.uid.to_string());
        self.act(&observed.uid, call, &token).await.map(drop)
    }

    async fn sync_terminated_pod(
        &self,
        pod: Arc<Pod>,
        _: Arc<ObservedPod>,
        token: CancellationToken,
    ) -> Result<(), TurnError> {
        let of = PodUid::of(&pod);
        let call = Call::CleanUp(of.to_string());
        self.act(&of, call, &token).await.map(drop)
    }
}

/// A pool that runs, over a runtime that is watched.
pub(crate) struct Rig {
    pub(crate) syncer: Arc<Syncer>,
    pub(crate) runtime: Arc<FakePods>,
    pub(crate) pool: WorkerPool,
    pub(crate) events: EventReceiver,
    pub(crate) token: CancellationToken,
    pub(crate) driver: JoinSet<()>,
    _pleg: JoinSet<()>,
}

impl Rig {
    /// The runtime was listed once, and has nothing.
    pub(crate) async fn new(script: impl FnMut(&Call) -> Fate + Send + 'static) -> Self {
        Self::with(script, true).await
    }

    /// `asks` says whether what workers ask for is looked at, or they wait until it is listed.
    pub(crate) async fn with(
        script: impl FnMut(&Call) -> Fate + Send + 'static,
        asks: bool,
    ) -> Self {
        let (runtime, cache) = (Arc::<FakePods>::default(), PodCache::new());
        let mut options = PlegOptions::default();
        options.on_demand_relist = asks;
        let (pleg, watch, mut lifecycle) = Pleg::new(runtime.clone(), cache.clone(), options);
        let mut watching = JoinSet::new();
        watching.spawn(watch.run(CancellationToken::new()));
        watching.spawn(async move { while lifecycle.recv().await.is_some() {} });

        let (recorder, events) = EventRecorder::channel(100);
        let syncer = Arc::new(Syncer {
            calls: Mutex::default(),
            script: Mutex::new(Box::new(script)),
            busy: Mutex::default(),
        });
        let parts = WorkerParts {
            cache,
            pleg,
            events: recorder,
        };
        let (pool, driver): (_, WorkerDriver<_>) =
            WorkerPool::new(syncer.clone(), parts, WorkerOptions::default());
        let (token, mut tasks) = (CancellationToken::new(), JoinSet::new());
        tasks.spawn(driver.run(token.clone()));
        settle().await;
        Self {
            syncer,
            runtime,
            pool,
            events,
            token,
            driver: tasks,
            _pleg: watching,
        }
    }

    pub(crate) fn script(&self, script: impl FnMut(&Call) -> Fate + Send + 'static) {
        *self.syncer.script.lock() = Box::new(script);
    }

    pub(crate) fn update(&self, kind: UpdateKind, pod: Pod) {
        self.pool.update(update(kind, pod));
    }

    /// What was asked for since this was last called.
    pub(crate) async fn calls(&self) -> Vec<Call> {
        settle().await;
        let calls = std::mem::take(&mut *self.syncer.calls.lock());
        calls.into_iter().map(|(_, call)| call).collect()
    }

    /// The reasons and messages of events since this was last called.
    pub(crate) fn told(&mut self) -> Vec<(String, String)> {
        let events = std::iter::from_fn(|| self.events.try_recv().ok());
        events.map(|event| (event.reason, event.message)).collect()
    }

    /// Has those looked at again that are due, as the sync loop does.
    pub(crate) fn tick(&self, pods: &[Pod]) {
        let due = self.pool.take_due();
        for pod in pods.iter().filter(|pod| due.contains(&PodUid::of(pod))) {
            self.update(UpdateKind::Sync, pod.clone());
        }
    }

    pub(crate) fn is_terminated(&self, of: &str) -> bool {
        self.pool.is_pod_known_terminated(&uid(of))
    }
}

pub(crate) fn update(kind: UpdateKind, pod: Pod) -> WorkerUpdate {
    let subject = Subject::Configured {
        pod: Arc::new(pod),
        mirror: None,
    };
    WorkerUpdate {
        kind,
        subject,
        kill: None,
    }
}

pub(crate) fn orphan(observed: ObservedPod) -> WorkerUpdate {
    WorkerUpdate {
        kind: UpdateKind::Kill,
        subject: Subject::Orphan(Arc::new(observed)),
        kill: None,
    }
}

pub(crate) fn synced(of: &str, kind: UpdateKind) -> Call {
    Call::Sync(of.into(), kind, format!("name-{of}"), false)
}

pub(crate) fn terminated(of: &str, grace: u64) -> Call {
    Call::Terminate(of.into(), Some(grace), None)
}

pub(crate) fn cleaned(of: &str) -> Call {
    Call::CleanUp(of.into())
}
