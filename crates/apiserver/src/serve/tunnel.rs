//! A connection that is HTTP no more: what one end sends, the other gets.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt as _, Stream};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use kubewright_streaming::OneWay;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, split};
use tokio::time::timeout;
use tracing::debug;

use super::BoxError;

/// How much is read from one end before it is written to the other.
const BUFFER: usize = 32 << 10;

/// A tunnel between a client and a node, in the extensions of the answer that begins it.
///
/// The connection that the answer goes out on takes it from there, and runs it.
#[derive(Clone)]
pub(super) struct Tunnel(Arc<Mutex<Option<BoxFuture<'static, ()>>>>);

impl Tunnel {
    /// Both ends speak, and are passed on what the other says. Once one end is done, the other may be
    /// silent for `linger` at a time.
    pub(super) fn new(client: OnUpgrade, node: TokioIo<Upgraded>, linger: Duration) -> Self {
        Self::through(client, move |client| carry(client, node, linger))
    }

    /// The client is sent what there is, in messages.
    pub(super) fn one_way<E>(
        client: OnUpgrade,
        protocol: OneWay,
        bytes: impl Stream<Item = Result<Bytes, E>> + Send + 'static,
    ) -> Self
    where
        E: Into<BoxError> + Send + 'static,
    {
        Self::through(client, move |client| protocol.send(client, bytes))
    }

    fn through<F>(
        client: OnUpgrade,
        carry: impl FnOnce(TokioIo<Upgraded>) -> F + Send + 'static,
    ) -> Self
    where
        F: Future<Output = io::Result<()>> + Send,
    {
        let run = async move {
            match client.await {
                Ok(client) => {
                    if let Err(error) = carry(TokioIo::new(client)).await {
                        debug!(%error, "a tunnel was lost");
                    }
                }
                Err(error) => debug!(%error, "a client went before its tunnel began"),
            }
        };
        Self(Arc::new(Mutex::new(Some(run.boxed()))))
    }

    /// Carries bytes until both ends are done or one is lost.
    ///
    /// Cancel safe: both ends are closed.
    pub(super) async fn run(self) {
        let run = self.0.lock().take();
        if let Some(run) = run {
            run.await;
        }
    }
}

/// Carries bytes between two ends.
///
/// When one end is done the other is told, and may go on for as long as it has something to say.
async fn carry<A, B>(client: A, node: B, linger: Duration) -> io::Result<()>
where
    A: AsyncRead + AsyncWrite + Send,
    B: AsyncRead + AsyncWrite + Send,
{
    let (from_client, to_client) = split(client);
    let (from_node, to_node) = split(node);
    let carried = AtomicU64::new(0);
    let mut up = Box::pin(pump(from_client, to_node, &carried));
    let mut down = Box::pin(pump(from_node, to_client, &carried));
    let mut rest: &mut (dyn Future<Output = io::Result<()>> + Unpin + Send) = tokio::select! {
        done = &mut up => {
            done?;
            &mut down
        }
        done = &mut down => {
            done?;
            &mut up
        }
    };
    loop {
        let before = carried.load(Ordering::Relaxed);
        if let Ok(done) = timeout(linger, &mut rest).await {
            return done;
        }
        if carried.load(Ordering::Relaxed) == before {
            let silent = "one end is done and the other says nothing";
            return Err(io::Error::new(io::ErrorKind::TimedOut, silent));
        }
    }
}

/// Carries bytes one way until there are no more, and then says so.
async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    carried: &AtomicU64,
) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    loop {
        let count = from.read(&mut buffer).await?;
        if count == 0 {
            return to.shutdown().await;
        }
        to.write_all(&buffer[..count]).await?;
        to.flush().await?;
        carried.fetch_add(count as u64, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{DuplexStream, duplex};
    use tokio::task::JoinSet;
    use tokio::time::{Instant, sleep};

    use super::*;

    const LINGER: Duration = Duration::from_secs(30);

    /// A tunnel; the far ends of its client and of its node.
    fn tunnel() -> (DuplexStream, DuplexStream, JoinSet<io::Result<()>>) {
        let (client, near_client) = duplex(64);
        let (node, near_node) = duplex(64);
        let mut running = JoinSet::new();
        running.spawn(carry(near_client, near_node, LINGER));
        (client, node, running)
    }

    async fn ended(mut running: JoinSet<io::Result<()>>) -> io::Result<()> {
        running.join_next().await.unwrap().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn the_other_end_goes_on_after_one_is_done() {
        let (mut client, mut node, running) = tunnel();
        client.write_all(b"question").await.unwrap();
        client.shutdown().await.unwrap();
        let mut question = String::new();
        node.read_to_string(&mut question).await.unwrap();
        assert_eq!(question, "question");
        let mut answer = Vec::new();
        let speaking = async {
            for _ in 0..4 {
                sleep(LINGER * 9 / 10).await;
                node.write_all(b"and ").await.unwrap();
            }
            node.shutdown().await.unwrap();
        };
        let (read, ()) = tokio::join!(client.read_to_end(&mut answer), speaking);
        read.unwrap();
        assert_eq!(answer, b"and and and and ");
        ended(running).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn an_end_that_is_silent_after_the_other_was_done_is_not_waited_for() {
        let (mut client, _node, running) = tunnel();
        let started = Instant::now();
        client.shutdown().await.unwrap();
        let error = ended(running).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(started.elapsed(), LINGER);
    }

    #[tokio::test(start_paused = true)]
    async fn an_end_may_be_silent_while_the_other_is_there() {
        let (mut client, mut node, running) = tunnel();
        sleep(LINGER * 1_000).await;
        node.write_all(b"late").await.unwrap();
        let mut word = [0; 4];
        client.read_exact(&mut word).await.unwrap();
        drop((client, node));
        ended(running).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn what_nobody_reads_is_not_gathered() {
        let (mut client, _node, mut running) = tunnel();
        let mut sent = 0;
        let flood = async {
            loop {
                sent += client.write(&[0; 1024]).await.unwrap();
            }
        };
        assert!(timeout(LINGER * 1_000, flood).await.is_err());
        assert!(sent <= BUFFER + 2 * 64, "{sent}");
        assert!(
            running.try_join_next().is_none(),
            "a slow reader is no error"
        );
    }
}
