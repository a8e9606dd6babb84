//! The process that stands between the runtime and one container.
//!
//! A shim starts the container's process, writes its log and keeps its exit code, so that runtime
//! and agent may end while the container goes on, and the next runtime finds it.
//! It is the runtime's own program, started anew under another name; [`main_if_asked`] is where it
//! begins.

use std::ffi::OsString;
use std::fmt::Display;
use std::io::{self, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};

pub(crate) mod channel;
mod connection;
mod container;
pub(crate) mod log;
mod output;
mod reaper;
mod spawn;
pub(crate) mod terminal;
pub(crate) mod wire;

/// The name under which the program is started if it is to be a shim.
pub(crate) const NAME: &str = "kubewright-shim";

/// That it is to look after a container.
pub(crate) const CONTAINER: &str = "container";

/// That it is to become a program with a terminal of its own.
pub(crate) const TERMINAL: &str = "terminal";

static IS_HOOKED: AtomicBool = AtomicBool::new(false);

/// Becomes the shim of a container, if that is what this process was started for.
///
/// Call it first of all in `main` of every program that opens a
/// [`ProcessRuntime`](crate::ProcessRuntime): before arguments are read, before threads and
/// runtimes are started.
/// It returns at once if this is the program itself, and never if it is a shim.
///
/// ```no_run
/// kubewright_process_runtime::shim::main_if_asked();
/// // The program.
/// ```
pub fn main_if_asked() {
    IS_HOOKED.store(true, Ordering::Relaxed);
    let mut arguments = std::env::args_os();
    if arguments.next().is_none_or(|name| name != NAME) {
        return;
    }
    let role = arguments.next().and_then(|role| role.into_string().ok());
    let arguments: Vec<OsString> = arguments.collect();
    let result = match role.as_deref() {
        Some(CONTAINER) => container::main(),
        Some(TERMINAL) => terminal::main(&arguments),
        _ => Err(io::Error::other("started as a shim, and not told what for")),
    };
    let code = match result {
        Ok(()) => 0,
        Err(error) => {
            complain(&error);
            1
        }
    };
    std::process::exit(code)
}

/// Writes to the shim's own log, if there is room: a disk that is full ends no shim.
pub(crate) fn complain(what: &dyn Display) {
    let _ = writeln!(io::stderr(), "{what}");
}

/// Whether [`main_if_asked`] was called, so that starting this program anew gives a shim.
pub(crate) fn is_hooked() -> bool {
    IS_HOOKED.load(Ordering::Relaxed)
}
