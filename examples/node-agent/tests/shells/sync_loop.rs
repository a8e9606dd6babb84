//! What the sync loop does with what happens. The first tests answer to those of `kubelet_test.go`.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use node_agent::pleg::{LifecycleChange, PodLifecycleEvent};
use node_agent::pod::{PodSource, PodUid};
use node_agent::probe::{ProbeKind, ProbeOutcome, ProbeUpdate};
use node_agent::runtime::ContainerId;
use node_agent::source::{Operation, PodUpdate, SourcesReady};
use node_agent::sync_loop::{
    SyncHandler, SyncLoop, SyncLoopChannels, SyncLoopHealth, SyncLoopOptions,
};
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::fixtures::{pod, settle, uid};

/// Notes what it is told.
#[derive(Default)]
struct Handler {
    told: Mutex<Vec<String>>,
    pods: Mutex<HashMap<PodUid, Arc<Pod>>>,
    due: Mutex<Vec<Arc<Pod>>>,
    errors: AtomicUsize,
    asked: Mutex<Vec<Instant>>,
    cleans_for: Mutex<Duration>,
    fails: AtomicBool,
}

impl Handler {
    fn note(&self, what: impl Into<String>) {
        self.told.lock().push(what.into());
    }

    fn note_pods(&self, what: &str, pods: &[Arc<Pod>]) {
        let uids: Vec<_> = pods.iter().map(|pod| PodUid::of(pod).to_string()).collect();
        self.note(format!("{what} {}", uids.join(",")));
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.told.lock())
    }
}

impl SyncHandler for Handler {
    async fn handle_pod_additions(&self, pods: Vec<Arc<Pod>>) {
        self.note_pods("add", &pods);
    }

    fn handle_pod_updates(&self, pods: Vec<Arc<Pod>>) {
        self.note_pods("update", &pods);
    }

    fn handle_pod_removes(&self, pods: Vec<Arc<Pod>>) {
        self.note_pods("remove", &pods);
    }

    fn handle_pod_reconcile(&self, pods: Vec<Arc<Pod>>) {
        self.note_pods("reconcile", &pods);
    }

    fn handle_pod_syncs(&self, pods: Vec<Arc<Pod>>) {
        self.note_pods("sync", &pods);
    }

    async fn handle_pod_cleanups(&self) -> anyhow::Result<()> {
        self.note("clean up");
        let takes = *self.cleans_for.lock();
        sleep(takes).await;
        anyhow::ensure!(!self.fails.load(Ordering::SeqCst), "no runtime");
        Ok(())
    }

    fn runtime_errors(&self) -> Option<String> {
        self.asked.lock().push(Instant::now());
        let left = self.errors.load(Ordering::SeqCst);
        let left = left.checked_sub(1)?;
        self.errors.store(left, Ordering::SeqCst);
        Some("container runtime is down".into())
    }

    fn pod(&self, uid: &PodUid) -> Option<Arc<Pod>> {
        self.pods.lock().get(uid).cloned()
    }

    fn pods_to_sync(&self) -> Vec<Arc<Pod>> {
        std::mem::take(&mut *self.due.lock())
    }

    fn clean_up_containers(&self, pod: &PodUid, container: &str) {
        self.note(format!("clean up {container} of {pod}"));
    }

    fn set_container_readiness(&self, pod: &PodUid, container: &ContainerId, is_ready: bool) {
        self.note(format!("ready {pod} {} {is_ready}", container.id));
    }

    fn set_container_startup(&self, pod: &PodUid, container: &ContainerId, has_started: bool) {
        self.note(format!("started {pod} {} {has_started}", container.id));
    }
}

struct Rig {
    handler: Arc<Handler>,
    updates: mpsc::Sender<PodUpdate>,
    lifecycle: mpsc::Sender<PodLifecycleEvent>,
    probes: mpsc::Sender<ProbeUpdate>,
    ready: SourcesReady,
    health: SyncLoopHealth,
    token: CancellationToken,
    tasks: JoinSet<()>,
    sync: Option<SyncLoop>,
}

impl Rig {
    /// Nothing runs yet. It awaits the API server and files.
    fn new() -> Self {
        let (updates, updated) = mpsc::channel(50);
        let (lifecycle, happened) = mpsc::channel(1000);
        let (probes, probed) = mpsc::channel(20);
        let channels = SyncLoopChannels {
            updates: updated,
            lifecycle: happened,
            probes: probed,
        };
        let ready = SourcesReady::awaiting([PodSource::Api, PodSource::File]);
        let sync = SyncLoop::new(channels, ready.clone(), SyncLoopOptions::default());
        Self {
            handler: Arc::default(),
            updates,
            lifecycle,
            probes,
            ready,
            health: sync.health(),
            token: CancellationToken::new(),
            tasks: JoinSet::new(),
            sync: Some(sync),
        }
    }

    fn start(&mut self) {
        let (sync, handler) = (self.sync.take().unwrap(), self.handler.clone());
        let token = self.token.clone();
        self.tasks
            .spawn(async move { sync.run(&*handler, token).await });
    }

    async fn update(&self, operation: Operation, source: PodSource, pods: &[&str]) {
        let pods = pods.iter().map(|of| Arc::new(pod(of))).collect();
        let update = PodUpdate {
            operation,
            source,
            pods,
        };
        self.updates.send(update).await.unwrap();
    }

    async fn happens(&self, of: &str, change: LifecycleChange) {
        let event = PodLifecycleEvent {
            pod: uid(of),
            container: "c".into(),
            change,
        };
        self.lifecycle.send(event).await.unwrap();
    }

    async fn probes(&self, of: &str, kind: ProbeKind, outcome: ProbeOutcome) {
        let container = ContainerId {
            runtime: "test".into(),
            id: "c".into(),
        };
        let update = ProbeUpdate {
            kind,
            outcome,
            container,
            pod: uid(of),
        };
        self.probes.send(update).await.unwrap();
    }

    fn has(&self, of: &str) {
        let pod = Arc::new(pod(of));
        self.handler.pods.lock().insert(uid(of), pod);
    }

    async fn told(&self) -> Vec<String> {
        settle().await;
        self.handler.take()
    }
}

#[tokio::test(start_paused = true)]
async fn sync_loop_time_update() {
    let mut rig = Rig::new();
    assert_eq!(rig.health.age(), None);
    let minute = Duration::from_secs(60);
    assert_eq!(rig.health.check(minute), Ok(()), "it has not begun");
    rig.start();
    settle().await;
    rig.update(Operation::Add, PodSource::Api, &["1"]).await;
    settle().await;
    assert!(rig.health.age().unwrap() <= Duration::from_millis(10));
    sleep(Duration::from_secs(600)).await;
    assert!(
        rig.health.age().unwrap() <= Duration::from_secs(1),
        "it ticks"
    );

    // It is held up.
    rig.update(Operation::Add, PodSource::File, &[]).await;
    *rig.handler.cleans_for.lock() = Duration::from_secs(3600);
    sleep(Duration::from_secs(290)).await;
    assert_eq!(rig.health.check(minute), Ok(()));
    sleep(Duration::from_secs(20)).await;
    let stale = rig.health.check(minute).unwrap_err();
    assert_eq!(stale.limit, Duration::from_secs(300));
    assert_eq!(
        rig.health.check(Duration::from_secs(300)),
        Ok(()),
        "twice the resync is more"
    );
}

#[tokio::test(start_paused = true)]
async fn sync_loop_abort() {
    let mut rig = Rig::new();
    rig.start();
    rig.update(Operation::Add, PodSource::Api, &["1"]).await;
    let (closed, _) = mpsc::channel(1);
    rig.updates = closed;
    rig.tasks.join_next().await.unwrap().unwrap();
    assert_eq!(rig.handler.take(), ["add 1"], "what was sent is acted on");

    let mut rig = Rig::new();
    rig.start();
    settle().await;
    rig.token.cancel();
    rig.tasks.join_next().await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_sources_want_goes_to_the_handlers() {
    let mut rig = Rig::new();
    rig.start();
    use Operation::{Add, Delete, Reconcile, Remove, Update};
    for (operation, of) in [
        (Add, "1"),
        (Update, "2"),
        (Delete, "3"),
        (Remove, "4"),
        (Reconcile, "5"),
    ] {
        rig.update(operation, PodSource::Api, &[of, "x"]).await;
    }
    assert_eq!(
        rig.told().await,
        [
            "add 1,x",
            "update 2,x",
            "update 3,x",
            "remove 4,x",
            "reconcile 5,x"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn nothing_is_cleaned_up_before_all_sources_have_spoken() {
    let mut rig = Rig::new();
    rig.handler.fails.store(true, Ordering::SeqCst);
    rig.start();
    rig.update(Operation::Add, PodSource::Api, &[]).await;
    sleep(Duration::from_secs(10)).await;
    assert_eq!(rig.told().await, ["add "]);
    assert!(!rig.ready.all());

    rig.update(Operation::Add, PodSource::File, &["1"]).await;
    assert_eq!(rig.told().await, ["add 1"]);
    assert!(rig.ready.all());
    sleep(Duration::from_secs(10)).await;
    assert_eq!(
        rig.told().await,
        ["clean up"; 5],
        "a failure is tried again"
    );
}

#[tokio::test(start_paused = true)]
async fn what_happens_in_the_runtime_syncs_the_pod() {
    let mut rig = Rig::new();
    rig.has("1");
    rig.start();
    rig.happens("1", LifecycleChange::Started).await;
    rig.happens("1", LifecycleChange::Died).await;
    rig.happens("1", LifecycleChange::Removed).await;
    rig.happens("gone", LifecycleChange::Started).await;
    rig.happens("gone", LifecycleChange::Died).await;
    assert_eq!(
        rig.told().await,
        ["sync 1", "sync 1", "clean up c of 1", "clean up c of gone"]
    );
}

#[tokio::test(start_paused = true)]
async fn what_probes_come_to_is_noted_and_synced() {
    use ProbeKind::{Liveness, Readiness, Startup};
    use ProbeOutcome::{Failure, Success, Unknown};

    let mut rig = Rig::new();
    rig.has("1");
    rig.start();
    for (kind, outcome) in [
        (Liveness, Success),
        (Liveness, Unknown),
        (Liveness, Failure),
        (Readiness, Success),
        (Readiness, Failure),
        (Startup, Unknown),
        (Startup, Success),
    ] {
        rig.probes("1", kind, outcome).await;
    }
    rig.probes("gone", Readiness, Success).await;
    let expected = [
        "sync 1",
        "ready 1 c true",
        "sync 1",
        "ready 1 c false",
        "sync 1",
        "started 1 c false",
        "sync 1",
        "started 1 c true",
        "sync 1",
        "ready gone c true",
    ];
    assert_eq!(rig.told().await, expected);
}

#[tokio::test(start_paused = true)]
async fn pods_whose_time_has_come_are_synced_within_a_second() {
    let mut rig = Rig::new();
    rig.start();
    settle().await;
    let pods = ["1", "2"].map(|of| Arc::new(pod(of)));
    rig.handler.due.lock().extend(pods);
    assert_eq!(rig.told().await, Vec::<String>::new());
    sleep(Duration::from_secs(1)).await;
    assert_eq!(rig.told().await, ["sync 1,2"]);
    sleep(Duration::from_secs(5)).await;
    assert_eq!(rig.told().await, Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn nothing_is_done_while_the_runtime_is_not_well() {
    let mut rig = Rig::new();
    rig.handler.errors.store(9, Ordering::SeqCst);
    rig.update(Operation::Add, PodSource::Api, &["1"]).await;
    let start = Instant::now();
    rig.start();
    sleep(Duration::from_secs(20)).await;
    assert_eq!(rig.told().await, Vec::<String>::new());
    sleep(Duration::from_secs(2)).await;
    assert_eq!(rig.told().await, ["add 1"], "it was kept");
    let asked: Vec<_> = {
        let asked = rig.handler.asked.lock();
        asked.iter().map(|at| (*at - start).as_millis()).collect()
    };
    let delays: Vec<_> = asked
        .windows(2)
        .map(|pair| pair[1] - pair[0])
        .take(9)
        .collect();
    assert_eq!(delays, [100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000]);

    // It is as patient the next time as the first.
    rig.handler.asked.lock().clear();
    rig.handler.errors.store(1, Ordering::SeqCst);
    rig.update(Operation::Add, PodSource::Api, &["2"]).await;
    rig.update(Operation::Add, PodSource::Api, &["3"]).await;
    settle().await;
    sleep(Duration::from_millis(100)).await;
    assert_eq!(rig.told().await, ["add 2", "add 3"]);
}

#[tokio::test(start_paused = true)]
async fn no_channel_starves() {
    let mut rig = Rig::new();
    for source in [PodSource::Api, PodSource::File] {
        rig.ready.mark(source);
    }
    rig.has("1");
    *rig.handler.cleans_for.lock() = Duration::from_millis(1);
    // More than can be done happens in the runtime and in a source; each time something is done,
    // more of it has come.
    for _ in 0..1000 {
        rig.happens("1", LifecycleChange::Started).await;
    }
    for _ in 0..50 {
        rig.update(Operation::Reconcile, PodSource::Api, &["1"])
            .await;
    }
    for _ in 0..20 {
        rig.probes("1", ProbeKind::Readiness, ProbeOutcome::Success)
            .await;
    }
    rig.start();
    let told = rig.told().await;
    let of = |what: &str| {
        let at = told
            .iter()
            .enumerate()
            .filter(|(_, told)| told.starts_with(what));
        at.map(|(at, _)| at).collect::<Vec<_>>()
    };
    assert_eq!(of("reconcile").len(), 50);
    assert_eq!(of("ready").len(), 20);
    let last = |what: &str| *of(what).last().unwrap();
    // Three channels take turns: the fiftieth update comes after fifty events and the probes.
    assert!(
        last("reconcile") <= 50 * 2 + 20 * 2,
        "{}",
        last("reconcile")
    );
    assert!(last("ready") <= 20 * 4, "{}", last("ready"));

    // The same once more, in the same order.
    let mut again = Rig::new();
    again.ready.mark(PodSource::Api);
    again.has("1");
    for _ in 0..1000 {
        again.happens("1", LifecycleChange::Started).await;
    }
    for _ in 0..50 {
        again
            .update(Operation::Reconcile, PodSource::Api, &["1"])
            .await;
    }
    for _ in 0..20 {
        again
            .probes("1", ProbeKind::Readiness, ProbeOutcome::Success)
            .await;
    }
    again.start();
    assert_eq!(again.told().await, told);
    let ended = timeout(Duration::from_secs(1), again.tasks.join_next());
    assert!(ended.await.is_err(), "it goes on");
}
