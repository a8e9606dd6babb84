//! Parts of volumes are opened without ever leaving the volume.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;

use node_agent::volume::{SubPathError, open_sub_path};
use tempfile::TempDir;

/// A directory with a volume in it, and something beside the volume that nobody may reach.
fn volume() -> (TempDir, std::path::PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().canonicalize().unwrap();
    fs::create_dir_all(root.join("outside/dir")).unwrap();
    fs::write(root.join("outside/secret"), "x").unwrap();
    let volume = root.join("volume");
    fs::create_dir_all(volume.join("dir/sub")).unwrap();
    fs::write(volume.join("dir/file"), "x").unwrap();
    (directory, volume)
}

#[track_caller]
fn check_opens(volume: &Path, sub_path: &str, expected: &str) {
    let opened = open_sub_path(volume, sub_path).unwrap();
    let expected = volume.join(expected);
    assert_eq!(opened.path(), expected);
    // What is held open is what is at the path.
    let (held, there) = (
        fs::metadata(opened.descriptor_path()),
        fs::metadata(&expected),
    );
    assert_eq!(held.unwrap().ino(), there.unwrap().ino());
    assert_eq!(opened.is_directory().unwrap(), expected.is_dir());
}

#[track_caller]
fn check_escapes(volume: &Path, sub_path: &str) {
    let refused = open_sub_path(volume, sub_path);
    assert!(
        matches!(refused, Err(SubPathError::Escapes(_))),
        "{sub_path}: {refused:?}"
    );
}

/// Upstream's `TestSafeOpen`.
#[test]
fn safe_open() {
    let (_directory, volume) = volume();
    check_opens(&volume, "", "");
    check_opens(&volume, "dir", "dir");
    check_opens(&volume, "dir/sub/", "dir/sub");
    check_opens(&volume, "./dir//file", "dir/file");
    check_escapes(&volume, "../outside");
    check_escapes(&volume, "dir/../../outside/secret");
    check_escapes(&volume, "/dir");
    let refused = open_sub_path(&volume, "dir/file/x");
    assert!(
        matches!(refused, Err(SubPathError::Io { .. })),
        "{refused:?}"
    );
    assert!(open_sub_path(&volume.join("none"), "x").is_err());
}

/// Links that stay in the volume are followed, as upstream follows them.
#[test]
fn links_inside_are_followed() {
    let (_directory, volume) = volume();
    symlink("dir", volume.join("relative")).unwrap();
    symlink("../file", volume.join("dir/sub/up")).unwrap();
    symlink(volume.join("dir"), volume.join("absolute")).unwrap();
    symlink(&volume, volume.join("dir/root")).unwrap();
    symlink("relative/sub", volume.join("chain")).unwrap();
    check_opens(&volume, "relative/sub", "dir/sub");
    check_opens(&volume, "dir/sub/up", "dir/file");
    check_opens(&volume, "absolute/file", "dir/file");
    check_opens(&volume, "dir/root/dir", "dir");
    check_opens(&volume, "chain/up", "dir/file");
}

/// Upstream's `TestSafeOpen`, the cases that begin with `escape`.
#[test]
fn links_that_leave_are_refused() {
    let (_directory, volume) = volume();
    symlink("../outside", volume.join("relative")).unwrap();
    symlink(
        volume.parent().unwrap().join("outside"),
        volume.join("absolute"),
    )
    .unwrap();
    symlink("/", volume.join("dir/root")).unwrap();
    symlink("../../volume", volume.join("dir/back")).unwrap();
    // Its text begins as the volume's path does, and is another directory.
    symlink(
        format!("{}-other", volume.display()),
        volume.join("sibling"),
    )
    .unwrap();
    fs::create_dir(volume.with_file_name("volume-other")).unwrap();
    for sub_path in [
        "relative",
        "relative/secret",
        "relative/new",
        "absolute",
        "absolute/dir",
        "dir/root/etc",
        "dir/back",
        "sibling",
    ] {
        check_escapes(&volume, sub_path);
    }
    symlink("b", volume.join("a")).unwrap();
    symlink("a", volume.join("b")).unwrap();
    let refused = open_sub_path(&volume, "a");
    assert!(matches!(refused, Err(SubPathError::TooManyLinks(_))));
    assert!(!volume.parent().unwrap().join("outside/new").exists());
}

/// Upstream's `TestSafeMakeDir`.
#[test]
fn safe_make_dir() {
    let (_directory, volume) = volume();
    fs::set_permissions(&volume, fs::Permissions::from_mode(0o2777)).unwrap();
    symlink("dir", volume.join("link")).unwrap();
    symlink("not/yet", volume.join("dangling")).unwrap();
    symlink("../not-yet", volume.join("out")).unwrap();
    check_opens(&volume, "new/deep/er", "new/deep/er");
    check_opens(&volume, "link/new", "dir/new");
    check_opens(&volume, "dangling/x", "not/yet/x");
    check_escapes(&volume, "out/x");
    assert!(!volume.parent().unwrap().join("not-yet").exists());
    // What is made has the volume's mode, whatever the umask.
    for path in ["new", "new/deep/er", "dir/new"] {
        let mode = fs::metadata(volume.join(path))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o777, "{path}");
    }
}

/// A container that swaps what was checked for a link changes nothing of what is mounted.
#[test]
fn what_is_open_stays_what_it_was() {
    let (_directory, volume) = volume();
    let opened = open_sub_path(&volume, "dir").unwrap();
    fs::rename(volume.join("dir"), volume.join("moved")).unwrap();
    symlink("../outside", volume.join("dir")).unwrap();
    assert_eq!(
        fs::read_to_string(opened.descriptor_path().join("file")).unwrap(),
        "x"
    );
    check_escapes(&volume, "dir");
}
