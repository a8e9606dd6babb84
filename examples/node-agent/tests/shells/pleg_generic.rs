//! What lists of the runtime tell. The tests answer to those of `pleg/generic_test.go`.

use std::sync::Arc;
use std::time::Duration;

use node_agent::pleg::{
    LifecycleChange, Pleg, PlegDriver, PlegEvents, PlegOptions, PodCache, PodLifecycleEvent,
    RunningCounts, Unhealthy,
};
use node_agent::runtime::ObservedPod;
use node_agent::runtime::RuntimeState::{Created, Exited, Running, Unknown};
use tokio::time::{advance, timeout};

use crate::fixtures::{FakePods, observed, sandbox, uid};

use LifecycleChange::{Died, Removed, Started};

/// A generator whose lists are made by hand.
struct Rig {
    runtime: Arc<FakePods>,
    cache: PodCache,
    pleg: Pleg,
    driver: PlegDriver<FakePods>,
    events: PlegEvents,
}

impl Rig {
    fn new(options: PlegOptions) -> Self {
        let (runtime, cache) = (Arc::<FakePods>::default(), PodCache::new());
        let (pleg, driver, events) = Pleg::new(runtime.clone(), cache.clone(), options);
        Self {
            runtime,
            cache,
            pleg,
            driver,
            events,
        }
    }

    /// Lists, and returns what was told.
    async fn relist(&mut self) -> Vec<PodLifecycleEvent> {
        self.driver.relist().await.unwrap();
        drain(&mut self.events)
    }

    fn observation(&self, of: &str) -> Option<Result<Arc<ObservedPod>, String>> {
        let observation = self.cache.get(&uid(of))?;
        Some(observation.map_err(|error| error.to_string()))
    }
}

fn drain(events: &mut PlegEvents) -> Vec<PodLifecycleEvent> {
    std::iter::from_fn(|| events.try_recv().ok()).collect()
}

fn event(pod: &str, container: &str, change: LifecycleChange) -> PodLifecycleEvent {
    PodLifecycleEvent {
        pod: uid(pod),
        container: container.into(),
        change,
    }
}

/// What happens, as containers and as sandboxes of the same names.
fn first() -> [ObservedPod; 2] {
    [
        observed("1234", &[("c1", Exited), ("c2", Running), ("c3", Unknown)]),
        observed("4567", &[("c1", Exited)]),
    ]
}

fn second() -> [ObservedPod; 2] {
    [
        observed("1234", &[("c2", Exited), ("c3", Running)]),
        observed("4567", &[("c4", Running)]),
    ]
}

fn told_at_second() -> [PodLifecycleEvent; 5] {
    [
        event("1234", "c1", Removed),
        event("1234", "c2", Died),
        event("1234", "c3", Started),
        event("4567", "c1", Removed),
        event("4567", "c4", Started),
    ]
}

#[tokio::test(start_paused = true)]
async fn relisting() {
    let mut rig = Rig::new(PlegOptions::default());
    rig.runtime.set(first());
    let expected = [
        event("1234", "c1", Died),
        event("1234", "c2", Started),
        event("4567", "c1", Died),
    ];
    assert_eq!(rig.relist().await, expected);
    assert_eq!(rig.relist().await, [], "nothing has changed");
    rig.runtime.set(second());
    assert_eq!(rig.relist().await, told_at_second());
}

#[tokio::test(start_paused = true)]
async fn relisting_with_sandboxes() {
    let with = |of: &str, sandboxes: &[(&str, bool)]| {
        let mut pod = observed(of, &[]);
        pod.sandboxes = sandboxes.iter().map(|(id, is)| sandbox(id, *is)).collect();
        pod
    };
    let mut rig = Rig::new(PlegOptions::default());
    let pods = [
        with("1234", &[("c1", false), ("c2", true)]),
        with("4567", &[("c1", false)]),
    ];
    rig.runtime.set(pods);
    let expected = [
        event("1234", "c1", Died),
        event("1234", "c2", Started),
        event("4567", "c1", Died),
    ];
    assert_eq!(rig.relist().await, expected);
    assert_eq!(rig.relist().await, []);
    let pods = [
        with("1234", &[("c2", false), ("c3", true)]),
        with("4567", &[("c4", true)]),
    ];
    rig.runtime.set(pods);
    assert_eq!(rig.relist().await, told_at_second());
}

#[tokio::test(start_paused = true)]
async fn event_channel_full() {
    let mut options = PlegOptions::default();
    options.event_capacity = 4;
    let mut rig = Rig::new(options);
    rig.runtime.set(first());
    assert_eq!(rig.relist().await.len(), 3);
    rig.runtime.set(second());
    let told = rig.relist().await;
    assert_eq!(told, told_at_second()[..4]);
    assert_eq!(rig.pleg.dropped(), 1);
    // It is known, and the change of its pod is told again.
    let late = told_at_second()[4].pod.clone();
    let of_late = told_at_second().into_iter().filter(|it| it.pod == late);
    let of_late: Vec<_> = of_late.collect();
    assert_eq!(rig.relist().await, of_late);
    assert_eq!(rig.relist().await, []);
    assert!(rig.observation("4567").unwrap().unwrap().is_running());
}

#[tokio::test(start_paused = true)]
async fn detecting_container_deaths() {
    for relists in [1, 3] {
        let mut rig = Rig::new(PlegOptions::default());
        let pod = observed("1234", &[("c1", Running), ("c2", Running), ("c3", Exited)]);
        rig.runtime.set([pod]);
        for _ in 0..relists {
            rig.relist().await;
        }
        // One was stopped and removed between lists; that another has died was told before.
        rig.runtime.set([observed("1234", &[("c1", Running)])]);
        let expected = [
            event("1234", "c2", Died),
            event("1234", "c2", Removed),
            event("1234", "c3", Removed),
        ];
        assert_eq!(rig.relist().await, expected);

        // The whole pod is gone.
        rig.runtime.set([]);
        let expected = [event("1234", "c1", Died), event("1234", "c1", Removed)];
        assert_eq!(rig.relist().await, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn relist_with_cache() {
    let mut rig = Rig::new(PlegOptions::default());
    let pods = ["0", "1"].map(|of| observed(of, &[("c", Running)]));
    rig.runtime.set(pods.clone());
    rig.runtime.fail_observe("1").await;
    let told = rig.relist().await;
    assert_eq!(
        told,
        [event("0", "c", Started)],
        "nobody knows of the other"
    );
    assert_eq!(rig.observation("0"), Some(Ok(Arc::new(pods[0].clone()))));
    let error = rig.observation("1").unwrap().unwrap_err();
    assert!(error.contains("unavailable"), "{error}");

    assert_eq!(rig.relist().await, [event("1", "c", Started)]);
    assert_eq!(rig.observation("1"), Some(Ok(Arc::new(pods[1].clone()))));
    assert_eq!(
        rig.runtime.counts(),
        (2, 3),
        "the first one is not looked at again"
    );
}

#[tokio::test(start_paused = true)]
async fn remove_cache_entry() {
    let mut rig = Rig::new(PlegOptions::default());
    rig.runtime.set([observed("0", &[("c", Running)])]);
    rig.relist().await;
    assert!(rig.observation("0").is_some());
    rig.runtime.set([]);
    rig.relist().await;
    assert_eq!(rig.observation("0"), None);

    // Nor is the error kept of one that could never be looked at.
    rig.runtime.set([observed("1", &[("c", Running)])]);
    rig.runtime.fail_observe("1").await;
    rig.relist().await;
    assert!(rig.observation("1").is_some());
    rig.runtime.set([]);
    assert_eq!(rig.relist().await, []);
    assert_eq!(rig.observation("1"), None);
}

#[tokio::test(start_paused = true)]
async fn healthy() {
    let mut rig = Rig::new(PlegOptions::default());
    assert_eq!(rig.pleg.health(), Err(Unhealthy::NeverRelisted));
    advance(Duration::from_secs(600)).await;
    assert_eq!(rig.pleg.health(), Err(Unhealthy::NeverRelisted));

    rig.relist().await;
    advance(Duration::from_secs(60)).await;
    assert_eq!(rig.pleg.health(), Ok(()));
    rig.runtime.fail_list().await;
    rig.driver.relist().await.unwrap_err();
    advance(Duration::from_secs(180)).await;
    let stale = Unhealthy::Stale {
        age: Duration::from_secs(240),
        threshold: Duration::from_secs(180),
    };
    assert_eq!(rig.pleg.health(), Err(stale));
    assert_eq!(
        stale.to_string(),
        "pleg was last seen active 240s ago; threshold is 180s"
    );
    rig.relist().await;
    assert_eq!(rig.pleg.health(), Ok(()));
}
/// Who waits for the first list takes a pod that is not in the cache for one that has nothing.
#[tokio::test(start_paused = true)]
async fn is_healthy_only_once_the_first_list_is_in_the_cache() {
    let mut rig = Rig::new(PlegOptions::default());
    rig.runtime.put(observed("1", &[("a", Running)]));
    *rig.runtime.takes.lock() = Duration::from_secs(5);
    let pleg = rig.pleg.clone();
    let relist = timeout(Duration::from_secs(4), rig.driver.relist());
    assert!(relist.await.is_err(), "the pod is still being looked at");
    assert_eq!(pleg.health(), Err(Unhealthy::NeverRelisted));
    rig.relist().await;
    assert_eq!(pleg.health(), Ok(()));
    assert!(rig.observation("1").is_some());
}

#[tokio::test(start_paused = true)]
async fn relist_with_reinspection() {
    let mut rig = Rig::new(PlegOptions::default());
    let good = observed("1", &[("infra", Running)]);
    rig.runtime.set([good.clone()]);
    assert_eq!(rig.relist().await, [event("1", "infra", Started)]);

    // A container comes, cannot be looked at, and goes.
    rig.runtime
        .set([observed("1", &[("infra", Running), ("transient", Unknown)])]);
    rig.runtime.fail_observe("1").await;
    assert_eq!(rig.relist().await, []);
    assert!(rig.observation("1").unwrap().is_err());

    rig.runtime.set([good.clone()]);
    assert_eq!(rig.relist().await, [], "it is as it was");
    assert_eq!(rig.observation("1"), Some(Ok(Arc::new(good))));
}

#[tokio::test(start_paused = true)]
async fn relist_ip_change() {
    let ips = [
        vec![[192, 168, 1, 5].into()],
        vec![[192, 168, 1, 5].into(), "2000::".parse().unwrap()],
    ];
    for ips in ips {
        let mut rig = Rig::new(PlegOptions::default());
        let mut pod = observed("1", &[("c0", Running)]);
        pod.ips.clone_from(&ips);
        rig.runtime.set([pod.clone()]);
        rig.relist().await;
        assert_eq!(rig.observation("1"), Some(Ok(Arc::new(pod))));

        let mut ended = observed("1", &[("c0", Exited)]);
        rig.runtime.set([ended.clone()]);
        assert_eq!(rig.relist().await, [event("1", "c0", Died)]);
        ended.ips.clone_from(&ips);
        assert_eq!(rig.observation("1"), Some(Ok(Arc::new(ended))));

        // A new sandbox that has none yet has none.
        let mut again = observed("1", &[]);
        again.sandboxes = vec![sandbox("s", true)];
        rig.runtime.set([again.clone()]);
        rig.relist().await;
        assert_eq!(rig.observation("1"), Some(Ok(Arc::new(again))));
    }
}

#[tokio::test(start_paused = true)]
async fn running_pod_and_container_count() {
    let mut rig = Rig::new(PlegOptions::default());
    let mut both = observed("1234", &[("c1", Running), ("c2", Unknown), ("c3", Created)]);
    both.sandboxes = vec![
        sandbox("s1", true),
        sandbox("s2", true),
        sandbox("s3", false),
    ];
    let mut one = observed("4567", &[("c1", Exited)]);
    one.sandboxes = vec![sandbox("s1", true), sandbox("s2", false)];
    rig.runtime.set([both, one]);
    rig.relist().await;
    let counts = RunningCounts {
        pods: 2,
        running: 1,
        exited: 1,
        created: 1,
        unknown: 1,
    };
    assert_eq!(rig.pleg.counts(), counts);
}
