//! What the kernel mounts and limits, where this process may ask it to; elsewhere the tests say that
//! they could not.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::process::{self, Command};
use std::sync::{Mutex, PoisonError};

use k8s_openapi::api::core::v1::Pod;
use node_agent::pod::PodUid;
use node_agent::resources::{
    CgroupHierarchy, CgroupLimits, CgroupName, CgroupVersion, PodCgroups, ResourceSettings, apply,
};
use node_agent::volume::{KernelMounter, Mounter, TmpfsOptions, open_sub_path};

/// Held by tests that mount, and by those that start children: a child has the open files of its parent
/// until it is a program of its own, and what is open cannot be unmounted.
static FORKS_OR_MOUNTS: Mutex<()> = Mutex::new(());

/// Unmounts all below a directory, whatever becomes of the test.
struct Unmounted(PathBuf);

impl Drop for Unmounted {
    fn drop(&mut self) {
        let mounts = KernelMounter.mounts_below(&self.0).unwrap_or_default();
        for mount in mounts.iter().rev() {
            // What cannot be unmounted is told by the mounts that are left.
            let _ = KernelMounter.unmount(mount);
        }
    }
}

#[test]
fn the_kernel_mounts_memory_and_parts_of_volumes() {
    let _alone = FORKS_OR_MOUNTS
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
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
        skipped("this process may not mount, for which it needs root's rights");
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

/// Says so past the harness, which keeps the words of tests that pass to itself.
fn skipped(why: &str) {
    let _ = writeln!(io::stderr(), "SKIPPED: {why}");
}

/// The cgroups of this machine, if pods can be limited there; if not, that is said loudly.
fn hierarchy() -> Option<CgroupHierarchy> {
    let hierarchy = CgroupHierarchy::detect("/sys/fs/cgroup");
    match hierarchy.check(&CgroupName::root("/")) {
        Ok(()) => Some(hierarchy),
        Err(missing) => {
            skipped(&format!("there are no cgroups to make: {missing}"));
            None
        }
    }
}

/// Whether the kernel made what it was asked to; if it may not, that is said loudly.
fn may_make_cgroups(made: io::Result<()>) -> bool {
    let Err(error) = made else {
        return true;
    };
    assert!(
        matches!(
            error.kind(),
            io::ErrorKind::PermissionDenied
                | io::ErrorKind::ReadOnlyFilesystem
                // The root of a container's own tree has processes, and hands nothing down.
                | io::ErrorKind::ResourceBusy
        ),
        "{error}"
    );
    skipped(&format!("this process may not make cgroups: {error}"));
    false
}

#[test]
fn the_kernel_takes_the_limits_of_a_cgroup() {
    let Some(hierarchy) = hierarchy() else {
        return;
    };
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
    if !may_make_cgroups(made) {
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

#[test]
fn what_is_left_in_the_cgroup_of_a_pod_is_killed_and_it_is_removed() {
    let _alone = FORKS_OR_MOUNTS
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    let Some(hierarchy) = hierarchy() else {
        return;
    };
    let root = CgroupName::root(&format!("kubewright-pods-{}", process::id()));
    let removed = Removed(hierarchy.clone(), root.clone());
    let settings = ResourceSettings::new(1 << 30);
    let cgroups = PodCgroups::new(hierarchy.clone(), root.clone(), settings, Some(20));
    let made = apply(&hierarchy.plan(&root, &CgroupLimits::default()));
    if !may_make_cgroups(made.and_then(|()| cgroups.set_up())) {
        return;
    }
    let pod: Pod = serde_json::from_value(serde_json::json!({
        "metadata": {"uid": "7"},
        "spec": {"containers": [{"name": "c"}]},
    }))
    .unwrap();
    cgroups.ensure(&pod).unwrap();
    assert!(cgroups.exists(&pod));
    let uid = PodUid::of(&pod);
    let [(found, name)]: [_; 1] = Vec::from_iter(cgroups.all().unwrap()).try_into().unwrap();
    assert_eq!(found, uid);
    // A container that its runtime has lost.
    let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
    for directory in hierarchy.directories(&name.child("lost")) {
        fs::create_dir(&directory).unwrap();
        fs::write(directory.join("cgroup.procs"), child.id().to_string()).unwrap();
    }
    assert_eq!(
        hierarchy.remove(&name).unwrap_err().kind(),
        io::ErrorKind::ResourceBusy
    );
    hierarchy.kill(&name).unwrap();
    let ended = child.wait().unwrap();
    assert_eq!(
        std::os::unix::process::ExitStatusExt::signal(&ended),
        Some(9)
    );
    cgroups.remove(&pod).unwrap();
    cgroups.remove(&pod).unwrap();
    assert!(!cgroups.exists(&pod));
    assert_eq!(cgroups.all().unwrap(), [].into());
    drop(removed);
    assert!(!hierarchy.exists(&root));
}
