//! How dead containers and their logs are removed.

use std::fs;
use std::path::Path;

use kubewright_cri::testing::Fault;
use serde_json::json;

use crate::fixtures::{Harness, app};

#[tokio::test(start_paused = true)]
async fn remove_container() {
    let root = tempfile::tempdir().unwrap();
    let links = root.path().to_owned();
    let harness = Harness::with(|settings| settings.container_logs_dir = Some(links.clone()));
    let pod = app(json!({}));
    let logs = harness.root.path().join("pods/new_web_12345678/app");
    // The runtime opens the log when it starts the container.
    fs::create_dir_all(&logs).unwrap();
    harness.fake.on_exec(|_, _| Default::default());
    harness.sync_well(&pod).await;
    let id = harness.id("web", "app").id;
    let log = logs.join("0.log");
    for name in ["0.log", "0.log.20260102-030405.gz", "10.log", "0.log2"] {
        fs::write(logs.join(name), "").unwrap();
    }
    let link = links.join(format!("web_new_app-{id}.log"));
    std::os::unix::fs::symlink(&log, &link).unwrap();
    let status = harness.manager.runtime().container_status(&id);
    assert_eq!(Path::new(&status.await.unwrap().log_path), log);

    harness.fake.exit(&id, 0);
    harness.manager.remove_container(&id).await.unwrap();
    assert!(harness.fake.containers().is_empty());
    let mut left: Vec<_> = fs::read_dir(&logs)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort();
    assert_eq!(left, ["0.log2", "10.log"]);
    assert!(fs::symlink_metadata(&link).is_err());
    // Once more does no harm.
    harness.manager.remove_container(&id).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn logs_are_linked_to_for_those_who_collect_them() {
    let root = tempfile::tempdir().unwrap();
    let links = root.path().to_owned();
    let harness = Harness::with(|settings| settings.container_logs_dir = Some(links.clone()));
    let pod = app(json!({}));
    harness.sync_well(&pod).await;
    // A runtime that has written nothing there leaves nothing to link to.
    assert_eq!(fs::read_dir(&links).unwrap().count(), 0);
    let logs = harness.root.path().join("pods/new_web_12345678/app");
    fs::write(logs.join("1.log"), "words").unwrap();
    harness.fake.exit(&harness.id("web", "app").id, 0);
    harness.sync_well(&pod).await;
    let id = harness.id("web", "app").id;
    let link = links.join(format!("web_new_app-{id}.log"));
    assert_eq!(fs::read_to_string(link).unwrap(), "words");
}

#[tokio::test(start_paused = true)]
async fn delete_sandbox() {
    let harness = Harness::new();
    harness.sync_well(&app(json!({}))).await;
    let sandbox = harness.ready_sandboxes().pop().unwrap();
    harness.fake.fault("RemovePodSandbox", Fault::Lost);
    assert!(harness.manager.delete_sandbox(&sandbox.id).await.is_err());
    harness.manager.delete_sandbox(&sandbox.id).await.unwrap();
    assert!(harness.fake.sandboxes().is_empty());
    assert!(harness.fake.containers().is_empty());
}
