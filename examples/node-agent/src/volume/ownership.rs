use std::fs::{self, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, lchown};
use std::path::Path;

use super::VolumeAccess;

const SET_GID: u32 = 0o2000;

/// Gives a volume's files to the group of a pod's files.
///
/// The group may read and, if the volume is for that, write; new files inherit the group.
/// Links are not followed. The kinds of volumes that this agent has are owned when they are made, to
/// which `fsGroupChangePolicy` does not apply. Answers to upstream's `SetVolumeOwnership`.
///
/// # Errors
///
/// If a file's owner or mode cannot be changed.
pub fn set_ownership(path: &Path, fs_group: u32, access: VolumeAccess) -> io::Result<()> {
    let metadata = fs::symlink_metadata(path)?;
    if metadata.is_dir() {
        for entry in fs::read_dir(path)? {
            set_ownership(&entry?.path(), fs_group, access)?;
        }
    }
    lchown(path, None, Some(fs_group))?;
    if metadata.is_symlink() {
        return Ok(());
    }
    let mode = wanted_mode(&metadata, access) & 0o7777;
    fs::set_permissions(path, Permissions::from_mode(mode))
}

fn wanted_mode(metadata: &Metadata, access: VolumeAccess) -> u32 {
    let mut added = match access {
        VolumeAccess::ReadOnly => 0o440,
        VolumeAccess::ReadWrite => 0o660,
    };
    if metadata.is_dir() {
        added |= SET_GID | 0o110;
    }
    metadata.mode() | added
}
