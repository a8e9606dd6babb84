//! Many pods at once.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use kube_client::api::Api;
use tokio::time::Instant;

use crate::world::{NODE, World, app};

const PODS: usize = 200;

/// Fails if the node's lease was not renewed in time: a heartbeat waits for no other request.
async fn check_lease(world: &World, leases: &Api<Lease>) {
    let lease = leases.get(NODE).await.unwrap().spec.unwrap();
    let age = world
        .clock
        .now()
        .duration_since(lease.renew_time.unwrap().0);
    assert!(age.as_millis() <= 11_000, "the lease is {age} old");
}

#[tokio::test(start_paused = true)]
async fn two_hundred_pods_come_and_go_and_heartbeats_are_in_time() {
    let mut world = World::idle(1).await;
    world.config.max_pods = 250;
    world.start().await;
    world.until_ready().await;
    let leases: Api<Lease> = Api::namespaced(world.client.clone(), "kube-node-lease");
    let names: Vec<_> = (0..PODS).map(|it| format!("web-{it}")).collect();
    // It is made with the node as its owner, which it has from its second try on.
    world.pass(12).await;
    let begin = Instant::now();
    for name in &names {
        world.create(name, app()).await;
    }
    loop {
        world.step_by(Duration::from_secs(2)).await;
        check_lease(&world, &leases).await;
        let view = world.view().await;
        if names.iter().all(|name| view.is_ready(name)) {
            break;
        }
        assert!(begin.elapsed() < Duration::from_secs(90), "{}", view.told());
    }
    let begin = Instant::now();
    for name in &names {
        world.delete(name).await;
    }
    loop {
        world.step_by(Duration::from_secs(2)).await;
        check_lease(&world, &leases).await;
        let view = world.view().await;
        if view.pods.is_empty() {
            break;
        }
        assert!(
            begin.elapsed() < Duration::from_secs(90),
            "{} left",
            view.pods.len()
        );
    }
    world.stop().await;
}
