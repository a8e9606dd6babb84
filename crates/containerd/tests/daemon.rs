//! A daemon runs a pod, survives its own crash, and leaves nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use kubewright_containerd::{CgroupRoot, Containerd, Image, Options, Requirements};
use kubewright_cri::v1::{
    ContainerConfig, ContainerMetadata, ContainerState, ImageSpec, LinuxPodSandboxConfig,
    PodSandboxConfig, PodSandboxMetadata,
};
use kubewright_cri::{Runtime, RuntimeOptions};
use tokio::time::{sleep, timeout};

/// How long anything may take.
const DEADLINE: Duration = Duration::from_secs(120);

const IMAGE: &str = "localhost/busybox:1";

#[test]
fn a_cgroup_of_ones_own_goes_with_all_in_it() {
    if !Requirements::are_asked_for() {
        return;
    }
    let root = CgroupRoot::create("own").unwrap();
    let paths = root.paths().unwrap();
    assert_eq!(paths.len(), if root.is_unified() { 1 } else { 3 });
    std::fs::create_dir_all(root.path("memory").join("a/b")).unwrap();
    assert!(root.path("pids").ends_with(&root.name()[1..]));
    root.remove().unwrap();
    assert!(paths.iter().all(|path| !path.exists()), "{paths:?}");
}

#[tokio::test]
async fn a_pod_lives_and_outlives_the_daemon() {
    if !Requirements::are_asked_for() {
        return;
    }
    let mut containerd = Containerd::start(Options::with_subnet(211, 1))
        .await
        .unwrap();
    let image = Image::busybox(IMAGE).variable("FROM", "image");
    containerd.import(&[image]).await.unwrap();
    let runtime = Runtime::connect(containerd.endpoint(), RuntimeOptions::default()).await;
    let runtime = runtime.unwrap();

    let logs = containerd.directory().join("logs");
    let sandbox = PodSandboxConfig {
        metadata: Some(PodSandboxMetadata {
            name: "p".to_owned(),
            namespace: "default".to_owned(),
            uid: "1".to_owned(),
            attempt: 0,
        }),
        hostname: "p".to_owned(),
        log_directory: logs.display().to_string(),
        labels: BTreeMap::from([("a".to_owned(), "b".to_owned())]),
        linux: Some(LinuxPodSandboxConfig::default()),
        ..PodSandboxConfig::default()
    };
    let sandbox_id = runtime.run_pod_sandbox(sandbox.clone(), "").await.unwrap();
    let container = ContainerConfig {
        metadata: Some(ContainerMetadata {
            name: "c".to_owned(),
            attempt: 0,
        }),
        image: Some(ImageSpec {
            image: IMAGE.to_owned(),
            ..ImageSpec::default()
        }),
        command: vec!["sh".to_owned(), "-c".to_owned()],
        args: vec!["echo from $FROM; sleep 1000".to_owned()],
        log_path: "c/0.log".to_owned(),
        ..ContainerConfig::default()
    };
    let id = runtime
        .create_container(&sandbox_id, container, sandbox)
        .await
        .unwrap();
    runtime.start_container(&id).await.unwrap();
    let said = runtime
        .exec_sync(
            &id,
            vec!["echo".to_owned(), "hello".to_owned()],
            Some(Duration::from_secs(60)),
        )
        .await
        .unwrap();
    assert_eq!((said.exit_code, &said.stdout[..]), (0, &b"hello\n"[..]));

    // The daemon copies what is said into the log, in its own time.
    let log = logs.join("c/0.log");
    let is_said = async || {
        while !std::fs::read_to_string(&log).is_ok_and(|text| text.ends_with("from image\n")) {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(DEADLINE, is_said()).await.unwrap();
    containerd.kill().await.unwrap();
    assert!(runtime.version().await.is_err());
    containerd.start_again().await.unwrap();
    let status = runtime.container_status(&id).await.unwrap();
    assert_eq!(status.state(), ContainerState::ContainerRunning);
    let log = std::fs::read_to_string(&log).unwrap();
    assert!(log.ends_with("stdout F from image\n"), "{log}");

    let directory = containerd.directory().to_owned();
    containerd.stop().await.unwrap();
    assert!(!directory.exists());
    for process in std::fs::read_dir("/proc").unwrap().flatten() {
        let arguments = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
        let arguments = String::from_utf8_lossy(&arguments).into_owned();
        let is_left = arguments.contains(&directory.display().to_string());
        assert!(!is_left, "{arguments}");
    }
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
    assert!(!mounts.contains(&directory.display().to_string()));
}
