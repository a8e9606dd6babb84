use std::fs;
use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::time::{Instant, sleep};

/// How long shims may take to go after their sandboxes.
const LIMIT: Duration = Duration::from_secs(10);

/// Waits until the shims of the daemon at a socket are gone; those that stay are killed.
///
/// A shim goes when its daemon tells it to, a little after its sandbox was removed: a daemon that is
/// killed in between leaves it behind.
pub(crate) async fn gone(socket: &Path) {
    let end = Instant::now() + LIMIT;
    loop {
        let left = of(socket);
        if left.is_empty() {
            return;
        }
        if Instant::now() >= end {
            for shim in left {
                tracing::warn!(%shim, "a shim stayed behind and is killed");
                // It may just have gone.
                let _ = kill_process(shim, Signal::KILL);
            }
            return;
        }
        sleep(Duration::from_millis(10)).await;
    }
}

/// The shims of the daemon at a socket.
pub(crate) fn of(socket: &Path) -> Vec<Pid> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let shims = processes.filter_map(|process| {
        let pid = process.file_name().to_str()?.parse().ok()?;
        let arguments = fs::read(process.path().join("cmdline")).ok()?;
        let mut arguments = arguments.split(|byte| *byte == 0);
        let is_shim = arguments
            .next()?
            .windows(15)
            .any(|part| part == b"containerd-shim");
        let socket = socket.as_os_str().as_encoded_bytes();
        (is_shim && arguments.any(|argument| argument == socket)).then_some(pid)
    });
    shims.filter_map(Pid::from_raw).collect()
}
