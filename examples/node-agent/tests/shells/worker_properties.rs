//! What holds for pods whatever happens to them, with workers that run.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use k8s_openapi::api::core::v1::Pod;
use node_agent::worker::{Kill, KillCause, TurnError, UpdateKind};
use proptest::prelude::*;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::fixtures::{deleted, fixed, pod, uid};
use crate::worker_rig::{Call, Fate, Rig, update};

const PODS: u8 = 4;

#[derive(Clone, Debug)]
enum Step {
    Update(u8, UpdateKind),
    Delete(u8, i64),
    Kill(u8, Option<u64>),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let kind = [UpdateKind::Create, UpdateKind::Update, UpdateKind::Sync];
    let kind = prop::sample::select(kind.to_vec());
    prop_oneof![
        4 => (0..PODS, kind).prop_map(|(of, kind)| Step::Update(of, kind)),
        1 => (0..PODS, 0..40i64).prop_map(|(of, grace)| Step::Delete(of, grace)),
        1 => (0..PODS, prop::option::of(0..40u64)).prop_map(|(of, grace)| Step::Kill(of, grace)),
        3 => (0..3000u64).prop_map(Step::Wait),
    ]
}

/// Pods 0 and 1 are static and have one name.
fn pod_of(of: u8) -> Pod {
    match of {
        0 | 1 => fixed(&of.to_string(), "web"),
        _ => pod(&of.to_string()),
    }
}

/// An end that somebody wants is not put off for ever.
fn fate(call: &Call, of: u64) -> Fate {
    match of {
        2..5 if !matches!(call, Call::Sync(..)) => Fate::Done,
        0 => Fate::Fails(TurnError::Failed(anyhow!("no"))),
        1 => Fate::Panics,
        2 => Fate::Ended,
        3 | 4 => Fate::UntilCancelled,
        5 | 6 => Fate::Takes(Duration::from_millis(700)),
        _ => Fate::Done,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..Default::default() })]

    /// Two turns of one pod never run at once (which the rig sees to), who waits for an end is told,
    /// and in the end nothing is left.
    #[test]
    fn pods_come_to_their_end(steps in prop::collection::vec(step(), 1..40), seed in any::<u64>()) {
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_all().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let mut random = fastrand::Rng::with_seed(seed);
            let rig = Rig::new(move |call| fate(call, random.u64(0..12))).await;
            let pods: Vec<_> = (0..PODS).map(pod_of).collect();
            let mut kills = JoinSet::new();
            for step in steps {
                match step {
                    Step::Update(of, kind) => rig.update(kind, pod_of(of)),
                    Step::Delete(of, grace) => rig.update(UpdateKind::Update, deleted(pod_of(of), grace)),
                    Step::Kill(of, grace) => {
                        let kill = Kill {
                            cause: KillCause::Evicted,
                            grace: grace.map(Duration::from_secs),
                            status: None,
                            waiter: None,
                        };
                        let pool = rig.pool.clone();
                        let limit = Some(Duration::from_secs(3600));
                        kills.spawn(async move {
                            pool.kill_and_wait(Arc::new(pod_of(of)), kill, limit).await
                        });
                    }
                    Step::Wait(time) => sleep(Duration::from_millis(time)).await,
                }
                rig.tick(&pods);
            }
            // From here on all goes well, and nobody wants any of them.
            sleep(Duration::from_millis(1)).await;
            rig.script(|_| Fate::Done);
            for of in 0..PODS {
                rig.pool.update(update(UpdateKind::Update, deleted(pod_of(of), 0)));
            }
            for _ in 0..60 {
                sleep(Duration::from_secs(1)).await;
                rig.tick(&pods);
            }
            while let Some(killed) = kills.join_next().await {
                prop_assert_eq!(killed.unwrap(), Ok(()));
            }
            for of in 0..PODS {
                prop_assert!(rig.pool.should_pod_be_finished(&uid(&of.to_string())), "{}", of);
            }
            prop_assert!(rig.pool.sync_known_pods(&HashSet::new()).is_empty());
            Ok(())
        })?;
    }
}
