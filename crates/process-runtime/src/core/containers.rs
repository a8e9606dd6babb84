//! Finding containers.

use std::sync::Arc;

use kubewright_cri::Status;
use kubewright_cri::v1;

use super::Core;
use crate::container::Container;
use crate::record::Started;

impl Core {
    pub(crate) fn containers(&self) -> Vec<Arc<Container>> {
        self.state.lock().containers.values().cloned().collect()
    }

    pub(crate) fn containers_in(&self, sandbox_id: &str) -> Vec<Arc<Container>> {
        let state = self.state.lock();
        let containers = state.containers.values();
        containers
            .filter(|container| container.record.sandbox_id == sandbox_id)
            .cloned()
            .collect()
    }

    pub(crate) fn statuses_in(&self, sandbox_id: &str) -> Vec<v1::ContainerStatus> {
        let containers = self.containers_in(sandbox_id);
        let statuses = containers.iter();
        statuses
            .map(|container| self.status_of(container))
            .collect()
    }

    pub(crate) fn status_of(&self, container: &Container) -> v1::ContainerStatus {
        container.status(self.identity.uid, self.identity.gid)
    }

    pub(crate) fn find_container(&self, id: &str) -> Option<Arc<Container>> {
        self.state.lock().containers.get(id).cloned()
    }

    pub(crate) fn container(&self, id: &str) -> Result<Arc<Container>, Status> {
        self.find_container(id)
            .ok_or_else(|| Status::not_found(format!("no container {id:?}")))
    }

    /// A container that runs, or why that is not one.
    pub(crate) fn running(&self, id: &str) -> Result<(Arc<Container>, Started), Status> {
        let container = self.container(id)?;
        match container.started() {
            Some(started) => Ok((container, started)),
            None => Err(Status::failed_precondition(format!(
                "container is in {} state",
                container.state().as_str_name()
            ))),
        }
    }
}
