use std::path::PathBuf;
use std::sync::Arc;

use kubewright_cri::Runtime;
use tokio::time::Instant;

use super::{FileSystem, NodePressure, Observation, RuntimeHealth};

/// What looks at a node.
pub trait NodeObserver: Send + Sync + 'static {
    /// What keeps the node from taking pods, as far as it is known without asking anybody.
    fn problems(&self) -> Vec<String>;

    /// All that its status tells of now.
    fn observe(&self) -> impl Future<Output = Observation> + Send;
}

/// Looks at a node with a container runtime over CRI.
#[derive(Clone)]
pub struct CriObserver {
    runtime: Runtime,
    health: RuntimeHealth,
    root_dir: PathBuf,
    pressure: NodePressure,
    shutdown: Arc<dyn Fn() -> Option<String> + Send + Sync>,
}

impl CriObserver {
    /// Looks at a runtime, what is known of its health, and the disk that pods write to.
    pub fn new(runtime: Runtime, health: RuntimeHealth, root_dir: impl Into<PathBuf>) -> Self {
        Self {
            runtime,
            health,
            root_dir: root_dir.into(),
            pressure: NodePressure::default(),
            shutdown: Arc::new(|| None),
        }
    }

    /// Asks this for what is getting short. Without it nothing is.
    pub fn with_pressure(mut self, pressure: NodePressure) -> Self {
        self.pressure = pressure;
        self
    }

    /// Asks this whether the node is shutting down, and says so. Without it it never does.
    pub fn with_shutdown(
        mut self,
        shutdown: impl Fn() -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        self.shutdown = Arc::new(shutdown);
        self
    }
}

impl NodeObserver for CriObserver {
    fn problems(&self) -> Vec<String> {
        let mut problems = self.health.problems(Instant::now());
        problems.extend((self.shutdown)());
        problems
    }

    async fn observe(&self) -> Observation {
        let (images, version) =
            tokio::join!(self.runtime.list_images(None), self.runtime.version());
        let images = images.unwrap_or_else(|error| {
            tracing::warn!(%error, "the images of the node are not known");
            Vec::new()
        });
        let disk = FileSystem::of(&self.root_dir).inspect_err(|error| {
            tracing::warn!(%error, dir = %self.root_dir.display(), "the size of the disk is not known");
        });
        Observation {
            images,
            runtime_version: version
                .ok()
                .map(|it| format!("{}://{}", it.runtime_name, it.runtime_version)),
            storage: disk.ok().map(|disk| disk.capacity),
            pressures: self.pressure.now(),
            problems: self.problems(),
        }
    }
}

impl std::fmt::Debug for CriObserver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("CriObserver").field(&self.health).finish()
    }
}
