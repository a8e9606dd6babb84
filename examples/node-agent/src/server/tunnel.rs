use std::time::Duration;

use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::io::{self, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::{Instant, sleep_until};

/// How much of a stream is under way in each direction.
const BLOCK: usize = 32 << 10;

/// A stream between a client and the runtime, in the extensions of the answer that begins it.
///
/// The connection that the answer goes out on takes it from there, and runs it: so it counts as a
/// connection, and ends with the server.
#[derive(Clone, Debug)]
pub(super) struct Tunnel {
    pub(super) client: OnUpgrade,
    pub(super) runtime: OnUpgrade,
    /// How long both ends may say nothing.
    pub(super) idle_timeout: Duration,
}

impl Tunnel {
    /// Passes bytes on as they come, each direction by itself, until both have ended, one has failed,
    /// or neither had anything to say for too long.
    ///
    /// Cancel safe: both ends are closed.
    pub(super) async fn run(self) {
        let (client, runtime) = match tokio::try_join!(self.client, self.runtime) {
            Ok(both) => both,
            Err(error) => {
                tracing::debug!(%error, "a stream did not begin");
                return;
            }
        };
        match exchange(client, runtime, self.idle_timeout).await {
            Ok(Ended::Done) => {}
            Ok(Ended::Idle) => tracing::debug!("a stream was idle for too long"),
            Err(error) => tracing::debug!(%error, "a stream ended early"),
        }
    }
}

/// How an exchange ended.
enum Ended {
    Done,
    Idle,
}

async fn exchange(client: Upgraded, runtime: Upgraded, patience: Duration) -> io::Result<Ended> {
    let active = Mutex::new(Instant::now());
    let (client_reads, client_writes) = io::split(TokioIo::new(client));
    let (runtime_reads, runtime_writes) = io::split(TokioIo::new(runtime));
    let both = async {
        tokio::try_join!(
            pass_on(client_reads, runtime_writes, &active),
            pass_on(runtime_reads, client_writes, &active),
        )
    };
    let idle = async {
        loop {
            let deadline = *active.lock() + patience;
            if Instant::now() >= deadline {
                return;
            }
            sleep_until(deadline).await;
        }
    };
    tokio::select! {
        ended = both => ended.map(|_| Ended::Done),
        () = idle => Ok(Ended::Idle),
    }
}

/// Passes on what comes, and that nothing comes any more.
async fn pass_on(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    active: &Mutex<Instant>,
) -> io::Result<()> {
    let mut block = vec![0; BLOCK];
    loop {
        let read = from.read(&mut block).await?;
        *active.lock() = Instant::now();
        if read == 0 {
            return to.shutdown().await;
        }
        to.write_all(&block[..read]).await?;
        to.flush().await?;
        *active.lock() = Instant::now();
    }
}
