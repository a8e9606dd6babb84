//! Pods in files; answers to `file_test.go` and `file_linux_test.go`. Files are real here, and so is
//! time: everything waits for sets, with a deadline.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use node_agent::pod::PodSource;
use node_agent::source::{FileSource, PodSets, SetSource as _};
use tempfile::TempDir;
use tokio::sync::mpsc::Receiver;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::pods::{DEADLINE, manifest, names, next, next_with};

/// Longer than any test: what is seen is seen by events.
const NEVER: Duration = Duration::from_secs(3600);

/// Short enough to wait for, for what is not told by events.
const SOON: Duration = Duration::from_millis(50);

struct Running {
    sets: Receiver<(PodSource, Vec<Arc<Pod>>)>,
    tasks: JoinSet<()>,
    token: CancellationToken,
}

fn run(path: impl AsRef<Path>, period: Duration) -> Running {
    let source = FileSource::new(path.as_ref(), "node", period);
    let (sender, sets) = PodSets::channel(PodSource::File);
    let token = CancellationToken::new();
    let mut tasks = JoinSet::new();
    tasks.spawn(source.run(sender, token.clone()));
    Running { sets, tasks, token }
}

fn write(directory: &TempDir, file: &str, pod: &str) {
    std::fs::write(directory.path().join(file), manifest(pod).to_string()).unwrap();
}

/// Answers to `TestUpdateOnNonExistentFile`: there is nothing, and that has been said.
#[tokio::test]
async fn update_on_non_existent_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("manifests");
    let mut running = run(&path, SOON);
    assert_eq!(next(&mut running.sets).await, []);
    // Once it is there, it is read.
    std::fs::create_dir(&path).unwrap();
    std::fs::write(path.join("a.json"), manifest("a").to_string()).unwrap();
    next_with(&mut running.sets, &["a-node"]).await;

    running.token.cancel();
    let ended = tokio::time::timeout(DEADLINE, running.tasks.join_next()).await;
    ended.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn read_pods_from_file_exist_already() {
    let directory = tempfile::tempdir().unwrap();
    write(&directory, "a.json", "a");
    let mut running = run(directory.path().join("a.json"), NEVER);
    assert_eq!(names(&next(&mut running.sets).await), ["a-node"]);
}

#[tokio::test]
async fn read_pods_from_file_exist_later() {
    let directory = tempfile::tempdir().unwrap();
    let mut running = run(directory.path(), NEVER);
    assert_eq!(next(&mut running.sets).await, []);
    write(&directory, "a.yaml", "a");
    next_with(&mut running.sets, &["a-node"]).await;
}

#[tokio::test]
async fn read_pods_from_file_changed() {
    let directory = tempfile::tempdir().unwrap();
    for (path, file) in [
        (directory.path().to_owned(), "a.yaml"),
        (directory.path().join("b"), "b"),
    ] {
        write(&directory, file, "a");
        let mut running = run(path, NEVER);
        let before = next_with(&mut running.sets, &["a-node"]).await;
        // In place, and by another file of the same name.
        write(&directory, file, "b");
        let after = next_with(&mut running.sets, &["b-node"]).await;
        assert_ne!(before[0].metadata.uid, after[0].metadata.uid);
        write(&directory, ".new", "c");
        std::fs::rename(directory.path().join(".new"), directory.path().join(file)).unwrap();
        next_with(&mut running.sets, &["c-node"]).await;
        std::fs::remove_file(directory.path().join(file)).unwrap();
        next_with(&mut running.sets, &[]).await;
    }
}

#[tokio::test]
async fn watch_file_added_and_removed() {
    let directory = tempfile::tempdir().unwrap();
    write(&directory, "b.yaml", "b");
    let mut running = run(directory.path(), NEVER);
    let first = next_with(&mut running.sets, &["b-node"]).await;
    write(&directory, "a.yaml", "a");
    let both = next_with(&mut running.sets, &["a-node", "b-node"]).await;
    // What did not change is the same.
    assert!(Arc::ptr_eq(&first[0], &both[1]));
    std::fs::remove_file(directory.path().join("b.yaml")).unwrap();
    next_with(&mut running.sets, &["a-node"]).await;
}

/// Answers to `TestExtractFromEmptyDir` and to what upstream passes over.
#[tokio::test]
async fn hidden_files_and_directories_are_passed_over() {
    let directory = tempfile::tempdir().unwrap();
    write(&directory, ".a.yaml", "hidden");
    std::fs::create_dir(directory.path().join("d")).unwrap();
    std::fs::write(
        directory.path().join("d/x.yaml"),
        manifest("deep").to_string(),
    )
    .unwrap();
    let mut running = run(directory.path(), SOON);
    assert_eq!(next(&mut running.sets).await, []);
    // What a link leads to counts, as in a volume of a config map.
    std::os::unix::fs::symlink(".a.yaml", directory.path().join("link")).unwrap();
    next_with(&mut running.sets, &["hidden-node"]).await;
}

/// Answers to `TestExtractFromBadDataFile`: one file costs no other anything.
#[tokio::test]
async fn extract_from_bad_data_file() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("a"), "not a pod").unwrap();
    std::fs::write(directory.path().join("b"), [0xff; 3]).unwrap();
    let large = std::fs::File::create(directory.path().join("c")).unwrap();
    large.set_len((10 << 20) + 1).unwrap();
    write(&directory, "d", "d");
    let mut running = run(directory.path(), NEVER);
    assert_eq!(names(&next(&mut running.sets).await), ["d-node"]);
    // Of a path that is a file, the source says that there is no pod in it.
    let mut running = run(directory.path().join("a"), NEVER);
    assert_eq!(next(&mut running.sets).await, []);
}

#[tokio::test]
async fn a_file_that_is_being_written_keeps_its_pod_for_a_while() {
    let directory = tempfile::tempdir().unwrap();
    write(&directory, "a", "a");
    let mut running = run(directory.path(), NEVER);
    next_with(&mut running.sets, &["a-node"]).await;
    std::fs::write(directory.path().join("a"), "{").unwrap();
    write(&directory, "b", "b");
    next_with(&mut running.sets, &["a-node", "b-node"]).await;
    drop(running);

    let mut running = run(directory.path(), SOON);
    write(&directory, "a", "a");
    next_with(&mut running.sets, &["a-node", "b-node"]).await;
    std::fs::write(directory.path().join("a"), "{").unwrap();
    // But not for good.
    next_with(&mut running.sets, &["b-node"]).await;
}

#[tokio::test]
async fn a_directory_made_anew_is_watched() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("manifests");
    std::fs::create_dir(&path).unwrap();
    std::fs::write(path.join("a"), manifest("a").to_string()).unwrap();
    let mut running = run(&path, SOON);
    next_with(&mut running.sets, &["a-node"]).await;
    std::fs::remove_dir_all(&path).unwrap();
    next_with(&mut running.sets, &[]).await;
    std::fs::create_dir(&path).unwrap();
    std::fs::write(path.join("b"), manifest("b").to_string()).unwrap();
    next_with(&mut running.sets, &["b-node"]).await;
}
