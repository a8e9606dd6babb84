use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use kubewright_cri::v1::{self, ContainerState};
use tokio::sync::{Mutex, watch};

use crate::record::{ContainerRecord, Exit, Started};
use crate::shim_client::ShimClient;

/// The environment variable that tells a process which container it is in.
pub(crate) const CONTAINER_ID: &str = "KUBEWRIGHT_CONTAINER_ID";

/// A container as the runtime knows it.
#[derive(Debug)]
pub(crate) struct Container {
    pub(crate) record: ContainerRecord,
    pub(crate) directory: PathBuf,
    pub(crate) life: watch::Sender<Life>,
    /// Held by starting and removing: one at a time. Whoever holds its sandbox as well took that
    /// first.
    pub(crate) operation: Mutex<()>,
    /// Whether it was asked to stop, which is not done twice.
    pub(crate) was_asked: AtomicBool,
}

/// Where in its life a container is.
#[derive(Clone, Debug)]
pub(crate) enum Life {
    Created,
    Running(Started),
    Exited(Exit),
}

impl Container {
    pub(crate) fn new(record: ContainerRecord, directory: PathBuf, life: Life) -> Self {
        Self {
            record,
            directory,
            life: watch::Sender::new(life),
            operation: Mutex::default(),
            was_asked: AtomicBool::new(false),
        }
    }

    pub(crate) fn id(&self) -> &str {
        &self.record.id
    }

    pub(crate) fn shim(&self) -> ShimClient {
        ShimClient::new(self.directory.clone())
    }

    pub(crate) fn started(&self) -> Option<Started> {
        match &*self.life.borrow() {
            Life::Running(started) => Some(started.clone()),
            Life::Created | Life::Exited(_) => None,
        }
    }

    pub(crate) fn state(&self) -> ContainerState {
        match &*self.life.borrow() {
            Life::Created => ContainerState::ContainerCreated,
            Life::Running(_) => ContainerState::ContainerRunning,
            Life::Exited(_) => ContainerState::ContainerExited,
        }
    }

    /// Waits until it does not run. Cancel safe.
    pub(crate) async fn ended(&self) {
        let mut life = self.life.subscribe();
        // The sender is part of this container.
        let _ = life
            .wait_for(|life| !matches!(life, Life::Running(_)))
            .await;
    }

    pub(crate) fn metadata(&self) -> v1::ContainerMetadata {
        v1::ContainerMetadata {
            name: self.record.name.clone(),
            attempt: self.record.attempt,
        }
    }

    fn image(&self) -> v1::ImageSpec {
        v1::ImageSpec {
            image: self.record.image.clone(),
            user_specified_image: self.record.user_specified_image.clone(),
            ..v1::ImageSpec::default()
        }
    }

    pub(crate) fn listed(&self) -> v1::Container {
        let record = &self.record;
        v1::Container {
            id: record.id.clone(),
            pod_sandbox_id: record.sandbox_id.clone(),
            metadata: Some(self.metadata()),
            image: Some(self.image()),
            image_ref: record.image_id.clone(),
            state: self.state().into(),
            created_at: record.created_at,
            labels: record.labels.clone(),
            annotations: record.annotations.clone(),
            image_id: record.image_id.clone(),
        }
    }

    pub(crate) fn status(&self, uid: u32, gid: u32) -> v1::ContainerStatus {
        let record = &self.record;
        let mounts = record.mounts.iter().map(|mount| v1::Mount {
            container_path: mount.container_path.clone(),
            host_path: mount.host_path.clone(),
            readonly: mount.readonly,
            propagation: mount.propagation,
            ..v1::Mount::default()
        });
        let log_path = record.log_path.as_ref();
        let mut status = v1::ContainerStatus {
            id: record.id.clone(),
            metadata: Some(self.metadata()),
            created_at: record.created_at,
            image: Some(self.image()),
            image_ref: record.image_id.clone(),
            labels: record.labels.clone(),
            annotations: record.annotations.clone(),
            mounts: mounts.collect(),
            log_path: log_path.map_or_else(String::new, |path| path.display().to_string()),
            image_id: record.image_id.clone(),
            user: Some(v1::ContainerUser {
                linux: Some(v1::LinuxContainerUser {
                    uid: uid.into(),
                    gid: gid.into(),
                    ..v1::LinuxContainerUser::default()
                }),
            }),
            ..v1::ContainerStatus::default()
        };
        let state = match &*self.life.borrow() {
            Life::Created => ContainerState::ContainerCreated,
            Life::Running(started) => {
                status.started_at = started.started_at;
                ContainerState::ContainerRunning
            }
            Life::Exited(exit) => {
                status.started_at = exit.started_at;
                status.finished_at = exit.finished_at;
                status.exit_code = exit.code;
                status.reason.clone_from(&exit.reason);
                status.message.clone_from(&exit.message);
                ContainerState::ContainerExited
            }
        };
        status.state = state.into();
        status
    }
}

/// What all processes of a container were started with in their environment.
pub(crate) fn mark(id: &str) -> OsString {
    format!("{CONTAINER_ID}={id}").into()
}
