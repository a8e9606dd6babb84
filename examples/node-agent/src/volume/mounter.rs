use std::ffi::{CString, OsString};
use std::fs;
use std::io;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::mount::{MountFlags, UnmountFlags};

use super::OpenedSubPath;

/// How memory is mounted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TmpfsOptions {
    /// How many bytes it may hold at most; `None` leaves that to the kernel.
    pub size: Option<i64>,
    /// The group that owns its root and all that is made in it; `None` is the agent's own.
    pub group: Option<u32>,
}

/// What can be mounted, and how.
pub trait Mounter {
    /// Mounts memory on a directory, which everybody may then write to.
    ///
    /// # Errors
    ///
    /// If it cannot be mounted.
    fn tmpfs(&self, target: &Path, options: TmpfsOptions) -> io::Result<()>;

    /// Makes a part of a volume appear at a path of its own, and says which path is to be mounted
    /// into the container.
    ///
    /// # Errors
    ///
    /// If it cannot be mounted.
    fn bind(&self, source: &OpenedSubPath, target: &Path) -> io::Result<PathBuf>;

    /// Takes away what is mounted on a path.
    ///
    /// # Errors
    ///
    /// If that cannot be.
    fn unmount(&self, target: &Path) -> io::Result<()>;

    /// What is mounted on a path and below it, in the order that it was.
    ///
    /// # Errors
    ///
    /// If it cannot be known.
    fn mounts_below(&self, path: &Path) -> io::Result<Vec<PathBuf>>;
}

impl<M: Mounter + ?Sized> Mounter for Arc<M> {
    fn tmpfs(&self, target: &Path, options: TmpfsOptions) -> io::Result<()> {
        (**self).tmpfs(target, options)
    }

    fn bind(&self, source: &OpenedSubPath, target: &Path) -> io::Result<PathBuf> {
        (**self).bind(source, target)
    }

    fn unmount(&self, target: &Path) -> io::Result<()> {
        (**self).unmount(target)
    }

    fn mounts_below(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        (**self).mounts_below(path)
    }
}

/// Mounts by the kernel, which takes root's rights.
#[derive(Clone, Copy, Debug, Default)]
pub struct KernelMounter;

/// Mounts nothing: for runtimes without isolation, whose containers see the host's files anyhow.
///
/// A directory in memory is one on disk then, and a part of a volume is mounted where it is; that a
/// container swaps it for a link is not prevented.
#[derive(Clone, Copy, Debug, Default)]
pub struct DirectMounter;

impl Mounter for KernelMounter {
    fn tmpfs(&self, target: &Path, options: TmpfsOptions) -> io::Result<()> {
        let mut data = match options.group {
            Some(group) => format!("mode=2777,gid={group}"),
            None => "mode=0777".to_owned(),
        };
        if let Some(size) = options.size {
            data += &format!(",size={size}");
        }
        let data = CString::new(data)?;
        let flags = MountFlags::empty();
        Ok(rustix::mount::mount(
            "tmpfs",
            target,
            "tmpfs",
            flags,
            Some(&*data),
        )?)
    }

    fn bind(&self, source: &OpenedSubPath, target: &Path) -> io::Result<PathBuf> {
        let is_bound = !self.mounts_below(target)?.is_empty();
        if is_bound && is_same(source, target)? {
            return Ok(target.to_owned());
        }
        if is_bound {
            // The container wants what is there now; those that run keep what they have.
            self.unmount(target)?;
        }
        make_mount_point(target, source.is_directory()?)?;
        rustix::mount::mount_bind(source.descriptor_path(), target)?;
        Ok(target.to_owned())
    }

    fn unmount(&self, target: &Path) -> io::Result<()> {
        Ok(rustix::mount::unmount(target, UnmountFlags::NOFOLLOW)?)
    }

    fn mounts_below(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        let path = fs::canonicalize(path).or_else(|error| match error.kind() {
            io::ErrorKind::NotFound => Ok(path.to_owned()),
            _ => Err(error),
        })?;
        let table = fs::read_to_string("/proc/self/mountinfo")?;
        let points = table.lines().filter_map(|line| line.split(' ').nth(4));
        let points = points.map(unescaped);
        Ok(points.filter(|point| point.starts_with(&path)).collect())
    }
}

impl Mounter for DirectMounter {
    fn tmpfs(&self, _target: &Path, _options: TmpfsOptions) -> io::Result<()> {
        Ok(())
    }

    fn bind(&self, source: &OpenedSubPath, _target: &Path) -> io::Result<PathBuf> {
        Ok(source.path().to_owned())
    }

    fn unmount(&self, _target: &Path) -> io::Result<()> {
        Ok(())
    }

    fn mounts_below(&self, _path: &Path) -> io::Result<Vec<PathBuf>> {
        Ok(Vec::new())
    }
}

fn is_same(source: &OpenedSubPath, target: &Path) -> io::Result<bool> {
    let (source, target) = (rustix::fs::fstat(source)?, rustix::fs::lstat(target)?);
    Ok((source.st_dev, source.st_ino) == (target.st_dev, target.st_ino))
}

/// Makes what something can be bound to: a directory to a directory, a file to anything else.
fn make_mount_point(target: &Path, is_directory: bool) -> io::Result<()> {
    match fs::symlink_metadata(target) {
        Ok(there) if there.is_dir() == is_directory => return Ok(()),
        Ok(there) if there.is_dir() => fs::remove_dir(target)?,
        Ok(_) => fs::remove_file(target)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    if is_directory {
        return fs::create_dir_all(target);
    }
    if let Some(parent) = target.parent() {
        fs::create_dir_all(parent)?;
    }
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).open(target).map(drop)
}

/// A path of the table of mounts, where spaces and the like are octal numbers.
fn unescaped(field: &str) -> PathBuf {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        let code = (byte == b'\\')
            .then(|| tail.get(..3))
            .flatten()
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match code {
            Some(code) => {
                bytes.push(code);
                rest = &tail[3..];
            }
            None => {
                bytes.push(byte);
                rest = tail;
            }
        }
    }
    PathBuf::from(OsString::from_vec(bytes))
}
