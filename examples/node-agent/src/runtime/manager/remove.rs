use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use kubewright_cri::{Error, v1};

use super::RuntimeManager;
use super::observe::read_record;
use crate::log::remove_log;

/// The longest name of a file.
const MAX_NAME: usize = 255;

impl RuntimeManager {
    /// Removes a container and its logs; the runtime ends one that still runs by force. May be
    /// repeated.
    ///
    /// Answers to kubelet's `removeContainer`.
    ///
    /// # Errors
    ///
    /// The runtime did not remove it. Files that cannot be removed are only told of.
    pub async fn remove_container(&self, id: &str) -> Result<(), Error> {
        let runtime = &self.inner.runtime;
        match runtime.container_status(id).await {
            Ok(status) => self.remove_logs(&status),
            Err(error) if error.is_not_found() => return Ok(()),
            Err(error) => return Err(error),
        }
        match runtime.remove_container(id).await {
            Err(error) if !error.is_not_found() => Err(error),
            _ => Ok(()),
        }
    }

    /// Stops a sandbox, in case it still is ready, and removes it. May be repeated.
    ///
    /// # Errors
    ///
    /// The runtime did not stop or remove it.
    pub async fn delete_sandbox(&self, id: &str) -> Result<(), Error> {
        let runtime = &self.inner.runtime;
        match runtime.stop_pod_sandbox(id).await {
            Err(error) if !error.is_not_found() => return Err(error),
            _ => {}
        }
        match runtime.remove_pod_sandbox(id).await {
            Err(error) if !error.is_not_found() => Err(error),
            _ => Ok(()),
        }
    }

    fn remove_logs(&self, status: &v1::ContainerStatus) {
        if let Some(link) = self.log_link(status) {
            forgive(&link, fs::remove_file(&link));
        }
        if status.log_path.is_empty() {
            return;
        }
        // What stays behind takes room, and nothing else.
        if let Err(error) = remove_log(Path::new(&status.log_path)) {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            tracing::warn!(container = status.id, %error, cause, "a log cannot be removed");
        }
    }

    /// The link by which those find a log who collect them; `None` if there are none.
    pub(super) fn log_link(&self, status: &v1::ContainerStatus) -> Option<PathBuf> {
        let directory = self.settings().container_logs_dir.as_ref()?;
        let record = read_record(status)?;
        let name = log_link_name(
            &record.pod.name.name,
            &record.pod.name.namespace,
            &record.name,
            &status.id,
        );
        Some(directory.join(name))
    }
}

/// What the link to a log is called: `POD_NAMESPACE_CONTAINER-ID.log`, as far as names of files go.
pub(super) fn log_link_name(pod: &str, namespace: &str, container: &str, id: &str) -> String {
    const SUFFIX: &str = ".log";
    let mut name = format!("{pod}_{namespace}_{container}-{id}");
    let mut end = name.len().min(MAX_NAME - SUFFIX.len());
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name.truncate(end);
    name + SUFFIX
}

fn forgive(path: &Path, result: io::Result<()>) {
    if let Err(error) = result
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(path = %path.display(), %error, "the link to a log cannot be removed");
    }
}
