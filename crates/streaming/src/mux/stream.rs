use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::Mux;

/// Both ends of a stream.
pub(crate) struct Stream {
    pub(crate) reader: StreamReader,
    pub(crate) writer: StreamWriter,
}

/// Where a stream is read from. Dropping it throws away what still arrives.
pub(crate) struct StreamReader {
    mux: Mux,
    id: u32,
}

/// Where a stream is written to. Dropping it ends the stream with what was written.
pub(crate) struct StreamWriter {
    mux: Mux,
    id: u32,
}

impl Stream {
    pub(super) fn new(mux: Mux, id: u32) -> Self {
        Self {
            reader: StreamReader {
                mux: mux.clone(),
                id,
            },
            writer: StreamWriter { mux, id },
        }
    }

    /// Waits until the peer has accepted the stream.
    #[cfg(feature = "client")]
    pub(crate) async fn replied(&self) -> io::Result<()> {
        let StreamWriter { mux, id } = &self.writer;
        std::future::poll_fn(|cx| mux.state().poll_replied(*id, cx)).await
    }
}

impl StreamReader {
    /// Makes a reset and a lost connection look like an end, as standard input needs it.
    pub(crate) fn lenient(self) -> Self {
        self.mux.state().set_lenient(self.id);
        self
    }

    pub(crate) fn id(&self) -> u32 {
        self.id
    }
}

impl StreamWriter {
    pub(crate) fn id(&self) -> u32 {
        self.id
    }
}

impl Drop for StreamReader {
    fn drop(&mut self) {
        self.mux.state().drop_reader(self.id);
    }
}

impl Drop for StreamWriter {
    fn drop(&mut self) {
        self.mux.state().drop_writer(self.id);
    }
}

impl AsyncRead for StreamReader {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.mux.state().poll_read(self.id, cx, into)
    }
}

impl AsyncWrite for StreamWriter {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.mux.state().poll_write(self.id, cx, data)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.mux.state().poll_flush(self.id, cx).map(Ok)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.mux.state();
        state.end_output(self.id);
        ready!(state.poll_flush(self.id, cx));
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.reader).poll_read(cx, into)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.writer).poll_write(cx, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.writer).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.writer).poll_shutdown(cx)
    }
}
