//! The same seed is the same history.

use std::collections::BTreeMap;
use std::time::Duration;

use kubewright_cri::testing::{Behaviour, Fault};
use serde_json::json;
use tokio::time::Instant;

use crate::world::{World, app};

/// What the agent asked of the runtime, and what it says in the end, by what it is about.
///
/// Files are worked on by threads, so that in which order it comes to two pods within one instant is
/// up to the machine; what it does about one of them is not.
type History = BTreeMap<String, Vec<String>>;

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
    let mut history = History::new();
    for call in world.runtime.calls() {
        // How full disks are is found out by threads, too.
        if call.method.ends_with("Stats") || call.method == "ImageFsInfo" {
            continue;
        }
        let at = (call.at - begin).as_millis();
        let told = format!("{at} {call} {}", call.seconds);
        let about = match call.subject.as_str() {
            "" => call.method.to_owned(),
            subject => subject.to_owned(),
        };
        history.entry(about).or_default().push(told);
    }
    // How many of the statuses of one instant are written one by one is up to the machine, too.
    for pod in world.view().await.pods {
        let about = format!("pod {}", pod.metadata.name.unwrap_or_default());
        let told = serde_json::to_string(&pod.status).unwrap();
        history.entry(about).or_default().push(told);
    }
    world.stop().await;
    history
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_is_the_same_history() {
    let first = history(7).await;
    let second = history(7).await;
    assert!(first.len() > 10 && first["three/app"].len() > 1);
    for (about, told) in &first {
        assert_eq!(Some(told), second.get(about), "{about}");
    }
    assert_eq!(first.len(), second.len());
}
