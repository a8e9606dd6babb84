//! What the service manager is told.

use std::env;
use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// Tells systemd that the agent has started, if it was started by a unit that waits for it
/// (`Type=notify`).
///
/// # Errors
///
/// There is somebody to tell, and it cannot be told.
pub fn notify_ready() -> io::Result<()> {
    match env::var_os("NOTIFY_SOCKET") {
        Some(socket) if !socket.is_empty() => notify(&socket, "READY=1"),
        _ => Ok(()),
    }
}

/// Tells something at a socket: one with a path or, after an `@`, one without.
fn notify(socket: &OsStr, state: &str) -> io::Result<()> {
    let address = match socket.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(socket)?,
    };
    let told = UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), &address)?;
    match told == state.len() {
        true => Ok(()),
        false => Err(io::ErrorKind::WriteZero.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::process;

    use tempfile::TempDir;

    use super::*;

    #[test]
    fn a_socket_is_told_that_has_a_path_or_none() {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("notify");
        let name = format!("kubewright-notify-{}", process::id());
        let with_path = UnixDatagram::bind(&path).unwrap();
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let without = UnixDatagram::bind_addr(&address).unwrap();
        let told = [
            (path.into_os_string(), with_path),
            (OsString::from(format!("@{name}")), without),
        ];
        for (named, socket) in told {
            notify(&named, "READY=1").unwrap();
            let mut text = [0; 64];
            let length = socket.recv(&mut text).unwrap();
            assert_eq!(&text[..length], b"READY=1");
        }
        notify(OsStr::new("/nonexistent/notify"), "READY=1").unwrap_err();
    }
}
