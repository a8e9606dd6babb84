use std::collections::HashSet;
use std::io::{Error, ErrorKind};
use std::path::{Path, PathBuf};

use tokio::fs;

use crate::pod::PodUid;

/// Where logs are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogDirectories {
    /// With a directory for each pod, `NAMESPACE_NAME_UID`; kubelet's is `/var/log/pods`.
    pub pods: PathBuf,
    /// With a link for each container, `POD_NAMESPACE_CONTAINER-ID.log`; kubelet's is
    /// `/var/log/containers`. `None` if there are no links.
    pub containers: Option<PathBuf>,
}

impl LogDirectories {
    /// Removes the logs of pods that are of no use.
    pub(super) async fn remove_pods(&self, is_useless: impl Fn(&PodUid) -> bool + Send) {
        for path in list(&self.pods).await {
            let name = path.file_name().and_then(|name| name.to_str());
            let uid = name.and_then(|name| name.rsplit_once('_'));
            let Some((_, uid)) = uid.filter(|(_, uid)| is_useless(&PodUid::new(*uid))) else {
                continue;
            };
            tracing::debug!(pod = uid, "removing pod logs");
            told(&path, fs::remove_dir_all(&path).await);
        }
    }

    /// Removes links that lead nowhere.
    ///
    /// The link of a container that has not ended stays: its log may be missing for as long as it
    /// takes to rotate it.
    pub(super) async fn remove_links(&self, going_on: &HashSet<&str>) {
        let Some(containers) = &self.containers else {
            return;
        };
        for path in list(containers).await {
            let leads_somewhere = match fs::metadata(&path).await {
                Err(error) => error.kind() != ErrorKind::NotFound,
                Ok(_) => true,
            };
            let name = path.file_name().and_then(|name| name.to_str());
            let id = name.and_then(|name| name.strip_suffix(".log")?.rsplit_once('-'));
            let Some((_, id)) = id else {
                continue;
            };
            if !leads_somewhere && !going_on.contains(id) {
                told(&path, fs::remove_file(&path).await);
            }
        }
    }
}

/// What is in a directory; nothing if it is not there.
async fn list(directory: &Path) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    let read = async {
        let mut entries = fs::read_dir(directory).await?;
        while let Some(entry) = entries.next_entry().await? {
            paths.push(entry.path());
        }
        Ok(())
    };
    told(directory, read.await);
    paths
}

fn told(path: &Path, result: Result<(), Error>) {
    match result {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            tracing::warn!(path = %path.display(), "cannot collect logs: {error}");
        }
        _ => {}
    }
}
