//! Files that are there as a whole or not at all, and locks that end with their process.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
};
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Writes a file that survives the machine; whoever reads sees the old or the new one.
pub(crate) fn write<T: Serialize>(path: &Path, value: &T) -> io::Result<()> {
    place(path, value, File::sync_all)?;
    match path.parent() {
        Some(directory) => File::open(directory)?.sync_all(),
        None => Ok(()),
    }
}

/// Writes a file that matters only as long as the machine runs.
pub(crate) fn write_volatile<T: Serialize>(path: &Path, value: &T) -> io::Result<()> {
    place(path, value, |_| Ok(()))
}

pub(crate) fn read<T: DeserializeOwned>(path: &Path) -> io::Result<T> {
    let text = std::fs::read(path)?;
    serde_json::from_slice(&text).map_err(|error| io::Error::new(ErrorKind::InvalidData, error))
}

/// [`read`], of what may not be there.
pub(crate) fn read_if_any<T: DeserializeOwned>(path: &Path) -> io::Result<Option<T>> {
    match read(path) {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Makes a directory for this user alone, and those above it.
pub(crate) fn make_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Removes a directory with all that is in it, if it is there: also what its owner made read-only.
pub(crate) fn remove_dir(path: &Path) -> io::Result<()> {
    let removed = match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            allow_removal(path)?;
            std::fs::remove_dir_all(path)
        }
        result => result,
    };
    match removed {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// Lets the owner of a directory remove what is in it, and in those below. Links are not followed.
fn allow_removal(directory: &Path) -> io::Result<()> {
    std::fs::set_permissions(directory, Permissions::from_mode(0o700))?;
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            allow_removal(&entry.path())?;
        }
    }
    Ok(())
}

/// Takes a lock that is held until the file is closed everywhere, also by processes that inherited
/// it; `None` if somebody else holds it.
pub(crate) fn lock(path: &Path) -> io::Result<Option<File>> {
    loop {
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(path)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        // Its last owner may have removed the file meanwhile; then the lock is worth nothing.
        let own = file.metadata()?;
        match std::fs::metadata(path) {
            Ok(there) if there.ino() == own.ino() && there.dev() == own.dev() => {
                return Ok(Some(file));
            }
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
}

/// Whether somebody holds a lock. One that was never made is nobody's.
pub(crate) fn is_locked(path: &Path) -> io::Result<bool> {
    match File::open(path) {
        Ok(file) => match flock(&file, FlockOperation::NonBlockingLockShared) {
            Ok(()) => Ok(false),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(true),
            Err(error) => Err(error.into()),
        },
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn place<T: Serialize>(
    path: &Path,
    value: &T,
    sync: impl FnOnce(&File) -> io::Result<()>,
) -> io::Result<()> {
    let new = path.with_extension("new");
    let text = serde_json::to_vec(value)?;
    let written = OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(&new)
        .and_then(|mut file| {
            file.write_all(&text)?;
            sync(&file)
        })
        .and_then(|()| std::fs::rename(&new, path));
    if written.is_err() {
        // What is half written takes room that may be just what is missing.
        let _ = std::fs::remove_file(&new);
    }
    written
}

#[cfg(test)]
mod tests {
    use rustix::thread::{CapabilitySet, capabilities, set_capabilities};

    use super::*;

    /// What caches of modules look like, which compilers put into `$HOME`.
    #[test]
    fn what_was_made_read_only_is_removed() {
        // As root too, this thread may from now on no more than whoever owns the files.
        let mut own = capabilities(None).unwrap();
        own.effective -= CapabilitySet::DAC_OVERRIDE | CapabilitySet::DAC_READ_SEARCH;
        set_capabilities(None, own).unwrap();

        let parent = tempfile::tempdir().unwrap();
        let kept = parent.path().join("kept");
        std::fs::create_dir(&kept).unwrap();
        std::fs::set_permissions(&kept, Permissions::from_mode(0o500)).unwrap();
        let doomed = parent.path().join("doomed");
        let module = doomed.join("cache/module");
        std::fs::create_dir_all(&module).unwrap();
        std::fs::write(module.join("file"), "").unwrap();
        std::os::unix::fs::symlink(&kept, module.join("link")).unwrap();
        for path in [&module, &doomed.join("cache")] {
            std::fs::set_permissions(path, Permissions::from_mode(0o000)).unwrap();
        }
        remove_dir(&doomed).unwrap();
        assert!(!doomed.exists());
        let mode = std::fs::metadata(&kept).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o500, "links are not followed");
        remove_dir(&doomed).unwrap();
    }
}
