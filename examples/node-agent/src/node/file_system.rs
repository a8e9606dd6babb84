use std::io;
use std::path::Path;

/// How full a file system is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileSystem {
    /// How much room there is, in bytes: all of it, used or not.
    pub capacity: u64,
    /// How much of that anybody may still use, in bytes.
    pub available: u64,
    /// How many inodes there are; 0 if they are made as they are needed.
    pub inodes: u64,
    /// How many of them are free.
    pub inodes_free: u64,
}

impl FileSystem {
    /// The one that a path is on. It may block, if that is not of this machine.
    ///
    /// # Errors
    ///
    /// It cannot be found out.
    pub fn of(path: &Path) -> io::Result<Self> {
        let stat = rustix::fs::statvfs(path)?;
        Ok(Self {
            capacity: stat.f_blocks.saturating_mul(stat.f_frsize),
            available: stat.f_bavail.saturating_mul(stat.f_frsize),
            inodes: stat.f_files,
            inodes_free: stat.f_ffree,
        })
    }
}
