//! Children: what a shim started, and what its children left behind.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions, getpid, kill_process_group, wait};
use tokio::signal::unix::Signal as SignalStream;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

use crate::process::{Process, ProcessTable};
use crate::signal::exit_code;

/// How long processes that were killed may take to go: those that wait for a disk do not.
const END: Duration = Duration::from_secs(10);

/// Waits for children and tells their exit codes.
#[derive(Debug, Default)]
pub(super) struct Reaper {
    awaited: Mutex<HashMap<Pid, oneshot::Sender<i32>>>,
}

impl Reaper {
    /// The exit code of a child that was just started, once it ends.
    ///
    /// Call it before the next await: a child that is waited for by then is nobody's.
    pub(super) fn exit_of(&self, pid: Pid) -> oneshot::Receiver<i32> {
        let (sender, receiver) = oneshot::channel();
        self.awaited.lock().insert(pid, sender);
        receiver
    }

    /// Whether a child has not been waited for yet, so that its number is still its own.
    pub(super) fn is_there(&self, pid: Pid) -> bool {
        self.awaited.lock().contains_key(&pid)
    }

    /// Waits for all children that have ended; whether there are others.
    pub(super) fn reap(&self) -> bool {
        loop {
            match wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) => {
                    if let Some(code) = exit_code(status)
                        && let Some(sender) = self.awaited.lock().remove(&pid)
                    {
                        // Whoever wanted to know may have gone.
                        let _ = sender.send(code);
                    }
                }
                Ok(None) => return true,
                Err(Errno::INTR) => {}
                // There are no children, which is the only other thing it says.
                Err(_) => return false,
            }
        }
    }

    /// Ends everything that is still there by force, what is started meanwhile as well.
    pub(super) async fn end_all(&self, children: &mut SignalStream) {
        let deadline = Instant::now() + END;
        while self.reap() && Instant::now() < deadline {
            kill_descendants(getpid());
            let _ = timeout(Duration::from_millis(10), children.recv()).await;
        }
    }
}

/// Ends a child with all that it started, by force.
pub(super) fn kill_tree(pid: Pid) {
    // Those below first: they would be the shim's own once their parents are gone.
    let own = Process::read(pid.as_raw_pid());
    kill_descendants(pid);
    // The child is waited for by this process alone, so its number is its own until then.
    let _ = kill_process_group(pid, Signal::KILL);
    if let Some(process) = own {
        process.signal(Signal::KILL);
    }
}

pub(super) fn kill_descendants(pid: Pid) {
    for process in ProcessTable::read().descendants(pid.as_raw_pid()) {
        if !process.is_zombie {
            process.signal(Signal::KILL);
        }
    }
}
