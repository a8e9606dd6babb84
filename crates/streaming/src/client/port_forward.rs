use std::fmt;
use std::io::{self, ErrorKind};
use std::iter::empty;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::io::AsyncReadExt as _;

use super::{Connection, Dial, Transport, reader};
use crate::spdy::Headers;
use crate::{ByteReader, ByteStream};

/// A connection to the server that carries connections to ports.
pub struct PortForward {
    connection: Connection,
    requests: AtomicU32,
}

impl fmt::Debug for PortForward {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PortForward").finish_non_exhaustive()
    }
}

/// A forwarded connection.
pub struct Forwarded {
    /// The connection, both ways.
    pub stream: Box<dyn ByteStream>,
    /// Ends with the reason why the connection was not made, or broke; empty if all went well.
    pub error: ByteReader,
}

impl fmt::Debug for Forwarded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Forwarded").finish_non_exhaustive()
    }
}

impl Dial {
    /// Asks for a port-forward over SPDY, bare or within WebSocket messages.
    ///
    /// # Errors
    ///
    /// As of [`command`](Self::command).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the connection.
    pub async fn port_forward(self, transport: Transport) -> io::Result<PortForward> {
        Ok(PortForward {
            connection: self.connect(transport, empty()).await?,
            requests: AtomicU32::new(0),
        })
    }

    /// Asks for a port-forward over WebSocket channels, to the ports that the server knows.
    ///
    /// # Errors
    ///
    /// As of [`command`](Self::command), and [`ErrorKind::InvalidData`] if the server names other
    /// ports.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the connection.
    pub async fn port_forward_channels(
        self,
        transport: Transport,
        ports: &[u16],
    ) -> io::Result<(PortForward, Vec<Forwarded>)> {
        let channels = (0..).take(2 * ports.len());
        let connection = self.connect(transport, channels).await?;
        let open = async |channel, port: u16| {
            let mut stream = connection.stream(channel, Headers::default()).await?;
            let mut named = [0; 2];
            stream.read_exact(&mut named).await?;
            if u16::from_le_bytes(named) == port {
                Ok(stream)
            } else {
                Err(io::Error::from(ErrorKind::InvalidData))
            }
        };
        let channels = (0..).step_by(2).zip(ports);
        let pairs = channels.map(async |(channel, port)| {
            let (data, error) = tokio::try_join!(open(channel, *port), open(channel + 1, *port))?;
            io::Result::Ok(Forwarded {
                stream: Box::new(data),
                error: reader(error),
            })
        });
        let all = futures::future::try_join_all(pairs).await?;
        let forward = PortForward {
            connection,
            requests: AtomicU32::new(0),
        };
        Ok((forward, all))
    }
}

impl PortForward {
    /// Opens a connection to a port.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::ConnectionRefused`] if the server does not accept the streams. That the port
    /// cannot be reached is told by [`Forwarded::error`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives the connection up.
    pub async fn connect(&self, port: u16) -> io::Result<Forwarded> {
        let request = self.requests.fetch_add(1, Ordering::Relaxed);
        let error = self
            .connection
            .stream(0, headers(request, port, "error"))
            .await?;
        let data = self
            .connection
            .stream(0, headers(request, port, "data"))
            .await?;
        Ok(Forwarded {
            stream: Box::new(data),
            error: reader(error),
        })
    }

    /// Opens the error stream of a connection to a port, and nothing else.
    ///
    /// # Errors
    ///
    /// As of [`connect`](Self::connect).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives the stream up.
    pub async fn connect_half(&self, port: u16) -> io::Result<ByteReader> {
        let request = self.requests.fetch_add(1, Ordering::Relaxed);
        let error = self
            .connection
            .stream(0, headers(request, port, "error"))
            .await?;
        Ok(reader(error))
    }

    /// Says goodbye, and waits for the end.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the connection.
    pub async fn close(self) {
        self.connection.close().await;
    }
}

fn headers(request: u32, port: u16, kind: &str) -> Headers {
    Headers::default()
        .with("streamType", kind)
        .with("port", port.to_string())
        .with("requestID", request.to_string())
}
