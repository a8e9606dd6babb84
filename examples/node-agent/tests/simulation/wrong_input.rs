//! What is wrong gets its event, reason or error, and the agent goes on.

use clap::Parser;
use k8s_openapi::api::core::v1::ConfigMap;
use kube_client::api::{Api, PostParams};
use kubewright_cri::testing::Exec;
use node_agent::config::Flags;
use serde_json::json;

use crate::world::{World, app};

/// A program with the agent's flags.
#[derive(Debug, Parser)]
struct Program {
    #[command(flatten)]
    flags: Flags,
}

async fn make_config_map(world: &World) {
    let api: Api<ConfigMap> = Api::default_namespaced(world.client.clone());
    let map = json!({"metadata": {"name": "settings"}, "data": {"key": "value"}});
    let map = serde_json::from_value(map).unwrap();
    api.create(&PostParams::default(), &map).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_config_map_of_the_environment_is_missing() {
    let mut world = World::new(1).await;
    let mut spec = app();
    spec["containers"][0]["env"] = json!([{
        "name": "A", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "key"}},
    }]);
    world.create("web", spec).await;
    world
        .until(20, "it is told", |view| {
            view.waiting("web", "app") == Some("CreateContainerConfigError")
        })
        .await;
    assert!(world.has_event("web", "Failed").await);
    world.run("other", app()).await;
    make_config_map(&world).await;
    world
        .until(90, "it runs", |view| view.is_ready("web"))
        .await;
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_config_map_of_a_volume_is_missing() {
    let mut world = World::new(2).await;
    let mut spec = app();
    spec["volumes"] = json!([{"name": "v", "configMap": {"name": "settings"}}]);
    spec["containers"][0]["volumeMounts"] = json!([{"name": "v", "mountPath": "/v"}]);
    world.create("web", spec.clone()).await;
    world.pass(20).await;
    assert!(world.has_event("web", "FailedMount").await);
    let view = world.view().await;
    assert_eq!(view.waiting("web", "app"), Some("ContainerCreating"));
    // One that never began can be deleted.
    world.create("gone", spec).await;
    world.pass(5).await;
    world.delete("gone").await;
    world.until_gone(20, "gone").await;
    make_config_map(&world).await;
    world
        .until(90, "it runs", |view| view.is_ready("web"))
        .await;
    world.stop().await;
}

/// Nobody runs a node by half of what they have written.
#[test]
fn a_file_with_an_unknown_field_is_refused_by_its_name() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("config.yaml");
    let text =
        "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nmaxPods: 7\n";
    let configure = |more: &str| {
        std::fs::write(&path, format!("{text}{more}")).unwrap();
        let flags = [
            "agent",
            "--config",
            path.to_str().unwrap(),
            "--hostname-override",
            "n",
        ];
        Program::parse_from(flags).flags.config()
    };
    assert_eq!(configure("").unwrap().max_pods, 7);
    let refused = configure("maxPodz: 8\n").unwrap_err();
    let refused = format!("{:#}", anyhow::Error::new(refused));
    assert!(refused.contains("unknown field \"maxPodz\""), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn a_probe_finds_nobody_at_its_port() {
    let mut world = World::new(3).await;
    let mut spec = app();
    // Ports of this machine below 1024 that nobody has.
    spec["containers"][0]["readinessProbe"] =
        json!({"tcpSocket": {"port": 1, "host": "127.0.0.1"}, "periodSeconds": 1});
    world.create("web", spec).await;
    world
        .until(10, "it runs", |view| view.running("web") == ["app"])
        .await;
    world.pass(20).await;
    assert!(!world.view().await.is_ready("web"));
    assert!(world.has_event("web", "Unhealthy").await);
    assert_eq!(world.view().await.restarts("web", "app"), 0);
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_startup_probe_that_fails_costs_nobody_else_anything() {
    let mut world = World::new(4).await;
    world.runtime.on_exec(|_, _| Exec {
        exit_code: 1,
        ..Exec::default()
    });
    let mut spec = app();
    spec["containers"][0]["startupProbe"] =
        json!({"exec": {"command": ["false"]}, "periodSeconds": 1, "failureThreshold": 3});
    world.create("web", spec).await;
    world
        .until(60, "it is restarted", |view| {
            view.restarts("web", "app") >= 1
        })
        .await;
    world.run("other", app()).await;
    world.stop().await;
}
