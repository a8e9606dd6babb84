//! The runtime manager: makes a container runtime hold what pods ask for.

mod container_config;
mod convert;
mod create;
mod exec;
mod identity;
mod kill;
mod list;
mod observe;
mod remove;
mod result;
mod sandbox;
mod sandbox_config;
mod settings;
mod start;
mod sync;
mod turns;

use std::fmt;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;
use kubewright_clock::Clock;
use kubewright_cri::{Error, Runtime};
use parking_lot::Mutex;
use tokio::sync::OnceCell;
use tokio::time::Instant;

use super::hook::HookRunner;
use super::image::ImageManager;
use super::{CrashLoop, CrashLoopBackoff};
use crate::event::EventRecorder;
use crate::moment::Moment;
use crate::resources::CgroupDriver;
use crate::volume::{Mounter, PodDirectories};

pub use identity::{RuntimeIdentity, driver_of};
pub use result::{KillError, StartAttempt, StartError, SyncError, SyncResult};
pub use sandbox_config::SandboxConfigError;
pub use settings::{NodeResources, RuntimeSettings};
pub use sync::SyncRequest;

/// Makes a container runtime hold what pods ask for, and tells what it holds.
///
/// Cheap to clone; clones are the same manager. Answers to kubelet's `kubeGenericRuntimeManager`.
///
/// # Guarantees
///
/// - It remembers nothing that matters: what runs, and how long what has ended is to wait, is known
///   from the labels and annotations that the runtime keeps. Only back-offs of images are lost with
///   it.
/// - Whatever call is lost, before it took effect or after, the next sync goes on from what is
///   there: no container is doubled and none is left behind. A container that was made and never
///   started is replaced, and does not count as a restart.
/// - It makes no API calls and starts no tasks.
///
/// # Assumptions
///
/// - The files of pods and logs are on local disks: they are read and written in place.
/// - A postStart hook is run once its container is known to be started. If the answer to the start
///   is lost, the container runs on without it, as it does with a kubelet.
///
/// # Cancel safety
///
/// All its methods may be dropped at any time; calls that are under way are given up with them.
/// What the runtime made of those is found the next time.
#[derive(Clone)]
pub struct RuntimeManager {
    inner: Arc<Inner>,
}

/// What a [`RuntimeManager`] works with.
#[derive(Clone)]
pub struct RuntimeDependencies {
    /// The container runtime.
    pub runtime: Runtime,
    /// Where images are: mostly the same runtime.
    pub images: Runtime,
    /// What the time is, by which the runtime tells when containers ended.
    pub clock: Clock,
    /// Who is told what happens to pods.
    pub events: EventRecorder,
    /// What of the node goes into containers; it is asked at each sync.
    pub node: Arc<dyn Fn() -> NodeResources + Send + Sync>,
    /// What binds parts of volumes.
    pub mounter: Arc<dyn Mounter + Send + Sync>,
}

struct Inner {
    runtime: Runtime,
    images: ImageManager,
    hooks: HookRunner,
    settings: RuntimeSettings,
    dependencies: RuntimeDependencies,
    crash_loop: Mutex<CrashLoop>,
    /// What the runtime calls itself, once it was asked.
    name: OnceCell<Arc<str>>,
    cgroup_driver: OnceCell<CgroupDriver>,
}

impl RuntimeManager {
    /// A manager of this runtime. It asks nothing yet.
    pub fn new(settings: RuntimeSettings, dependencies: RuntimeDependencies) -> Self {
        let crash_loop = CrashLoop::new(settings.initial_restart_delay, settings.max_restart_delay);
        let runtime = dependencies.runtime.clone();
        let images = ImageManager::new(
            dependencies.images.clone(),
            dependencies.events.clone(),
            settings.max_parallel_pulls,
            settings.pull_rate,
        );
        Self {
            inner: Arc::new(Inner {
                images,
                hooks: HookRunner::new(runtime.clone()),
                runtime,
                settings,
                dependencies,
                crash_loop: Mutex::new(crash_loop),
                name: OnceCell::new(),
                cgroup_driver: OnceCell::new(),
            }),
        }
    }

    /// Forgets back-offs that are over. To be called now and then.
    pub fn collect_garbage(&self) {
        self.inner.crash_loop.lock().collect_garbage(Instant::now());
        self.inner.images.collect_garbage();
    }

    /// How many containers have crashed not long ago.
    pub fn crashed(&self) -> usize {
        self.inner.crash_loop.lock().len()
    }

    /// The handle on the runtime itself, for calls that need no managing.
    pub fn runtime(&self) -> &Runtime {
        &self.inner.runtime
    }

    fn settings(&self) -> &RuntimeSettings {
        &self.inner.settings
    }

    fn events(&self) -> &EventRecorder {
        &self.inner.dependencies.events
    }

    fn now(&self) -> Moment {
        Moment::now(&self.inner.dependencies.clock)
    }

    fn facts(&self) -> NodeResources {
        (self.inner.dependencies.node)()
    }

    fn directories(&self, pod: &Pod) -> PodDirectories {
        PodDirectories::new(&self.settings().root_dir, &crate::pod::PodUid::of(pod))
    }
}

/// An error of the runtime as gRPC prints it, which is what people know from kubelet's events.
pub(in crate::runtime) fn rpc_error(error: &Error) -> String {
    format!(
        "rpc error: code = {:?} desc = {}",
        error.code(),
        error.message()
    )
}

impl From<CrashLoopBackoff> for StartError {
    fn from(backoff: CrashLoopBackoff) -> Self {
        Self {
            reason: "CrashLoopBackOff",
            message: backoff.to_string(),
            expiry: Some(backoff.expiry),
        }
    }
}

impl fmt::Debug for RuntimeManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RuntimeManager")
            .field("settings", self.settings())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for RuntimeDependencies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RuntimeDependencies")
            .field("runtime", &self.runtime)
            .finish_non_exhaustive()
    }
}
