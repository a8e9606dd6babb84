//! What runtime and shim say to each other: lines of JSON on a socket in the container's
//! directory, with file descriptors beside them.

use std::io::{self, ErrorKind, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, Interest};
use tokio::net::UnixStream;

use crate::record::Exit;

/// The name of the socket.
pub(crate) const SOCKET: &str = "sock";

/// No line is longer: commands are what is long, and systems limit those to 2 MiB or so.
const MAX_LINE: usize = 8 << 20;

/// As many as a request ever carries.
const MAX_DESCRIPTORS: usize = 3;

/// What a runtime asks of a shim, one thing on each connection.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Request {
    /// Tell how the container ends, once it has.
    Watch,
    /// Send a signal to the group of the container's process.
    Signal(i32),
    /// End all processes of the container by force.
    Kill,
    /// Open the log file anew.
    ReopenLog,
    /// Run a command, with the three descriptors as its streams, and tell its exit code. It is
    /// ended by force if the runtime closes its side of the connection before.
    Exec { command: Vec<String>, tty: bool },
    /// Connect to the container's streams until it ends or the connection is closed; a descriptor
    /// for each that is wanted.
    Attach {
        stdin: bool,
        stdout: bool,
        stderr: bool,
    },
    /// The terminal of the container has another size.
    Resize { width: u16, height: u16 },
}

/// What a shim answers.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Reply {
    Done,
    /// The command ended, with an exit code.
    Exited(i32),
    /// The container ended.
    Ended(Exit),
    /// That cannot be done, and why.
    Refused(String),
}

/// Sends a message, with descriptors beside its first byte.
pub(crate) async fn send<M: Serialize>(
    socket: &mut UnixStream,
    message: &M,
    descriptors: &[BorrowedFd<'_>],
) -> io::Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    let sent = if descriptors.is_empty() {
        0
    } else {
        socket
            .async_io(Interest::WRITABLE, || {
                let mut space =
                    [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
                let mut beside = SendAncillaryBuffer::new(&mut space);
                beside.push(SendAncillaryMessage::ScmRights(descriptors));
                let sent = sendmsg(
                    &*socket,
                    &[IoSlice::new(&line)],
                    &mut beside,
                    SendFlags::NOSIGNAL,
                )?;
                Ok(sent)
            })
            .await?
    };
    socket.write_all(&line[sent..]).await
}

/// Receives a message and what descriptors came with it; `None` if the peer has gone.
pub(crate) async fn receive<M: DeserializeOwned>(
    socket: &mut UnixStream,
) -> io::Result<Option<(M, Vec<OwnedFd>)>> {
    let mut line = Vec::new();
    let mut descriptors = Vec::new();
    let mut part = vec![0; 4096];
    while line.last() != Some(&b'\n') {
        let received = socket
            .async_io(Interest::READABLE, || {
                let mut space =
                    [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
                let mut beside = RecvAncillaryBuffer::new(&mut space);
                let received = recvmsg(
                    &*socket,
                    &mut [IoSliceMut::new(&mut part)],
                    &mut beside,
                    RecvFlags::CMSG_CLOEXEC,
                )?;
                for message in beside.drain() {
                    if let RecvAncillaryMessage::ScmRights(rights) = message {
                        descriptors.extend(rights);
                    }
                }
                Ok(received.bytes)
            })
            .await?;
        if received == 0 {
            return Ok(None);
        }
        line.extend_from_slice(&part[..received]);
        if line.len() > MAX_LINE {
            return Err(io::Error::new(ErrorKind::InvalidData, "a line without end"));
        }
    }
    let message = serde_json::from_slice(&line)?;
    Ok(Some((message, descriptors)))
}

/// Waits until the peer closes the connection. Whatever it still says is skipped.
///
/// Cancel safe.
pub(crate) async fn closed(socket: &mut UnixStream) {
    let mut part = [0; 64];
    while socket.read(&mut part).await.is_ok_and(|read| read > 0) {}
}
