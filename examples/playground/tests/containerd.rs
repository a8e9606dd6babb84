//! The tour with containers of a containerd of its own.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use kubewright_containerd::{Containerd, Image, Options, Requirements};
use kubewright_cri::v1::{PodSandboxConfig, PodSandboxMetadata};
use kubewright_cri::{Runtime, RuntimeOptions};
use tokio::process::Command;
use tokio::time::timeout;

const IMAGE: &str = "localhost/busybox:1";

/// How long a tour may take on a busy machine.
const DEADLINE: Duration = Duration::from_secs(300);

/// How a playground ends, and the lines that it says.
async fn play(endpoint: &str, root_dir: &Path) -> (Option<i32>, Vec<String>) {
    let mut program = Command::new(env!("CARGO_BIN_EXE_playground"));
    program
        .args(["--runtime", endpoint, "--image", IMAGE])
        .args(["--step-deadline", "60s", "--log", "info"])
        .arg("--root-dir")
        .arg(root_dir)
        .args(["--", "sleep", "100000"])
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output = timeout(DEADLINE, program.output()).await.unwrap().unwrap();
    // Shown if the test fails.
    eprintln!("{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).unwrap();
    let lines = lines.lines().map(str::to_owned).collect();
    (output.status.code(), lines)
}

#[tokio::test(flavor = "multi_thread")]
async fn containers_of_containerd_take_the_tour() {
    if !Requirements::are_asked_for() {
        return;
    }
    let containerd = Containerd::start(Options::with_subnet(213, 1))
        .await
        .unwrap();
    containerd.import(&[Image::busybox(IMAGE)]).await.unwrap();
    let endpoint = containerd.endpoint().to_string();
    let root_dir = containerd.directory().join("playground");

    let (status, lines) = play(&endpoint, &root_dir).await;
    assert_eq!(status, Some(0), "{lines:#?}");
    assert!(
        lines.last().unwrap().starts_with("OK 4 pods ran"),
        "{lines:#?}"
    );
    assert!(!root_dir.exists());
    let runtime = Runtime::connect(containerd.endpoint(), RuntimeOptions::default()).await;
    let runtime = runtime.unwrap();
    assert_eq!(runtime.list_containers(None).await.unwrap(), []);
    assert_eq!(runtime.list_pod_sandbox(None).await.unwrap(), []);

    // A runtime that somebody uses is left alone.
    let theirs = PodSandboxConfig {
        metadata: Some(PodSandboxMetadata {
            name: "theirs".to_owned(),
            namespace: "prod".to_owned(),
            uid: "1".to_owned(),
            attempt: 0,
        }),
        ..PodSandboxConfig::default()
    };
    runtime.run_pod_sandbox(theirs, "").await.unwrap();
    let (status, lines) = play(&endpoint, &root_dir).await;
    assert_eq!(status, Some(1), "{lines:#?}");
    let last = lines.last().unwrap();
    assert!(
        last.contains("has 1 pods already, such as prod/theirs"),
        "{last}"
    );
    assert_eq!(runtime.list_pod_sandbox(None).await.unwrap().len(), 1);
    containerd.stop().await.unwrap();
}
