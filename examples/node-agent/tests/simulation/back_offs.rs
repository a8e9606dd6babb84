//! What fails is tried again after longer and longer times.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use kubewright_cri::testing::{Behaviour, Exec, Fault};
use serde_json::json;
use tonic::Status;

use crate::world::{World, app};

fn gaps(times: &[u64]) -> Vec<u64> {
    times.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

#[tokio::test(start_paused = true)]
async fn a_container_that_crashes_is_started_again_later_and_later() {
    let mut world = World::new(1).await;
    world
        .runtime
        .behave("app", Behaviour::exits(Duration::ZERO, 1));
    world.create("web", app()).await;
    world
        .until(30, "it backs off", |view| {
            view.waiting("web", "app") == Some("CrashLoopBackOff")
        })
        .await;
    world.pass_by(1500, 5).await;
    let started = world.seconds_of("StartContainer", "web/app");
    let gaps = gaps(&started);
    // The first restart is at once; then each waits for what upstream has it wait, and no more
    // than it takes to see that the time has come.
    let expected = [0, 10, 20, 40, 80, 160, 300, 300];
    assert!(gaps.len() >= expected.len(), "{gaps:?}");
    for (gap, expected) in gaps.iter().zip(expected) {
        assert!((expected..=expected + 2).contains(gap), "{gaps:?}");
    }
    assert!(world.has_event("web", "BackOff").await);
    let view = world.view().await;
    assert_eq!(
        view.restarts("web", "app"),
        i32::try_from(gaps.len()).unwrap()
    );

    // It runs for long, and then begins again with short waits.
    world
        .runtime
        .behave("app", Behaviour::exits(Duration::from_secs(660), 1));
    let count = world.seconds_of("StartContainer", "web/app").len();
    world
        .until(400, "it runs", |view| !view.running("web").is_empty())
        .await;
    world
        .runtime
        .behave("app", Behaviour::exits(Duration::ZERO, 1));
    world.pass_by(720, 5).await;
    let started = world.seconds_of("StartContainer", "web/app");
    let gaps = self::gaps(&started[count..]);
    for (gap, expected) in gaps.iter().zip([660, 10, 20]) {
        assert!((expected..=expected + 2).contains(gap), "{gaps:?}");
    }
    assert!(gaps.len() >= 3, "{gaps:?}");

    world.delete("web").await;
    world.until_gone(20, "web").await;
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_image_that_is_nowhere_is_asked_for_later_and_later() {
    let mut world = World::new(2).await;
    for _ in 0..100 {
        let absent = Status::not_found("no such image");
        world.runtime.fault("PullImage", Fault::Refused(absent));
    }
    world.create("web", app()).await;
    for reason in ["ImagePullBackOff", "ErrImagePull", "ImagePullBackOff"] {
        world
            .until(60, reason, |view| {
                view.waiting("web", "app") == Some(reason)
            })
            .await;
    }
    world.pass_by(1300, 5).await;
    let pulls: Vec<_> = world
        .runtime
        .calls()
        .into_iter()
        .filter(|call| call.method == "PullImage")
        .map(|call| call.at)
        .collect();
    let gaps: Vec<_> = pulls
        .windows(2)
        .map(|pair| (pair[1] - pair[0]).as_secs())
        .collect();
    // Each is the end of a back-off, and then up to a sync: a pod that is not well is synced each
    // 10 s to 15 s.
    for (gap, least) in gaps.iter().zip([10, 20, 40, 80, 160, 300]) {
        assert!((least..=least + 32).contains(gap), "{gaps:?}");
    }
    assert!(gaps.len() >= 6, "{gaps:?}");
    for reason in ["Failed", "BackOff"] {
        assert!(world.has_event("web", reason).await, "{reason}");
    }
    world.runtime.clear_faults();
    world
        .until(340, "it runs", |view| view.is_ready("web"))
        .await;
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_container_whose_liveness_fails_is_restarted() {
    let mut world = World::new(3).await;
    let is_well = Arc::new(AtomicBool::new(true));
    let asked = is_well.clone();
    world.runtime.on_exec(move |_, _| Exec {
        exit_code: i32::from(!asked.load(Ordering::Relaxed)),
        ..Exec::default()
    });
    let spec = json!({
        "terminationGracePeriodSeconds": 5,
        "containers": [{
            "name": "app",
            "image": "i",
            "livenessProbe": {"exec": {"command": ["true"]}, "periodSeconds": 2},
            "readinessProbe": {"exec": {"command": ["true"]}, "periodSeconds": 2},
        }],
    });
    world.run("web", spec).await;
    world.pass(30).await;
    assert_eq!(world.view().await.restarts("web", "app"), 0);
    is_well.store(false, Ordering::Relaxed);
    world
        .until(20, "it is not ready", |view| !view.is_ready("web"))
        .await;
    world
        .until(20, "it is restarted", |view| {
            view.restarts("web", "app") == 1
        })
        .await;
    is_well.store(true, Ordering::Relaxed);
    world
        .until(30, "it is ready again", |view| view.is_ready("web"))
        .await;
    for reason in ["Unhealthy", "Killing"] {
        assert!(world.has_event("web", reason).await, "{reason}");
    }
    world.stop().await;
}
