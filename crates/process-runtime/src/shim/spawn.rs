//! Starting processes in a container.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use rustix::process::Pid;

use super::channel::pipe;
use super::{NAME, TERMINAL, terminal};
use crate::launch::{self, LaunchError};
use crate::record::Launch;

/// The streams that a process is started with.
#[derive(Debug)]
pub(super) struct Streams {
    pub(super) stdin: OwnedFd,
    pub(super) stdout: OwnedFd,
    pub(super) stderr: OwnedFd,
}

/// The other ends of a container's streams.
#[derive(Debug)]
pub(super) struct Ends {
    pub(super) stdin: Option<OwnedFd>,
    pub(super) stdout: OwnedFd,
    /// None of a terminal, where both streams are one.
    pub(super) stderr: Option<OwnedFd>,
}

impl Streams {
    pub(super) fn pipes(with_stdin: bool) -> io::Result<(Self, Ends)> {
        let (stdin, stdin_end) = if with_stdin {
            let (read, write) = pipe()?;
            (read, Some(write))
        } else {
            (File::open("/dev/null")?.into(), None)
        };
        let (stdout_end, stdout) = pipe()?;
        let (stderr_end, stderr) = pipe()?;
        let streams = Self {
            stdin,
            stdout,
            stderr,
        };
        let ends = Ends {
            stdin: stdin_end,
            stdout: stdout_end,
            stderr: Some(stderr_end),
        };
        Ok((streams, ends))
    }

    /// A terminal is there for reading even if nobody will ever type.
    pub(super) fn terminal() -> io::Result<(Self, Ends)> {
        let (near, far) = terminal::open()?;
        let streams = Self {
            stdin: far.try_clone()?,
            stdout: far.try_clone()?,
            stderr: far,
        };
        let ends = Ends {
            stdin: Some(near.try_clone()?),
            stdout: near,
            stderr: None,
        };
        Ok((streams, ends))
    }
}

/// Starts a process in a group of its own, or with a terminal also in a session of its own.
///
/// The text of an error is that of container runtimes.
pub(super) fn spawn(
    launch: &Launch,
    command: &[String],
    streams: Streams,
    tty: bool,
) -> Result<Pid, String> {
    let program = launch::program(launch, command).map_err(|error| error.to_string())?;
    let Some((name, arguments)) = command.split_first() else {
        return Err(LaunchError::NoCommand.to_string());
    };
    let mut process = if tty {
        let mut helper = Command::new("/proc/self/exe");
        helper.arg0(NAME).arg(TERMINAL).arg(program).arg(name);
        helper
    } else {
        let mut process = Command::new(program);
        process.arg0(name).process_group(0);
        process
    };
    let child = process
        .args(arguments)
        .env_clear()
        .envs(&launch.env)
        .current_dir(&launch.working_dir)
        .stdin(Stdio::from(streams.stdin))
        .stdout(Stdio::from(streams.stdout))
        .stderr(Stdio::from(streams.stderr))
        .spawn()
        .map_err(|error| format!("exec: {name:?}: {}", in_small(&error)))?;
    // It is waited for with all other children, by its number.
    i32::try_from(child.id())
        .ok()
        .and_then(Pid::from_raw)
        .ok_or_else(|| "the system gave it no number".to_owned())
}

/// An error of the system as container runtimes write it: without its number, in small letters.
fn in_small(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    text.to_lowercase()
}
