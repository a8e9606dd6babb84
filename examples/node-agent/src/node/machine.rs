use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

/// What a machine is, as its kernel tells it.
///
/// Answers to what kubelet has of cAdvisor's `MachineInfo` and `VersionInfo`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MachineInfo {
    /// How many processors are online.
    pub cpus: u32,
    /// How much memory there is, in bytes.
    pub memory: u64,
    /// How many processes there can be; `None` if the kernel does not tell.
    pub max_pids: Option<u64>,
    /// How much memory is set aside for huge pages, by their size, in bytes.
    pub huge_pages: BTreeMap<u64, u64>,
    /// The id of the installation; empty if it has none.
    pub machine_id: String,
    /// The id of the hardware; that of the installation if it has none.
    pub system_uuid: String,
    /// An id that changes with each boot.
    pub boot_id: String,
    /// The release of the kernel.
    pub kernel_version: String,
    /// What the operating system is called.
    pub os_image: String,
    /// What Kubernetes calls the architecture, such as `amd64`.
    pub architecture: String,
}

/// What has to be known of a machine cannot be found out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MachineError {
    /// A file cannot be read.
    #[error("cannot read {path}", path = .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file has not in it what it should.
    #[error("{path} does not tell {what}", path = .path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is missing.
        what: &'static str,
    },
}

impl MachineInfo {
    /// What the files below a root tell, which is `/` but for tests.
    ///
    /// # Errors
    ///
    /// The processors, the memory, the kernel or the boot cannot be found out. What else is missing
    /// stays empty.
    pub fn read(root: &Path) -> Result<Self, MachineError> {
        let first = |paths: &[&str]| {
            let texts = paths.iter().filter_map(|path| text(root, path).ok());
            texts.map(|(_, text)| text).find(|text| !text.is_empty())
        };
        let machine_id = first(&["etc/machine-id", "var/lib/dbus/machine-id"]).unwrap_or_default();
        let system_uuid = first(&[
            "sys/class/dmi/id/product_uuid",
            "proc/device-tree/system-id",
            "proc/device-tree/vm,uuid",
        ]);
        Ok(Self {
            cpus: cpus(root)?,
            memory: memory(root)?,
            max_pids: max_pids(root),
            huge_pages: huge_pages(root),
            system_uuid: system_uuid.unwrap_or_else(|| machine_id.clone()),
            machine_id,
            boot_id: text(root, "proc/sys/kernel/random/boot_id")?.1,
            kernel_version: text(root, "proc/sys/kernel/osrelease")?.1,
            os_image: first(&["etc/os-release", "usr/lib/os-release"])
                .and_then(|release| pretty_name(&release))
                .unwrap_or_else(|| "Unknown".to_owned()),
            architecture: architecture().to_owned(),
        })
    }
}

fn text(root: &Path, path: &str) -> Result<(PathBuf, String), MachineError> {
    let path = root.join(path);
    match std::fs::read_to_string(&path) {
        // A device tree ends its texts as C does.
        Ok(text) => {
            let text = text.trim_end_matches('\0').trim().to_owned();
            Ok((path, text))
        }
        Err(source) => Err(MachineError::Unreadable { path, source }),
    }
}

fn cpus(root: &Path) -> Result<u32, MachineError> {
    let (path, online) =
        text(root, "sys/devices/system/cpu/online").or_else(|_| text(root, "proc/cpuinfo"))?;
    let count = if online.contains(':') {
        let lines = online.lines();
        let processors = lines.filter(|line| line.starts_with("processor"));
        u32::try_from(processors.count()).ok()
    } else {
        let ranges = online.split(',').map(|range| {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
            last.checked_sub(first)?.checked_add(1)
        });
        ranges.sum()
    };
    let what = "how many processors are online";
    count
        .filter(|count| *count > 0)
        .ok_or(MachineError::Malformed { path, what })
}

fn memory(root: &Path) -> Result<u64, MachineError> {
    let (path, info) = text(root, "proc/meminfo")?;
    let mut lines = info.lines();
    let total = lines.find_map(|line| line.strip_prefix("MemTotal:"));
    let kibibytes = total.and_then(|total| total.trim().strip_suffix("kB"));
    let kibibytes = kibibytes.and_then(|number| number.trim().parse::<u64>().ok());
    let what = "how much memory there is";
    kibibytes
        .and_then(|kibibytes| kibibytes.checked_mul(1024))
        .ok_or(MachineError::Malformed { path, what })
}

/// Threads count as processes, and the lower limit is the one that holds.
///
/// Answers to kubelet's `pidlimit.Stats`.
fn max_pids(root: &Path) -> Option<u64> {
    let limits = ["proc/sys/kernel/pid_max", "proc/sys/kernel/threads-max"];
    let limits = limits.iter().filter_map(|path| text(root, path).ok());
    limits.filter_map(|(_, limit)| limit.parse().ok()).min()
}

/// A kernel without huge pages has none.
fn huge_pages(root: &Path) -> BTreeMap<u64, u64> {
    let Ok(sizes) = std::fs::read_dir(root.join("sys/kernel/mm/hugepages")) else {
        return BTreeMap::new();
    };
    let sizes = sizes.flatten().filter_map(|size| {
        let name = size.file_name();
        let kibibytes = name
            .to_str()?
            .strip_prefix("hugepages-")?
            .strip_suffix("kB")?;
        let bytes = kibibytes.parse::<u64>().ok()?.checked_mul(1024)?;
        let count = std::fs::read_to_string(size.path().join("nr_hugepages")).ok()?;
        let count: u64 = count.trim().parse().ok()?;
        Some((bytes, bytes.checked_mul(count)?))
    });
    sizes.collect()
}

fn pretty_name(release: &str) -> Option<String> {
    let mut lines = release.lines();
    let name = lines.find_map(|line| line.trim().strip_prefix("PRETTY_NAME="))?;
    let name = name.trim_matches(|c| c == '"' || c == '\'');
    Some(name.to_owned()).filter(|name| !name.is_empty())
}

/// Rust's names are not Go's.
pub(super) fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "x86" => "386",
        "aarch64" => "arm64",
        "powerpc64" => "ppc64le",
        other => other,
    }
}
