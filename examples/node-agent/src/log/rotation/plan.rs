/// The end of the name of a log that is compressed.
pub(super) const COMPRESSED: &str = ".gz";

/// The end of the name of a log that is being compressed.
pub(super) const TEMPORARY: &str = ".tmp";

/// What becomes of the rotated logs of a container when its log is rotated once more.
///
/// All of them but the newest are compressed: that one may still be read by its name.
/// Answers to `cleanupUnusedLogs` and `removeExcessLogs` of Kubernetes 1.36.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RotationPlan {
    /// These go: halves that somebody left, copies of what is compressed, and the oldest.
    pub remove: Vec<String>,
    /// These are compressed.
    pub compress: Vec<String>,
}

impl RotationPlan {
    /// The plan for rotated logs of these names, of which there may be `max_files` in the end, the
    /// log that is written and the one that is about to be rotated included.
    ///
    /// Names sort by age, as those do that end with the time of their rotation.
    pub fn new(rotated: impl IntoIterator<Item = String>, max_files: u32) -> Self {
        let mut names: Vec<String> = rotated.into_iter().collect();
        names.sort();
        let (mut used, mut remove): (Vec<String>, Vec<String>) = names
            .iter()
            .cloned()
            .partition(|name| is_used(name, &names));
        let room = max_files.saturating_sub(2);
        let room = usize::try_from(room).unwrap_or(usize::MAX);
        let excess = used.len().saturating_sub(room);
        remove.extend(used.drain(..excess));
        used.retain(|name| !name.ends_with(COMPRESSED));
        Self {
            remove,
            compress: used,
        }
    }
}

/// Whether a rotated log is there for good: neither half made, nor there in compressed form.
fn is_used(name: &str, all: &[String]) -> bool {
    if name.ends_with(TEMPORARY) {
        return false;
    }
    let compressed = format!("{name}{COMPRESSED}");
    name.ends_with(COMPRESSED) || all.binary_search(&compressed).is_err()
}
