use super::SecurityError;

/// What a container is not to see of the kernel.
const MASKED: [&str; 12] = [
    "/proc/asound",
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
];

/// What a container is not to change of the kernel.
const READONLY: [&str; 5] = [
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
    "/proc/sys",
    "/proc/sysrq-trigger",
];

/// The paths that a container is not to see, by its `procMount`.
///
/// # Errors
///
/// If there is no such kind.
pub fn masked_paths(proc_mount: Option<&str>) -> Result<Vec<String>, SecurityError> {
    by_kind(proc_mount, &MASKED)
}

/// The paths that a container is not to change, by its `procMount`.
///
/// # Errors
///
/// If there is no such kind.
pub fn readonly_paths(proc_mount: Option<&str>) -> Result<Vec<String>, SecurityError> {
    by_kind(proc_mount, &READONLY)
}

fn by_kind(proc_mount: Option<&str>, paths: &[&str]) -> Result<Vec<String>, SecurityError> {
    match proc_mount {
        None | Some("" | "Default") => Ok(paths.iter().copied().map(str::to_owned).collect()),
        Some("Unmasked") => Ok(Vec::new()),
        Some(other) => Err(SecurityError::Invalid {
            field: "procMount",
            value: other.to_owned(),
        }),
    }
}
