//! Terminals for processes that want one.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

/// A new terminal: the side to read and write what is on it, and the side for a process.
pub(crate) fn open() -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let near = openpt(flags)?;
    grantpt(&near)?;
    unlockpt(&near)?;
    let far = ioctl_tiocgptpeer(&near, flags)?;
    Ok((near, far))
}

pub(crate) fn resize(terminal: impl AsFd, width: u16, height: u16) -> io::Result<()> {
    let size = Winsize {
        ws_row: height,
        ws_col: width,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    Ok(tcsetwinsize(terminal, size)?)
}

/// Becomes the program that the arguments name, with its standard input as its own terminal.
///
/// The first argument is the path of the program, the rest is its command.
pub(super) fn main(arguments: &[OsString]) -> io::Result<()> {
    let [program, name, rest @ ..] = arguments else {
        return Err(io::Error::other("no program for the terminal"));
    };
    rustix::process::setsid()?;
    rustix::process::ioctl_tiocsctty(io::stdin())?;
    let error = Command::new(program).arg0(name).args(rest).exec();
    Err(io::Error::new(
        error.kind(),
        format!("exec: {name:?}: {error}"),
    ))
}
