use std::path::PathBuf;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Node, Pod, PodStatus};
use kubewright_clock::Clock;
use kubewright_cri::Runtime;
use parking_lot::Mutex;

use super::NodeView;
use super::cgroups::Cgroups;
use super::pod_files::PodFiles;
use crate::config::Config;
use crate::event::EventRecorder;
use crate::mirror::MirrorClient;
use crate::node::RuntimeHealth;
use crate::objects::ObjectStore;
use crate::pleg::{Pleg, PodCache};
use crate::pod::{PodDirectory, PodUid};
use crate::probe::ProbeManager;
use crate::runtime::RuntimeManager;
use crate::source::SourcesReady;
use crate::status::{StartFailures, StatusManager};
use crate::volume::{Mounter, PodDirectories};

/// What all of the agent works with: each part once. Its fields are handles.
pub(super) struct Parts {
    pub(super) config: Config,
    pub(super) clock: Clock,
    pub(super) events: EventRecorder,
    pub(super) runtime: RuntimeManager,
    pub(super) health: RuntimeHealth,
    pub(super) pods: Arc<Mutex<PodDirectory>>,
    pub(super) ready: SourcesReady,
    pub(super) cache: PodCache,
    pub(super) pleg: Pleg,
    pub(super) statuses: StatusManager,
    pub(super) probes: ProbeManager,
    pub(super) failures: Mutex<StartFailures>,
    pub(super) objects: ObjectStore,
    /// `None` without an API server.
    pub(super) mirrors: Option<MirrorClient>,
    pub(super) images: Runtime,
    pub(super) container_logs_dir: Option<PathBuf>,
    pub(super) mounter: Arc<dyn Mounter + Send + Sync>,
    pub(super) files: PodFiles,
    pub(super) cgroups: Cgroups,
    pub(super) node: NodeView,
}

impl Parts {
    /// A pod and its mirror, given either of the two, as far as sources have them.
    pub(super) fn pod_and_mirror(&self, either: &Pod) -> (Option<Arc<Pod>>, Option<Arc<Pod>>) {
        let pods = self.pods.lock();
        let (pod, mirror) = pods.pod_and_mirror(either);
        (pod.cloned(), mirror.cloned())
    }

    /// What was said last of a pod: by the agent, or before it said anything by the pod's source.
    pub(super) fn last_status(&self, pod: &Pod) -> PodStatus {
        match self.statuses.status(&PodUid::of(pod)) {
            Some(status) => PodStatus::clone(&status),
            None => pod.status.clone().unwrap_or_default(),
        }
    }

    /// The files of a pod.
    pub(super) fn directories(&self, uid: &PodUid) -> PodDirectories {
        PodDirectories::new(&self.config.root_dir, uid)
    }

    /// The node, as pods are judged by it.
    pub(super) fn node(&self) -> Arc<Node> {
        self.node.node()
    }
}
