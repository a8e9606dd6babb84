use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{
    DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _, chown, symlink,
};
use std::path::{Component, Path, PathBuf};

use jiff::Timestamp;

use super::{Payload, ProjectedFile};

/// Writes files into a directory so that whoever reads them sees all old or all new ones.
///
/// The files are in a directory of their own, named by the time; `..data` links to it, and what
/// users see are links through `..data`:
///
/// ```text
/// config.yaml -> ..data/config.yaml
/// ..data      -> ..2026_11_27_06_43_06.000000000
/// ..2026_11_27_06_43_06.000000000/config.yaml
/// ```
///
/// A change writes a new directory and renames a new `..data` over the old. An agent that is killed
/// in between leaves the old content in place, and the next write clears what it left.
///
/// Answers to upstream's `AtomicWriter`.
#[derive(Clone, Debug)]
pub struct AtomicWriter {
    target: PathBuf,
}

/// Why files could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AtomicWriteError {
    /// A file's path cannot be one below the directory.
    #[error("invalid path {path:?}: {reason}")]
    Path {
        /// The path.
        path: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Something failed on disk.
    #[error("{path}", path = .path.display())]
    Io {
        /// On which path.
        path: PathBuf,
        /// What.
        source: io::Error,
    },
}

const DATA: &str = "..data";
const NEW_DATA: &str = "..data_tmp";
const MAX_PATH: usize = 4096;
const MAX_NAME: usize = 255;

impl AtomicWriter {
    /// A writer into a directory, which is to be there.
    pub fn new(target: impl Into<PathBuf>) -> Self {
        Self {
            target: target.into(),
        }
    }

    /// Makes the directory hold exactly these files, and says whether anything changed.
    ///
    /// `own` is given the directory of the new files before anybody can see them.
    ///
    /// # Errors
    ///
    /// If a path leads outside, or something fails on disk; the old content then stays.
    pub fn write(
        &self,
        payload: &Payload,
        now: Timestamp,
        own: impl FnOnce(&Path) -> io::Result<()>,
    ) -> Result<bool, AtomicWriteError> {
        let files = payload.iter();
        let files = files.map(|(path, file)| Ok((checked(path)?, file)));
        let files = files.collect::<Result<Vec<_>, AtomicWriteError>>()?;
        let names: BTreeSet<_> = files.iter().map(|(path, _)| top(path)).collect();

        let old = self.old_directory()?;
        let stale = match &old {
            Some(old) => stale_names(old, &names)?,
            None => Vec::new(),
        };
        if let Some(old) = &old
            && stale.is_empty()
            && has_exactly(old, &files)?
            && self.shows(&names)
        {
            return Ok(false);
        }

        let new = self.new_directory(now)?;
        let written = write_files(&new, &files)
            .and_then(|()| own(&new).map_err(at(&new)))
            .and_then(|()| self.show(&names))
            .and_then(|()| self.swap(&new));
        if let Err(error) = written {
            // The old content is still what is seen. That the new cannot be removed changes nothing.
            let _ = fs::remove_dir_all(&new);
            return Err(error);
        }
        for name in stale {
            remove_link(&self.target.join(name))?;
        }
        self.clear_all_but(&new)?;
        Ok(true)
    }

    /// The directory that `..data` links to; `None` if nothing was ever written.
    fn old_directory(&self) -> Result<Option<PathBuf>, AtomicWriteError> {
        let link = self.target.join(DATA);
        match fs::read_link(&link) {
            Ok(old) => Ok(Some(self.target.join(old)).filter(|old| old.is_dir())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(at(&link)(error)),
        }
    }

    fn new_directory(&self, now: Timestamp) -> Result<PathBuf, AtomicWriteError> {
        let stamp = now.strftime("..%Y_%m_%d_%H_%M_%S.%9f").to_string();
        let mut attempt = 0_u32;
        loop {
            let name = match attempt {
                0 => stamp.clone(),
                _ => format!("{stamp}.{attempt}"),
            };
            let path = self.target.join(name);
            match make_directory(&path) {
                Ok(()) => return Ok(path),
                // Of an agent that was killed, or of a write in the same instant.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => attempt += 1,
                Err(error) => return Err(at(&path)(error)),
            }
        }
    }

    fn shows(&self, names: &BTreeSet<OsString>) -> bool {
        let mut names = names.iter();
        names.all(|name| fs::symlink_metadata(self.target.join(name)).is_ok())
    }

    /// Makes the links that users see.
    fn show(&self, names: &BTreeSet<OsString>) -> Result<(), AtomicWriteError> {
        for name in names {
            let link = self.target.join(name);
            match symlink(Path::new(DATA).join(name), &link) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                    return Err(at(&link)(error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn swap(&self, new: &Path) -> Result<(), AtomicWriteError> {
        let link = self.target.join(NEW_DATA);
        remove_link(&link)?;
        let name = new.file_name().unwrap_or_default();
        symlink(name, &link).map_err(at(&link))?;
        let data = self.target.join(DATA);
        fs::rename(&link, &data).map_err(at(&data))
    }

    /// Removes the directories of earlier writes.
    fn clear_all_but(&self, new: &Path) -> Result<(), AtomicWriteError> {
        let entries = fs::read_dir(&self.target).map_err(at(&self.target))?;
        for entry in entries {
            let entry = entry.map_err(at(&self.target))?;
            let path = entry.path();
            let is_ours = entry.file_name().as_encoded_bytes().starts_with(b"..");
            let is_directory = entry.file_type().map_err(at(&path))?.is_dir();
            if is_ours && is_directory && path != new {
                fs::remove_dir_all(&path).map_err(at(&path))?;
            }
        }
        Ok(())
    }
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> AtomicWriteError {
    let path = path.to_owned();
    move |source| AtomicWriteError::Io { path, source }
}

/// The path of a file, if it stays below the directory and hides none of the writer's own names.
fn checked(path: &str) -> Result<PathBuf, AtomicWriteError> {
    let refuse = |reason| AtomicWriteError::Path {
        path: path.to_owned(),
        reason,
    };
    if path.is_empty() {
        return Err(refuse("must not be empty"));
    }
    if path.len() > MAX_PATH {
        return Err(refuse("must not be longer than 4096 bytes"));
    }
    let mut clean = PathBuf::new();
    for part in Path::new(path).components() {
        match part {
            Component::RootDir | Component::Prefix(_) => {
                return Err(refuse("must be relative"));
            }
            Component::ParentDir => return Err(refuse("must not contain '..'")),
            Component::CurDir => {}
            Component::Normal(name) if name.len() > MAX_NAME => {
                return Err(refuse("no part must be longer than 255 bytes"));
            }
            Component::Normal(name) => clean.push(name),
        }
    }
    if clean.as_os_str().is_empty() {
        return Err(refuse("must name a file"));
    }
    if clean.as_os_str().as_encoded_bytes().starts_with(b"..") {
        return Err(refuse("must not start with '..'"));
    }
    Ok(clean)
}

/// The first part of a path, which is what users see in the directory.
fn top(path: &Path) -> OsString {
    path.iter().next().unwrap_or_default().to_owned()
}

/// What the old content shows that the new does not.
fn stale_names(old: &Path, names: &BTreeSet<OsString>) -> Result<Vec<OsString>, AtomicWriteError> {
    let mut stale = Vec::new();
    for entry in fs::read_dir(old).map_err(at(old))? {
        let name = entry.map_err(at(old))?.file_name();
        if !names.contains(&name) {
            stale.push(name);
        }
    }
    Ok(stale)
}

/// Whether a directory holds these files and no others.
fn has_exactly(old: &Path, files: &[(PathBuf, &ProjectedFile)]) -> Result<bool, AtomicWriteError> {
    for (path, file) in files {
        match fs::read(old.join(path)) {
            Ok(data) if data == file.data => {}
            _ => return Ok(false),
        }
    }
    Ok(count_files(old)? == files.len())
}

fn count_files(directory: &Path) -> Result<usize, AtomicWriteError> {
    let mut count = 0;
    for entry in fs::read_dir(directory).map_err(at(directory))? {
        let entry = entry.map_err(at(directory))?;
        let path = entry.path();
        count += match entry.file_type().map_err(at(&path))?.is_dir() {
            true => count_files(&path)?,
            false => 1,
        };
    }
    Ok(count)
}

fn write_files(
    directory: &Path,
    files: &[(PathBuf, &ProjectedFile)],
) -> Result<(), AtomicWriteError> {
    for (path, file) in files {
        let mut parent = directory.to_owned();
        for part in path.parent().into_iter().flatten() {
            parent.push(part);
            match make_directory(&parent) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                    return Err(at(&parent)(error));
                }
                _ => {}
            }
        }
        let path = directory.join(path);
        write_file(&path, file).map_err(at(&path))?;
    }
    Ok(())
}

fn write_file(path: &Path, file: &ProjectedFile) -> io::Result<()> {
    let mut options = OpenOptions::new();
    // Nobody reads it until it has the mode that it is to have.
    let mut opened = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    opened.write_all(&file.data)?;
    if let Some(owner) = file.owner {
        chown(path, Some(owner), None)?;
    }
    // By descriptor and after the owner, since a new owner takes some bits away.
    opened.set_permissions(Permissions::from_mode(file.mode))
}

/// Makes a directory that all may read, whatever the agent's umask.
fn make_directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o755).create(path)?;
    fs::set_permissions(path, Permissions::from_mode(0o755))
}

fn remove_link(path: &Path) -> Result<(), AtomicWriteError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(at(path)(error)),
        _ => Ok(()),
    }
}
