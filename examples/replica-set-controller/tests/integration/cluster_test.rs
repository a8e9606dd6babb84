//! What Kubernetes' end-to-end tests of ReplicaSets (`test/e2e/apps/replica_set.go`) see, as far as
//! no container has to run for it.

use kube_client::api::{DeleteParams, ListParams};
use replica_set_controller::{REPLICA_FAILURE, get_condition};

use crate::lab::{Lab, name_of, new_set};
use crate::wire::Fate;

/// "should surface a failure condition on a common issue like exceeded quota".
#[tokio::test(start_paused = true)]
async fn an_exceeded_quota_is_told_of_until_there_is_room() {
    let lab = Lab::new();
    let mut room = 2;
    lab.wire.decide(move |asked| {
        if asked.verb != "create" || asked.resource != "pods" {
            return Fate::Answered;
        }
        if room == 0 {
            return Fate::Refused;
        }
        room -= 1;
        Fate::Answered
    });
    let running = lab.start();
    lab.create_set(&new_set("rs", 3)).await;
    let failure = lab
        .until("the failure is told of", async || {
            let status = lab.sets().get("rs").await.unwrap().status?;
            get_condition(&status, REPLICA_FAILURE).cloned()
        })
        .await;
    assert_eq!(failure.status, "True");
    assert_eq!(failure.reason.as_deref(), Some("FailedCreate"));
    assert!(failure.message.unwrap().contains("exceeded quota"));

    // Two fit.
    lab.scale("rs", 2).await;
    let set = lab.stable("rs").await;
    lab.until("nothing fails any more", async || {
        let status = lab.sets().get("rs").await.unwrap().status?;
        status.conditions.is_none().then_some(())
    })
    .await;
    assert_eq!(set.status.unwrap().replicas, 2);
    running.stop().await;
    lab.finish().await;
}

#[tokio::test(start_paused = true)]
async fn what_was_done_is_told_by_events_of_the_set() {
    let lab = Lab::new();
    let running = lab.start();
    let set = lab.create_set(&new_set("rs", 1)).await;
    lab.stable("rs").await;
    let pod = lab.until_pods(1).await.remove(0);
    lab.scale("rs", 0).await;
    lab.until_pods(0).await;
    let pod = name_of(&pod);
    let events = lab
        .until("both events are told", async || {
            let events = lab.events().list(&ListParams::default()).await.unwrap();
            (events.items.len() == 2).then_some(events.items)
        })
        .await;
    for (event, (reason, message)) in events.iter().zip([
        ("SuccessfulCreate", format!("Created pod: {pod}")),
        ("SuccessfulDelete", format!("Deleted pod: {pod}")),
    ]) {
        assert_eq!(event.reason.as_deref(), Some(reason));
        assert_eq!(event.message.as_deref(), Some(&*message));
        assert_eq!(event.type_.as_deref(), Some("Normal"));
        let source = event.source.as_ref().unwrap();
        assert_eq!(source.component.as_deref(), Some("replicaset-controller"));
        let regarding = &event.involved_object;
        assert_eq!(regarding.kind.as_deref(), Some("ReplicaSet"));
        assert_eq!(regarding.api_version.as_deref(), Some("apps/v1"));
        assert_eq!(regarding.name.as_deref(), Some("rs"));
        assert_eq!(regarding.uid, set.metadata.uid);
    }
    running.stop().await;
    lab.finish().await;
}

/// "should list and delete a collection of ReplicaSets".
#[tokio::test(start_paused = true)]
async fn a_collection_that_is_deleted_takes_its_pods_along() {
    let lab = Lab::new();
    let running = lab.start();
    lab.create_set(&new_set("one", 2)).await;
    lab.create_set(&new_set("two", 1)).await;
    lab.until_pods(3).await;
    let everything = ListParams::default();
    let params = DeleteParams::default();
    lab.sets()
        .delete_collection(&params, &everything)
        .await
        .unwrap();
    lab.until_pods(0).await;
    assert_eq!(lab.sets().list(&everything).await.unwrap().items, []);
    running.stop().await;
    lab.finish().await;
}
