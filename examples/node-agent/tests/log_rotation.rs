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
use node_agent::log::{LogRotation, LogRuntime, RotatedLogs, RotationPolicy, remove_log};
use parking_lot::Mutex;
use proptest::prelude::*;
use tempfile::TempDir;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

fn logs(names: &[&str]) -> RotatedLogs {
    RotatedLogs::new(names.iter().map(|name| (*name).to_owned()))
}

/// Answers to `TestCleanupUnusedLog`.
#[test]
fn cleanup_unused_log() {
    let logs = logs(&["log.1", "log.2", "log.2.gz", "log.3.tmp", "log.4.gz"]);
    assert_eq!(logs.unused(), ["log.2", "log.3.tmp"]);
    assert_eq!(logs.uncompressed(), ["log.1"]);
    assert_eq!(logs.to_compress(), ["log.1"]);
}

/// Answers to `TestRemoveExcessLog`.
#[test]
fn remove_excess_log() {
    let logs = logs(&["log.2", "log.1", "log.3.gz", "log.4", "log.1.tmp"]);
    for (max_files, removed) in [
        (6, &[][..]),
        (5, &["log.1"]),
        (3, &["log.1", "log.2", "log.3"]),
        (2, &["log.1", "log.2", "log.3", "log.4"]),
        (1, &["log.1", "log.2", "log.3", "log.4"]),
    ] {
        assert_eq!(logs.excess(max_files), removed, "{max_files}");
    }
}

#[test]
fn names_sort_by_age_whatever_clocks_say() {
    let next = |names: &[&str]| logs(names).next("log", "2026-01-02T03:04:05.9Z".parse().unwrap());
    assert_eq!(next(&[]), "log.20260102-030405");
    assert_eq!(next(&["log.20260102-030404"]), "log.20260102-030405");
    // Twice in a second.
    assert_eq!(next(&["log.20260102-030405.gz"]), "log.20260102-030406");
    // After a clock was set back, over the end of a year.
    let late = ["log.20260102-030405", "log.20261231-235959.tmp"];
    assert_eq!(next(&late), "log.20270101-000000");
    // What somebody else has put there is nobody's age.
    let foreign = ["log.zzz", "log.20260102-030405.1"];
    assert_eq!(next(&foreign), "log.20260102-030405");
}

proptest! {
    /// However often it rotates, there are never more files than there may be, and none is lost
    /// that is not the oldest, whether or not there was time to compress and whatever clocks say.
    #[test]
    fn the_newest_files_are_kept(
        max_files in 2_u32..7,
        rotations in prop::collection::vec((any::<bool>(), -3_i64..3), 0..20),
    ) {
        let mut names: Vec<String> = Vec::new();
        let mut expected: Vec<String> = Vec::new();
        let mut now = jiff::Timestamp::UNIX_EPOCH;
        for (is_compressed, seconds) in rotations {
            now += jiff::SignedDuration::from_secs(seconds);
            let logs = RotatedLogs::new(names.clone());
            let excess = logs.excess(max_files);
            names.retain(|name| !excess.contains(&name.trim_end_matches(".gz")));
            let next = logs.next("log", now);
            prop_assert!(expected.iter().all(|before| *before < next));
            names.push(next.clone());
            expected.push(next);
            if is_compressed {
                let logs = RotatedLogs::new(names.clone());
                let to_compress = logs.to_compress();
                for name in &mut names {
                    if to_compress.contains(&name.as_str()) {
                        name.push_str(".gz");
                    }
                }
                prop_assert!(names.iter().rev().skip(1).all(|name| name.ends_with(".gz")));
            }
            prop_assert!(names.len() < max_files as usize);
            let room = max_files as usize - 1;
            let kept = &expected[expected.len().saturating_sub(room)..];
            let stems = names.iter().map(|name| name.trim_end_matches(".gz"));
            prop_assert!(stems.eq(kept));
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
    /// What it does is done, and nobody comes to know.
    loses_answers: bool,
}

impl LogRuntime for Writer {
    async fn running(&self) -> Result<Vec<String>, Error> {
        Ok(vec!["id".into(), "no log".into()])
    }

    async fn log_path(&self, id: &str) -> Result<Option<PathBuf>, Error> {
        Ok((id == "id").then(|| self.log.clone()))
    }

    async fn reopen(&self, _: &str) -> Result<(), Error> {
        let (refuses, loses_answers) = {
            let state = self.state.lock();
            (state.refuses, state.loses_answers)
        };
        if !refuses {
            self.state.lock().reopened += 1;
            fs::write(&self.log, "").unwrap();
        }
        if refuses || loses_answers {
            let fake = FakeRuntime::default();
            fake.go_away();
            return Runtime::in_process(fake).reopen_container_log("id").await;
        }
        Ok(())
    }
}

struct Rig {
    directory: TempDir,
    writer: Writer,
    rotation: LogRotation<Writer>,
}

/// How often the rig's logs are looked at.
const PERIOD: Duration = Duration::from_secs(10);

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

impl Rig {
    /// Looks at the log once. What is compressed then is done by the end.
    async fn look(&self) {
        let token = CancellationToken::new();
        let end = async {
            sleep(PERIOD / 2).await;
            token.cancel();
        };
        tokio::join!(self.rotation.clone().run(token.clone()), end);
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
    rig.look().await;
    assert_eq!(names(path), ["0.log"]);
    assert_eq!(rig.writer.state.lock().reopened, 0);

    for round in 0..5 {
        fs::write(&rig.writer.log, format!("round {round} and more")).unwrap();
        rig.look().await;
        assert_eq!(text(&rig.writer.log), "");
    }
    let expected = [
        "0.log",
        "0.log.20260102-030420.gz",
        "0.log.20260102-030425.gz",
        "0.log.20260102-030430",
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
    rig.look().await;
    assert_eq!(names(rig.directory.path()), ["0.log"]);
    assert_eq!(text(&rig.writer.log), "x".repeat(10));
    rig.writer.state.lock().refuses = false;
    rig.look().await;
    let expected = ["0.log", "0.log.20260102-030410"];
    assert_eq!(names(rig.directory.path()), expected);
}

/// The runtime writes in a new file already, which the old one does not take the place of.
#[tokio::test(start_paused = true)]
async fn a_log_that_was_begun_though_nobody_said_so_stays() {
    let rig = rig(10);
    rig.writer.state.lock().loses_answers = true;
    rig.look().await;
    let expected = ["0.log", "0.log.20260102-030405"];
    assert_eq!(names(rig.directory.path()), expected);
    assert_eq!(text(&rig.writer.log), "");
    assert_eq!(
        text(&rig.directory.path().join(expected[1])),
        "x".repeat(10)
    );
}

/// An agent was killed between moving the log away and having it begun anew.
#[tokio::test(start_paused = true)]
async fn a_log_that_is_missing_is_begun_anew() {
    let rig = rig(10);
    let moved = rig.directory.path().join("0.log.20260102-030000");
    fs::rename(&rig.writer.log, moved).unwrap();
    rig.look().await;
    let expected = ["0.log", "0.log.20260102-030000"];
    assert_eq!(names(rig.directory.path()), expected);
    assert_eq!(rig.writer.state.lock().reopened, 1);
}

/// Halves and copies of an agent that was killed while it compressed go after the next rotation.
#[tokio::test(start_paused = true)]
async fn what_a_killed_agent_left_is_cleaned_up() {
    let rig = rig(10);
    let path = rig.directory.path();
    for name in ["0.log.1", "0.log.1.gz", "0.log.2.tmp", "1.log.2.tmp"] {
        fs::write(path.join(name), "").unwrap();
    }
    rig.look().await;
    let expected = [
        "0.log",
        "0.log.1.gz",
        "0.log.20260102-030405",
        "1.log.2.tmp",
    ];
    assert_eq!(names(path), expected);
}

/// A log can be removed, and rotated again, while what was rotated before is compressed: the pipe
/// that stands for it has no end until the test is at its own.
#[tokio::test]
async fn nobody_waits_for_what_is_compressed() {
    let Rig {
        directory, writer, ..
    } = rig(10);
    let old = directory.path().join("0.log.20260101-000000");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &old,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RWXU,
        0,
    )
    .unwrap();
    // Whoever opens it to read and to write waits for nobody.
    let pipe = fs::File::options().read(true).write(true).open(&old);
    let pipe = pipe.unwrap();
    let mut policy = RotationPolicy::default();
    (policy.max_size, policy.max_files) = (10, 4);
    policy.period = Duration::from_millis(1);
    let rotation = LogRotation::new(writer.clone(), policy, Clock::system());
    let token = CancellationToken::new();
    let temporary = directory.path().join("0.log.20260101-000000.tmp");
    let until = async |is_so: &dyn Fn() -> bool| {
        let wait = async {
            while !is_so() {
                sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(Duration::from_secs(30), wait).await.unwrap();
    };
    let look = async {
        until(&|| temporary.exists()).await;
        let before = writer.state.lock().reopened;
        fs::write(&writer.log, "long enough").unwrap();
        until(&|| writer.state.lock().reopened > before).await;
        // It is the oldest of too many by now, and goes; and so does what was made of it.
        fs::write(&writer.log, "long enough").unwrap();
        until(&|| !old.exists()).await;
        drop(pipe);
        until(&|| !temporary.exists()).await;
        token.cancel();
    };
    tokio::join!(rotation.run(token.clone()), look);
    let names = names(directory.path());
    let old: Vec<_> = names
        .iter()
        .filter(|name| name.contains("20260101"))
        .collect();
    assert!(old.is_empty(), "{names:?}");
}

/// Answers to `TestClean`.
#[test]
fn clean() {
    let rig = rig(1);
    let path = rig.directory.path();
    for name in ["0.log.1", "0.log.2.gz", "10.log", "1.log"] {
        fs::write(path.join(name), "").unwrap();
    }
    for _ in 0..2 {
        remove_log(&rig.writer.log).unwrap();
        assert_eq!(names(path), ["1.log", "10.log"]);
    }
    remove_log(&path.join("gone/0.log")).unwrap();
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
