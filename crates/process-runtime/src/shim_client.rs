//! The runtime's side of the socket of a shim.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::fd::{AsRawFd as _, BorrowedFd};
use std::path::PathBuf;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::UnixStream;
use tokio::time::timeout;

use crate::shim::wire::{Reply, Request, SOCKET, receive, send};

/// How long a shim may take for what needs no waiting.
const PATIENCE: Duration = Duration::from_secs(10);

/// How to reach the shim of a container.
#[derive(Clone, Debug)]
pub(crate) struct ShimClient {
    directory: PathBuf,
}

/// A request that was sent, and is answered in time.
#[derive(Debug)]
pub(crate) struct Conversation {
    socket: UnixStream,
}

impl ShimClient {
    pub(crate) fn new(directory: PathBuf) -> Self {
        Self { directory }
    }

    /// Asks for what is done at once. `Err(Refused)` is part of the answer.
    pub(crate) async fn call(&self, request: &Request) -> io::Result<()> {
        let call = async { self.open(request, &[]).await?.answer().await };
        match timeout(PATIENCE, call).await {
            Ok(Ok(Reply::Refused(reason))) => Err(io::Error::other(reason)),
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(ErrorKind::TimedOut.into()),
        }
    }

    /// Sends a request. Dropping the conversation ends what was asked for.
    pub(crate) async fn open(
        &self,
        request: &Request,
        descriptors: &[BorrowedFd<'_>],
    ) -> io::Result<Conversation> {
        // Paths of sockets are short; this way the one of the directory may be as long as it is.
        let directory = File::open(&self.directory)?;
        let path = format!("/proc/self/fd/{}/{SOCKET}", directory.as_raw_fd());
        let mut socket = UnixStream::connect(path).await?;
        send(&mut socket, request, descriptors).await?;
        Ok(Conversation { socket })
    }
}

impl Conversation {
    /// The answer; an error if the shim has gone.
    pub(crate) async fn answer(&mut self) -> io::Result<Reply> {
        match receive(&mut self.socket).await? {
            Some((reply, _)) => Ok(reply),
            None => Err(ErrorKind::UnexpectedEof.into()),
        }
    }

    /// Ends what was asked for, and waits a little for it to be ended.
    pub(crate) async fn hang_up(mut self) {
        let last = async {
            self.socket.shutdown().await?;
            self.answer().await
        };
        // If it is not by then, nobody is there to do it.
        let _ = timeout(PATIENCE, last).await;
    }
}
