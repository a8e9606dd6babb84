//! kubectl, and a server for it.

use std::io::Write as _;
use std::process::Stdio;

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use tokio::time::timeout;

use crate::process::{DEADLINE, Program};

/// The oldest minor version of kubectl 1 that is driven.
const OLDEST: u32 = 29;

/// kubectl with a server and a home directory of its own.
pub(crate) struct Kubectl {
    program: Program,
    home: TempDir,
}

/// What one command did.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Kubectl {
    /// A server and kubectl; `None`, and a loud word about it, where there is no kubectl and
    /// `KUBEWRIGHT_KUBECTL` is not `required`.
    pub(crate) async fn start() -> Option<Self> {
        let version = Command::new("kubectl")
            .args(["version", "--client", "--output", "json"])
            .output()
            .await;
        let version: Option<Value> = version
            .ok()
            .and_then(|output| serde_json::from_slice(&output.stdout).ok());
        let Some(version) = version else {
            do_without("kubectl was not found; this test drives it and did not happen");
            return None;
        };
        let version = version["clientVersion"]["gitVersion"]
            .as_str()
            .unwrap_or("unknown");
        let minor = version
            .split('.')
            .nth(1)
            .and_then(|minor| minor.parse::<u32>().ok());
        if minor.is_none_or(|minor| minor < OLDEST) {
            do_without(&format!(
                "kubectl {version} is older than 1.{OLDEST}; this test did not happen"
            ));
            return None;
        }
        tell(&format!("driving kubectl {version}"));
        Some(Self {
            program: Program::start(&["--pod-ready-after", "10ms"]).await,
            home: TempDir::new().unwrap(),
        })
    }

    pub(crate) fn command(&self, line: &str) -> Command {
        let mut command = Command::new("kubectl");
        command
            .args(words(line))
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.home.path())
            .env("KUBECONFIG", self.program.kubeconfig())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    /// Runs a command line, with something on its standard input.
    pub(crate) async fn run(&self, line: &str, input: &str) -> Done {
        let mut child = self.command(line).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(input.as_bytes()).await.unwrap();
        drop(stdin);
        let output = timeout(DEADLINE, child.wait_with_output()).await;
        let output = output
            .unwrap_or_else(|_| panic!("`{line}` does not end"))
            .unwrap();
        Done {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Runs a command that must succeed, and gives what it printed.
    pub(crate) async fn ok(&self, line: &str) -> String {
        self.feed(line, "").await
    }

    /// As [`ok`](Self::ok), with something on its standard input.
    pub(crate) async fn feed(&self, line: &str, input: &str) -> String {
        let done = self.run(line, input).await;
        assert_eq!(done.code, Some(0), "kubectl {line}: {done:?}");
        done.stdout
    }

    /// Runs a command that must print exactly this, spaces at the ends apart.
    pub(crate) async fn says(&self, line: &str, expected: &str) {
        let said = self.ok(line).await;
        assert_eq!(said.trim(), expected, "kubectl {line}");
    }

    /// Runs a command that must print this and may print more after it: newer kubectl says of some
    /// things which namespace they were in.
    pub(crate) async fn begins(&self, line: &str, expected: &str) {
        let said = self.ok(line).await;
        assert!(said.starts_with(expected), "kubectl {line}: {said}");
    }

    /// Runs a command that must fail, and gives what it complained of.
    pub(crate) async fn fails(&self, line: &str) -> String {
        let done = self.run(line, "").await;
        assert_ne!(done.code, Some(0), "kubectl {line}: {done:?}");
        done.stderr
    }

    pub(crate) async fn stop(self) {
        self.program.stop().await;
    }
}

/// The words of a command line; single quotes hold words together.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for character in line.chars() {
        match character {
            '\'' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            character => words.last_mut().unwrap().push(character),
        }
    }
    words
}

/// Says loudly that a test is not run, or fails if it has to be.
fn do_without(why: &str) {
    let is_required = std::env::var("KUBEWRIGHT_KUBECTL").is_ok_and(|it| it == "required");
    assert!(!is_required, "{why}, and kubectl is required");
    tell(&format!("NOT RUN: {why}"));
}

/// Writes past the test harness, which keeps what passing tests print to itself.
fn tell(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
