use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use kubewright_clock::Clock;
use kubewright_streaming::{StreamingHandle, StreamingServer};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::address::Addresses;
use crate::core::{Core, Parts, Tasks};
use crate::image::Images;
use crate::store::{Store, nanoseconds};
use crate::streams::Streams;
use crate::{AddressRange, Error, Options, ShimProgram, shim};

/// How long a runtime that was just dropped may take to let go of the root directory.
const HANDOVER: Duration = Duration::from_secs(1);

/// A container runtime whose containers are processes of the host.
///
/// Cheap to clone; clones are the same runtime.
/// It implements CRI's services: give it to [`Runtime::in_process`](kubewright_cri::Runtime::in_process),
/// or to [`Server::new`](kubewright_cri::Server::new) and [`serve`](kubewright_cri::serve).
///
/// # Ends
///
/// [`shutdown`](Self::shutdown) ends all containers and removes every file.
/// [`close`](Self::close), dropping the last clone and killing the process end just the runtime:
/// the containers go on, and the next one on the same root directory finds them.
#[derive(Clone, Debug)]
pub struct ProcessRuntime {
    pub(crate) core: Arc<Core>,
    tasks: Arc<Tasks>,
    pub(crate) streaming: StreamingHandle,
    shutdown_grace: Duration,
    set_aside: Arc<[PathBuf]>,
}

impl ProcessRuntime {
    /// Opens a runtime on its root directory, and finds what an earlier one left there.
    ///
    /// Call it inside a tokio runtime with I/O, time and signals.
    ///
    /// # Errors
    ///
    /// [`Error::NoShim`] if shims would be this program and it does not call
    /// [`shim::main_if_asked`]; [`Error::InUse`] if another runtime has the root directory;
    /// [`Error::Image`] for images that cannot be had; [`Error::Io`] if the directory cannot be read
    /// or written; [`Error::Streaming`] if streams cannot be served at the address.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the root directory as a runtime does that is dropped.
    pub async fn open(options: Options) -> Result<Self, Error> {
        let program = match options.shim {
            ShimProgram::Path(path) => path,
            ShimProgram::Current if shim::is_hooked() => PathBuf::from("/proc/self/exe"),
            ShimProgram::Current => return Err(Error::NoShim),
        };
        let images = Images::new(options.images)?;
        let store = take(&options.root_dir).await?;
        let range = options
            .addresses
            .unwrap_or_else(|| AddressRange::of(store.root()));
        let tasks = Arc::new(Tasks::default());
        let seed = options.seed.unwrap_or_else(|| chance(&options.clock));
        let core = Arc::new(Core::new(Parts {
            store,
            clock: options.clock,
            shim: program,
            boot: boot(),
            images,
            addresses: Addresses::new(range),
            seed,
            tasks: Arc::downgrade(&tasks),
        }));
        let server = StreamingServer::bind(options.streaming).await?;
        let streaming = server.handle();
        let set_aside = core.adopt().await?.into();
        let streams = Streams::new(Arc::clone(&core));
        // It ends with the other tasks.
        core.spawn(server.run(streams, CancellationToken::new()));
        tracing::warn!(
            root_dir = %core.store.root().display(),
            addresses = %range,
            "the process runtime runs containers as processes of this host, without any isolation: \
             for development and tests only"
        );
        Ok(Self {
            core,
            tasks,
            streaming,
            shutdown_grace: options.shutdown_grace,
            set_aside,
        })
    }

    /// Where everything is kept, as an absolute path.
    pub fn root_dir(&self) -> &Path {
        self.core.store.root()
    }

    /// The directories of sandboxes and containers that could not be read when the runtime was
    /// opened. They were moved there and stay until somebody removes them.
    pub fn set_aside(&self) -> &[PathBuf] {
        &self.set_aside
    }

    /// What the streams of this runtime lead to, for those who serve them in their own way.
    pub fn streams(&self) -> Streams {
        Streams::new(Arc::clone(&self.core))
    }

    /// Ends all containers, asking them first, and removes every file of the runtime.
    ///
    /// All calls are refused from then on, also those of other clones.
    /// What was [set aside](Self::set_aside) stays, and so do logs, which are the agent's.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if something does not end or cannot be removed. The rest has been, and it may
    /// be tried again.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the rest as it is; a call anew goes on.
    pub async fn shutdown(&self) -> Result<(), Error> {
        self.core.end(self.shutdown_grace).await?;
        self.core.close().await;
        self.tasks.end().await;
        self.core.store.remove_all()?;
        self.core.store.release();
        Ok(())
    }

    /// Ends the runtime and leaves its containers running, for the next one to find.
    ///
    /// All calls are refused from then on, also those of other clones.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future may leave tasks that end a little later.
    pub async fn close(&self) {
        self.core.close().await;
        self.tasks.end().await;
        self.core.store.release();
    }
}

async fn take(root_dir: &Path) -> Result<Store, Error> {
    let deadline = Instant::now() + HANDOVER;
    loop {
        match Store::open(root_dir)? {
            Some(store) => return Ok(store),
            None if Instant::now() < deadline => sleep(Duration::from_millis(20)).await,
            None => return Err(Error::InUse(root_dir.to_owned())),
        }
    }
}

/// What differs from one runtime to the next.
fn chance(clock: &Clock) -> u64 {
    nanoseconds(clock).unsigned_abs() ^ (u64::from(std::process::id()) << 32)
}

/// The boot of this machine. Where it is not told, all boots are one.
fn boot() -> String {
    let read: io::Result<String> = std::fs::read_to_string("/proc/sys/kernel/random/boot_id");
    read.map_or_else(|_| String::new(), |boot| boot.trim().to_owned())
}
