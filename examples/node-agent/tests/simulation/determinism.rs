//! The same seed is the same history.

use std::time::Duration;

use kubewright_cri::testing::{Behaviour, Fault};
use serde_json::json;
use tokio::time::Instant;

use crate::world::{World, app};

/// What the agent asked of the runtime, and what it says in the end.
type History = Vec<String>;

async fn history(seed: u64) -> History {
    let begin = Instant::now();
    let mut world = World::idle(seed).await;
    world.start().await;
    world.until_ready().await;
    world
        .runtime
        .behave("init", Behaviour::exits(Duration::from_secs(1), 0));
    world
        .runtime
        .behave("crash", Behaviour::exits(Duration::from_secs(1), 1));
    let spec = json!({
        "initContainers": [{"name": "init", "image": "i"}],
        "containers": [{
            "name": "app",
            "image": "i",
            "livenessProbe": {"exec": {"command": ["true"]}, "periodSeconds": 2},
        }],
    });
    world.create("one", spec).await;
    world.pass(5).await;
    world
        .create(
            "two",
            json!({"containers": [{"name": "crash", "image": "i"}]}),
        )
        .await;
    world.pass(60).await;
    world.runtime.fault("StopContainer", Fault::unavailable());
    world.delete("one").await;
    world.create("three", app()).await;
    world.pass(60).await;
    let calls = world.runtime.calls().into_iter().map(|call| {
        let at = (call.at - begin).as_millis();
        format!("{at} {call} {}", call.seconds)
    });
    let pods = world.view().await.pods.into_iter().map(|pod| {
        let version = pod.metadata.resource_version;
        format!("{:?} {version:?} {:?}", pod.metadata.name, pod.status)
    });
    let history = calls.chain(pods).collect();
    world.stop().await;
    history
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_is_the_same_history() {
    let first = history(7).await;
    for round in 0..3 {
        let again = history(7).await;
        let differs = first
            .iter()
            .zip(&again)
            .position(|(one, other)| one != other);
        let at = |history: &History, index: usize| history[index.saturating_sub(2)..][..5].to_vec();
        if let Some(index) = differs {
            panic!(
                "{round}: {index}: {:#?} {:#?}",
                at(&first, index),
                at(&again, index)
            );
        }
        assert_eq!(first.len(), again.len());
    }
    assert!(first.len() > 200, "{}", first.len());
}
