use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use tempfile::TempDir;

/// The file that shows whose directory it is, and that is locked while it is in use.
const MARK: &str = ".kubewright-playground";

/// Where everything is that a playground writes. It is empty at first, and removed in the end.
#[derive(Debug)]
pub struct RootDir {
    path: PathBuf,
    /// Whether the directory itself was there before, and stays.
    stays: bool,
    /// Removed last, with what could not be removed in order.
    _temporary: Option<TempDir>,
    _lock: File,
}

impl RootDir {
    /// A temporary directory.
    ///
    /// # Errors
    ///
    /// It cannot be made.
    pub fn temporary() -> Result<Self> {
        let temporary = tempfile::Builder::new()
            .prefix("kubewright-playground-")
            .tempdir()
            .context("no temporary directory can be made")?;
        let mut root = Self::at(temporary.path())?;
        root.stays = false;
        root._temporary = Some(temporary);
        Ok(root)
    }

    /// A directory of the caller's choice: a new one, an empty one, or one that a playground left
    /// that was killed.
    ///
    /// # Errors
    ///
    /// Somebody else's files are in it, or it is in use.
    pub fn at(path: &Path) -> Result<Self> {
        let said = || format!("{}", path.display());
        let stays = path.exists();
        fs::create_dir_all(path).with_context(said)?;
        let path = path.canonicalize().with_context(said)?;
        let mark = path.join(MARK);
        let is_empty = fs::read_dir(&path).with_context(said)?.next().is_none();
        if !is_empty && !mark.exists() {
            bail!("{} has files in it that are not a playground's", said());
        }
        let lock = File::create(&mark).with_context(said)?;
        if lock.try_lock().is_err() {
            bail!("{} is the directory of another playground", said());
        }
        Ok(Self {
            path,
            stays,
            _temporary: None,
            _lock: lock,
        })
    }

    /// Where it is: absolute, and free of symbolic links.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Removes everything in it, and the directory unless it was there before.
    ///
    /// # Errors
    ///
    /// What cannot be removed.
    pub fn remove(self) -> Result<()> {
        let removed = match self.stays {
            true => empty(&self.path),
            false => fs::remove_dir_all(&self.path),
        };
        removed.with_context(|| format!("{} cannot be removed", self.path.display()))
    }
}

fn empty(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        match entry.file_type()?.is_dir() {
            true => fs::remove_dir_all(entry.path())?,
            false => fs::remove_file(entry.path())?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_takes_what_is_empty_or_its_own_and_leaves_the_directory() {
        let parent = tempfile::tempdir().unwrap();
        let root = RootDir::at(parent.path()).unwrap();
        fs::create_dir(root.path().join("node")).unwrap();
        let twice = RootDir::at(parent.path()).unwrap_err().to_string();
        assert!(twice.contains("another playground"), "{twice}");
        drop(root);
        RootDir::at(parent.path()).unwrap().remove().unwrap();
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 0);

        let made = parent.path().join("a/b");
        RootDir::at(&made).unwrap().remove().unwrap();
        assert!(!made.exists());
    }

    #[test]
    fn it_touches_nobody_elses_files() {
        let parent = tempfile::tempdir().unwrap();
        fs::write(parent.path().join("thesis.txt"), "years of work").unwrap();
        let error = RootDir::at(parent.path()).unwrap_err().to_string();
        assert!(error.contains("not a playground's"), "{error}");
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_temporary_one_goes_with_all_that_is_in_it() {
        let root = RootDir::temporary().unwrap();
        let path = root.path().to_owned();
        fs::write(path.join("kubeconfig"), "").unwrap();
        root.remove().unwrap();
        assert!(!path.exists());
    }
}
