//! Lists in their time, and looks that somebody asks for.

use std::sync::Arc;
use std::time::Duration;

use node_agent::pleg::{LifecycleChange, Pleg, PlegEvents, PlegOptions, PodCache};
use node_agent::runtime::RuntimeState::{Exited, Running};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::fixtures::{FakePods, name, observed, settle, uid};

struct Rig {
    runtime: Arc<FakePods>,
    cache: PodCache,
    pleg: Pleg,
    events: PlegEvents,
    token: CancellationToken,
    driver: JoinSet<()>,
}

impl Rig {
    /// The driver has listed once.
    async fn new() -> Self {
        Self::with(PlegOptions::default()).await
    }

    async fn with(options: PlegOptions) -> Self {
        let (runtime, cache) = (Arc::<FakePods>::default(), PodCache::new());
        let (pleg, driver, events) = Pleg::new(runtime.clone(), cache.clone(), options);
        let (token, mut tasks) = (CancellationToken::new(), JoinSet::new());
        tasks.spawn(driver.run(token.clone()));
        settle().await;
        Self {
            runtime,
            cache,
            pleg,
            events,
            token,
            driver: tasks,
        }
    }
}

#[tokio::test(start_paused = true)]
async fn pods_are_listed_every_second_until_the_end() {
    let mut rig = Rig::new().await;
    assert_eq!(rig.runtime.counts(), (1, 0));
    sleep(Duration::from_secs(10)).await;
    assert_eq!(rig.runtime.counts(), (11, 0));
    rig.token.cancel();
    rig.driver.join_next().await.unwrap().unwrap();
    sleep(Duration::from_secs(10)).await;
    assert_eq!(rig.runtime.counts(), (11, 0));
}

#[tokio::test(start_paused = true)]
async fn request_relist() {
    let mut rig = Rig::new().await;
    let start = Instant::now();
    rig.runtime.put(observed("1", &[("c", Running)]));
    for _ in 0..5 {
        rig.pleg.request_relist(&uid("1"), &name("name-1"));
    }
    let event = rig.events.recv().await.unwrap();
    assert_eq!(event.change, LifecycleChange::Started);
    assert_eq!(
        start.elapsed(),
        Duration::ZERO,
        "nobody waits for the next list"
    );
    assert!(rig.cache.get(&uid("1")).unwrap().unwrap().is_running());
    assert_eq!(
        rig.runtime.counts(),
        (1, 1),
        "those who ask for the same are one"
    );

    sleep(Duration::from_secs(1)).await;
    assert_eq!(rig.runtime.counts(), (2, 1), "the list has nothing to add");
    assert!(rig.events.try_recv().is_err(), "nor is it told twice");

    // Who asks while it is looked at has it looked at again: it may have missed what they mean.
    *rig.runtime.takes.lock() = Duration::from_millis(100);
    rig.pleg.request_relist(&uid("1"), &name("name-1"));
    settle().await;
    rig.pleg.request_relist(&uid("1"), &name("name-1"));
    sleep(Duration::from_millis(250)).await;
    assert_eq!(rig.runtime.counts().1, 3);
}

#[tokio::test(start_paused = true)]
async fn who_asks_waits_for_the_next_list_if_that_is_how_it_is_set() {
    let mut options = PlegOptions::default();
    options.on_demand_relist = false;
    let mut rig = Rig::with(options).await;
    rig.runtime.put(observed("1", &[("c", Running)]));
    rig.pleg.request_relist(&uid("1"), &name("name-1"));
    settle().await;
    assert_eq!(rig.runtime.counts(), (1, 0), "it is not looked at");
    let event = rig.events.recv().await.unwrap();
    assert_eq!(event.change, LifecycleChange::Started);
    assert_eq!(rig.runtime.counts(), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn one_that_the_runtime_does_not_have_is_known_to_have_nothing() {
    let rig = Rig::new().await;
    let now = rig.cache.stamp();
    rig.pleg.request_relist(&uid("1"), &name("web"));
    let (of, web) = (uid("1"), name("web"));
    let waits = rig.cache.newer_than(&of, &web, Some(now));
    let observed = timeout(Duration::from_millis(1), waits).await.unwrap();
    assert!(observed.unwrap().containers.is_empty());
    sleep(Duration::from_secs(2)).await;
    assert!(rig.cache.get(&of).is_none(), "it is not kept for ever");
}

#[tokio::test(start_paused = true)]
async fn who_asks_while_the_runtime_is_away_waits_for_it() {
    let mut rig = Rig::new().await;
    rig.runtime.put(observed("1", &[("c", Running)]));
    sleep(Duration::from_secs(1)).await;
    assert_eq!(
        rig.events.recv().await.unwrap().change,
        LifecycleChange::Started
    );

    rig.runtime.put(observed("1", &[("c", Exited)]));
    for _ in 0..3 {
        rig.runtime.fail_list().await;
    }
    // The look that is asked for, and that of the first list that goes well.
    for _ in 0..2 {
        rig.runtime.fail_observe("1").await;
    }
    let (start, now) = (Instant::now(), rig.cache.stamp());
    rig.pleg.request_relist(&uid("1"), &name("name-1"));
    let (of, web) = (uid("1"), name("name-1"));
    let observed = rig.cache.newer_than(&of, &web, Some(now)).await;
    // Three lists fail. The one after them goes well, but the pod cannot be looked at.
    assert!(observed.is_err(), "{observed:?}");
    assert!(
        start.elapsed() > Duration::from_secs(3),
        "{:?}",
        start.elapsed()
    );
    let now = rig.cache.stamp();
    sleep(Duration::from_secs(2)).await;
    let observed = rig.cache.newer_than(&of, &web, Some(now)).await.unwrap();
    assert!(!observed.is_running());
    assert_eq!(
        rig.events.recv().await.unwrap().change,
        LifecycleChange::Died
    );
}
