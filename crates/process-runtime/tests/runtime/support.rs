//! Runtimes with real processes under temporary directories.

use std::path::{Path, PathBuf};
use std::time::Duration;

use kubewright_cri::{Error, Runtime, v1};
use kubewright_process_runtime::testing::{kill_processes_of, processes_left_in};
use kubewright_process_runtime::{Options, ProcessRuntime, ShimProgram};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::time::{Instant, sleep, timeout};

/// How long anything here may take before the test has failed.
pub(crate) const DEADLINE: Duration = Duration::from_secs(120);

/// A runtime, and where its files are.
pub(crate) struct Host {
    pub(crate) dir: TempDir,
    pub(crate) processes: ProcessRuntime,
    pub(crate) runtime: Runtime,
}

pub(crate) fn program() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_process-runtime"))
}

pub(crate) fn options(dir: &Path) -> Options {
    let mut options = Options::new(dir.join("root"));
    options.shim = ShimProgram::Path(program());
    options
}

impl Host {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| ()).await
    }

    pub(crate) async fn start_with(change: impl FnOnce(&mut Options)) -> Self {
        let dir = TempDir::new().unwrap();
        let mut options = options(dir.path());
        change(&mut options);
        let processes = ProcessRuntime::open(options).await.unwrap();
        let runtime = Runtime::in_process(processes.clone());
        Self {
            dir,
            processes,
            runtime,
        }
    }

    /// Ends the runtime alone, and opens another one on what it leaves.
    pub(crate) async fn reopen(&mut self) {
        self.processes.close().await;
        self.reopen_after(|_| ()).await;
    }

    /// Lets go of the runtime, does something, and opens another one.
    pub(crate) async fn reopen_after(&mut self, meanwhile: impl FnOnce(&Path)) {
        self.processes.close().await;
        meanwhile(&self.root());
        self.processes = ProcessRuntime::open(options(self.dir.path()))
            .await
            .unwrap();
        self.runtime = Runtime::in_process(self.processes.clone());
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.dir.path().join("root")
    }

    pub(crate) fn container_dir(&self, id: &str) -> PathBuf {
        self.root().join("containers").join(id)
    }

    pub(crate) fn pod(&self, name: &str) -> v1::PodSandboxConfig {
        v1::PodSandboxConfig {
            metadata: Some(v1::PodSandboxMetadata {
                name: name.to_owned(),
                uid: format!("uid-of-{name}"),
                namespace: "default".to_owned(),
                attempt: 0,
            }),
            hostname: name.to_owned(),
            log_directory: self
                .dir
                .path()
                .join("logs")
                .join(name)
                .display()
                .to_string(),
            labels: [("pod".to_owned(), name.to_owned())].into(),
            ..v1::PodSandboxConfig::default()
        }
    }

    pub(crate) async fn sandbox(&self, name: &str) -> String {
        let pod = self.pod(name);
        self.runtime.run_pod_sandbox(pod, "").await.unwrap()
    }

    pub(crate) async fn create(
        &self,
        sandbox: &str,
        config: v1::ContainerConfig,
    ) -> Result<String, Error> {
        let pod = v1::PodSandboxConfig::default();
        self.runtime.create_container(sandbox, config, pod).await
    }

    /// A container that runs a script, started.
    pub(crate) async fn run(&self, sandbox: &str, name: &str, script: &str) -> String {
        self.run_config(sandbox, container(name, script)).await
    }

    pub(crate) async fn run_config(&self, sandbox: &str, config: v1::ContainerConfig) -> String {
        let id = self.create(sandbox, config).await.unwrap();
        self.runtime.start_container(&id).await.unwrap();
        id
    }

    /// A container of a script that says when it is ready by making a file `ready`.
    pub(crate) async fn run_until_ready(&self, sandbox: &str, name: &str, script: &str) -> String {
        let id = self.run(sandbox, name, script).await;
        let ready = self.container_dir(&id).join("root/ready");
        until("the container is ready", || ready.exists()).await;
        id
    }

    pub(crate) async fn status(&self, id: &str) -> v1::ContainerStatus {
        self.runtime.container_status(id).await.unwrap()
    }

    pub(crate) async fn exited(&self, id: &str) -> v1::ContainerStatus {
        self.exited_within(DEADLINE, id).await
    }

    pub(crate) async fn exited_within(&self, limit: Duration, id: &str) -> v1::ContainerStatus {
        let start = Instant::now();
        loop {
            let status = self.status(id).await;
            if status.state() == v1::ContainerState::ContainerExited {
                return status;
            }
            assert!(
                start.elapsed() < limit,
                "the container does not end: {status:?}"
            );
            sleep(Duration::from_millis(2)).await;
        }
    }

    pub(crate) fn log(&self, pod: &str, name: &str) -> String {
        let path = self
            .dir
            .path()
            .join("logs")
            .join(pod)
            .join(name)
            .join("0.log");
        std::fs::read_to_string(path).unwrap()
    }

    pub(crate) async fn exec(&self, id: &str, script: &str) -> v1::ExecSyncResponse {
        let command = ["sh", "-c", script].map(str::to_owned);
        let exec = self.runtime.exec_sync(id, command.into(), None);
        timeout(DEADLINE, exec).await.unwrap().unwrap()
    }

    /// The process of a container, and its shim.
    pub(crate) fn pids(&self, id: &str) -> (i32, i32) {
        let path = self.container_dir(id).join("started.json");
        let text = std::fs::read_to_string(path).unwrap();
        let started: serde_json::Value = serde_json::from_str(&text).unwrap();
        let pid = |name: &str| i32::try_from(started[name].as_i64().unwrap()).unwrap();
        (pid("pid"), pid("shim"))
    }

    /// Ends the runtime on purpose: nothing is left.
    pub(crate) async fn end(self) {
        timeout(DEADLINE, self.processes.shutdown())
            .await
            .unwrap()
            .unwrap();
        assert!(!self.root().exists(), "the root directory is still there");
        let left = processes_left_in(&self.root(), DEADLINE).await;
        assert!(left.is_empty(), "processes are left: {left:?}");
    }
}

/// A test that fails leaves no processes behind.
impl Drop for Host {
    fn drop(&mut self) {
        kill_processes_of(&self.root());
    }
}

pub(crate) fn container(name: &str, script: &str) -> v1::ContainerConfig {
    v1::ContainerConfig {
        metadata: Some(v1::ContainerMetadata {
            name: name.to_owned(),
            attempt: 0,
        }),
        image: Some(image("host")),
        command: ["sh", "-c", script].map(str::to_owned).into(),
        log_path: format!("{name}/0.log"),
        labels: [("container".to_owned(), name.to_owned())].into(),
        ..v1::ContainerConfig::default()
    }
}

pub(crate) fn image(name: &str) -> v1::ImageSpec {
    v1::ImageSpec {
        image: name.to_owned(),
        ..v1::ImageSpec::default()
    }
}

pub(crate) fn kill(pid: i32, signal: Signal) {
    let _ = kill_process(Pid::from_raw(pid).unwrap(), signal);
}

pub(crate) async fn until(what: &str, is_so: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < DEADLINE, "never: {what}");
        sleep(Duration::from_millis(2)).await;
    }
}
