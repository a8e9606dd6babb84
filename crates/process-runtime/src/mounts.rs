//! The directory of a container in which its mounts appear.
//!
//! Without a mount namespace nothing can be put over the host's files.
//! Each mount is a symbolic link instead, at its path below a directory of the container.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Component, Path, PathBuf};

use thiserror::Error;

use crate::durable;
use crate::record::MountRecord;

#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum MountError {
    #[error("mount path {0:?} is not an absolute path below the root")]
    Path(String),
    #[error("two mounts have the path {0:?}")]
    Twice(String),
    #[error("mount {inner:?} lies in mount {outer:?}, which the process runtime cannot show")]
    Nested { inner: String, outer: String },
    #[error("failed to stat {0:?}: no such file or directory")]
    NoSource(String),
}

/// Mounts by their paths below the directory of a container.
#[derive(Debug)]
pub(crate) struct Tree {
    links: BTreeMap<PathBuf, PathBuf>,
}

impl Tree {
    /// The mounts of a container, each from an existing path of the host.
    pub(crate) fn new(mounts: &[MountRecord]) -> Result<Self, MountError> {
        let mut links = BTreeMap::new();
        for mount in mounts {
            let path = relative(&mount.container_path)
                .ok_or_else(|| MountError::Path(mount.container_path.clone()))?;
            let host = PathBuf::from(&mount.host_path);
            if !host.is_absolute() || !host.exists() {
                return Err(MountError::NoSource(mount.host_path.clone()));
            }
            if links.insert(path, host).is_some() {
                return Err(MountError::Twice(mount.container_path.clone()));
            }
        }
        let tree = Self { links };
        for inner in tree.links.keys() {
            if let Some(outer) = tree.mount_above(inner) {
                return Err(MountError::Nested {
                    inner: shown(inner),
                    outer: shown(outer),
                });
            }
        }
        Ok(tree)
    }

    /// Makes the links, and files at paths where nothing is mounted.
    pub(crate) fn build(&self, root: &Path, files: &[(&str, String)]) -> io::Result<()> {
        durable::make_dir(root)?;
        for (path, host) in &self.links {
            let link = root.join(path);
            make_parent(&link)?;
            symlink(host, &link)?;
        }
        for (path, content) in files {
            let path = Path::new(path);
            if !self.links.contains_key(path) && self.mount_above(path).is_none() {
                let file = root.join(path);
                make_parent(&file)?;
                std::fs::write(file, content)?;
            }
        }
        Ok(())
    }

    fn mount_above(&self, path: &Path) -> Option<&Path> {
        let mut above = path.ancestors().skip(1);
        above.find_map(|path| {
            self.links
                .get_key_value(path)
                .map(|(path, _)| path.as_path())
        })
    }
}

/// Where a container's path is: in its own directory if there is something, else on the host if
/// there is something, else made in its own directory.
pub(crate) fn working_dir(root: &Path, wanted: &str) -> io::Result<PathBuf> {
    if wanted.is_empty() {
        return Ok(root.to_owned());
    }
    let Some(path) = relative(wanted) else {
        return Ok(PathBuf::from("/").join(wanted));
    };
    let own = root.join(&path);
    let host = Path::new("/").join(&path);
    if own.is_dir() {
        Ok(own)
    } else if host.is_dir() {
        Ok(host)
    } else {
        durable::make_dir(&own)?;
        Ok(own)
    }
}

/// An absolute path as one below a root, if it is one.
fn relative(path: &str) -> Option<PathBuf> {
    let mut result = PathBuf::new();
    let mut components = Path::new(path).components();
    if components.next() != Some(Component::RootDir) {
        return None;
    }
    for component in components {
        match component {
            Component::Normal(name) => result.push(name),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    (!result.as_os_str().is_empty()).then_some(result)
}

fn make_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), durable::make_dir)
}

fn shown(path: &Path) -> String {
    format!("/{}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mount(container_path: &str, host_path: &str) -> MountRecord {
        MountRecord {
            container_path: container_path.to_owned(),
            host_path: host_path.to_owned(),
            readonly: false,
            propagation: 0,
        }
    }

    #[test]
    fn mounts_are_links_below_the_root() {
        let root = tempfile::tempdir().unwrap();
        let host = tempfile::tempdir().unwrap();
        let data = host.path().to_str().unwrap();
        let tree = Tree::new(&[mount("/etc/hosts", "/etc/passwd"), mount("/data/", data)]).unwrap();
        let files = [
            ("etc/hosts", "mine".to_owned()),
            ("etc/hostname", "web\n".to_owned()),
            ("data/x", String::new()),
        ];
        tree.build(root.path(), &files).unwrap();
        let link = |path: &str| std::fs::read_link(root.path().join(path)).unwrap();
        assert_eq!(link("etc/hosts"), Path::new("/etc/passwd"));
        assert_eq!(link("data"), host.path());
        assert_eq!(
            std::fs::read_to_string(root.path().join("etc/hostname")).unwrap(),
            "web\n"
        );
        assert!(
            !host.path().join("x").exists(),
            "nothing is written through a mount"
        );
    }

    #[test]
    fn mounts_that_links_cannot_show_are_refused() {
        let refused = |mounts: &[MountRecord]| Tree::new(mounts).unwrap_err().to_string();
        assert!(refused(&[mount("/", "/tmp")]).contains("below the root"));
        assert!(refused(&[mount("data", "/tmp")]).contains("absolute"));
        assert!(refused(&[mount("/data/../..", "/tmp")]).contains("absolute"));
        assert!(refused(&[mount("/a", "/tmp"), mount("/a/", "/tmp")]).contains("two mounts"));
        assert!(
            refused(&[mount("/a/b/c", "/tmp"), mount("/a", "/tmp")])
                .contains("lies in mount \"/a\"")
        );
        assert!(refused(&[mount("/a", "/no/such")]).contains("no such file"));
    }

    #[test]
    fn working_directories_are_the_containers_own_before_the_hosts() {
        let root = tempfile::tempdir().unwrap();
        let of = |wanted: &str| working_dir(root.path(), wanted).unwrap();
        assert_eq!(of(""), root.path());
        assert_eq!(of("/usr"), Path::new("/usr"));
        assert_eq!(of("/no/such"), root.path().join("no/such"));
        assert!(root.path().join("no/such").is_dir());
        std::fs::create_dir(root.path().join("usr")).unwrap();
        assert_eq!(of("/usr"), root.path().join("usr"));
    }
}
