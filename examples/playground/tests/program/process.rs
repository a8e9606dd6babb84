use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use kubewright_process_runtime::testing::{kill_processes_of, processes_left_in};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::{sleep, timeout};

/// How long anything may take on a busy machine.
pub(crate) const DEADLINE: Duration = Duration::from_secs(120);

/// A playground with a directory of its own.
pub(crate) struct Program {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    root_dir: PathBuf,
}

/// A directory for a playground; what still runs in it ends with it, however the test does.
pub(crate) struct Parent(TempDir);

impl Parent {
    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Parent {
    fn drop(&mut self) {
        kill_processes_of(self.path());
    }
}

/// A directory for a playground, and one that it may make its files in.
pub(crate) fn directory() -> (Parent, PathBuf) {
    let parent = Parent(tempfile::tempdir().unwrap());
    let root_dir = parent.path().canonicalize().unwrap().join("playground");
    (parent, root_dir)
}

impl Program {
    pub(crate) fn start(root_dir: &Path, arguments: &[&str]) -> Self {
        let mut command = command(arguments);
        if !arguments.contains(&"--step-deadline") {
            command.args(["--step-deadline", "110s"]);
        }
        let mut child = command
            .arg("--root-dir")
            .arg(root_dir)
            // Somebody may have the usual one on all addresses.
            .args(["--pod-port", "0"])
            // Nobody reads it here; who looks for a cause does.
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self {
            child,
            lines,
            root_dir: root_dir.to_owned(),
        }
    }

    pub(crate) async fn line(&mut self) -> String {
        let line = timeout(DEADLINE, self.lines.next_line()).await;
        line.expect("in time").unwrap().expect("a line")
    }

    /// Reads until a line begins with `start`.
    pub(crate) async fn line_that_begins(&mut self, start: &str) -> String {
        loop {
            let line = self.line().await;
            assert!(!line.starts_with("FAILED") || start == "FAILED", "{line}");
            if line.starts_with(start) {
                return line;
            }
        }
    }

    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.root_dir.join("kubeconfig")
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.child.id().unwrap()).unwrap();
        kill_process(Pid::from_raw(id).unwrap(), signal).unwrap();
    }

    /// The rest of its lines, and how it ended.
    pub(crate) async fn end(mut self) -> (Vec<String>, ExitStatus) {
        let end = async {
            let mut rest = Vec::new();
            while let Some(line) = self.lines.next_line().await.unwrap() {
                rest.push(line);
            }
            (rest, self.child.wait().await.unwrap())
        };
        timeout(DEADLINE, end).await.expect("in time")
    }
}

/// How a playground ends that is given nothing but these arguments: status, output and errors.
pub(crate) async fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut child = command(arguments).spawn().unwrap();
    let (mut output, mut errors) = (String::new(), String::new());
    let mut stdout = child.stdout.take().unwrap();
    let mut stderr = child.stderr.take().unwrap();
    let end = async {
        let (read, reported) = tokio::join!(
            stdout.read_to_string(&mut output),
            stderr.read_to_string(&mut errors)
        );
        read.and(reported).unwrap();
        child.wait().await.unwrap()
    };
    let status = timeout(DEADLINE, end).await.expect("in time");
    (status.code(), output, errors)
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_playground"));
    command
        .args(arguments)
        // What the environment says of clusters, and of the way to them, is not asked for.
        .env("KUBECONFIG", "/nowhere/kubeconfig")
        .env("HTTPS_PROXY", "http://127.0.0.1:1")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// Asserts that nothing is left of a playground: no process, no file.
pub(crate) async fn assert_nothing_is_left(root_dir: &Path) {
    assert_eq!(processes_left_in(root_dir, DEADLINE).await, [].into());
    assert!(!root_dir.exists(), "{} is still there", root_dir.display());
}

/// Waits until something is so.
pub(crate) async fn until(what: &str, is_so: impl Fn() -> bool) {
    let seen = async {
        while !is_so() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(DEADLINE, seen).await.expect(what);
}
