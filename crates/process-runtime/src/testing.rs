//! For tests of programs that embed the runtime: which processes have to do with a directory, however
//! what started them has ended.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;
use tokio::time::{Instant, sleep};

use crate::process::{Process, ProcessTable};

/// Whether a process is there and has not ended.
pub fn is_alive(pid: i32) -> bool {
    Process::read(pid).is_some_and(|process| !process.is_zombie)
}

/// The processes that work in a directory, or were told of it by their command or their environment;
/// this one excepted. What each of them runs, by its id.
pub fn processes_of(directory: &Path) -> BTreeMap<i32, String> {
    let found = concerned(directory).into_iter();
    let found = found.map(|process| (process.pid, text_of(&process, "cmdline")));
    found.collect()
}

/// Waits until [none](processes_of) is left, and for so long at most; those that are left then.
///
/// A runtime that was shut down has seen its containers end, and their shims let go of their locks:
/// the kernel may still be busy with what they were.
///
/// # Cancel safety
///
/// Safe: it only looks.
pub async fn processes_left_in(directory: &Path, limit: Duration) -> BTreeMap<i32, String> {
    let deadline = Instant::now() + limit;
    loop {
        let left = processes_of(directory);
        if left.is_empty() || Instant::now() >= deadline {
            return left;
        }
        sleep(Duration::from_millis(10)).await;
    }
}

/// Kills [them](processes_of), for tests that failed. What starts meanwhile may be missed.
pub fn kill_processes_of(directory: &Path) {
    for process in concerned(directory) {
        process.signal(Signal::KILL);
    }
}

fn concerned(directory: &Path) -> Vec<Process> {
    let needle = directory.to_string_lossy();
    let is_concerned = |process: &Process| {
        let cwd = std::fs::read_link(format!("/proc/{}/cwd", process.pid));
        cwd.is_ok_and(|cwd| cwd.starts_with(directory))
            || ["environ", "cmdline"]
                .iter()
                .any(|file| text_of(process, file).contains(&*needle))
    };
    let mut processes = ProcessTable::read().into_processes();
    processes.retain(|process| {
        !process.is_zombie
            && process.pid != std::process::id().cast_signed()
            && is_concerned(process)
    });
    processes
}

/// A file of `/proc` whose words end with zeros, as text; empty if it may not be read.
fn text_of(process: &Process, file: &str) -> String {
    let text = std::fs::read(format!("/proc/{}/{file}", process.pid)).unwrap_or_default();
    String::from_utf8_lossy(&text).replace('\0', " ")
}
