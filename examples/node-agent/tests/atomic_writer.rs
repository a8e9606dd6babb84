//! Files of volumes are written so that readers see all old or all new ones.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use jiff::Timestamp;
use node_agent::volume::{AtomicWriteError, AtomicWriter, Payload, ProjectedFile};
use proptest::prelude::*;

fn payload(files: &[(&str, &str)]) -> Payload {
    let files = files.iter().map(|(path, data)| {
        let file = ProjectedFile {
            data: data.as_bytes().to_owned(),
            mode: 0o640,
            owner: None,
        };
        ((*path).to_owned(), file)
    });
    files.collect()
}

fn write(target: &Path, files: &[(&str, &str)]) -> Result<bool, AtomicWriteError> {
    AtomicWriter::new(target).write(&payload(files), Timestamp::UNIX_EPOCH, |_| Ok(()))
}

/// All files that users of a directory see, by their paths.
fn seen(target: &Path) -> BTreeMap<String, String> {
    fn walk(directory: &Path, prefix: &str, seen: &mut BTreeMap<String, String>) {
        for entry in fs::read_dir(directory).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            if prefix.is_empty() && name.starts_with("..") {
                continue;
            }
            let path = format!("{prefix}{name}");
            if entry.path().is_dir() {
                walk(&entry.path(), &format!("{path}/"), seen);
            } else {
                seen.insert(path, fs::read_to_string(entry.path()).unwrap());
            }
        }
    }
    let mut all = BTreeMap::new();
    walk(target, "", &mut all);
    all
}

#[track_caller]
fn assert_seen(target: &Path, files: &[(&str, &str)]) {
    let files = files
        .iter()
        .map(|(path, data)| ((*path).to_owned(), (*data).to_owned()));
    assert_eq!(seen(target), files.collect());
    // One directory of content and the link to it, whatever happened before.
    let own = fs::read_dir(target).unwrap();
    let own = own.filter(|entry| {
        entry
            .as_ref()
            .unwrap()
            .file_name()
            .to_str()
            .unwrap()
            .starts_with("..")
    });
    assert_eq!(own.count(), 2);
}

/// Upstream's `TestWriteOnce`, `TestUpdate` and `TestMultipleUpdates`.
#[test]
fn multiple_updates() {
    let directory = tempfile::tempdir().unwrap();
    let target = directory.path();
    for (files, changes) in [
        (&[("foo", "foo"), ("bar", "bar")][..], true),
        (&[("foo", "foo"), ("bar", "bar")], false),
        (&[("foo", "foo2"), ("bar", "bar")], true),
        (
            &[("foo", "foo2"), ("bar", "bar"), ("baz/deep/er.txt", "x")],
            true,
        ),
        (
            &[("foo", "foo2"), ("baz/deep/er.txt", "x"), ("baz/other", "")],
            true,
        ),
        (
            &[("foo", "foo2"), ("baz/deep/er.txt", "x"), ("baz/other", "")],
            false,
        ),
        (&[("baz/other", "")], true),
        (&[], true),
        (&[], false),
        (&[(".dotted", "."), ("a..b", "x"), ("./c//d", "e")], true),
    ] {
        assert_eq!(write(target, files).unwrap(), changes, "{files:?}");
        let clean: Vec<_> = files
            .iter()
            .map(|(path, data)| (if *path == "./c//d" { "c/d" } else { path }, *data))
            .collect();
        assert_seen(target, &clean);
    }
    assert_eq!(
        fs::read_link(target.join("c")).unwrap(),
        Path::new("..data/c")
    );
    let stamp = fs::read_link(target.join("..data")).unwrap();
    assert!(
        stamp
            .to_str()
            .unwrap()
            .starts_with("..1970_01_01_00_00_00.000000000")
    );
}

/// Upstream's `TestValidatePath`.
#[test]
fn validate_path() {
    let directory = tempfile::tempdir().unwrap();
    let long = "a/".repeat(2049);
    let name = "a".repeat(256);
    for path in [
        "",
        ".",
        "/foo",
        "..",
        "..foo",
        "..data",
        "./..data",
        "foo/../bar",
        "../foo",
        "foo/..",
        &long,
        &name,
    ] {
        let refused = write(directory.path(), &[(path, "x"), ("fine", "y")]);
        assert!(
            matches!(refused, Err(AtomicWriteError::Path { .. })),
            "{path}"
        );
    }
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn modes_are_as_told_whatever_the_umask() {
    let directory = tempfile::tempdir().unwrap();
    let mut files = payload(&[("a/b", "x"), ("c", "y")]);
    files.get_mut("c").unwrap().mode = 0o666;
    AtomicWriter::new(directory.path())
        .write(&files, Timestamp::UNIX_EPOCH, |_| Ok(()))
        .unwrap();
    for (path, mode) in [
        ("a/b", 0o640),
        ("c", 0o666),
        ("a", 0o755),
        ("..data/", 0o755),
    ] {
        let metadata = fs::metadata(directory.path().join(path)).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o7777, mode, "{path}");
    }
}

/// A change is complete, down to its owners, before any reader sees it; a failure changes nothing.
#[test]
fn a_change_that_fails_leaves_the_old_content() {
    let directory = tempfile::tempdir().unwrap();
    let target = directory.path();
    let old = [("foo", "old"), ("bar", "old")];
    write(target, &old).unwrap();
    let writer = AtomicWriter::new(target);
    let failed = writer.write(&payload(&[("foo", "new")]), Timestamp::UNIX_EPOCH, |new| {
        assert_eq!(fs::read_to_string(new.join("foo")).unwrap(), "new");
        assert_eq!(fs::read_to_string(target.join("foo")).unwrap(), "old");
        Err(io::Error::other("no"))
    });
    assert!(matches!(failed, Err(AtomicWriteError::Io { .. })));
    assert_seen(target, &old);
}

/// A writer that is killed leaves new directories and links behind.
#[test]
fn what_a_killed_writer_left_is_cleared() {
    let directory = tempfile::tempdir().unwrap();
    let target = directory.path();
    write(target, &[("foo", "old")]).unwrap();
    fs::create_dir(target.join("..2020_01_01_00_00_00.000000000")).unwrap();
    fs::write(target.join("..2020_01_01_00_00_00.000000000/secret"), "x").unwrap();
    symlink("..2020_01_01_00_00_00.000000000", target.join("..data_tmp")).unwrap();
    // The new name was shown, and then the content was not swapped.
    symlink("..data/bar", target.join("bar")).unwrap();
    assert!(write(target, &[("foo", "old"), ("bar", "new")]).unwrap());
    assert_seen(target, &[("foo", "old"), ("bar", "new")]);
    // And one whose content is gone altogether.
    fs::remove_dir_all(target.join(fs::read_link(target.join("..data")).unwrap())).unwrap();
    assert!(write(target, &[("foo", "old")]).unwrap());
    assert_eq!(fs::read_to_string(target.join("foo")).unwrap(), "old");
}

/// A name that was removed from what users see comes back.
#[test]
fn what_users_see_is_restored() {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), &[("foo", "x")]).unwrap();
    fs::remove_file(directory.path().join("foo")).unwrap();
    assert!(write(directory.path(), &[("foo", "x")]).unwrap());
    assert_seen(directory.path(), &[("foo", "x")]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// After any writes, what is seen is what was written last.
    #[test]
    fn the_last_payload_is_seen(payloads in prop::collection::vec(
        prop::collection::btree_map("[ab]|c/[ab]|d/e/[ab]", "[xy]?", 0..5), 1..6,
    )) {
        let directory = tempfile::tempdir().unwrap();
        for files in &payloads {
            let files: Vec<_> = files.iter().map(|(path, data)| (&**path, &**data)).collect();
            let before = seen(directory.path());
            let changed = write(directory.path(), &files).unwrap();
            let after = seen(directory.path());
            let wanted = files.iter().map(|(path, data)| ((*path).to_owned(), (*data).to_owned()));
            prop_assert_eq!(&after, &wanted.collect());
            prop_assert!(changed || before == after);
        }
    }
}
