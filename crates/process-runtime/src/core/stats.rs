//! What containers use, as `/proc` tells it.

use std::io;
use std::path::Path;

use kubewright_cri::v1;

use super::Core;
use crate::container::Container;
use crate::process::ProcessTable;
use crate::sandbox::Sandbox;

/// What the processes of a container use, or those of several.
#[derive(Clone, Copy, Debug, Default)]
struct Usage {
    processes: u64,
    cpu_nanoseconds: u64,
    resident_bytes: u64,
    page_faults: u64,
    major_page_faults: u64,
}

impl Core {
    /// What a container uses; nothing but its name if it does not run.
    ///
    /// Reads files: call it where blocking does no harm.
    pub(crate) fn stats_of(
        &self,
        container: &Container,
        table: &ProcessTable,
    ) -> v1::ContainerStats {
        let attributes = v1::ContainerAttributes {
            id: container.id().to_owned(),
            metadata: Some(container.metadata()),
            labels: container.record.labels.clone(),
            annotations: container.record.annotations.clone(),
        };
        let usage = Usage::of(container, table);
        let (bytes, inodes) = used(&container.directory).unwrap_or_default();
        v1::ContainerStats {
            attributes: Some(attributes),
            cpu: usage.map(|usage| usage.cpu(self.now())),
            memory: usage.map(|usage| usage.memory(self.now())),
            writable_layer: Some(v1::FilesystemUsage {
                timestamp: self.now(),
                fs_id: Some(v1::FilesystemIdentifier {
                    mountpoint: self.store.root().display().to_string(),
                }),
                used_bytes: Some(v1::UInt64Value { value: bytes }),
                inodes_used: Some(v1::UInt64Value { value: inodes }),
            }),
        }
    }

    /// What a sandbox uses with its containers.
    ///
    /// Reads files: call it where blocking does no harm.
    pub(crate) fn sandbox_stats(
        &self,
        sandbox: &Sandbox,
        table: &ProcessTable,
    ) -> v1::PodSandboxStats {
        let containers = self.containers_in(sandbox.id());
        let running = || containers.iter().filter(|it| it.started().is_some());
        let usages = running().filter_map(|container| Usage::of(container, table));
        let usage = usages.fold(Usage::default(), Usage::plus);
        let now = self.now();
        v1::PodSandboxStats {
            attributes: Some(v1::PodSandboxAttributes {
                id: sandbox.id().to_owned(),
                metadata: Some(sandbox.metadata()),
                labels: sandbox.record.labels.clone(),
                annotations: sandbox.record.annotations.clone(),
            }),
            linux: Some(v1::LinuxPodSandboxStats {
                cpu: Some(usage.cpu(now)),
                memory: Some(usage.memory(now)),
                // Its traffic is the host's.
                network: None,
                process: Some(v1::ProcessUsage {
                    timestamp: now,
                    process_count: Some(v1::UInt64Value {
                        value: usage.processes,
                    }),
                }),
                containers: running()
                    .map(|container| self.stats_of(container, table))
                    .collect(),
            }),
        }
    }

    /// What the file system under the root directory holds.
    pub(crate) fn file_system(&self) -> io::Result<v1::FilesystemUsage> {
        let stats = rustix::fs::statvfs(self.store.root())?;
        Ok(v1::FilesystemUsage {
            timestamp: self.now(),
            fs_id: Some(v1::FilesystemIdentifier {
                mountpoint: self.store.root().display().to_string(),
            }),
            used_bytes: Some(v1::UInt64Value {
                value: (stats.f_blocks - stats.f_bfree) * stats.f_frsize,
            }),
            inodes_used: Some(v1::UInt64Value {
                value: stats.f_files.saturating_sub(stats.f_ffree),
            }),
        })
    }
}

impl Usage {
    /// That of all that is below the shim: of what is gone, the shim has the processor time.
    fn of(container: &Container, table: &ProcessTable) -> Option<Self> {
        let started = container.started()?;
        let shim = table.get(started.shim)?;
        let processes = table.descendants(started.shim);
        let nanoseconds = 1_000_000_000 / rustix::param::clock_ticks_per_second().max(1);
        let page = rustix::param::page_size() as u64;
        let ticks: u64 = processes.iter().map(|it| it.ticks + it.ended_ticks).sum();
        Some(Self {
            processes: processes.len() as u64,
            cpu_nanoseconds: (shim.ended_ticks + ticks) * nanoseconds,
            resident_bytes: processes.iter().map(|it| it.resident).sum::<u64>() * page,
            page_faults: processes.iter().map(|it| it.minor_faults).sum(),
            major_page_faults: processes.iter().map(|it| it.major_faults).sum(),
        })
    }

    fn plus(self, other: Self) -> Self {
        Self {
            processes: self.processes + other.processes,
            cpu_nanoseconds: self.cpu_nanoseconds + other.cpu_nanoseconds,
            resident_bytes: self.resident_bytes + other.resident_bytes,
            page_faults: self.page_faults + other.page_faults,
            major_page_faults: self.major_page_faults + other.major_page_faults,
        }
    }

    fn cpu(self, timestamp: i64) -> v1::CpuUsage {
        v1::CpuUsage {
            timestamp,
            usage_core_nano_seconds: Some(v1::UInt64Value {
                value: self.cpu_nanoseconds,
            }),
            usage_nano_cores: None,
        }
    }

    fn memory(self, timestamp: i64) -> v1::MemoryUsage {
        let bytes = Some(v1::UInt64Value {
            value: self.resident_bytes,
        });
        v1::MemoryUsage {
            timestamp,
            working_set_bytes: bytes,
            // Without a limit nothing is available to the container alone.
            available_bytes: None,
            usage_bytes: bytes,
            rss_bytes: bytes,
            page_faults: Some(v1::UInt64Value {
                value: self.page_faults,
            }),
            major_page_faults: Some(v1::UInt64Value {
                value: self.major_page_faults,
            }),
        }
    }
}

/// The bytes and files in a directory, without what links in it lead to. What goes meanwhile takes
/// nothing.
fn used(directory: &Path) -> io::Result<(u64, u64)> {
    use std::os::unix::fs::MetadataExt as _;
    let (mut bytes, mut files) = (0, 0);
    let Some(entries) = found(std::fs::read_dir(directory))? else {
        return Ok((bytes, files));
    };
    for entry in entries {
        let entry = entry?;
        let Some(metadata) = found(entry.metadata())? else {
            continue;
        };
        bytes += metadata.blocks() * 512;
        files += 1;
        if metadata.is_dir() {
            let (more_bytes, more_files) = used(&entry.path())?;
            bytes += more_bytes;
            files += more_files;
        }
    }
    Ok((bytes, files))
}

fn found<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        result => result.map(Some),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[test]
    fn files_that_come_and_go_do_not_hide_those_that_stay() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        fs::write(path.join("stays"), vec![1; 1 << 16]).unwrap();
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    for number in 0..100 {
                        let inner = path.join(number.to_string());
                        fs::create_dir(&inner).unwrap();
                        fs::write(inner.join("file"), "").unwrap();
                    }
                    for number in 0..100 {
                        fs::remove_dir_all(path.join(number.to_string())).unwrap();
                    }
                }
            });
            let looks = || {
                (0..200).try_for_each(|_| used(path).map(|(bytes, _)| assert!(bytes >= 1 << 16)))
            };
            let looks = std::panic::catch_unwind(std::panic::AssertUnwindSafe(looks));
            is_over.store(true, Ordering::Relaxed);
            looks.unwrap().unwrap();
        });
    }
}
