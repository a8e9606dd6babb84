//! Logs that get too long; answers to `logs/container_log_manager_test.go`.

#![expect(
    clippy::unwrap_used,
    reason = "tables are made of helpers that are no tests themselves"
)]

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use flate2::read::GzDecoder;
use kubewright_clock::Clock;
use kubewright_cri::testing::FakeRuntime;
use kubewright_cri::{Error, Runtime};
use node_agent::log::{LogRotation, LogRuntime, RotationPlan, RotationPolicy, remove_log};
use parking_lot::Mutex;
use proptest::prelude::*;
use tempfile::TempDir;
use tokio::time::{advance, sleep};
use tokio_util::sync::CancellationToken;

fn plan(names: &[&str], max_files: u32) -> (Vec<String>, Vec<String>) {
    let names = names.iter().map(|name| (*name).to_owned());
    let plan = RotationPlan::new(names, max_files);
    (plan.remove, plan.compress)
}

/// Answers to `TestCleanupUnusedLog`.
#[test]
fn cleanup_unused_log() {
    let names = ["log.1", "log.2", "log.2.gz", "log.3.tmp", "log.4.gz"];
    let (remove, compress) = plan(&names, 10);
    assert_eq!(remove, ["log.2", "log.3.tmp"]);
    assert_eq!(compress, ["log.1"]);
}

/// Answers to `TestRemoveExcessLog`.
#[test]
fn remove_excess_log() {
    let names = ["log.2", "log.1", "log.3.gz", "log.4"];
    for (max_files, removed) in [
        (6, &[][..]),
        (5, &["log.1"]),
        (3, &["log.1", "log.2", "log.3.gz"]),
        (2, &["log.1", "log.2", "log.3.gz", "log.4"]),
        (1, &["log.1", "log.2", "log.3.gz", "log.4"]),
    ] {
        assert_eq!(plan(&names, max_files).0, removed, "{max_files}");
    }
}

proptest! {
    /// However often it rotates, there are never more files than there may be, and none is lost
    /// that is not the oldest.
    #[test]
    fn the_newest_files_are_kept(max_files in 2_u32..7, rotations in 0_usize..20) {
        let mut names: Vec<String> = Vec::new();
        for number in 0..rotations {
            let plan = RotationPlan::new(names.clone(), max_files);
            names.retain(|name| !plan.remove.contains(name));
            for name in &mut names {
                if plan.compress.contains(name) {
                    name.push_str(".gz");
                }
            }
            names.push(format!("log.{number:03}"));
            prop_assert!(names.len() < max_files as usize);
            let kept = names.len().min(number + 1);
            let expected = (number + 1 - kept..=number).map(|number| format!("log.{number:03}"));
            let stems = names.iter().map(|name| name.trim_end_matches(".gz").to_owned());
            prop_assert!(stems.eq(expected));
            prop_assert!(names.iter().rev().skip(1).all(|name| name.ends_with(".gz")));
        }
    }
}

/// A runtime of one container that writes a log.
#[derive(Clone)]
struct Writer {
    log: PathBuf,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    reopened: usize,
    refuses: bool,
}

impl LogRuntime for Writer {
    async fn running(&self) -> Result<Vec<String>, Error> {
        Ok(vec!["id".into(), "no log".into()])
    }

    async fn log_path(&self, id: &str) -> Result<Option<PathBuf>, Error> {
        Ok((id == "id").then(|| self.log.clone()))
    }

    async fn reopen(&self, _: &str) -> Result<(), Error> {
        if self.state.lock().refuses {
            let fake = FakeRuntime::default();
            fake.go_away();
            return Runtime::in_process(fake).reopen_container_log("id").await;
        }
        self.state.lock().reopened += 1;
        fs::write(&self.log, "").unwrap();
        Ok(())
    }
}

struct Rig {
    directory: TempDir,
    writer: Writer,
    rotation: LogRotation<Writer>,
}

/// A log of this length, which may have 10 bytes and 4 files.
fn rig(length: usize) -> Rig {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("0.log");
    fs::write(&log, "x".repeat(length)).unwrap();
    let mut policy = RotationPolicy::default();
    policy.max_size = 10;
    policy.max_files = 4;
    let writer = Writer {
        log,
        state: Arc::default(),
    };
    let clock = Clock::starting_at("2026-01-02T03:04:05Z".parse().unwrap());
    Rig {
        rotation: LogRotation::new(writer.clone(), policy, clock),
        directory,
        writer,
    }
}

/// The names of the files of a directory, in order.
fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

fn unzipped(path: &Path) -> String {
    let mut text = String::new();
    let mut decoder = GzDecoder::new(fs::File::open(path).unwrap());
    decoder.read_to_string(&mut text).unwrap();
    text
}

/// Answers to `TestRotateLogs` and `TestCompressLog`.
#[tokio::test(start_paused = true)]
async fn rotate_logs() {
    let rig = rig(9);
    let path = rig.directory.path();
    rig.rotation.rotate_all().await;
    assert_eq!(names(path), ["0.log"]);
    assert_eq!(rig.writer.state.lock().reopened, 0);

    for round in 0..5 {
        fs::write(&rig.writer.log, format!("round {round} and more")).unwrap();
        rig.rotation.rotate_all().await;
        assert_eq!(text(&rig.writer.log), "");
        advance(Duration::from_secs(10)).await;
    }
    let expected = [
        "0.log",
        "0.log.20260102-030425.gz",
        "0.log.20260102-030435.gz",
        "0.log.20260102-030445",
    ];
    assert_eq!(names(path), expected);
    assert_eq!(unzipped(&path.join(expected[1])), "round 2 and more");
    assert_eq!(unzipped(&path.join(expected[2])), "round 3 and more");
    assert_eq!(text(&path.join(expected[3])), "round 4 and more");
    assert_eq!(rig.writer.state.lock().reopened, 5);
}

/// Answers to `TestRotateLatestLog`: a log that is not begun anew is where it was.
#[tokio::test(start_paused = true)]
async fn rotate_latest_log() {
    let rig = rig(10);
    rig.writer.state.lock().refuses = true;
    rig.rotation.rotate_all().await;
    assert_eq!(names(rig.directory.path()), ["0.log"]);
    assert_eq!(text(&rig.writer.log), "x".repeat(10));
    rig.writer.state.lock().refuses = false;
    rig.rotation.rotate_all().await;
    let expected = ["0.log", "0.log.20260102-030405"];
    assert_eq!(names(rig.directory.path()), expected);
}

/// An agent was killed between moving the log away and having it begun anew.
#[tokio::test(start_paused = true)]
async fn a_log_that_is_missing_is_begun_anew() {
    let rig = rig(10);
    let moved = rig.directory.path().join("0.log.20260102-030000");
    fs::rename(&rig.writer.log, moved).unwrap();
    rig.rotation.rotate_all().await;
    let expected = ["0.log", "0.log.20260102-030000"];
    assert_eq!(names(rig.directory.path()), expected);
    assert_eq!(rig.writer.state.lock().reopened, 1);
}

/// Halves and copies of an agent that was killed while it compressed go with the next rotation.
#[tokio::test(start_paused = true)]
async fn what_a_killed_agent_left_is_cleaned_up() {
    let rig = rig(10);
    let path = rig.directory.path();
    for name in ["0.log.1", "0.log.1.gz", "0.log.2.tmp", "1.log.2.tmp"] {
        fs::write(path.join(name), "").unwrap();
    }
    rig.rotation.rotate_all().await;
    let expected = [
        "0.log",
        "0.log.1.gz",
        "0.log.20260102-030405",
        "1.log.2.tmp",
    ];
    assert_eq!(names(path), expected);
}

/// Answers to `TestClean`.
#[tokio::test(start_paused = true)]
async fn clean() {
    let rig = rig(1);
    let path = rig.directory.path();
    for name in ["0.log.1", "0.log.2.gz", "10.log", "1.log"] {
        fs::write(path.join(name), "").unwrap();
    }
    for _ in 0..2 {
        remove_log(&rig.writer.log).await.unwrap();
        assert_eq!(names(path), ["1.log", "10.log"]);
    }
    remove_log(&path.join("gone/0.log")).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn logs_are_looked_at_every_ten_seconds() {
    let Rig {
        directory: _directory,
        writer,
        rotation,
    } = rig(10);
    let token = CancellationToken::new();
    let reopened = || writer.state.lock().reopened;
    let look = async {
        sleep(Duration::from_secs(1)).await;
        assert_eq!(reopened(), 1);
        fs::write(&writer.log, "long enough").unwrap();
        sleep(Duration::from_secs(8)).await;
        assert_eq!(reopened(), 1);
        sleep(Duration::from_secs(2)).await;
        assert_eq!(reopened(), 2);
        token.cancel();
    };
    tokio::join!(rotation.run(token.clone()), look);
}
