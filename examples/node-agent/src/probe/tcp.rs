use std::io;
use std::time::Duration;

use tokio::net::TcpStream;

use super::ask::Answer;

/// Asks whether somebody listens.
pub(super) async fn probe(host: &str, port: u16, timeout: Duration) -> Answer {
    match tokio::time::timeout(timeout, connect(host, port)).await {
        Ok(Ok(_)) => Answer::Success(String::new()),
        Ok(Err(reason)) => Answer::Failure(reason),
        Err(_) => Answer::Failure(format!("dial tcp {}: i/o timeout", address(host, port))),
    }
}

/// Connects, or says why not, in the words of kubelet's events.
pub(super) async fn connect(host: &str, port: u16) -> Result<TcpStream, String> {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let connected = TcpStream::connect((host, port)).await;
    connected.map_err(|error| {
        let address = address(host, port);
        match error.kind() {
            io::ErrorKind::ConnectionRefused => {
                format!("dial tcp {address}: connect: connection refused")
            }
            io::ErrorKind::HostUnreachable => {
                format!("dial tcp {address}: connect: no route to host")
            }
            io::ErrorKind::NetworkUnreachable => {
                format!("dial tcp {address}: connect: network is unreachable")
            }
            _ => format!("dial tcp {address}: {error}"),
        }
    })
}

/// A host and a port as one text; IPv6 addresses are put in brackets.
pub(super) fn address(host: &str, port: u16) -> String {
    if host.contains(':') && !host.starts_with('[') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}
