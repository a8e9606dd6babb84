//! Crashes and lost messages: whatever is lost, and whenever, the sets come out right.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::TryStreamExt as _;
use k8s_openapi::api::core::v1::Pod;
use kube_client::api::{WatchEvent, WatchParams};

use crate::lab::{Lab, new_set};
use crate::wire::Fate;

const SETS: usize = 20;
const PODS: i32 = 2;

/// Creates the sets, each with a selector of its own.
async fn create_sets(lab: &Lab) {
    for nth in 0..SETS {
        let name = name(nth);
        let mut set = new_set(&name, PODS);
        let spec = set.spec.as_mut().unwrap();
        let labels = Some([("set".to_owned(), name)].into());
        spec.selector.match_labels.clone_from(&labels);
        let template = spec.template.as_mut().unwrap();
        template.metadata.as_mut().unwrap().labels = labels;
        lab.create_set(&set).await;
    }
}

fn name(nth: usize) -> String {
    format!("set-{nth}")
}

/// Waits until all sets are as they should be.
async fn converged(lab: &Lab) {
    for nth in 0..SETS {
        lab.stable(&name(nth)).await;
    }
    lab.until_pods(SETS * usize::try_from(PODS).unwrap()).await;
}

/// By how many pods each set was ever above what it should have, going through all versions.
async fn excess(lab: &Lab) -> BTreeMap<String, usize> {
    let mut params = WatchParams::default();
    params = params.timeout(1);
    let pods = lab.pods();
    let events = pods.watch(&params, "1").await.unwrap();
    let events: Vec<WatchEvent<Pod>> = events.try_collect().await.unwrap();
    let mut active: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut excess = BTreeMap::new();
    for event in events {
        let (pod, is_there) = match event {
            WatchEvent::Added(pod) | WatchEvent::Modified(pod) => {
                let is_there = pod.metadata.deletion_timestamp.is_none();
                (pod, is_there)
            }
            WatchEvent::Deleted(pod) => (pod, false),
            WatchEvent::Bookmark(_) | WatchEvent::Error(_) => continue,
        };
        let owner = pod.metadata.owner_references.unwrap_or_default().remove(0);
        let of_set = active.entry(owner.name.clone()).or_default();
        let uid = pod.metadata.uid.unwrap();
        if is_there {
            of_set.insert(uid);
        } else {
            of_set.remove(&uid);
        }
        let above = of_set.len().saturating_sub(usize::try_from(PODS).unwrap());
        let highest: &mut usize = excess.entry(owner.name).or_default();
        *highest = above.max(*highest);
    }
    assert_eq!(excess.len(), SETS, "all sets had pods");
    excess
}

/// How many writes it takes to bring all sets to life when nothing goes wrong.
async fn writes_without_failure() -> usize {
    let lab = Lab::new();
    create_sets(&lab).await;
    let running = lab.start();
    converged(&lab).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let writes = lab
        .wire
        .asked()
        .iter()
        .filter(|asked| asked.matters())
        .count();
    running.stop().await;
    lab.finish().await;
    // No more than two creations and two statuses per set.
    assert_eq!(writes, SETS * 4);
    writes
}

/// Lets the `nth` write have a fate.
fn fate_of_the(nth: usize, lab: &Lab, fate: Fate) {
    let mut count = 0;
    lab.wire.decide(move |asked| {
        count += usize::from(asked.matters());
        if asked.matters() && count == nth {
            fate
        } else {
            Fate::Answered
        }
    });
}

async fn crash_at_every_write(fate: Fate) {
    for nth in 1..=writes_without_failure().await {
        let lab = Lab::new();
        create_sets(&lab).await;
        fate_of_the(nth, &lab, fate);
        let doomed = lab.start();
        lab.wire.crashed().await;
        doomed.kill().await;
        let running = lab.start();
        converged(&lab).await;
        // The next one looks before it acts: it finds what the last one did and never knew of.
        assert_eq!(excess(&lab).await.values().max(), Some(&0), "write {nth}");
        lab.remains(async || lab.all_pods().await.len()).await;
        running.stop().await;
        lab.finish().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_crash_before_any_write_does_no_harm() {
    crash_at_every_write(Fate::CrashBefore).await;
}

#[tokio::test(start_paused = true)]
async fn a_crash_after_any_write_does_no_harm() {
    crash_at_every_write(Fate::CrashAfter).await;
}

async fn lose_some_write(fate: Fate) {
    for nth in (1..=writes_without_failure().await).step_by(3) {
        let lab = Lab::new();
        create_sets(&lab).await;
        fate_of_the(nth, &lab, fate);
        let running = lab.start();
        converged(&lab).await;
        let excess = excess(&lab).await;
        // Who does not know that a pod was created may create one too many, and no more.
        let limit = usize::from(fate == Fate::LostAfter);
        assert!(
            excess.values().sum::<usize>() <= limit,
            "write {nth}: {excess:?}"
        );
        lab.remains(async || lab.all_pods().await.len()).await;
        running.stop().await;
        lab.finish().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_request_is_made_up_for() {
    lose_some_write(Fate::LostBefore).await;
}

#[tokio::test(start_paused = true)]
async fn a_lost_response_is_made_up_for() {
    lose_some_write(Fate::LostAfter).await;
}

#[tokio::test(start_paused = true)]
async fn a_bad_network_only_delays() {
    for seed in 0..10 {
        let lab = Lab::new();
        create_sets(&lab).await;
        let mut random = fastrand::Rng::with_seed(seed);
        let lost = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&lost);
        lab.wire.decide(move |asked| {
            if !asked.is_write() {
                return Fate::Answered;
            }
            match random.u8(0..10) {
                0 => Fate::LostBefore,
                1 => {
                    count.fetch_add(1, Ordering::Relaxed);
                    Fate::LostAfter
                }
                _ => Fate::Answered,
            }
        });
        let running = lab.start();
        converged(&lab).await;
        let excess = excess(&lab).await;
        let lost = lost.load(Ordering::Relaxed);
        assert!(
            excess.values().sum::<usize>() <= lost,
            "seed {seed}: {excess:?}, {lost} lost"
        );
        lab.wire.decide(|_| Fate::Answered);
        converged(&lab).await;
        lab.remains(async || lab.all_pods().await.len()).await;
        running.stop().await;
        lab.finish().await;
    }
}
