use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::Timestamp;

use super::RotationPlan;
use super::plan::{COMPRESSED, TEMPORARY};

/// A log was not rotated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RotationError {
    /// Something could not be done to a file.
    #[error("failed to {what} {}", path.display())]
    File {
        /// What.
        what: &'static str,
        /// To which.
        path: PathBuf,
        /// Why not.
        #[source]
        error: io::Error,
    },
    /// The runtime did not say where a log is, or did not begin a new one.
    #[error(transparent)]
    Runtime(#[from] kubewright_cri::Error),
    /// The work on files was given up.
    #[error("the work on files was given up")]
    GivenUp,
}

fn failed(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> RotationError {
    let path = path.to_owned();
    move |error| RotationError::File { what, path, error }
}

/// The length of a log; `None` if there is none.
pub(super) fn length(log: &Path) -> Result<Option<u64>, RotationError> {
    match fs::metadata(log) {
        Ok(metadata) => Ok(Some(metadata.len())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("look at", log)(error)),
    }
}

/// Makes room among the rotated logs, and moves the log itself away; returns where to.
pub(super) fn rotate(log: &Path, max_files: u32, now: Timestamp) -> Result<PathBuf, RotationError> {
    let directory = log.parent().unwrap_or(Path::new("."));
    let plan = RotationPlan::new(rotated_names(log)?, max_files);
    for name in plan.remove {
        let path = directory.join(name);
        fs::remove_file(&path).map_err(failed("remove", &path))?;
    }
    for name in plan.compress {
        // A disk that is full is no reason not to rotate: the more files there are, the more can go.
        if let Err(error) = compress(&directory.join(&name)) {
            tracing::warn!(log = name, %error, "a rotated log is not compressed yet");
        }
    }
    let rotated = with_suffix(log, &format!(".{}", now.strftime("%Y%m%d-%H%M%S")));
    rename(log, &rotated)?;
    Ok(rotated)
}

pub(super) fn rename(from: &Path, to: &Path) -> Result<(), RotationError> {
    fs::rename(from, to).map_err(failed("rename", from))
}

/// Removes a log and all that was rotated of it.
pub(super) fn clean(log: &Path) -> Result<(), RotationError> {
    let directory = log.parent().unwrap_or(Path::new("."));
    let rotated = rotated_names(log)?.into_iter();
    let rotated = rotated.map(|name| directory.join(name));
    for path in rotated.chain([log.to_owned()]) {
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(failed("remove", &path)(error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// The names of the files beside a log that begin with its name and a dot.
fn rotated_names(log: &Path) -> Result<Vec<String>, RotationError> {
    let directory = log.parent().unwrap_or(Path::new("."));
    let name = log.file_name().unwrap_or_default().to_string_lossy();
    let prefix = format!("{name}.");
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed("read", directory))?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.map_err(failed("read", directory))?.file_name();
        // Rotated logs have names that this module gave them.
        if let Ok(name) = name.into_string()
            && name.starts_with(&prefix)
        {
            names.push(name);
        }
    }
    Ok(names)
}

/// Compresses a log: whoever looks finds the one or the other, and no half.
fn compress(log: &Path) -> Result<(), RotationError> {
    let temporary = with_suffix(log, TEMPORARY);
    let compressed = with_suffix(log, COMPRESSED);
    let mut from = File::open(log).map_err(failed("open", log))?;
    let to = OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o640)
        .open(&temporary)
        .map_err(failed("create", &temporary))?;
    let mut encoder = GzEncoder::new(to, Compression::default());
    let copied = io::copy(&mut from, &mut encoder).and_then(|_| encoder.finish());
    if let Err(error) = copied {
        // It is removed with the next rotation, if not now.
        let _ = fs::remove_file(&temporary);
        return Err(failed("compress", log)(error));
    }
    rename(&temporary, &compressed)?;
    fs::remove_file(log).map_err(failed("remove", log))
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}
