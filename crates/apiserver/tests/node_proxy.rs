//! What kubelets answer, through the server: logs, tunnels, pages, and what goes wrong with them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "node_proxy/cluster.rs"]
mod cluster;
#[path = "node_proxy/kubelet.rs"]
mod kubelet;

#[path = "node_proxy/failures.rs"]
mod failures;
#[path = "node_proxy/logs.rs"]
mod logs;
#[path = "node_proxy/refusals.rs"]
mod refusals;
#[path = "node_proxy/tunnels.rs"]
mod tunnels;

use std::future::Future;
use std::time::Duration;

use tokio::time::timeout;

/// How long a test waits for what must happen, on a busy machine.
const DEADLINE: Duration = Duration::from_secs(120);
/// A limit that is not meant to be reached.
const LONG: Duration = Duration::from_secs(3600);
/// A limit that is meant to be reached.
const SHORT: Duration = Duration::from_millis(100);
/// More bytes than systems keep for the sockets on the way, however they are tuned.
const TOO_MANY: usize = 1 << 30;

#[track_caller]
fn within<F: Future>(future: F) -> impl Future<Output = F::Output> {
    let caller = std::panic::Location::caller();
    async move {
        timeout(DEADLINE, future)
            .await
            .unwrap_or_else(|_| panic!("nothing happened for {DEADLINE:?} at {caller}"))
    }
}
