use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, Signal, kill_process};

use super::hierarchy::CONTROLLERS;
use super::{CgroupHierarchy, CgroupName, CgroupVersion, CgroupWrite};

/// Does what was planned, until something fails.
///
/// # Errors
///
/// The first failure, with the path that it was about.
pub fn apply(writes: &[CgroupWrite]) -> io::Result<()> {
    writes.iter().try_for_each(|write| match write {
        CgroupWrite::Make(path) => fs::create_dir_all(path).map_err(about(path)),
        CgroupWrite::Set(path, value) => fs::write(path, value).map_err(about(path)),
    })
}

/// What is done to trees where they are mounted. It waits for the kernel, and is not for tasks that
/// others wait for.
impl CgroupHierarchy {
    /// Whether pods can be limited below a cgroup: it is there, with the controllers for that.
    ///
    /// Answers to the `Validate` of kubelet's cgroup managers.
    ///
    /// # Errors
    ///
    /// What is missing.
    pub fn check(&self, name: &CgroupName) -> io::Result<()> {
        let missing: Vec<_> = match self.version {
            CgroupVersion::V1 => {
                // Where nothing is mounted there may be directories all the same.
                let directories = self.directories(name).into_iter();
                directories
                    .map(|path| path.join("cgroup.procs"))
                    .filter(|path| !path.exists())
                    .map(|path| path.display().to_string())
                    .collect()
            }
            CgroupVersion::V2 => {
                let path = self.root.join(name.relative()).join("cgroup.controllers");
                let enabled = fs::read_to_string(&path).map_err(about(&path))?;
                let enabled: BTreeSet<_> = enabled.split_whitespace().collect();
                let needed = CONTROLLERS.into_iter();
                needed
                    .filter(|controller| !enabled.contains(controller))
                    .map(|controller| format!("controller {controller}"))
                    .collect()
            }
        };
        if missing.is_empty() {
            return Ok(());
        }
        let missing = missing.join(", ");
        let error = format!("cgroup {name} lacks {missing}");
        Err(io::Error::new(io::ErrorKind::NotFound, error))
    }

    /// Whether a cgroup is there, in all trees that its limits are in.
    pub fn exists(&self, name: &CgroupName) -> bool {
        self.directories(name).iter().all(|path| path.is_dir())
    }

    /// The last parts of the names of the cgroups in one, whatever tree they are in.
    ///
    /// # Errors
    ///
    /// If a tree cannot be read.
    pub fn children(&self, name: &CgroupName) -> io::Result<BTreeSet<String>> {
        let mut children = BTreeSet::new();
        for path in self.everywhere(name)? {
            for child in subdirectories(&path)? {
                let child = child.file_name().and_then(|child| child.to_str());
                children.extend(child.map(str::to_owned));
            }
        }
        Ok(children)
    }

    /// Kills all processes in a cgroup and those in it; one that is not there has none.
    ///
    /// # Errors
    ///
    /// If it cannot be said what is in it, or something may not be killed.
    pub fn kill(&self, name: &CgroupName) -> io::Result<()> {
        let mut processes = BTreeSet::new();
        for path in self.everywhere(name)? {
            collect_processes(&path, &mut processes)?;
        }
        for id in processes {
            // One in a namespace that cannot be seen from here is called 0.
            let Some(process) = Pid::from_raw(id) else {
                let error = format!("cgroup {name} has processes that cannot be named here");
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, error));
            };
            match kill_process(process, Signal::KILL) {
                Ok(()) | Err(rustix::io::Errno::SRCH) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Removes a cgroup and all in it, in all trees; one that is not there is removed.
    ///
    /// # Errors
    ///
    /// If processes are left in it: [`ResourceBusy`](io::ErrorKind::ResourceBusy).
    pub fn remove(&self, name: &CgroupName) -> io::Result<()> {
        let directories = self.everywhere(name)?;
        directories.iter().try_for_each(|path| remove_tree(path))
    }

    /// Where a cgroup may be. Runtimes make those of containers in all trees, also in those that
    /// pods are not limited by.
    fn everywhere(&self, name: &CgroupName) -> io::Result<Vec<PathBuf>> {
        if *name == CgroupName::default() {
            let error = "the cgroup of the whole machine is nobody's to end";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, error));
        }
        let trees = match self.version {
            CgroupVersion::V1 => subdirectories(&self.root)?,
            CgroupVersion::V2 => vec![self.root.clone()],
        };
        let name = name.relative();
        Ok(trees.into_iter().map(|tree| tree.join(&name)).collect())
    }
}

/// Names the path that an error is about.
fn about(path: &Path) -> impl FnOnce(io::Error) -> io::Error {
    move |error| io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// The directories in one; none if it is not there. Links are not followed: of two controllers in
/// one tree one is a link to the other.
fn subdirectories(path: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(about(path)(error)),
    };
    let mut directories = Vec::new();
    for entry in entries {
        let entry = entry.map_err(about(path))?;
        if entry.file_type().map_err(about(path))?.is_dir() {
            directories.push(entry.path());
        }
    }
    Ok(directories)
}

fn collect_processes(path: &Path, processes: &mut BTreeSet<i32>) -> io::Result<()> {
    let list = path.join("cgroup.procs");
    match fs::read_to_string(&list) {
        Ok(text) => processes.extend(text.lines().filter_map(|id| id.parse::<i32>().ok())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        // It was removed meanwhile.
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::NODEV.raw_os_error()) => {
            return Ok(());
        }
        Err(error) => return Err(about(&list)(error)),
    }
    let children = subdirectories(path)?;
    children
        .iter()
        .try_for_each(|child| collect_processes(child, processes))
}

/// Removes a cgroup's directory. The files in it are the kernel's and go with it.
fn remove_tree(path: &Path) -> io::Result<()> {
    for child in subdirectories(path)? {
        remove_tree(&child)?;
    }
    match fs::remove_dir(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(about(path)(error)),
        _ => Ok(()),
    }
}
