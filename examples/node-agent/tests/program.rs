//! The program, with the process runtime: what becomes of its containers however it ends.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use kubewright_process_runtime::testing::{is_alive, kill_processes_of};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

/// How long anything may take on a busy machine.
const DEADLINE: Duration = Duration::from_secs(60);

/// The directory of an agent that stands alone, with a static pod that writes its process id. What
/// runs in it ends with it.
struct Place(TempDir);

impl Drop for Place {
    fn drop(&mut self) {
        kill_processes_of(self.path());
    }
}

impl Place {
    fn new() -> Self {
        Self::with("", "RUNS; exec sleep 1000")
    }

    /// With more of a configuration, and a pod of this script, which says RUNS.
    fn with(more: &str, script: &str) -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        let dir = place.path().display();
        let config = format!(
            "apiVersion: kubelet.config.k8s.io/v1beta1\n\
             kind: KubeletConfiguration\n\
             staticPodPath: {dir}/manifests\n\
             podLogsDir: {dir}/logs\n\
             enableServer: false\n\
             healthzPort: 0\n\
             evictionHard: {{memory.available: 1Ki}}\n\
             imageGCHighThresholdPercent: 100\n\
             authentication: {{webhook: {{enabled: false}}}}\n\
             authorization: {{mode: AlwaysAllow}}\n\
             {more}"
        );
        std::fs::write(place.path().join("config.yaml"), config).unwrap();
        // Kubernetes makes one dollar of two.
        let script = format!("cd {dir}; {script}").replace("RUNS", "echo $$$$ > new; mv new pid");
        let pod = serde_json::json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "web"},
            "spec": {"containers": [{
                "name": "app",
                "image": "host",
                "command": ["sh", "-c", script],
            }]},
        });
        std::fs::create_dir(place.path().join("manifests")).unwrap();
        std::fs::write(place.path().join("manifests/web.json"), pod.to_string()).unwrap();
        place
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn agent(&self, arguments: &[&str]) -> Child {
        self.agent_on("process", arguments)
    }

    fn agent_on(&self, runtime: &str, arguments: &[&str]) -> Child {
        let mut command = Command::new(env!("CARGO_BIN_EXE_node-agent"));
        command
            .args(["--runtime", runtime, "--hostname-override", "node"])
            .arg("--root-dir")
            .arg(self.path().join("root"))
            .arg("--config")
            .arg(self.path().join("config.yaml"))
            .args(arguments)
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        command.spawn().unwrap()
    }

    /// The process of the pod, once it runs.
    async fn process(&self) -> i32 {
        let path = self.path().join("pid");
        let seen = async {
            loop {
                if let Ok(text) = std::fs::read_to_string(&path) {
                    return text.trim().parse().unwrap();
                }
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(DEADLINE, seen).await.expect("the pod runs")
    }
}

fn tell_to_end(agent: &Child) {
    let pid = i32::try_from(agent.id().unwrap()).unwrap();
    kill_process(Pid::from_raw(pid).unwrap(), Signal::TERM).unwrap();
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let wait = async {
        while !holds() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(DEADLINE, wait).await.expect(what);
}

async fn ended(agent: &mut Child) -> Option<i32> {
    let ended = timeout(DEADLINE, agent.wait()).await;
    ended.expect("it ends").unwrap().code()
}

#[tokio::test]
async fn containers_end_with_an_agent_that_is_told_to_and_with_no_other() {
    let place = Place::new();
    let mut killed = place.agent(&[]);
    let process = place.process().await;
    killed.kill().await.unwrap();
    assert!(is_alive(process), "one that is killed");

    let mut failing = place.agent(&["--kubeconfig", "/no/such/kubeconfig"]);
    assert_eq!(ended(&mut failing).await, Some(1));
    assert!(is_alive(process), "one that cannot start");

    let mut told = place.agent(&[]);
    let socket = place.path().join("root/pod-resources/kubelet.sock");
    until("it serves", || UnixStream::connect(&socket).is_ok()).await;
    assert!(is_alive(process), "one that begins");
    tell_to_end(&told);
    assert_eq!(ended(&mut told).await, Some(0));
    assert!(!is_alive(process), "one that is told to end");
    assert!(!place.path().join("root/process-runtime").exists());
}

/// Who looks after a node that is shut down has questions until the end.
#[tokio::test]
async fn an_agent_is_asked_about_pods_that_it_ends_in_a_graceful_shutdown() {
    let graceful = "shutdownGracePeriod: 60s\nshutdownGracePeriodCriticalPods: 30s\n";
    let script = "trap 'touch asked; until [ -e go ]; do sleep 0.02; done; exit 0' TERM; RUNS; \
                  while :; do sleep 0.1; done";
    let place = Place::with(graceful, script);
    let mut agent = place.agent(&[]);
    let process = place.process().await;
    let socket = place.path().join("root/pod-resources/kubelet.sock");
    tell_to_end(&agent);
    let asked = place.path().join("asked");
    until("the pod is asked to end", || asked.exists()).await;
    assert!(is_alive(process));
    UnixStream::connect(&socket).expect("it serves as long as the pod takes");
    std::fs::write(place.path().join("go"), "").unwrap();
    assert_eq!(ended(&mut agent).await, Some(0));
    assert!(!is_alive(process));
}

#[tokio::test]
async fn images_for_another_runtime_are_refused() {
    let place = Place::new();
    let image = format!("web={}", place.path().display());
    let mut agent = place.agent_on("cri", &["--image", &image]);
    assert_eq!(ended(&mut agent).await, Some(2));
}
