use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde::Deserialize;

/// The part of what a runtime tells of a container that is looked at.
#[derive(Deserialize)]
struct Info {
    pid: i32,
}

/// The process id of a container, from what its runtime tells of it.
pub(crate) fn of_container(info: &BTreeMap<String, String>) -> Result<Pid> {
    let info = info.get("info").context("the runtime does not tell it")?;
    let info: Info = serde_json::from_str(info).context("the runtime tells it in its own way")?;
    Pid::from_raw(info.pid)
        .filter(|pid| pid.as_raw_nonzero().get() > 0)
        .with_context(|| format!("{} is no process id", info.pid))
}

/// Whether there is a process of that id.
pub(crate) fn is_alive(pid: Pid) -> bool {
    // One that may not be signalled is there all the same.
    test_kill_process(pid) != Err(Errno::SRCH)
}

/// Kills a process, as somebody does who knows nothing of pods.
pub(crate) fn kill(pid: Pid) -> Result<()> {
    kill_process(pid, Signal::KILL).with_context(|| format!("process {pid} cannot be killed"))
}
