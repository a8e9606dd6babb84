use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// How long a program may take to end when it is asked to.
const PATIENCE: Duration = Duration::from_secs(120);

/// A program that is ours to kill; it is killed when it is dropped.
pub(crate) struct Program {
    child: Child,
    log: PathBuf,
}

impl Program {
    /// Starts a program; what it says is appended to a file.
    pub(crate) fn start(
        program: &Path,
        arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
        log: &Path,
    ) -> Result<Self> {
        let output: File = OpenOptions::new().create(true).append(true).open(log)?;
        let child = Command::new(program)
            .args(arguments)
            // What it speaks to is on this machine, where no proxy leads.
            .env("HTTPS_PROXY", "http://127.0.0.1:1")
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| program.display().to_string())?;
        let log = log.to_owned();
        Ok(Self { child, log })
    }

    /// Kills it with SIGKILL.
    pub(crate) async fn kill(mut self) -> Result<()> {
        self.must_run()?;
        self.child.kill().await?;
        Ok(())
    }

    /// Fails if it has ended by itself.
    pub(crate) fn must_run(&mut self) -> Result<()> {
        let ended = self.child.try_wait()?;
        ensure!(
            ended.is_none(),
            "{} ended by itself: {ended:?}; see {}",
            self.log.display(),
            std::fs::read_to_string(&self.log).unwrap_or_default()
        );
        Ok(())
    }

    /// Asks it to end, and sees that it does so well.
    pub(crate) async fn terminate(mut self) -> Result<()> {
        self.must_run()?;
        let pid = self.child.id().context("it runs")?.cast_signed();
        kill_process(Pid::from_raw(pid).context("it is no group")?, Signal::TERM)?;
        let ended = timeout(PATIENCE, self.child.wait()).await;
        let ended = ended.with_context(|| format!("not over after {PATIENCE:?}"))??;
        ensure!(ended.success(), "{}: {ended}", self.log.display());
        Ok(())
    }

    /// How much memory it has, and had at most, in kilobytes.
    pub(crate) fn memory(&self) -> Result<(u64, u64)> {
        let pid = self.child.id().context("it runs")?;
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let number = line.and_then(|line| line.split_ascii_whitespace().next());
            number.and_then(|number| number.parse().ok()).unwrap_or(0)
        };
        Ok((field("VmRSS:"), field("VmHWM:")))
    }
}
