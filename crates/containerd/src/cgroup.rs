use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process;

use crate::Error;

/// Where the kernel has cgroups.
const MOUNT: &str = "/sys/fs/cgroup";

/// What pods are limited by.
const CONTROLLERS: [&str; 3] = ["cpu", "memory", "pids"];

/// A cgroup of one's own that those of pods can be below, as the `cgroupRoot` of their agent.
///
/// An agent ends what it finds in its cgroups and does not know: agents beside each other need
/// different ones. Dropping it takes away what has no processes; [`remove`](Self::remove) is the clean
/// end.
#[derive(Debug)]
pub struct CgroupRoot {
    name: String,
    is_unified: bool,
}

impl CgroupRoot {
    /// Makes a cgroup that is called after this and the process.
    ///
    /// # Errors
    ///
    /// If this process may not, or a controller is missing.
    pub fn create(name: &str) -> Result<Self, Error> {
        let root = Self {
            name: format!("kubewright-{name}-{}", process::id()),
            is_unified: Path::new(MOUNT).join("cgroup.controllers").exists(),
        };
        if root.is_unified {
            // Controllers reach a cgroup only if those above hand them down.
            let path = Path::new(MOUNT).join("cgroup.subtree_control");
            fs::write(&path, "+cpu +memory +pids").map_err(Error::io(&path))?;
        }
        for controller in CONTROLLERS {
            let path = root.path(controller);
            match fs::create_dir(&path) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                    return Err(Error::io(path)(error));
                }
                _ => {}
            }
        }
        Ok(root)
    }

    /// What it is called, as a path from the root of cgroups.
    pub fn name(&self) -> String {
        format!("/{}", self.name)
    }

    /// Whether all controllers share one tree, which is cgroup v2.
    pub fn is_unified(&self) -> bool {
        self.is_unified
    }

    /// Its directory in the tree of a controller.
    pub fn path(&self, controller: &str) -> PathBuf {
        let mut path = PathBuf::from(MOUNT);
        if !self.is_unified {
            path.push(controller);
        }
        path.join(&self.name)
    }

    /// Its directories in all trees; those of runtimes are in more than pods are limited by.
    ///
    /// # Errors
    ///
    /// If the trees cannot be listed.
    pub fn paths(&self) -> Result<Vec<PathBuf>, Error> {
        let paths = match self.is_unified {
            true => vec![self.path("")],
            false => directories(Path::new(MOUNT))?
                .into_iter()
                .map(|tree| tree.join(&self.name))
                .collect(),
        };
        Ok(paths.into_iter().filter(|path| path.exists()).collect())
    }

    /// Takes it away, and all in it.
    ///
    /// # Errors
    ///
    /// If processes are left in it.
    pub fn remove(self) -> Result<(), Error> {
        self.clear()
    }

    fn clear(&self) -> Result<(), Error> {
        self.paths()?.iter().try_for_each(|path| remove(path))
    }
}

impl Drop for CgroupRoot {
    fn drop(&mut self) {
        // A clean end has found nothing in the way, and another is a failure anyway.
        let _ = self.clear();
    }
}

fn directories(path: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut directories = Vec::new();
    for entry in fs::read_dir(path).map_err(Error::io(path))? {
        let entry = entry.map_err(Error::io(path))?;
        if entry.file_type().map_err(Error::io(path))?.is_dir() {
            directories.push(entry.path());
        }
    }
    Ok(directories)
}

fn remove(path: &Path) -> Result<(), Error> {
    for child in directories(path)? {
        remove(&child)?;
    }
    fs::remove_dir(path).map_err(Error::io(path))
}
