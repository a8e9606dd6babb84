//! Containers that end again and again wait.

use std::time::Duration;

use kubewright_cri::testing::Behaviour;
use node_agent::worker::{Failure, Outcome};
use serde_json::json;
use tokio::time::{Instant, advance};

use crate::fixtures::{Harness, SECOND, app, pod};

#[tokio::test(start_paused = true)]
async fn do_back_off() {
    let mut harness = Harness::new();
    let mut pod = app(json!({}));
    harness.fake.behave("app", Behaviour::exits(SECOND, 1));
    harness.sync_well(&pod).await;
    // The first restart comes at once, and the delays double from then on.
    advance(2 * SECOND).await;
    harness.sync_well(&pod).await;
    for delay in [10, 20, 40] {
        advance(2 * SECOND).await;
        harness.events();
        let ended = Instant::now() - SECOND;
        let result = harness.sync(&pod).await;
        let error = result.starts[0].result.as_ref().unwrap_err();
        assert_eq!(error.reason, "CrashLoopBackOff");
        let message =
            format!("back-off {delay}s restarting failed container=app pod=web_new(12345678)");
        assert_eq!(error.message, message);
        let expiry = ended + Duration::from_secs(delay);
        assert_eq!(
            result.outcome(),
            Outcome::Failed(Failure::Backoff { expiry })
        );
        let told = "Warning BackOff{app}: Back-off restarting failed container app in pod \
                    web_new(12345678)";
        assert_eq!(harness.events(), [told]);
        assert!(
            harness
                .changes()
                .iter()
                .all(|call| !call.starts_with("Stop"))
        );

        advance(expiry - Instant::now() + SECOND / 1000).await;
        harness.sync_well(&pod).await;
    }
    // Another image is another container: it does not wait.
    advance(2 * SECOND).await;
    pod.spec.as_mut().unwrap().containers[0].image = Some("busybox:2".to_owned());
    harness.sync_well(&pod).await;
}

#[tokio::test(start_paused = true)]
async fn one_that_waits_keeps_no_other_from_being_tried_soon() {
    let harness = Harness::new();
    let pod = pod(json!({"containers": [
        {"name": "crash", "image": "busybox:1"},
        {"name": "stuck", "image": "absent:1", "imagePullPolicy": "Never"},
    ]}));
    harness.fake.behave("crash", Behaviour::exits(SECOND, 1));
    harness.sync(&pod).await;
    advance(2 * SECOND).await;
    harness.sync(&pod).await;
    advance(2 * SECOND).await;
    let result = harness.sync(&pod).await;
    let reasons: Vec<_> = result
        .starts
        .iter()
        .map(|start| start.result.as_ref().unwrap_err().reason)
        .collect();
    assert_eq!(reasons, ["CrashLoopBackOff", "ErrImageNeverPull"]);
    assert_eq!(result.outcome(), Outcome::Failed(Failure::Other));
}
