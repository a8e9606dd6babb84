//! Ends of pipes and terminals, read and written without blocking.

use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use tokio::net::unix::pipe;

/// The end of a pipe to read from, or the near side of a terminal.
#[derive(Debug)]
pub(crate) struct Reader {
    end: pipe::Receiver,
}

/// The end of a pipe to write to, or the near side of a terminal.
#[derive(Debug)]
pub(crate) struct Writer {
    end: pipe::Sender,
}

impl Reader {
    /// Makes a descriptor non-blocking and watches it. Call it inside a tokio runtime.
    pub(crate) fn new(descriptor: OwnedFd) -> io::Result<Self> {
        unblock(&descriptor)?;
        // Terminals are no pipes, and are read all the same.
        let end = pipe::Receiver::from_owned_fd_unchecked(descriptor)?;
        Ok(Self { end })
    }

    /// Reads what there is; 0 at the end. Cancel safe.
    pub(crate) async fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            self.end.readable().await?;
            match self.end.try_read(buffer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                // What a terminal says when nobody has its far side open any more.
                Err(error) if error.raw_os_error() == Some(Errno::IO.raw_os_error()) => {
                    return Ok(0);
                }
                read => return read,
            }
        }
    }
}

impl Writer {
    /// Makes a descriptor non-blocking and watches it. Call it inside a tokio runtime.
    pub(crate) fn new(descriptor: OwnedFd) -> io::Result<Self> {
        unblock(&descriptor)?;
        let end = pipe::Sender::from_owned_fd_unchecked(descriptor)?;
        Ok(Self { end })
    }

    /// Writes all of it. Not cancel safe: how much was written is then unknown.
    pub(crate) async fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            self.end.writable().await?;
            match self.end.try_write(bytes) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => bytes = &bytes[written..],
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl AsFd for Writer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.end.as_fd()
    }
}

/// A pipe: the end to read from, the end to write to.
pub(crate) fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(pipe_with(PipeFlags::CLOEXEC)?)
}

fn unblock(descriptor: &OwnedFd) -> io::Result<()> {
    Ok(fcntl_setfl(
        descriptor,
        fcntl_getfl(descriptor)? | OFlags::NONBLOCK,
    )?)
}
