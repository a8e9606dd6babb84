use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

use super::RotatedLogs;
use super::rotated::{COMPRESSED, TEMPORARY};

/// How much is compressed before it is asked whether to go on.
const BLOCK: usize = 64 << 10;

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
    let directory = directory_of(log);
    let rotated = rotated(log)?;
    for name in rotated.excess(max_files) {
        // It may just be compressed: of its forms that comes first which is first to become another.
        for form in [TEMPORARY, "", COMPRESSED] {
            remove(&directory.join(format!("{name}{form}")))?;
        }
    }
    let to = directory.join(rotated.next(&name_of(log), now));
    fs::rename(log, &to).map_err(failed("rename", log))?;
    Ok(to)
}

/// Compresses what was rotated of a log but for the newest, and removes what others left half made.
/// Only one may do so at a time. What fails is logged, and tried again when more was rotated.
///
/// A disk that is full is no reason not to rotate: the more files there are, the more can go.
pub(super) fn compress_rotated(log: &Path, is_stopped: &dyn Fn() -> bool) {
    let compress_all = || {
        let directory = directory_of(log);
        let rotated = rotated(log)?;
        for name in rotated.unused() {
            remove(&directory.join(name))?;
        }
        for name in rotated.to_compress() {
            compress(&directory.join(name), is_stopped)?;
        }
        Ok::<_, RotationError>(())
    };
    if let Err(error) = compress_all() {
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        let log = log.display();
        tracing::warn!(%log, %error, cause, "rotated logs are not compressed yet");
    }
}

/// Moves a log back to where it was, unless there is a new one in its place; whether it did.
pub(super) fn put_back(rotated: &Path, log: &Path) -> Result<bool, RotationError> {
    match renameat_with(CWD, rotated, CWD, log, RenameFlags::NOREPLACE) {
        Ok(()) => Ok(true),
        Err(Errno::EXIST) => Ok(false),
        Err(error) => Err(failed("rename", rotated)(error.into())),
    }
}

/// Removes a log and all that was rotated of it, as far as it can be removed.
pub(super) fn clean(log: &Path) -> Result<(), RotationError> {
    let directory = directory_of(log);
    let names = rotated_names(log)?.into_iter();
    let paths = names.map(|name| directory.join(name));
    // Whoever compresses one finds it gone, and takes back what he made of it.
    let removed = paths.chain([log.to_owned()]).map(|path| remove(&path));
    removed.fold(Ok(()), Result::and)
}

/// The files of a log that were rotated and are not compressed, the oldest first.
pub(super) fn uncompressed(log: &Path) -> Result<Vec<PathBuf>, RotationError> {
    let (directory, rotated) = (directory_of(log), rotated(log)?);
    let names = rotated.uncompressed().into_iter();
    Ok(names.map(|name| directory.join(name)).collect())
}

fn rotated(log: &Path) -> Result<RotatedLogs, RotationError> {
    Ok(RotatedLogs::new(rotated_names(log)?))
}

/// The names of the files beside a log that begin with its name and a dot.
fn rotated_names(log: &Path) -> Result<Vec<String>, RotationError> {
    let directory = directory_of(log);
    let prefix = format!("{}.", name_of(log));
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

/// Compresses a log: whoever looks finds the one or the other, and no half. One that is removed
/// meanwhile stays removed.
fn compress(log: &Path, is_stopped: &dyn Fn() -> bool) -> Result<(), RotationError> {
    let temporary = with_suffix(log, TEMPORARY);
    let compressed = with_suffix(log, COMPRESSED);
    let from = match File::open(log) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        opened => opened.map_err(failed("open", log))?,
    };
    let to = OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o640)
        .open(&temporary)
        .map_err(failed("create", &temporary))?;
    match encode(from, to, is_stopped) {
        Ok(true) => {}
        Ok(false) => return remove(&temporary),
        Err(error) => {
            // It is removed the next time, if not now.
            let _ = remove(&temporary);
            return Err(failed("compress", log)(error));
        }
    }
    match fs::rename(&temporary, &compressed) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        renamed => renamed.map_err(failed("rename", &temporary))?,
    }
    match fs::remove_file(log) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => remove(&compressed),
        removed => removed.map_err(failed("remove", log)),
    }
}

/// Whether it came to the end.
fn encode(mut from: File, to: File, is_stopped: &dyn Fn() -> bool) -> io::Result<bool> {
    let mut encoder = GzEncoder::new(to, Compression::default());
    let mut block = vec![0; BLOCK];
    while !is_stopped() {
        match from.read(&mut block)? {
            0 => return encoder.finish().map(|_| true),
            read => encoder.write_all(&block[..read])?,
        }
    }
    Ok(false)
}

/// What is not there is removed.
fn remove(path: &Path) -> Result<(), RotationError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed.map_err(failed("remove", path)),
    }
}

fn directory_of(log: &Path) -> &Path {
    log.parent().unwrap_or(Path::new("."))
}

fn name_of(log: &Path) -> String {
    let name = log.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}
