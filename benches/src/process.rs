use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, ChildStdout, Command};

/// Builds release programs of this workspace with the toolchain that runs the bench, and says where they are.
///
/// # Errors
///
/// When cargo fails.
pub async fn build(arguments: &[&str]) -> Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let status = Command::new(&cargo)
        .current_dir(&root)
        .args(["build", "--release", "--quiet"])
        .args(arguments)
        .status()
        .await
        .context("cargo does not start")?;
    ensure!(status.success(), "cargo build {arguments:?}: {status}");
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    Ok(target.join("release"))
}

/// A child process that is killed when dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    name: String,
    stdout: BufReader<ChildStdout>,
}

/// What a process has used since it started.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// CPU time, user and system together.
    pub cpu: Duration,
    /// Resident memory now, in bytes.
    pub resident: u64,
    /// The most resident memory it ever had, in bytes.
    pub peak: u64,
}

impl Process {
    /// Starts a program; what it writes to standard error goes where ours goes.
    ///
    /// # Errors
    ///
    /// When it does not start.
    pub fn spawn(program: &Path, arguments: &[&str]) -> Result<Self> {
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{} does not start", program.display()))?;
        let stdout = child
            .stdout
            .take()
            .context("standard output is not piped")?;
        Ok(Self {
            child,
            name: program.display().to_string(),
            stdout: BufReader::new(stdout),
        })
    }

    /// The next line of its standard output.
    ///
    /// # Errors
    ///
    /// When the process has closed it.
    pub async fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        if self.stdout.read_line(&mut line).await? == 0 {
            bail!("{} closed its standard output", self.name);
        }
        Ok(line.trim_end().to_owned())
    }

    /// Kills it, as SIGKILL does, and waits until it is gone.
    ///
    /// # Errors
    ///
    /// When it has ended by itself.
    pub async fn kill(mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!("{} has ended by itself: {status}", self.name);
        }
        self.child.kill().await?;
        Ok(())
    }

    /// What it has used until now.
    ///
    /// # Errors
    ///
    /// When it has ended, or there is no `/proc`.
    pub fn cost(&self) -> Result<Cost> {
        let id = self
            .child
            .id()
            .with_context(|| format!("{} has ended", self.name))?;
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat"))?;
        let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
        // The name in parentheses may hold spaces; user and system time are the 12th and 13th after it.
        let (_, fields) = stat
            .rsplit_once(')')
            .context("/proc/PID/stat has no name")?;
        let mut times = fields.split_whitespace().skip(11).map(str::parse::<u64>);
        let ticks: u64 = times.by_ref().take(2).sum::<Result<u64, _>>()?;
        Ok(Cost {
            // The kernel reports in ticks of 1/100 s to user space, whatever its own are.
            cpu: Duration::from_millis(ticks * 10),
            resident: kibibytes(&status, "VmRSS:")? * 1024,
            peak: kibibytes(&status, "VmHWM:")? * 1024,
        })
    }
}

fn kibibytes(status: &str, field: &str) -> Result<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let number = line.and_then(|rest| rest.split_whitespace().next());
    Ok(number
        .with_context(|| format!("/proc/PID/status has no {field}"))?
        .parse()?)
}
