//! What is on disk of sandboxes and containers. Records never change: what changes has files of
//! its own beside them.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The exit code of a container that was killed, or of which nobody knows how it ended.
pub(crate) const KILLED: i32 = 137;

/// The exit code of a container that could not be started, as containerd tells it.
pub(crate) const NOT_STARTED: i32 = 128;

/// A sandbox: `record.json` in its directory.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SandboxRecord {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) namespace: String,
    pub(crate) uid: String,
    pub(crate) attempt: u32,
    pub(crate) hostname: String,
    /// Empty if the agent wants no logs.
    pub(crate) log_directory: PathBuf,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) annotations: BTreeMap<String, String>,
    pub(crate) namespaces: NamespacesRecord,
    /// What containers find in `etc/resolv.conf`.
    pub(crate) resolver: Option<String>,
    /// None in the network of the host.
    pub(crate) address: Option<Ipv4Addr>,
    /// In nanoseconds since 1970.
    pub(crate) created_at: i64,
    /// The boot of the machine that it belongs to: no process lives longer.
    pub(crate) boot: String,
}

/// What the agent said of namespaces, as numbers of CRI.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct NamespacesRecord {
    pub(crate) network: i32,
    pub(crate) pid: i32,
    pub(crate) ipc: i32,
}

/// A container: `record.json` in its directory.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ContainerRecord {
    pub(crate) id: String,
    pub(crate) sandbox_id: String,
    pub(crate) name: String,
    pub(crate) attempt: u32,
    /// The full name of the image.
    pub(crate) image: String,
    pub(crate) user_specified_image: String,
    pub(crate) image_id: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) annotations: BTreeMap<String, String>,
    pub(crate) mounts: Vec<MountRecord>,
    pub(crate) log_path: Option<PathBuf>,
    pub(crate) stdin: bool,
    pub(crate) stdin_once: bool,
    pub(crate) tty: bool,
    pub(crate) stop_signal: i32,
    pub(crate) launch: Launch,
    /// In nanoseconds since 1970.
    pub(crate) created_at: i64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct MountRecord {
    pub(crate) container_path: String,
    pub(crate) host_path: String,
    pub(crate) readonly: bool,
    pub(crate) propagation: i32,
}

/// How processes of a container are started.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Launch {
    pub(crate) command: Vec<String>,
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) working_dir: PathBuf,
    /// Where absolute commands are looked for before the host.
    pub(crate) image_dir: PathBuf,
}

/// That a container was started: `started.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Started {
    pub(crate) shim: i32,
    pub(crate) pid: i32,
    /// In nanoseconds since 1970.
    pub(crate) started_at: i64,
}

/// How a container ended: `exit.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Exit {
    pub(crate) code: i32,
    pub(crate) reason: String,
    pub(crate) message: String,
    /// In nanoseconds since 1970; 0 if it never started.
    pub(crate) started_at: i64,
    /// In nanoseconds since 1970.
    pub(crate) finished_at: i64,
    /// How much of its output could not be written to its log.
    pub(crate) lost_log_bytes: u64,
}

/// What a shim says once it has tried to start its container.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Outcome {
    Started(Started),
    Failed(Exit),
}

impl Exit {
    /// One that came by itself.
    pub(crate) fn of_process(code: i32, started_at: i64, finished_at: i64) -> Self {
        let reason = if code == 0 { "Completed" } else { "Error" };
        Self {
            code,
            reason: reason.to_owned(),
            message: String::new(),
            started_at,
            finished_at,
            lost_log_bytes: 0,
        }
    }

    pub(crate) fn not_started(message: String, at: i64) -> Self {
        Self {
            code: NOT_STARTED,
            reason: "StartError".to_owned(),
            message,
            started_at: 0,
            finished_at: at,
            lost_log_bytes: 0,
        }
    }

    /// Nobody was there to see how it ended.
    pub(crate) fn unknown(message: &str, started_at: i64, at: i64) -> Self {
        Self {
            code: KILLED,
            reason: "Unknown".to_owned(),
            message: message.to_owned(),
            started_at,
            finished_at: at,
            lost_log_bytes: 0,
        }
    }
}

/// Without the values of environment variables, which may be secret.
impl std::fmt::Debug for Launch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Launch")
            .field("command", &self.command)
            .field("env", &self.env.keys())
            .field("working_dir", &self.working_dir)
            .field("image_dir", &self.image_dir)
            .finish()
    }
}
