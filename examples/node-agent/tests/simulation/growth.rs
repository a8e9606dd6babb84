//! What is gone is forgotten.

use std::fs;
use std::time::Duration;

use kubewright_cri::testing::Behaviour;
use serde_json::{Value, json};

use crate::world::World;

/// Pods of the API server, all that can be had of each.
const OF_THE_SERVER: (usize, usize) = (4, 50);
/// Static pods of an agent that stands alone.
const OF_FILES: (usize, usize) = (10, 100);

fn spec() -> Value {
    json!({
        "dnsPolicy": "Default",
        "terminationGracePeriodSeconds": 1,
        "containers": [
            {
                "name": "app",
                "image": "i:1",
                "readinessProbe": {"exec": {"command": ["true"]}},
            },
            {"name": "crash", "image": "i:1"},
        ],
    })
}

async fn check_empty(world: &mut World) {
    // Back-offs are remembered for three times the longest of them.
    world.pass_by(1000, 50).await;
    let census = world.census();
    assert_eq!(census, Default::default());
    let view = world.view().await;
    assert!(
        view.containers.is_empty() && view.sandboxes.is_empty(),
        "{}",
        view.told()
    );
}

#[tokio::test(start_paused = true)]
async fn nothing_grows_with_the_pods_that_were() {
    let mut world = World::new(1).await;
    world
        .runtime
        .behave("crash", Behaviour::exits(Duration::ZERO, 1));
    let mut spec = spec();
    spec["volumes"] = json!([{"name": "v", "configMap": {"name": "absent", "optional": true}}]);
    spec["containers"][0]["volumeMounts"] = json!([{"name": "v", "mountPath": "/v"}]);
    let (rounds, pods) = OF_THE_SERVER;
    for round in 0..rounds {
        let names: Vec<_> = (0..pods).map(|it| format!("web-{round}-{it}")).collect();
        for name in &names {
            world.create(name, spec.clone()).await;
        }
        world.pass_by(10, 5).await;
        assert!(world.census().workers >= pods);
        for name in &names {
            world.delete(name).await;
        }
        world
            .until(60, "all are gone", |view| view.pods.is_empty())
            .await;
    }
    check_empty(&mut world).await;
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn nothing_grows_with_a_thousand_static_pods_that_were() {
    let mut world = World::idle(2).await;
    world.is_alone = true;
    let directory = world.root.path().join("manifests");
    fs::create_dir_all(&directory).unwrap();
    world.config.static_pod_path = Some(directory.clone());
    world.config.file_check_frequency = Duration::from_secs(1);
    world.start().await;
    let mut spec = spec();
    spec["containers"].as_array_mut().unwrap().truncate(1);
    let (rounds, pods) = OF_FILES;
    for round in 0..rounds {
        let names: Vec<_> = (0..pods).map(|it| format!("web-{round}-{it}")).collect();
        for name in &names {
            let manifest = json!({
                "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec,
            });
            let file = directory.join(name).with_extension("json");
            fs::write(file, manifest.to_string()).unwrap();
            world.statics.insert(format!("{name}-node"));
        }
        world.pass_by(10, 5).await;
        assert!(world.census().workers >= pods, "{:?}", world.census());
        for name in &names {
            fs::remove_file(directory.join(name).with_extension("json")).unwrap();
        }
        world.statics.clear();
        for _ in 0..12 {
            world.pass_by(5, 5).await;
            if world.census().workers == 0 {
                break;
            }
        }
        assert_eq!(world.census().workers, 0, "round {round}");
    }
    check_empty(&mut world).await;
    world.stop().await;
}
