use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;

/// A part of a volume, held open so that it stays what was checked.
#[derive(Debug)]
pub struct OpenedSubPath {
    descriptor: OwnedFd,
    path: PathBuf,
}

/// Why a part of a volume cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SubPathError {
    /// It leads outside of the volume.
    #[error("subpath {0:?} is not within the volume")]
    Escapes(String),
    /// There are more links on the way than can be meant.
    #[error("subpath {0:?} has too many levels of symbolic links")]
    TooManyLinks(String),
    /// Something failed on disk.
    #[error("subpath {path:?}")]
    Io {
        /// The part.
        path: String,
        /// What.
        source: io::Error,
    },
}

/// As many as the kernel follows.
const MAX_LINKS: u32 = 40;

/// Opens a part of a volume, and makes directories where it is not there.
///
/// Containers can change links in a volume at any time. So each part of the path is opened from the
/// one before without following links, and links are resolved here: those that stay inside are
/// followed, those that leave the volume are refused. What comes out is held open, and whoever binds
/// it does that by its descriptor.
///
/// Answers to upstream's `subpath.SafeMakeDir` and `doSafeOpen`.
///
/// # Errors
///
/// If the path leaves the volume, or cannot be opened or made.
pub fn open_sub_path(volume: &Path, sub_path: &str) -> Result<OpenedSubPath, SubPathError> {
    let io = |source: io::Error| SubPathError::Io {
        path: sub_path.to_owned(),
        source,
    };
    let volume = fs::canonicalize(volume).map_err(io)?;
    let root = open_volume(&volume).map_err(|error| io(error.into()))?;
    let mode = rustix::fs::fstat(&root).map_err(|error| io(error.into()))?;
    let mode = Mode::from_raw_mode(mode.st_mode);
    let mut walk = Walk {
        volume: &volume,
        sub_path,
        mode,
        root,
        opened: Vec::new(),
        names: Vec::new(),
        rest: VecDeque::new(),
        links: 0,
    };
    walk.prepend(Path::new(sub_path))?;
    while let Some(part) = walk.rest.pop_front() {
        walk.step(&part)?;
    }
    let path = volume.join(walk.names.iter().collect::<PathBuf>());
    let descriptor = walk.opened.pop().unwrap_or(walk.root);
    Ok(OpenedSubPath { descriptor, path })
}

/// A walk from a volume's root, with all directories on the way held open.
struct Walk<'a> {
    volume: &'a Path,
    sub_path: &'a str,
    /// What directories that are made get.
    mode: Mode,
    root: OwnedFd,
    opened: Vec<OwnedFd>,
    names: Vec<OsString>,
    rest: VecDeque<OsString>,
    links: u32,
}

impl Walk<'_> {
    fn step(&mut self, part: &OsStr) -> Result<(), SubPathError> {
        if part == ".." {
            self.names.pop();
            return match self.opened.pop() {
                Some(_) => Ok(()),
                None => Err(self.escapes()),
            };
        }
        let opened = match self.open(part) {
            Err(Errno::NOENT) => self.make(part),
            opened => opened,
        };
        let opened = opened.map_err(|error| self.failed(error))?;
        let stat = rustix::fs::fstat(&opened).map_err(|error| self.failed(error))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::Symlink {
            self.opened.push(opened);
            self.names.push(part.to_owned());
            return Ok(());
        }
        self.links += 1;
        if self.links > MAX_LINKS {
            return Err(SubPathError::TooManyLinks(self.sub_path.to_owned()));
        }
        let target = rustix::fs::readlinkat(&opened, "", Vec::new());
        let target = target.map_err(|error| self.failed(error))?;
        self.follow(&PathBuf::from(OsString::from_vec(target.into_bytes())))
    }

    /// Goes on with where a link leads to.
    fn follow(&mut self, target: &Path) -> Result<(), SubPathError> {
        if !target.is_absolute() {
            return self.prepend(target);
        }
        let Ok(inside) = target.strip_prefix(self.volume) else {
            return Err(self.escapes());
        };
        self.opened.clear();
        self.names.clear();
        self.prepend(inside)
    }

    fn prepend(&mut self, path: &Path) -> Result<(), SubPathError> {
        for part in path.components().rev() {
            match part {
                Component::Normal(name) => self.rest.push_front(name.to_owned()),
                Component::ParentDir => self.rest.push_front("..".into()),
                Component::CurDir => {}
                Component::RootDir | Component::Prefix(_) => return Err(self.escapes()),
            }
        }
        Ok(())
    }

    fn directory(&self) -> BorrowedFd<'_> {
        self.opened.last().unwrap_or(&self.root).as_fd()
    }

    fn open(&self, part: &OsStr) -> Result<OwnedFd, Errno> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::openat(self.directory(), part, flags, Mode::empty())
    }

    fn make(&self, part: &OsStr) -> Result<OwnedFd, Errno> {
        match rustix::fs::mkdirat(self.directory(), part, self.mode) {
            Ok(()) => {
                // By descriptor, since the name may be somebody's link by now; the umask took bits.
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let made = rustix::fs::openat(self.directory(), part, flags, Mode::empty())?;
                rustix::fs::fchmod(&made, self.mode)?;
                Ok(made)
            }
            Err(Errno::EXIST) => self.open(part),
            Err(error) => Err(error),
        }
    }

    fn escapes(&self) -> SubPathError {
        SubPathError::Escapes(self.sub_path.to_owned())
    }

    fn failed(&self, error: Errno) -> SubPathError {
        SubPathError::Io {
            path: self.sub_path.to_owned(),
            source: error.into(),
        }
    }
}

fn open_volume(volume: &Path) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::open(volume, flags, Mode::empty())
}

impl OpenedSubPath {
    /// Where it was when it was opened. Only good for who trusts all that can write to the volume.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A path that leads to exactly what is held open, as long as it is.
    pub fn descriptor_path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.descriptor.as_raw_fd()))
    }

    /// Whether it is a directory.
    ///
    /// # Errors
    ///
    /// If the kernel does not tell.
    pub fn is_directory(&self) -> io::Result<bool> {
        let stat = rustix::fs::fstat(&self.descriptor)?;
        Ok(FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
    }
}

impl AsFd for OpenedSubPath {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}
