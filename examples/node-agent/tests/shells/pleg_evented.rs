//! What the events of the runtime tell. The first tests answer to those of `pleg/evented_test.go`.

use std::sync::Arc;
use std::time::Duration;

use kubewright_cri::testing::{FakeRuntime, Fault};
use kubewright_cri::{Runtime, Status, v1};
use node_agent::pleg::{
    LifecycleChange, Pleg, PlegEvents, PlegOptions, PodCache, RunningCounts, Unhealthy,
};
use node_agent::runtime::RuntimeState::{Exited, Running};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::fixtures::{FakePods, name, observed, sandbox, settle, uid};

/// A generator that goes by the events of one runtime, and looks at pods in another.
struct Rig {
    cri: FakeRuntime,
    client: Runtime,
    runtime: Arc<FakePods>,
    cache: PodCache,
    pleg: Pleg,
    events: PlegEvents,
    _driver: JoinSet<()>,
}

impl Rig {
    async fn new(faults: impl IntoIterator<Item = Fault>) -> Self {
        let cri = FakeRuntime::default();
        for fault in faults {
            cri.fault("GetContainerEvents", fault);
        }
        let client = Runtime::in_process(cri.clone());
        let (runtime, cache) = (Arc::<FakePods>::default(), PodCache::new());
        let options = PlegOptions::default();
        let (pleg, driver, events) = Pleg::new(runtime.clone(), cache.clone(), options);
        let driver = driver.with_events(client.clone());
        let mut tasks = JoinSet::new();
        tasks.spawn(driver.run(CancellationToken::new()));
        settle().await;
        Self {
            cri,
            client,
            runtime,
            cache,
            pleg,
            events,
            _driver: tasks,
        }
    }

    /// Something happens to a pod, which the runtime tells.
    async fn sandbox(&self, of: &str) -> String {
        let metadata = v1::PodSandboxMetadata {
            name: format!("name-{of}"),
            uid: of.into(),
            namespace: "ns".into(),
            attempt: 0,
        };
        let config = v1::PodSandboxConfig {
            metadata: Some(metadata),
            ..Default::default()
        };
        self.client.run_pod_sandbox(config, "").await.unwrap()
    }

    fn lists(&self) -> usize {
        self.runtime.counts().0
    }
}

fn unimplemented() -> Fault {
    Fault::Refused(Status::unimplemented("unknown method GetContainerEvents"))
}

#[tokio::test(start_paused = true)]
async fn healthy_evented_pleg() {
    let rig = Rig::new([]).await;
    assert!(rig.pleg.is_evented());
    let lists = rig.lists();
    sleep(Duration::from_secs(290)).await;
    assert_eq!(rig.lists(), lists, "the runtime tells what happens");
    assert_eq!(rig.pleg.health(), Ok(()), "nothing is amiss after 290 s");
    sleep(Duration::from_secs(20)).await;
    assert_eq!(rig.lists(), lists + 1);

    for _ in 0..10 {
        rig.runtime.fail_list().await;
    }
    sleep(Duration::from_secs(601)).await;
    assert!(matches!(rig.pleg.health(), Err(Unhealthy::Stale { .. })));
}

#[tokio::test(start_paused = true)]
async fn update_running_pod_and_container_metric() {
    let mut rig = Rig::new([]).await;
    let mut pod = observed("1", &[("c", Running)]);
    pod.sandboxes = vec![sandbox("s", true)];
    rig.runtime.put(pod);
    let start = Instant::now();
    rig.sandbox("1").await;
    for id in ["c", "s"] {
        let event = rig.events.recv().await.unwrap();
        assert_eq!(
            (&*event.container, event.change),
            (id, LifecycleChange::Started)
        );
    }
    assert_eq!(start.elapsed(), Duration::ZERO);
    settle().await;
    let counts = RunningCounts {
        pods: 1,
        running: 1,
        ..Default::default()
    };
    assert_eq!(rig.pleg.counts(), counts);
}

#[tokio::test(start_paused = true)]
async fn what_an_event_tells_of_is_looked_at_once() {
    let mut rig = Rig::new([]).await;
    let looks = || rig.runtime.counts().1;
    let before = looks();
    rig.runtime.put(observed("1", &[("c", Running)]));
    let id = rig.sandbox("1").await;
    rig.client.stop_pod_sandbox(&id).await.unwrap();
    settle().await;
    let after = looks();
    assert!(after > before && after <= before + 3, "{before} {after}");
    assert!(rig.cache.get(&uid("1")).unwrap().unwrap().is_running());
    assert_eq!(
        rig.events.recv().await.unwrap().change,
        LifecycleChange::Started
    );

    // The sandbox of this event is gone, so that it does not say whose it is.
    rig.runtime.set([]);
    rig.client.remove_pod_sandbox(&id).await.unwrap();
    settle().await;
    for change in [LifecycleChange::Died, LifecycleChange::Removed] {
        assert_eq!(rig.events.recv().await.unwrap().change, change);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_known_stays_new_without_lists() {
    let rig = Rig::new([]).await;
    let (lists, now, start) = (rig.lists(), rig.cache.stamp(), Instant::now());
    let (of, web) = (uid("1"), name("web"));
    let known = rig.cache.newer_than(&of, &web, Some(now)).await;
    known.unwrap();
    assert!(start.elapsed() <= Duration::from_secs(5));
    assert_eq!(rig.lists(), lists);
}

/// What was said of a pod before is not what it is like now if nobody could look since.
#[tokio::test(start_paused = true)]
async fn what_could_not_be_looked_at_does_not_count_as_new() {
    let rig = Rig::new([]).await;
    let (of, web) = (uid("1"), name("name-1"));
    rig.runtime.put(observed("1", &[("c", Running)]));
    let id = rig.sandbox("1").await;
    settle().await;
    assert!(rig.cache.get(&of).unwrap().unwrap().is_running());

    rig.runtime.fail_observe("1").await;
    rig.runtime.put(observed("1", &[("c", Exited)]));
    let ended = rig.cache.stamp();
    rig.client.stop_pod_sandbox(&id).await.unwrap();
    let start = Instant::now();
    let seen = rig.cache.newer_than(&of, &web, Some(ended)).await.unwrap();
    assert_eq!(seen.containers[0].state, Exited);
    assert!(
        start.elapsed() <= Duration::from_secs(6),
        "it is not left to the next list"
    );
}

#[tokio::test(start_paused = true)]
async fn a_runtime_without_events_is_listed() {
    let rig = Rig::new([unimplemented()]).await;
    assert!(!rig.pleg.is_evented());
    let lists = rig.lists();
    sleep(Duration::from_secs(10)).await;
    assert_eq!(rig.lists(), lists + 10);
    let asked = rig.cri.calls();
    let asked = asked
        .iter()
        .filter(|call| call.method == "GetContainerEvents");
    assert_eq!(asked.count(), 1, "it is not asked again");
}

#[tokio::test(start_paused = true)]
async fn after_five_streams_without_an_event_pods_are_listed() {
    let rig = Rig::new((0..4).map(|_| Fault::unavailable())).await;
    sleep(Duration::from_secs(5)).await;
    assert!(rig.pleg.is_evented(), "the fifth went well");

    let rig = Rig::new((0..5).map(|_| Fault::unavailable())).await;
    sleep(Duration::from_secs(5)).await;
    assert!(!rig.pleg.is_evented());
    let asked = rig.cri.calls();
    let asked = asked
        .iter()
        .filter(|call| call.method == "GetContainerEvents");
    assert_eq!(asked.count(), 5);
    let lists = rig.lists();
    sleep(Duration::from_secs(10)).await;
    assert_eq!(rig.lists(), lists + 10);
}

#[tokio::test(start_paused = true)]
async fn what_happens_between_streams_is_found_by_a_list() {
    let mut rig = Rig::new([]).await;
    rig.runtime.put(observed("1", &[("c", Running)]));
    rig.sandbox("1").await;
    assert_eq!(
        rig.events.recv().await.unwrap().change,
        LifecycleChange::Started
    );

    rig.cri.go_away();
    settle().await;
    assert!(!rig.pleg.is_evented());
    rig.runtime.put(observed("1", &[("c", Exited)]));
    rig.cri.come_back();
    let start = Instant::now();
    assert_eq!(
        rig.events.recv().await.unwrap().change,
        LifecycleChange::Died
    );
    assert!(start.elapsed() <= Duration::from_secs(1));
    sleep(Duration::from_secs(3)).await;
    assert!(rig.pleg.is_evented());
}
