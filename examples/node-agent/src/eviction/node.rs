use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::Pod;
use kubewright_cri::Runtime;
use kubewright_cri::v1::ContainerStats;

use super::{
    ContainerUsage, EvictionError, EvictionHost, Observation, Observations, PodUsage, Signal,
};
use crate::node::{FileSystem, MachineInfo};
use crate::pod::{PodName, PodUid};
use crate::runtime::PodRecord;
use crate::volume::{PodDirectories, VolumePlugin, disk_usage};

/// What makes room without ending a pod.
pub type Reclaim = Arc<dyn Fn(Signal) -> BoxFuture<'static, ()> + Send + Sync>;

/// This node: its memory and its processes by `/proc`, its disks by `statvfs`, its containers by the runtime.
#[derive(Clone)]
pub struct NodeHost {
    runtime: Runtime,
    images: Runtime,
    memory: u64,
    max_pids: Option<u64>,
    root_dir: PathBuf,
    pod_logs_dir: PathBuf,
    reclaim: Reclaim,
}

impl NodeHost {
    /// A node with these runtime and image service, on this machine, whose agent has these
    /// directories.
    pub fn new(
        runtime: Runtime,
        images: Runtime,
        machine: &MachineInfo,
        root_dir: PathBuf,
        pod_logs_dir: PathBuf,
        reclaim: Reclaim,
    ) -> Self {
        Self {
            runtime,
            images,
            memory: machine.memory,
            max_pids: machine.max_pids,
            root_dir,
            pod_logs_dir,
            reclaim,
        }
    }
}

impl EvictionHost for NodeHost {
    async fn observe(&self) -> Result<Observations, EvictionError> {
        // A runtime that does not say where its images are has them where the agent has its files.
        let info = self.images.image_fs_info().await;
        let of_images = info
            .ok()
            .and_then(|info| info.image_filesystems.into_iter().next());
        let mountpoint = of_images
            .and_then(|usage| usage.fs_id)
            .map(|id| id.mountpoint);
        let mountpoint = mountpoint
            .filter(|path| !path.is_empty())
            .map(PathBuf::from);
        let root = self.root_dir.clone();
        let (memory, max_pids) = (self.memory, self.max_pids);
        blocking(move || {
            let mut observations = Observations::new();
            observations.insert(Signal::MemoryAvailable, of_memory(memory)?);
            if let Some(max) = max_pids {
                observations.insert(Signal::PidAvailable, of_pids(max)?);
            }
            let (bytes, inodes) = disk(&root)?;
            observations.insert(Signal::NodefsAvailable, bytes);
            observations.insert(Signal::NodefsInodesFree, inodes);
            let (bytes, inodes) = disk(mountpoint.as_deref().unwrap_or(&root))?;
            observations.insert(Signal::ImagefsAvailable, bytes);
            observations.insert(Signal::ImagefsInodesFree, inodes);
            // A file system that makes inodes as they are needed has no number of them.
            observations.retain(|_, seen| seen.capacity > 0);
            Ok(observations)
        })
        .await
    }

    async fn usages(&self, pods: &[Arc<Pod>]) -> Result<HashMap<PodUid, PodUsage>, EvictionError> {
        let stats = self.runtime.list_container_stats(None).await?;
        let (root, logs) = (self.root_dir.clone(), self.pod_logs_dir.clone());
        let pods = pods.to_vec();
        blocking(move || {
            let mut usages = containers(stats);
            for pod in &pods {
                if let Some(usage) = usages.get_mut(&PodUid::of(pod)) {
                    add_files(pod, usage, &root, &logs);
                }
            }
            Ok(usages)
        })
        .await
    }

    async fn reclaim(&self, signal: Signal) {
        (self.reclaim)(signal).await;
    }
}

/// What containers use, by pods, without their logs.
fn containers(stats: Vec<ContainerStats>) -> HashMap<PodUid, PodUsage> {
    let mut usages: HashMap<PodUid, PodUsage> = HashMap::new();
    for stats in stats {
        let Some(attributes) = stats.attributes else {
            continue;
        };
        let Some(owner) = PodRecord::read(|key| attributes.labels.get(key)) else {
            continue;
        };
        let memory = stats.memory.and_then(|memory| memory.working_set_bytes);
        let layer = stats.writable_layer.unwrap_or_default();
        let value = |value: Option<kubewright_cri::v1::UInt64Value>| value.map_or(0, |it| it.value);
        usages
            .entry(owner.uid)
            .or_default()
            .containers
            .push(ContainerUsage {
                name: attributes.metadata.unwrap_or_default().name,
                memory: value(memory),
                disk: value(layer.used_bytes),
                inodes: value(layer.inodes_used),
            });
    }
    usages
}

/// Adds what a pod's logs and volumes take. What cannot be read takes nothing.
fn add_files(pod: &Pod, usage: &mut PodUsage, root: &Path, logs: &Path) {
    let uid = PodUid::of(pod);
    let PodName { namespace, name } = PodName::of(pod);
    let logs = logs.join(format!("{namespace}_{name}_{uid}"));
    for container in &mut usage.containers {
        container.disk += disk_usage(&logs.join(&container.name)).unwrap_or_default();
    }
    let directories = PodDirectories::new(root, &uid);
    let volumes = pod.spec.as_ref().and_then(|spec| spec.volumes.as_ref());
    for volume in volumes.into_iter().flatten() {
        let Some(source) = &volume.empty_dir else {
            continue;
        };
        if source.medium.as_deref().unwrap_or_default().is_empty() {
            let path = directories.volume(VolumePlugin::EmptyDir, &volume.name);
            let used = disk_usage(&path).unwrap_or_default();
            usage.volumes.insert(volume.name.clone(), used);
        }
    }
}

fn of_memory(capacity: u64) -> Result<Observation, EvictionError> {
    const PATH: &str = "/proc/meminfo";
    const FIELD: &str = "MemAvailable";
    let text = read(PATH)?;
    let line = text.lines().find_map(|line| line.strip_prefix(FIELD));
    let number = line.and_then(|line| line.trim_start_matches(':').split_whitespace().next());
    let kibibytes: Option<u64> = number.and_then(|number| number.parse().ok());
    let available = kibibytes.ok_or(EvictionError::Incomplete {
        path: PATH,
        what: FIELD,
    })?;
    Ok(Observation {
        capacity,
        available: available.saturating_mul(1024),
    })
}

fn of_pids(capacity: u64) -> Result<Observation, EvictionError> {
    const PATH: &str = "/proc/loadavg";
    let load = read(PATH)?;
    // As in `0.00 0.01 0.05 1/234 5678`: of 234 threads one runs.
    let threads = load.split_whitespace().nth(3);
    let threads = threads.and_then(|threads| threads.split_once('/'));
    let used: u64 =
        threads
            .and_then(|(_, all)| all.parse().ok())
            .ok_or(EvictionError::Incomplete {
                path: PATH,
                what: "number of threads",
            })?;
    Ok(Observation {
        capacity,
        available: capacity.saturating_sub(used),
    })
}

/// Bytes and inodes of the file system that a path is on.
fn disk(path: &Path) -> Result<(Observation, Observation), EvictionError> {
    let disk = FileSystem::of(path).map_err(|error| EvictionError::Unreadable {
        path: path.to_owned(),
        error,
    })?;
    let bytes = Observation {
        capacity: disk.capacity,
        available: disk.available,
    };
    let inodes = Observation {
        capacity: disk.inodes,
        available: disk.inodes_free,
    };
    Ok((bytes, inodes))
}

fn read(path: &str) -> Result<String, EvictionError> {
    fs::read_to_string(path).map_err(|error| EvictionError::Unreadable {
        path: path.into(),
        error,
    })
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, EvictionError> + Send + 'static,
) -> Result<T, EvictionError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or(Err(EvictionError::GivenUp))
}

impl std::fmt::Debug for NodeHost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NodeHost")
            .field("root_dir", &self.root_dir)
            .field("pod_logs_dir", &self.pod_logs_dir)
            .finish_non_exhaustive()
    }
}
