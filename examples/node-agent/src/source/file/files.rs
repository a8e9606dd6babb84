use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;
use tokio::fs::{self, File};
use tokio::io::AsyncReadExt as _;

use crate::source::manifest::Manifests;

/// The longest manifest. No pod is as long.
const MAX_LENGTH: u64 = 10 << 20;

/// The manifests of a path, as they were last read.
pub(super) struct Files {
    path: PathBuf,
    manifests: Manifests,
    last: BTreeMap<PathBuf, Manifest>,
}

/// Why the files are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Occasion {
    /// It is time: what is wrong now counts as wrong.
    Period,
    /// Something is happening to them: what is wrong now may be so for a moment.
    Change,
}

/// A file.
struct Manifest {
    /// What was in it, or why that is not known.
    content: Result<Vec<u8>, String>,
    /// The last pod that it was.
    pod: Option<Arc<Pod>>,
    /// Whether `content` is `pod`.
    valid: bool,
}

impl Files {
    pub(super) fn new(path: PathBuf, manifests: Manifests) -> Self {
        Self {
            path,
            manifests,
            last: BTreeMap::new(),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// All pods that the files are, in the order of their names.
    ///
    /// Fails if it cannot be found out which files there are.
    pub(super) async fn read(&mut self, occasion: Occasion) -> io::Result<Vec<Arc<Pod>>> {
        let paths = match self.paths().await {
            Ok(paths) => paths,
            Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeSet::new(),
            Err(error) => return Err(error),
        };
        let mut next = BTreeMap::new();
        for path in paths {
            let content = match content(&path).await {
                Ok(content) => Ok(content),
                // It has gone since.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => Err(error.to_string()),
            };
            let last = self.last.remove(&path);
            let mut manifest = match last {
                Some(last) if last.content == content => last,
                last => self.interpret(&path, content, last.and_then(|last| last.pod)),
            };
            if !manifest.valid && occasion == Occasion::Period {
                manifest.pod = None;
            }
            next.insert(path, manifest);
        }
        self.last = next;
        let pods = self
            .last
            .values()
            .filter_map(|manifest| manifest.pod.clone());
        Ok(pods.collect())
    }

    fn interpret(
        &self,
        path: &Path,
        content: Result<Vec<u8>, String>,
        last: Option<Arc<Pod>>,
    ) -> Manifest {
        let pod = match &content {
            Ok(content) => {
                let pod = self.manifests.from_file(path, content);
                pod.map_err(anyhow::Error::new)
            }
            Err(error) => Err(anyhow::anyhow!("{error}")),
        };
        let valid = pod.is_ok();
        let pod = match pod {
            Ok(pod) => Some(Arc::new(pod)),
            Err(error) => {
                let path = path.display();
                tracing::error!(%path, "a static pod is left out: {error:#}");
                last
            }
        };
        Manifest {
            content,
            pod,
            valid,
        }
    }

    /// The files that are to be read.
    async fn paths(&self) -> io::Result<BTreeSet<PathBuf>> {
        let is = fs::metadata(&self.path).await?;
        if is.is_file() {
            return Ok([self.path.clone()].into());
        }
        if !is.is_dir() {
            let what = "neither a directory nor a file";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        }
        let mut paths = BTreeSet::new();
        let mut entries = fs::read_dir(&self.path).await?;
        while let Some(entry) = entries.next_entry().await? {
            if is_hidden(&entry.file_name()) {
                continue;
            }
            // Not the entry's own: what a link leads to counts.
            let path = entry.path();
            match fs::metadata(&path).await {
                Ok(is) if is.is_file() => {
                    paths.insert(path);
                }
                Ok(is) if is.is_dir() => {}
                Ok(_) => {
                    let path = path.display();
                    tracing::error!(%path, "neither a directory nor a file");
                }
                // It may be back by the time the file is read.
                Err(_) => {
                    paths.insert(path);
                }
            }
        }
        Ok(paths)
    }
}

async fn content(path: &Path) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    let file = File::open(path).await?;
    file.take(MAX_LENGTH + 1).read_to_end(&mut content).await?;
    if content.len() as u64 > MAX_LENGTH {
        let what = format!("longer than {MAX_LENGTH} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, what));
    }
    Ok(content)
}

fn is_hidden(name: &OsStr) -> bool {
    name.as_encoded_bytes().first() == Some(&b'.')
}
