//! What the pods of the playground run: a small web server that says who it is.
//!
//! It is the playground's own program in another role, so that there are real processes to kill
//! without anything else to install. It listens at `$KUBEWRIGHT_POD_IP:$PORT`, answers `/healthz` to
//! probes and everything else with its [`Identity`], and ends on SIGTERM.

mod client;
mod server;

use std::process::exit;

use serde::{Deserialize, Serialize};

pub use client::ask;

/// The first argument of a program that is to be the web server.
pub const ROLE: &str = "be-the-web-server-of-a-pod";

/// Who a web server is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The name of its pod.
    pub pod: String,
    /// Its process id.
    pub pid: i32,
    /// How many requests it has answered, this one included and probes left out.
    pub requests: u64,
}

/// Becomes the web server of a pod, if that is what this process was started for.
///
/// It returns at once if not, and else never.
pub fn main_if_asked() {
    if std::env::args_os().nth(1).is_none_or(|role| role != ROLE) {
        return;
    }
    match server::main() {
        Ok(()) => exit(0),
        Err(error) => {
            // Its log is where people look.
            replica_set_controller::program::say(&format!("{error:#}"));
            exit(1)
        }
    }
}
