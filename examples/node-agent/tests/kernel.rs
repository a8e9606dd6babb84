//! What the kernel mounts and limits, where this process may ask it to; elsewhere the tests say that
//! they could not.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::process;

use node_agent::resources::{
    CgroupDriver, CgroupHierarchy, CgroupLimits, CgroupName, CgroupVersion, apply,
};
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

/// A cgroup that is removed whatever becomes of the test.
struct Removed(CgroupHierarchy, CgroupName);

impl Drop for Removed {
    fn drop(&mut self) {
        // That it is gone is what the test looks at.
        let _ = self.0.remove(&self.1);
    }
}

#[test]
fn the_kernel_takes_the_limits_of_a_cgroup() {
    let hierarchy = CgroupHierarchy::detect("/sys/fs/cgroup", CgroupDriver::Cgroupfs);
    let parent = CgroupName::root(&format!("kubewright-test-{}", process::id()));
    let removed = Removed(hierarchy.clone(), parent.clone());
    let name = parent.child("pod7");
    let limits = CgroupLimits {
        cpu_shares: Some(204),
        cpu_quota: Some((20_000, 100_000)),
        memory: Some(64 << 20),
        pids: Some(100),
    };
    let made = apply(&hierarchy.plan(&parent, &CgroupLimits::default()))
        .and_then(|()| apply(&hierarchy.plan(&name, &limits)));
    if let Err(error) = made {
        let kind = error.kind();
        assert!(
            matches!(
                kind,
                io::ErrorKind::PermissionDenied
                    | io::ErrorKind::ReadOnlyFilesystem
                    | io::ErrorKind::NotFound
            ),
            "{error}"
        );
        println!("SKIPPED: this process may not make cgroups: {error}");
        return;
    }
    let wanted: &[_] = match hierarchy.version {
        CgroupVersion::V1 => &[
            ("cpu.shares", "204"),
            ("cpu.cfs_quota_us", "20000"),
            ("memory.limit_in_bytes", "67108864"),
            ("pids.max", "100"),
        ],
        CgroupVersion::V2 => &[
            ("cpu.weight", "8"),
            ("cpu.max", "20000 100000"),
            ("memory.max", "67108864"),
            ("pids.max", "100"),
        ],
    };
    let directories = hierarchy.directories(&name);
    for (file, value) in wanted {
        let mut found = directories
            .iter()
            .filter_map(|path| fs::read_to_string(path.join(file)).ok());
        assert_eq!(
            found.next().as_deref().map(str::trim),
            Some(*value),
            "{file}"
        );
    }
    // Lifting a limit is a write, too.
    let unlimited = CgroupLimits {
        cpu_quota: Some((0, 100_000)),
        ..CgroupLimits::default()
    };
    apply(&hierarchy.plan(&name, &unlimited)).unwrap();
    drop(removed);
    assert!(directories.iter().all(|path| !path.exists()));
}
