//! What the kernel mounts, where this process may mount; elsewhere the test says that it could not.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use node_agent::volume::{KernelMounter, Mounter, TmpfsOptions, open_sub_path};

/// Unmounts all below a directory, whatever becomes of the test.
struct Unmounted(PathBuf);

impl Drop for Unmounted {
    fn drop(&mut self) {
        let mounts = KernelMounter.mounts_below(&self.0).unwrap_or_default();
        for mount in mounts.iter().rev() {
            // What is still busy is told by the mounts that are left.
            let _ = KernelMounter.unmount(mount);
        }
    }
}

#[test]
fn the_kernel_mounts_memory_and_parts_of_volumes() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().canonicalize().unwrap();
    let unmounted = Unmounted(root.clone());
    let memory = root.join("a b");
    fs::create_dir(&memory).unwrap();
    let options = TmpfsOptions {
        size: Some(1 << 20),
        group: None,
    };
    if let Err(error) = KernelMounter.tmpfs(&memory, options) {
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied, "{error}");
        println!("SKIPPED: this process may not mount, for which it needs root's rights");
        return;
    }
    assert_eq!(fs::metadata(&memory).unwrap().mode() & 0o7777, 0o777);
    assert!(fs::write(memory.join("large"), vec![0; 2 << 20]).is_err());
    fs::remove_file(memory.join("large")).unwrap();
    fs::create_dir(memory.join("part")).unwrap();
    fs::write(memory.join("part/file"), "x").unwrap();
    fs::write(memory.join("plain"), "y").unwrap();

    let (bound, plain) = (root.join("bound/0"), root.join("bound/1"));
    let bind = |part: &str, target| {
        let opened = open_sub_path(&memory, part).unwrap();
        KernelMounter.bind(&opened, target).unwrap();
    };
    for _ in 0..2 {
        // Doing it again finds it done.
        bind("part", &bound);
        bind("plain", &plain);
    }
    assert_eq!(fs::read_to_string(bound.join("file")).unwrap(), "x");
    assert_eq!(fs::read_to_string(&plain).unwrap(), "y");
    assert_eq!(
        KernelMounter.mounts_below(&root).unwrap(),
        [memory.clone(), bound.clone(), plain.clone()]
    );

    // Where the part is another one by now, that is bound.
    fs::rename(memory.join("part"), memory.join("old")).unwrap();
    bind("part", &bound);
    assert!(!bound.join("file").exists());

    drop(unmounted);
    let left = KernelMounter.mounts_below(&root).unwrap();
    assert_eq!(left, Vec::<PathBuf>::new());
}
