//! Statuses while the API server is not what it should be.

use std::sync::Arc;

use kubewright_apiserver::faults::{Fault, Rule, Verb};
use node_agent::pod::PodUid;
use serde_json::json;

use crate::world::{World, a_moment, saying, seconds, status, told};

#[tokio::test(start_paused = true)]
async fn nothing_is_lost_in_ten_minutes_without_the_api_server() {
    let world = World::new();
    let mut pods = Vec::new();
    for name in ["a", "b", "c", "gone", "done"] {
        pods.push(world.create(name).await);
    }
    let done = world.ask_to_delete("done").await;
    let gone = Arc::clone(&pods[3]);
    for pod in &pods[..4] {
        world.manager.set_pod_status(pod, saying("before"));
    }
    a_moment().await;

    let outage = world.outage();
    world.calls.take();
    for minute in 0..10 {
        for pod in &pods[..4] {
            world
                .manager
                .set_pod_status(pod, saying(&format!("minute {minute}")));
        }
        if minute == 3 {
            world.manager.terminate_pod(&done);
        }
        seconds(60).await;
    }
    let tries = told(&world.calls);
    assert!(tries.iter().all(|call| call.ends_with(": lost")));
    // Five statuses, each tried when something is new and with each batch.
    assert!(tries.len() <= 5 * (60 + 5 * 10), "{}", tries.len());

    outage.remove();
    world.remove("gone").await;
    seconds(10).await;
    for name in ["a", "b", "c"] {
        assert_eq!(world.message(name).await, "minute 9");
    }
    assert!(world.published("done").await.is_none());
    world.pods.lock().remove(&gone);
    world
        .manager
        .remove_orphaned(&pods[..3].iter().map(|pod| PodUid::of(pod)).collect());
    for name in ["a", "b", "c"] {
        world.observe(name).await;
    }
    seconds(60).await;
    assert!(told(&world.calls).is_empty(), "all is said");
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_lost_is_not_written_twice() {
    let world = World::new();
    let pod = world.create("foo").await;
    let rule = Rule::new(Fault::LoseAnswer).verb(Verb::Patch);
    world.server.faults().add(rule.nth(1));
    world.manager.set_pod_status(&pod, saying("a"));
    seconds(15).await;
    let calls = told(&world.calls);
    let expected = [
        "get pods default/foo: 200",
        "patch pods/status default/foo: lost",
        "get pods default/foo: 200",
    ];
    assert_eq!(calls, expected);
    assert_eq!(world.message("foo").await, "a");
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_conflict_is_tried_again() {
    let world = World::new();
    let pod = world.create("foo").await;
    let rule = Rule::new(Fault::Conflict).verb(Verb::Patch);
    world.server.faults().add(rule.nth(1));
    world.manager.set_pod_status(&pod, saying("a"));
    a_moment().await;
    assert_eq!(world.message("foo").await, "");
    seconds(10).await;
    assert_eq!(world.message("foo").await, "a");
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_hangs_does_not_keep_the_writer_for_ever() {
    let world = World::new();
    let (stuck, pod) = (world.create("stuck").await, world.create("foo").await);
    let hang = Rule::new(Fault::Delay(std::time::Duration::from_secs(3600)));
    let hang = world.server.faults().add(hang.name("stuck"));
    world.manager.set_pod_status(&stuck, saying("a"));
    world.manager.set_pod_status(&pod, saying("b"));
    seconds(31).await;
    assert_eq!(world.message("foo").await, "b");
    hang.remove();
    seconds(60).await;
    assert_eq!(world.message("stuck").await, "a");
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_pod_made_anew_under_its_name_is_told_nothing_of_the_old_one() {
    let world = World::new();
    let old = world.create("foo").await;
    world.manager.set_pod_status(&old, saying("old"));
    a_moment().await;
    world.remove("foo").await;
    let new = world.create("foo").await;
    world.manager.terminate_pod(&old);
    a_moment().await;
    assert_eq!(world.message("foo").await, "");
    assert_eq!(world.manager.status(&PodUid::of(&old)), None);
    world.manager.set_pod_status(&new, saying("new"));
    a_moment().await;
    assert_eq!(world.message("foo").await, "new");
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_pod_made_anew_between_the_look_and_the_deletion_stays() {
    let world = World::new();
    world.create("foo").await;
    let old = world.ask_to_delete("foo").await;
    world
        .manager
        .set_pod_status(&old, status(json!({"phase": "Failed"})));
    a_moment().await;
    let slow = Rule::new(Fault::Delay(std::time::Duration::from_secs(5))).verb(Verb::Delete);
    // The deletion of the writer is the first one that is slow, but for the one by hand.
    let slow = world.server.faults().add(slow.nth(1));
    world.manager.terminate_pod(&old);
    a_moment().await;
    world.remove("foo").await;
    world.create("foo").await;
    seconds(30).await;
    assert_eq!(slow.strikes(), 1);
    assert!(world.published("foo").await.is_some());
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_stands_alone_only_remembers() {
    let world = World::without_writer();
    let pod = world.create("foo").await;
    world.manager.set_pod_status(&pod, saying("a"));
    seconds(60).await;
    assert!(told(&world.calls).is_empty());
    assert_eq!(world.status(&pod).message.as_deref(), Some("a"));
}
