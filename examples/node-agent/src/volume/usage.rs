use std::collections::HashSet;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// How many bytes of disk the files below a path take.
///
/// Files of several names count once, holes not at all, and what vanishes meanwhile is left out.
/// Other file systems mounted below are not entered. Answers to `du -x`.
///
/// # Errors
///
/// If a directory cannot be read.
pub fn disk_usage(path: &Path) -> io::Result<u64> {
    let mut seen = HashSet::new();
    let device = fs::symlink_metadata(path)?.dev();
    usage_below(path, device, &mut seen)
}

fn usage_below(path: &Path, device: u64, seen: &mut HashSet<u64>) -> io::Result<u64> {
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error),
    };
    if metadata.dev() != device || !seen.insert(metadata.ino()) {
        return Ok(0);
    }
    // What stat counts blocks in, whatever the file system's are.
    let mut bytes = metadata.blocks() * 512;
    if metadata.is_dir() {
        match fs::read_dir(path) {
            Ok(entries) => {
                for entry in entries {
                    bytes += usage_below(&entry?.path(), device, seen)?;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(bytes)
}
