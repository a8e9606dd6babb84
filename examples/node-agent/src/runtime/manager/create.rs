use std::path::{Path, PathBuf};
use std::time::Duration;

use kubewright_cri::{Error, v1};

use super::container_config::ContainerConfigParts;
use super::start::{Start, Starting};
use super::{RuntimeManager, StartError, SyncRequest};
use crate::causes::with_causes;
use crate::event::pod_reference;
use crate::pod::PodContainer;
use crate::runtime::image::EnsuredImage;
use crate::runtime::labels::{CONTAINER_NAME, POD_UID};
use crate::runtime::{RuntimeState, restart_count_by_logs};

const FAILURE: &str = "CreateContainerError";

impl RuntimeManager {
    /// Makes a container, and tells its id and where it will log.
    pub(super) async fn create(
        &self,
        start: &Start<'_>,
        starting: &Starting<'_>,
        image: &EnsuredImage,
        restart_delay: Option<Duration>,
    ) -> Result<(String, PathBuf), StartError> {
        let restart_count = self.restart_count(start, starting.container).await;
        let restart_count = restart_count.map_err(|error| {
            let cause = error.message().to_owned();
            self.fail(starting, None, FAILURE, cause)
        })?;
        let config = self.container_config(ContainerConfigParts {
            start,
            container: starting.container,
            image,
            restart_count,
            restart_delay,
        });
        let config = config.map_err(|error| {
            let cause = with_causes(&error);
            self.fail(starting, None, "CreateContainerConfigError", cause)
        })?;
        let reference = pod_reference(start.request.pod);
        for warning in config.warnings {
            self.events()
                .warning(&reference, warning.reason, warning.message);
        }
        let log_directory = Path::new(&start.sandbox.log_directory);
        let log_path = log_directory.join(&config.config.log_path);
        let id = self.create_from(start, config.config).await;
        let id = id.map_err(|error| {
            let cause = error.message().to_owned();
            self.fail(starting, None, FAILURE, cause)
        })?;
        Ok((id, log_path))
    }

    /// How often a container was restarted before.
    ///
    /// One that was made and not started is in the way and was no restart: it is removed.
    async fn restart_count(
        &self,
        start: &Start<'_>,
        container: &PodContainer<'_>,
    ) -> Result<u32, Error> {
        let name = &container.spec.name;
        let SyncRequest { pod, observed, .. } = start.request;
        let Some(before) = observed.container(name) else {
            // A runtime that has forgotten all left its logs.
            let logs = self.log_directory(pod).join(name);
            let entries = std::fs::read_dir(logs).into_iter().flatten();
            let names: Vec<_> = entries
                .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
                .collect();
            return Ok(restart_count_by_logs(names.iter().map(String::as_str)));
        };
        if before.state != RuntimeState::Created {
            return Ok(before.restart_count.saturating_add(1));
        }
        self.remove_container(&before.id.id).await?;
        Ok(before.restart_count)
    }

    async fn create_from(
        &self,
        start: &Start<'_>,
        config: v1::ContainerConfig,
    ) -> Result<String, Error> {
        let runtime = &self.inner.runtime;
        let sandbox = &start.sandbox;
        let id = &start.sandbox_id;
        let created = runtime.create_container(id, config.clone(), sandbox.clone());
        match created.await {
            Err(error @ Error::AlreadyExists(_)) => {
                // It was made before, and the answer was lost. It may be of an older spec.
                let Some(stale) = self.find_created(start, &config).await? else {
                    return Err(error);
                };
                self.remove_container(&stale).await?;
                runtime.create_container(id, config, sandbox.clone()).await
            }
            created => created,
        }
    }

    /// The container in the way of a new one, if it was never started.
    async fn find_created(
        &self,
        start: &Start<'_>,
        config: &v1::ContainerConfig,
    ) -> Result<Option<String>, Error> {
        let labels = [POD_UID, CONTAINER_NAME];
        let labels = labels.iter().filter_map(|key| {
            let value = config.labels.get(*key)?;
            Some(((*key).to_owned(), value.clone()))
        });
        let filter = v1::ContainerFilter {
            pod_sandbox_id: start.sandbox_id.to_string(),
            label_selector: labels.collect(),
            ..v1::ContainerFilter::default()
        };
        let listed = self.inner.runtime.list_containers(Some(filter)).await?;
        let mut found = listed.into_iter();
        let found = found.find(|container| {
            container.metadata == config.metadata
                && container.state() == v1::ContainerState::ContainerCreated
        });
        Ok(found.map(|container| container.id))
    }
}
