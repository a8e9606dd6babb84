//! What workers do with what they are told. The tests answer to those of `pod_workers_test.go`; what
//! updates do to one worker is in the tables of `core`.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use node_agent::runtime::RuntimeState::Running;
use node_agent::status::Eviction;
use node_agent::worker::{Kill, KillCause, KillWaitError, Stage, TurnError, UpdateKind};
use tokio::time::{Instant, sleep};

use crate::fixtures::{deleted, fixed, named, observed, pod, settle, uid};
use crate::worker_rig::{Call, Fate, Rig, cleaned, orphan, synced, terminated};

use UpdateKind::{Create, Update};

/// A kill that makes room.
fn eviction(grace: Option<u64>) -> Kill {
    Kill {
        cause: KillCause::Evicted,
        grace: grace.map(Duration::from_secs),
        status: Some(Eviction {
            reason: "Evicted".into(),
            message: "no room".into(),
            disruption: None,
        }),
        waiter: None,
    }
}

#[tokio::test(start_paused = true)]
async fn update_pod_parallel() {
    const PODS: usize = 20;
    let rig = Rig::new(|_| Fate::Takes(Duration::from_millis(1))).await;
    for version in 0..PODS {
        for of in version..PODS {
            rig.update(Create, named(&of.to_string(), &version.to_string()));
        }
        tokio::task::yield_now().await;
    }
    sleep(Duration::from_secs(1)).await;
    let calls = rig.calls().await;
    for of in 0..PODS {
        let of_pod = calls.iter().filter_map(|call| match call {
            Call::Sync(pod, _, version, _) if *pod == of.to_string() => Some(version.clone()),
            _ => None,
        });
        let versions: Vec<_> = of_pod.collect();
        assert!((1..=of + 1).contains(&versions.len()), "{of}: {versions:?}");
        assert_eq!(
            versions.last(),
            Some(&of.to_string()),
            "the last one counts"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn update_pod_for_runtime_pod() {
    let rig = Rig::new(|_| Fate::Done).await;
    rig.pool.update(orphan(observed("1", &[("c", Running)])));
    assert_eq!(rig.calls().await, [Call::Orphan("1".into())]);
    assert!(rig.pool.sync_known_pods(&HashSet::new()).is_empty());
}

#[tokio::test(start_paused = true)]
async fn update_pod_does_not_forget_sync_pod_kill() {
    let rig = Rig::new(|call| match call {
        Call::Sync(..) => Fate::UntilCancelled,
        _ => Fate::Done,
    })
    .await;
    rig.update(Create, pod("1"));
    assert_eq!(rig.calls().await, [synced("1", Create)]);
    rig.update(UpdateKind::Kill, pod("1"));
    rig.update(Update, pod("1"));
    rig.update(Update, pod("1"));
    assert_eq!(rig.calls().await, [terminated("1", 30), cleaned("1")]);
    assert!(rig.pool.should_pod_be_finished(&uid("1")));
    rig.update(Update, pod("1"));
    assert_eq!(rig.calls().await, [], "it is over");
}

#[tokio::test(start_paused = true)]
async fn terminal_phase_transition() {
    let rig = Rig::new(|_| Fate::Done).await;
    rig.update(Create, pod("1"));
    rig.calls().await;
    assert!(!rig.pool.is_pod_termination_requested(&uid("1")));
    rig.script(|call| match call {
        Call::Sync(..) => Fate::Ended,
        _ => Fate::Done,
    });
    rig.update(Update, pod("1"));
    let calls = rig.calls().await;
    assert_eq!(calls[0], synced("1", Update));
    assert!(matches!(&calls[1], Call::Terminate(..)), "{calls:?}");
    assert_eq!(calls[2..], [cleaned("1")]);
    assert!(rig.is_terminated("1"));
}

#[tokio::test(start_paused = true)]
async fn static_pod_exclusion() {
    let rig = Rig::new(|_| Fate::Done).await;
    let pods = ["1", "2", "3"].map(|of| fixed(of, "web"));
    for pod in &pods {
        rig.update(Create, pod.clone());
    }
    rig.update(Create, named("4", "web"));
    let of = |calls: Vec<Call>| -> Vec<String> {
        let calls = calls.into_iter().map(|call| match call {
            Call::Sync(of, ..) => format!("sync {of}"),
            Call::Terminate(of, ..) => format!("end {of}"),
            Call::Orphan(of) | Call::CleanUp(of) => format!("clean {of}"),
        });
        calls.collect()
    };
    assert_eq!(of(rig.calls().await), ["sync 1", "sync 4"]);
    // Those that wait are looked at again, and go on waiting.
    sleep(Duration::from_secs(16)).await;
    rig.tick(&pods);
    assert_eq!(of(rig.calls().await), Vec::<String>::new());

    // The second goes while it waits; the first ends, and the third has its turn at once.
    rig.update(UpdateKind::Kill, pods[1].clone());
    rig.update(UpdateKind::Kill, pods[0].clone());
    assert_eq!(of(rig.calls().await), ["end 1", "clean 1", "sync 3"]);
    assert!(rig.is_terminated("2"));
}

#[tokio::test(start_paused = true)]
async fn sync_known_pods() {
    let rig = Rig::new(|_| Fate::Done).await;
    for of in 0..20 {
        rig.update(Update, pod(&of.to_string()));
    }
    settle().await;
    let desired: HashSet<_> = ["2", "14"].map(uid).into();
    for of in 0..20 {
        let mut pod = pod(&of.to_string());
        if desired.contains(&uid(&of.to_string())) {
            continue;
        }
        if of % 2 == 0 {
            pod = deleted(pod, 30);
        }
        rig.update(UpdateKind::Kill, pod);
    }
    settle().await;
    let pool = &rig.pool;
    for (of, is_ending) in [("0", true), ("1", true), ("2", false), ("abc", false)] {
        let of = &uid(of);
        assert_eq!(pool.should_pod_containers_be_terminating(of), is_ending);
        assert_eq!(pool.is_pod_termination_requested(of), is_ending);
        assert_eq!(pool.could_have_running_containers(of), !is_ending);
    }
    assert!(pool.should_pod_content_be_removed(&uid("0")));
    assert!(
        !pool.should_pod_content_be_removed(&uid("1")),
        "it is not deleted"
    );
    assert!(
        !pool.should_pod_content_be_removed(&uid("abc")),
        "nobody knows yet"
    );

    let known = pool.sync_known_pods(&desired);
    let stages: Vec<_> = known
        .iter()
        .map(|(of, it)| (of.as_str(), it.stage))
        .collect();
    assert_eq!(stages, [("14", Stage::Sync), ("2", Stage::Sync)]);
    assert!(pool.should_pod_containers_be_terminating(&uid("abc")));
    assert!(pool.should_pod_content_be_removed(&uid("abc")));

    // Nobody has the last two any more: they end by themselves, and are then forgotten.
    assert_eq!(pool.sync_known_pods(&HashSet::new()).len(), 2);
    settle().await;
    assert!(pool.is_pod_known_terminated(&uid("2")));
    assert!(pool.sync_known_pods(&HashSet::new()).is_empty());
}

#[tokio::test(start_paused = true)]
async fn complete_work_enqueue() {
    type Case = (fn() -> Fate, u64, u64);
    let cases: [Case; 4] = [
        (|| Fate::Done, 60_000, 90_000),
        (
            || Fate::Fails(TurnError::Failed(anyhow!("no"))),
            10_000,
            15_000,
        ),
        (
            || Fate::Fails(TurnError::NetworkNotReady("no".into())),
            1_000,
            1_500,
        ),
        (
            || {
                Fate::Fails(TurnError::Backoff {
                    expiry: Instant::now() + Duration::from_secs(40),
                    message: "back-off".into(),
                })
            },
            39_900,
            40_000,
        ),
    ];
    for (fate, from, to) in cases {
        let rig = Rig::new(move |_| fate()).await;
        rig.update(Create, pod("1"));
        sleep(Duration::from_millis(from - 20)).await;
        assert!(rig.pool.take_due().is_empty(), "not before {from} ms");
        sleep(Duration::from_millis(to - from + 40)).await;
        assert_eq!(rig.pool.take_due(), [uid("1")].into(), "after {to} ms");
        assert!(rig.pool.take_due().is_empty(), "each is taken once");
    }
}

#[tokio::test(start_paused = true)]
async fn kill_pod_now_func() {
    let mut rig = Rig::new(|call| match call {
        Call::Sync(..) => Fate::UntilCancelled,
        _ => Fate::Takes(Duration::from_secs(5)),
    })
    .await;
    rig.update(Create, pod("1"));
    settle().await;
    let start = Instant::now();
    let kill = rig
        .pool
        .kill_and_wait(Arc::new(pod("1")), eviction(Some(7)), None);
    assert_eq!(kill.await, Ok(()));
    assert_eq!(start.elapsed(), Duration::from_secs(5));
    let ended = Call::Terminate("1".into(), Some(7), Some("Evicted".into()));
    assert_eq!(rig.calls().await[1..], [ended, cleaned("1")]);
    assert!(rig.pool.should_pod_content_be_removed(&uid("1")));
    // What has ended is not waited for.
    let kill = rig
        .pool
        .kill_and_wait(Arc::new(pod("1")), eviction(Some(7)), None);
    assert_eq!(kill.await, Ok(()));

    // It does not end in time.
    rig.script(|_| Fate::Deaf);
    for (grace, limit, waits) in [
        (Some(2), None, 10),
        (Some(20), None, 30),
        (None, None, 45),
        (None, Some(Duration::from_secs(3)), 3),
    ] {
        let start = Instant::now();
        let of = format!("{grace:?} {limit:?}");
        rig.told();
        let kill = rig
            .pool
            .kill_and_wait(Arc::new(pod(&of)), eviction(grace), limit);
        assert_eq!(kill.await, Err(KillWaitError::Late));
        assert_eq!(start.elapsed(), Duration::from_secs(waits), "{of}");
        assert_eq!(rig.told()[0].0, "ExceededGracePeriod");
    }

    // Nobody is there to do it.
    rig.token.cancel();
    rig.driver.join_next().await.unwrap().unwrap();
    let kill = rig
        .pool
        .kill_and_wait(Arc::new(pod("9")), eviction(None), None);
    assert_eq!(kill.await, Err(KillWaitError::NoWorkers));
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_is_killed_before_it_was_seen_is_ended() {
    let rig = Rig::new(|_| Fate::Done).await;
    rig.runtime.put(observed("1", &[("c", Running)]));
    let kill = rig
        .pool
        .kill_and_wait(Arc::new(pod("1")), eviction(None), None);
    assert_eq!(kill.await, Ok(()));
    let ended = Call::Terminate("1".into(), Some(30), Some("Evicted".into()));
    assert_eq!(rig.calls().await, [ended, cleaned("1")]);
}
