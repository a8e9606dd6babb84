//! How turns go: what they go by, how they are cut short, and what their failures cost.

use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use node_agent::runtime::RuntimeState::{Exited, Running};
use node_agent::worker::{Kill, KillCause, TurnError, UpdateKind};
use tokio::time::{Instant, sleep};

use crate::fixtures::{deleted, observed, pod, settle, uid};
use crate::worker_rig::{Call, Fate, Rig, cleaned, synced, terminated, update};

use UpdateKind::{Create, Sync, Update};

#[tokio::test(start_paused = true)]
async fn a_turn_goes_by_what_came_after_the_turn_before() {
    for (asks, most) in [(true, 0), (false, 1000)] {
        let rig = Rig::with(|_| Fate::Done, asks).await;
        rig.update(Create, pod("1"));
        assert_eq!(
            rig.calls().await,
            [synced("1", Create)],
            "the first does not wait"
        );

        rig.runtime.put(observed("1", &[("c", Running)]));
        let start = Instant::now();
        rig.update(Sync, pod("1"));
        let calls = loop {
            let calls = rig.calls().await;
            if !calls.is_empty() {
                break calls;
            }
        };
        let seen = Call::Sync("1".into(), Sync, "name-1".into(), true);
        assert_eq!(calls, [seen]);
        let waited = start.elapsed();
        let least = if asks { 0 } else { 900 };
        assert!(waited >= Duration::from_millis(least), "{asks}: {waited:?}");
        assert!(
            waited <= Duration::from_millis(most + 20),
            "{asks}: {waited:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_turn_that_waits_for_news_is_cut_short_as_well() {
    let rig = Rig::with(|_| Fate::Done, false).await;
    rig.update(Create, pod("1"));
    rig.calls().await;
    rig.update(Sync, pod("1"));
    settle().await;
    rig.update(Update, deleted(pod("1"), 7));
    sleep(Duration::from_secs(3)).await;
    assert_eq!(rig.calls().await, [terminated("1", 7), cleaned("1")]);
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_is_not_wanted_any_more_is_not_started_further() {
    let mut rig = Rig::new(|call| match call {
        Call::Sync(..) => Fate::UntilCancelled,
        _ => Fate::Done,
    })
    .await;
    rig.update(Create, pod("1"));
    settle().await;
    rig.update(Update, pod("1"));
    assert_eq!(
        rig.calls().await,
        [synced("1", Create)],
        "an update waits its turn"
    );
    rig.update(Update, deleted(pod("1"), 7));
    assert_eq!(rig.calls().await, [terminated("1", 7), cleaned("1")]);
    assert_eq!(rig.told(), [], "that is no failure");
}

#[tokio::test(start_paused = true)]
async fn less_grace_begins_the_end_anew() {
    let rig = Rig::new(|call| match call {
        Call::Terminate(_, Some(grace), _) if *grace > 5 => Fate::UntilCancelled,
        _ => Fate::Done,
    })
    .await;
    rig.update(Create, pod("1"));
    rig.update(Update, deleted(pod("1"), 60));
    assert_eq!(rig.calls().await, [terminated("1", 60)]);
    rig.update(Update, deleted(pod("1"), 60));
    assert_eq!(rig.calls().await, [], "it has what it asks for");
    rig.update(Update, deleted(pod("1"), 20));
    assert_eq!(rig.calls().await, [terminated("1", 20)]);
    let kill = Kill {
        cause: KillCause::Evicted,
        grace: Some(Duration::from_secs(2)),
        status: None,
        waiter: None,
    };
    let kill = rig.pool.kill_and_wait(Arc::new(pod("1")), kill, None);
    assert_eq!(kill.await, Ok(()));
    assert_eq!(rig.calls().await, [terminated("1", 2), cleaned("1")]);
}

#[tokio::test(start_paused = true)]
async fn an_end_that_fails_is_tried_again() {
    let mut failures = 2;
    let rig = Rig::new(move |call| match call {
        Call::Terminate(..) if failures > 0 => {
            failures -= 1;
            Fate::Fails(TurnError::Failed(anyhow!("error killing pod")))
        }
        _ => Fate::Done,
    })
    .await;
    let gone = deleted(pod("1"), 5);
    rig.update(Create, gone.clone());
    assert_eq!(rig.calls().await, [terminated("1", 5)]);
    for more in [
        vec![terminated("1", 5)],
        vec![terminated("1", 5), cleaned("1")],
    ] {
        sleep(Duration::from_secs(16)).await;
        assert!(rig.pool.could_have_running_containers(&uid("1")));
        rig.tick(std::slice::from_ref(&gone));
        assert_eq!(rig.calls().await, more);
    }
}

#[tokio::test(start_paused = true)]
async fn failures_are_told_unless_they_were() {
    let mut rig = Rig::new(|_| Fate::Done).await;
    let told = |message: &str| vec![("FailedSync".to_owned(), message.to_owned())];
    type Case = (fn() -> TurnError, Option<&'static str>);
    let cases: [Case; 4] = [
        (
            || TurnError::Failed(anyhow!("no room").context("cannot mount")),
            Some("cannot mount: no room"),
        ),
        (|| TurnError::Reported(anyhow!("no image")), None),
        (|| TurnError::NetworkNotReady("cni".into()), None),
        (|| TurnError::Cancelled, None),
    ];
    for (error, message) in cases {
        rig.script(move |_| Fate::Fails(error()));
        rig.update(Update, pod("1"));
        rig.calls().await;
        assert_eq!(rig.told(), message.map(told).unwrap_or_default());
    }

    // What the runtime has cannot be seen.
    rig.script(|_| Fate::Done);
    rig.runtime.put(observed("1", &[("c", Exited)]));
    rig.runtime.fail_observe("1").await;
    rig.runtime.fail_observe("1").await;
    rig.update(Update, pod("1"));
    sleep(Duration::from_secs(2)).await;
    assert_eq!(rig.calls().await, []);
    let events = rig.told();
    assert_eq!(events[0].0, "FailedSync");
    assert!(
        events[0].1.starts_with("error determining status: "),
        "{events:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_panic_costs_one_turn() {
    let mut panics = 1;
    let mut rig = Rig::new(move |call| match call {
        Call::Sync(of, ..) if of == "1" && panics > 0 => {
            panics -= 1;
            Fate::Panics
        }
        _ => Fate::Done,
    })
    .await;
    rig.update(Create, pod("1"));
    rig.update(Create, pod("2"));
    assert_eq!(
        rig.calls().await,
        [synced("1", Create), synced("2", Create)]
    );
    let told = (
        "FailedSync".to_owned(),
        "panic: as the script says".to_owned(),
    );
    assert_eq!(rig.told(), [told]);
    sleep(Duration::from_secs(16)).await;
    rig.tick(&[pod("1")]);
    assert_eq!(rig.calls().await, [synced("1", Sync)]);
}

#[tokio::test(start_paused = true)]
async fn no_task_outlives_the_pool() {
    // Turns that hear of it end at once, others are dropped after a while.
    for (fate, least, most) in [
        ((|| Fate::UntilCancelled) as fn() -> Fate, 0, 20),
        (|| Fate::Deaf, 2000, 2020),
    ] {
        let mut rig = Rig::new(move |_| fate()).await;
        for of in ["1", "2", "3"] {
            rig.update(Create, pod(of));
        }
        settle().await;
        assert!(Arc::strong_count(&rig.syncer) > 3);
        let start = Instant::now();
        rig.token.cancel();
        rig.driver.join_next().await.unwrap().unwrap();
        let took = start.elapsed();
        let (least, most) = (Duration::from_millis(least), Duration::from_millis(most));
        assert!(took >= least && took <= most, "{took:?}");
        assert_eq!(Arc::strong_count(&rig.syncer), 1, "nobody has it any more");
        rig.calls().await;
        rig.pool.update(update(Create, pod("4")));
        assert_eq!(rig.calls().await, [], "nobody acts any more");
    }

    // Dropping the driver ends all as well.
    let mut rig = Rig::new(|_| Fate::Deaf).await;
    rig.update(Create, pod("1"));
    settle().await;
    let kill = Kill {
        cause: KillCause::Removed,
        grace: None,
        status: None,
        waiter: None,
    };
    let killed = Arc::new(pod("1"));
    let waits = rig.pool.kill_and_wait(killed, kill, None);
    let ends = async {
        settle().await;
        rig.driver.shutdown().await;
    };
    let (waited, ()) = tokio::join!(waits, ends);
    waited.unwrap_err();
    assert_eq!(Arc::strong_count(&rig.syncer), 1);
}
