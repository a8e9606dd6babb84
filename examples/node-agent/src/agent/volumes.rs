use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;

use super::parts::Parts;
use crate::environment::DownwardApi;
use crate::objects::Snapshot;
use crate::pod::{PodUid, is_host_network};
use crate::runtime::ObservedPod;
use crate::volume::{
    ContentContext, MountedVolumes, VolumeError, VolumeSetUp, tear_down, tear_down_volumes,
};

/// Volumes are files: what is done to them is done where it may wait for a disk.
impl Parts {
    /// Sets up the volumes of a pod, and brings their content up to date.
    pub(super) async fn set_up_volumes(
        &self,
        pod: &Arc<Pod>,
        observed: &ObservedPod,
        objects: Arc<Snapshot>,
    ) -> Result<MountedVolumes, VolumeError> {
        let uid = PodUid::of(pod);
        let directories = self.directories(&uid);
        let allocatable = self.node.allocatable();
        let host_ips = self.node.host_ips().to_vec();
        let pod_ips = match is_host_network(pod) {
            true => host_ips.clone(),
            false => observed.ips.clone(),
        };
        let (pod, mounter, now) = (pod.clone(), self.mounter.clone(), self.clock.now());
        let set_up = move || {
            let downward = DownwardApi {
                pod: &pod,
                pod_ips: &pod_ips,
                host_ips: &host_ips,
                allocatable: &allocatable,
            };
            let set_up = VolumeSetUp {
                content: ContentContext {
                    downward,
                    objects: &*objects,
                },
                directories: &directories,
                mounter: &mounter,
                now,
            };
            set_up.set_up_all()
        };
        self.files.work(&uid, set_up).await
    }

    /// Unmounts and removes the volumes of a pod.
    pub(super) async fn tear_down_volumes(&self, uid: &PodUid) -> Result<(), VolumeError> {
        let (directories, mounter) = (self.directories(uid), self.mounter.clone());
        let tear_down = move || tear_down_volumes(&directories, &mounter);
        self.files.work(uid, tear_down).await
    }

    /// Unmounts and removes all that a pod has on disk.
    pub(super) async fn tear_down(&self, uid: &PodUid) -> Result<(), VolumeError> {
        let (directories, mounter) = (self.directories(uid), self.mounter.clone());
        let tear_down = move || tear_down(&directories, &mounter);
        self.files.work(uid, tear_down).await
    }
}
