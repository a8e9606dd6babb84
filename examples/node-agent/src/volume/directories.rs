use std::path::{Path, PathBuf};

use crate::pod::PodUid;

/// A kind of volume, by the directory that its volumes are in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VolumePlugin {
    /// A config map.
    ConfigMap,
    /// The downward API.
    DownwardApi,
    /// An empty directory.
    EmptyDir,
    /// Several sources in one.
    Projected,
    /// A secret.
    Secret,
}

/// Where the agent keeps a pod's files, below its root directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodDirectories {
    pod: PathBuf,
}

impl VolumePlugin {
    fn directory(self) -> &'static str {
        match self {
            Self::ConfigMap => "kubernetes.io~configmap",
            Self::DownwardApi => "kubernetes.io~downward-api",
            Self::EmptyDir => "kubernetes.io~empty-dir",
            Self::Projected => "kubernetes.io~projected",
            Self::Secret => "kubernetes.io~secret",
        }
    }
}

impl PodDirectories {
    /// Those of a pod of an agent with this root directory.
    pub fn new(root: &Path, uid: &PodUid) -> Self {
        Self {
            pod: root.join("pods").join(uid.as_str()),
        }
    }

    /// All of the pod.
    pub fn pod(&self) -> &Path {
        &self.pod
    }

    /// All of its volumes.
    pub fn volumes(&self) -> PathBuf {
        self.pod.join("volumes")
    }

    /// One of its volumes.
    pub fn volume(&self, plugin: VolumePlugin, name: &str) -> PathBuf {
        self.volumes().join(plugin.directory()).join(name)
    }

    /// Where all parts of volumes are bound.
    pub fn sub_paths(&self) -> PathBuf {
        self.pod.join("volume-subpaths")
    }

    /// Where a part of a volume is bound for the `index`th mount of a container.
    pub fn sub_path(&self, volume: &str, container: &str, index: usize) -> PathBuf {
        let all = self.sub_paths();
        all.join(volume).join(container).join(index.to_string())
    }

    /// What it keeps for plugins.
    pub fn plugins(&self) -> PathBuf {
        self.pod.join("plugins")
    }

    /// What is kept for one of its containers: termination messages.
    pub fn container(&self, name: &str) -> PathBuf {
        self.pod.join("containers").join(name)
    }

    /// Its hosts file.
    pub fn hosts(&self) -> PathBuf {
        self.pod.join("etc-hosts")
    }
}
