//! What Kubernetes' end-to-end tests of ReplicaSets (`test/e2e/apps/replica_set.go`) see, as far as
//! no container has to run for it.

use kube_client::api::{DeleteParams, ListParams};
use replica_set_controller::{REPLICA_FAILURE, get_condition};

use crate::lab::{Lab, new_set};
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
