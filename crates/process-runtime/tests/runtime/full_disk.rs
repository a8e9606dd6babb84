//! A full disk under the root directory: a file system of its own, which takes root to mount.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use kubewright_cri::v1::ContainerState;
use kubewright_cri::{Error, Runtime};
use kubewright_process_runtime::ProcessRuntime;
use tempfile::TempDir;

use crate::support::{Host, container, options, until};

/// A small disk, unmounted when it is dropped.
struct Disk {
    path: PathBuf,
}

impl Disk {
    fn mount(path: &Path) -> Option<Self> {
        std::fs::create_dir(path).unwrap();
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", "size=256k", "tmpfs"])
            .arg(path);
        let is_mounted = mount.status().is_ok_and(|status| status.success());
        is_mounted.then(|| Self {
            path: path.to_owned(),
        })
    }

    fn fill(&self) {
        // Until not a byte more fits.
        let written = std::fs::write(self.path.join("filler"), vec![0; 1 << 20]);
        written.unwrap_err();
    }

    fn empty(&self) {
        std::fs::remove_file(self.path.join("filler")).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount")
            .arg("--lazy")
            .arg(&self.path)
            .status();
    }
}

#[tokio::test]
async fn a_full_disk_fails_calls_and_leaves_nothing_half_made() {
    let dir = TempDir::new().unwrap();
    let Some(disk) = Disk::mount(&dir.path().join("disk")) else {
        // Not by a macro, whose words tests keep to themselves.
        let word = "SKIPPED: mounting a small file system takes root";
        let _ = writeln!(std::io::stderr(), "{word}");
        return;
    };
    let mut options = options(dir.path());
    options.root_dir = disk.path.join("root");
    let processes = ProcessRuntime::open(options.clone()).await.unwrap();
    let mut host = Host {
        runtime: Runtime::in_process(processes.clone()),
        processes,
        dir,
    };
    let sandbox = host.sandbox("web").await;
    let script = "until [ -e \"$GO\" ]; do sleep 0.01; done; exit 3";
    let mut config = container("app", script);
    let go = host.dir.path().join("go");
    config.envs.push(kubewright_cri::v1::KeyValue {
        key: "GO".to_owned(),
        value: go.display().to_string().into_bytes(),
    });
    let id = host.run_config(&sandbox, config).await;
    let created = host
        .create(&sandbox, container("created", "exit 0"))
        .await
        .unwrap();
    disk.fill();

    let error = host
        .runtime
        .run_pod_sandbox(host.pod("other"), "")
        .await
        .unwrap_err();
    assert!(matches!(error, Error::ResourceExhausted(_)), "{error}");
    let error = host
        .create(&sandbox, container("late", "exit 0"))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::ResourceExhausted(_)), "{error}");
    assert_eq!(host.runtime.list_pod_sandbox(None).await.unwrap().len(), 1);
    assert_eq!(host.runtime.list_containers(None).await.unwrap().len(), 2);
    let entries = |name: &str| {
        std::fs::read_dir(disk.path.join("root").join(name))
            .unwrap()
            .count()
    };
    assert_eq!((entries("sandboxes"), entries("containers")), (1, 2));
    host.runtime.start_container(&created).await.unwrap_err();
    // How a container ends is known, and written down as soon as there is room.
    std::fs::write(&go, "").unwrap();
    assert_eq!(host.exited(&id).await.exit_code, 3);
    let exit = disk
        .path
        .join("root/containers")
        .join(&id)
        .join("exit.json");
    assert!(!exit.exists());
    disk.empty();
    until("the exit code is written down", || exit.exists()).await;

    host.sandbox("other").await;
    let late = host.run(&sandbox, "late", "exit 0").await;
    assert_eq!(host.exited(&late).await.exit_code, 0);
    host.processes.close().await;
    host.processes = ProcessRuntime::open(options).await.unwrap();
    host.runtime = Runtime::in_process(host.processes.clone());
    assert_eq!(host.status(&id).await.exit_code, 3);
    assert_eq!(
        host.status(&created).await.state(),
        ContainerState::ContainerExited
    );

    // Removing takes no room.
    disk.fill();
    host.runtime.remove_pod_sandbox(&sandbox).await.unwrap();
    assert!(host.runtime.list_containers(None).await.unwrap().is_empty());
    disk.empty();
    host.processes.shutdown().await.unwrap();
    assert_eq!(std::fs::read_dir(&disk.path).unwrap().count(), 0);
}
