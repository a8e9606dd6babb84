use std::path::PathBuf;
use std::time::Duration;

use kubewright_clock::Clock;
use kubewright_streaming::StreamingConfig;

use crate::{AddressRange, ImageRecord};

/// How a [`ProcessRuntime`](crate::ProcessRuntime) is opened.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// Where everything is kept that the runtime writes; made if it is not there.
    ///
    /// One runtime at a time: a second one is refused.
    pub root_dir: PathBuf,
    /// The images beside `host`. None by default.
    pub images: Vec<ImageRecord>,
    /// The addresses that sandboxes get; by default 1,022 that follow from the root directory, so
    /// that two runtimes on one machine seldom share any.
    pub addresses: Option<AddressRange>,
    /// The program that the shims of containers are; this one by default.
    pub shim: ShimProgram,
    /// How commands, attached clients and forwarded ports are served; on loopback alone.
    pub streaming: StreamingConfig,
    /// How long [`shutdown`](crate::ProcessRuntime::shutdown) waits for containers that were asked
    /// to end before it ends them by force: 2 seconds by default.
    pub shutdown_grace: Duration,
    /// What timestamps are taken from; the system's clock by default.
    ///
    /// Shims are processes of their own and always have the system's.
    pub clock: Clock,
    /// What ids are made from; by default the time at which the runtime is opened.
    pub seed: Option<u64>,
}

/// Which program the shims of containers are.
///
/// Either way it has to call [`shim::main_if_asked`](crate::shim::main_if_asked) first of all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ShimProgram {
    /// The program that the runtime is part of, started anew.
    #[default]
    Current,
    /// Another one, by an absolute path.
    Path(PathBuf),
}

impl Options {
    /// What is usual, with everything under a directory.
    pub fn new(root_dir: impl Into<PathBuf>) -> Self {
        Self {
            root_dir: root_dir.into(),
            images: Vec::new(),
            addresses: None,
            shim: ShimProgram::default(),
            streaming: StreamingConfig::default(),
            shutdown_grace: Duration::from_secs(2),
            clock: Clock::system(),
            seed: None,
        }
    }
}
