//! The pods of a machine are run once, without anybody to watch over them.

use std::fs;
use std::time::Duration;

use kubewright_cri::testing::Behaviour;
use node_agent::agent::{RunOnceError, RunPodResult};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::world::{NODE, World, app};

/// A machine with these pods in files.
async fn world(pods: &[(&str, Value)]) -> World {
    let mut world = World::idle(1).await;
    world.is_alone = true;
    let directory = world.root.path().join("manifests");
    fs::create_dir_all(&directory).unwrap();
    for (name, spec) in pods {
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec,
        });
        let path = directory.join(name).with_extension("json");
        fs::write(path, pod.to_string()).unwrap();
    }
    world.config.static_pod_path = Some(directory);
    world
}

/// The names of the pods, and why they do not run, sorted.
fn told(results: &[RunPodResult]) -> Vec<(String, Option<String>)> {
    let told = results.iter().map(|result| {
        let name = result.pod.metadata.name.clone().unwrap();
        let error = result.error.as_ref().map(|error| format!("{error:#}"));
        (name, error)
    });
    let mut told: Vec<_> = told.collect();
    told.sort();
    told
}

#[tokio::test(start_paused = true)]
async fn pods_run_and_those_that_find_no_room_do_not() {
    let mut large = app();
    large["containers"][0]["resources"] = json!({"requests": {"cpu": "1000"}});
    let world = world(&[("good", app()), ("other", app()), ("large", large)]).await;
    let results = world.agent().await.run_once().await.unwrap();
    let expected = ["good", "large", "other"].map(|name| (format!("{name}-{NODE}"), None));
    assert_eq!(told(&results), expected);
    let view = world.view().await;
    for name in ["good", "other"] {
        assert_eq!(view.running(&format!("{name}-{NODE}")), ["app"]);
    }
    assert_eq!(view.containers.len(), 2, "{}", view.told());

    // Once more: nothing is done again.
    world.runtime.take_calls();
    world.agent().await.run_once().await.unwrap();
    assert!(
        world
            .seconds_of("StartContainer", &format!("good-{NODE}/app"))
            .is_empty()
    );
    assert_eq!(world.view().await.containers, view.containers);
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_fails_keeps_no_other_from_running() {
    let image = json!({
        "containers": [{"name": "app", "image": "absent:1", "imagePullPolicy": "Never"}],
    });
    let crash = json!({"containers": [{"name": "crash", "image": "app:1"}]});
    let world = world(&[("good", app()), ("image", image), ("crash", crash)]).await;
    world
        .runtime
        .behave("crash", Behaviour::exits(Duration::ZERO, 1));
    let failed = world.agent().await.run_once().await.unwrap_err();
    let message = failed.to_string();
    let RunOnceError::Pods(results) = failed else {
        panic!("{failed}");
    };
    let told = told(&results);
    let failures: Vec<_> = told
        .iter()
        .filter_map(|(_, error)| error.as_ref())
        .collect();
    assert_eq!((told.len(), failures.len()), (3, 2), "{told:?}");
    assert!(message.starts_with("error running pods: "), "{message}");
    assert!(message.contains("CrashLoopBackOff"), "{message}");
    assert!(message.contains("ErrImageNeverPull"), "{message}");
    assert_eq!(world.view().await.running(&format!("good-{NODE}")), ["app"]);
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_has_ended_is_not_waited_for() {
    let once = |names: &[&str]| {
        let containers = names.iter().map(|name| json!({"name": name, "image": "i"}));
        let containers: Vec<_> = containers.collect();
        json!({"restartPolicy": "Never", "containers": containers})
    };
    let mut served = once(&["app"]);
    served["initContainers"] =
        json!([{"name": "sidecar", "image": "i", "restartPolicy": "Always"}]);
    let pods = [
        ("job", once(&["job"])),
        ("both", once(&["job", "app"])),
        ("served", served),
    ];
    let world = world(&pods).await;
    let runtime = &world.runtime;
    runtime.behave("job", Behaviour::exits(Duration::ZERO, 0));
    let start = Instant::now();
    let results = world.agent().await.run_once().await.unwrap();
    let expected = ["both", "job", "served"].map(|name| (format!("{name}-{NODE}"), None));
    assert_eq!(told(&results), expected);
    assert!(
        start.elapsed() < Duration::from_secs(10),
        "{:?}",
        start.elapsed()
    );
    let view = world.view().await;
    assert_eq!(view.running(&format!("both-{NODE}")), ["app"]);
    assert_eq!(view.running(&format!("served-{NODE}")).len(), 2);

    let world = self::world(&[("crash", once(&["crash"]))]).await;
    let crash = Behaviour::exits(Duration::ZERO, 3);
    world.runtime.behave("crash", crash);
    let start = Instant::now();
    let failed = world.agent().await.run_once().await.unwrap_err();
    let message = failed.to_string();
    assert!(message.contains("the pod has failed"), "{message}");
    assert!(
        start.elapsed() < Duration::from_secs(10),
        "{:?}",
        start.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn without_a_source_that_speaks_nothing_runs() {
    let mut world = World::idle(1).await;
    world.is_alone = true;
    world.config.static_pod_url = Some("http://127.0.0.1:1/pods".into());
    let failed = world.agent().await.run_once().await.unwrap_err();
    assert!(matches!(failed, RunOnceError::NoUpdate), "{failed}");
}
