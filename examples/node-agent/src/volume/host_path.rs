use std::fs::{self, DirBuilder, FileType, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, OpenOptionsExt as _};
use std::path::{Component, Path, PathBuf};

use k8s_openapi::api::core::v1::HostPathVolumeSource;

use super::VolumeError;

/// Checks that a path of the host is what the volume says, or makes it so, and returns it.
///
/// `DirectoryOrCreate` makes a directory with mode 0755, `FileOrCreate` an empty file with 0644 in a
/// directory that is there; without a type nothing is checked or made.
/// Answers to kubelet's `checkType` of the host-path plugin.
///
/// # Errors
///
/// If it is something else, has a `..` in it, or its type is none that there is.
pub fn check_host_path(source: &HostPathVolumeSource) -> Result<PathBuf, VolumeError> {
    let path = PathBuf::from(&source.path);
    if path.components().any(|part| part == Component::ParentDir) {
        return Err(VolumeError::Backstep(source.path.clone()));
    }
    match source.type_.as_deref() {
        None | Some("") => {}
        Some("DirectoryOrCreate") => {
            if kind(&path)?.is_none() {
                let mut builder = DirBuilder::new();
                let made = builder.recursive(true).mode(0o755).create(&path);
                made.map_err(VolumeError::io(&path))?;
            }
            check(&path, "directory", FileType::is_dir)?;
        }
        Some("Directory") => check(&path, "directory", FileType::is_dir)?,
        Some("FileOrCreate") => {
            if kind(&path)?.is_none() {
                let mut options = OpenOptions::new();
                let made = options.write(true).create(true).mode(0o644).open(&path);
                made.map_err(VolumeError::io(&path))?;
            }
            check(&path, "file", FileType::is_file)?;
        }
        Some("File") => check(&path, "file", FileType::is_file)?,
        Some("Socket") => check(&path, "socket file", FileType::is_socket)?,
        Some("CharDevice") => check(&path, "character device", FileType::is_char_device)?,
        Some("BlockDevice") => check(&path, "block device", FileType::is_block_device)?,
        Some(other) => {
            return Err(VolumeError::Invalid {
                field: "hostPath type",
                value: other.to_owned(),
            });
        }
    }
    Ok(path)
}

fn check(
    path: &Path,
    wanted: &'static str,
    is_wanted: impl Fn(&FileType) -> bool,
) -> Result<(), VolumeError> {
    match kind(path)? {
        Some(kind) if is_wanted(&kind) => Ok(()),
        _ => Err(VolumeError::HostPathType {
            path: path.to_owned(),
            wanted,
        }),
    }
}

/// What is at the end of a path; `None` if nothing is.
fn kind(path: &Path) -> Result<Option<FileType>, VolumeError> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(Some(metadata.file_type())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(VolumeError::io(path)(error)),
    }
}
