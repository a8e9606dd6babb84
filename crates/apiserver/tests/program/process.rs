//! A running program, ended with the test.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use kube_client::config::{KubeConfigOptions, Kubeconfig};
use kube_client::{Client, Config};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

/// How long a test waits for what must happen, on a busy machine.
pub(crate) const DEADLINE: Duration = Duration::from_secs(120);

/// A program that has told where it listens.
pub(crate) struct Program {
    pub(crate) url: String,
    child: Child,
    stdout: BufReader<ChildStdout>,
    directory: TempDir,
}

/// What a program left behind.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    /// Without the first line, if that was read.
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

fn command(flags: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kubewright-apiserver"));
    command
        .args(flags)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// Runs a program that is expected to end by itself.
pub(crate) async fn run(flags: &[&str]) -> Ended {
    let output = timeout(DEADLINE, command(flags).output())
        .await
        .expect("it ends")
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ended {
        status: output.status,
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

impl Program {
    /// Starts a program on a free port, with a kubeconfig in a directory of its own.
    pub(crate) async fn start(flags: &[&str]) -> Self {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("kubeconfig");
        let own = [
            "--listen",
            "127.0.0.1:0",
            "--write-kubeconfig",
            path.to_str().unwrap(),
        ];
        // A file never fills, as a pipe would that is read only at the end.
        let stderr = File::create(directory.path().join("stderr")).unwrap();
        let mut child = command(&[&own, flags].concat())
            .stderr(stderr)
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut url = String::new();
        timeout(DEADLINE, stdout.read_line(&mut url))
            .await
            .expect("it tells its URL")
            .unwrap();
        Self {
            url: url.trim_end().to_owned(),
            child,
            stdout,
            directory,
        }
    }

    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.directory.path().join("kubeconfig")
    }

    /// The authority that `http://host:port` names.
    pub(crate) fn authority(&self) -> &str {
        let (_, authority) = self.url.split_once("://").unwrap();
        authority
    }

    pub(crate) async fn client(&self) -> Client {
        client(&self.kubeconfig()).await
    }

    /// Sends a signal, without waiting for what it does.
    pub(crate) fn signal(&self, signal: Signal) {
        let id = self.child.id().expect("it runs").cast_signed();
        kill_process(Pid::from_raw(id).unwrap(), signal).unwrap();
    }

    pub(crate) async fn ended(mut self) -> Ended {
        let status = timeout(DEADLINE, self.child.wait())
            .await
            .expect("it ends")
            .unwrap();
        let mut stdout = String::new();
        self.stdout.read_to_string(&mut stdout).await.unwrap();
        Ended {
            status,
            stdout,
            stderr: fs::read_to_string(self.directory.path().join("stderr")).unwrap(),
        }
    }

    /// Ends the program as a supervisor does, and checks that it ends well.
    pub(crate) async fn stop(self) -> Ended {
        self.signal(Signal::TERM);
        let ended = self.ended().await;
        assert_eq!(ended.status.code(), Some(0), "{ended:?}");
        ended
    }
}

/// A client by kubeconfig, as any operator makes one.
pub(crate) async fn client(kubeconfig: &Path) -> Client {
    let kubeconfig = Kubeconfig::read_from(kubeconfig).unwrap();
    let options = KubeConfigOptions::default();
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &options)
        .await
        .unwrap();
    // The environment may name one, which is not for this machine.
    config.proxy_url = None;
    Client::try_from(config).unwrap()
}
