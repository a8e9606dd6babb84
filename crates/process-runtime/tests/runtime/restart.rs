//! Runtimes and shims that are killed, and what is found afterwards.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use kubewright_cri::v1::ContainerState;
use kubewright_cri::{Endpoint, Runtime, RuntimeOptions};
use kubewright_process_runtime::testing::{
    is_alive, kill_processes_of, processes_left_in, processes_of,
};
use kubewright_process_runtime::{Error, ProcessRuntime};
use rustix::process::Signal;
use tempfile::TempDir;
use tokio::time::{Instant, sleep, timeout};

use crate::support::{DEADLINE, Host, container, kill, options, program, until};

#[tokio::test]
async fn a_runtime_finds_what_the_one_before_it_left() {
    let mut host = Host::start().await;
    let sandbox = host.sandbox("web").await;
    let created = host
        .create(&sandbox, container("created", "exit 0"))
        .await
        .unwrap();
    let ended = host.run(&sandbox, "ended", "exit 3").await;
    let ended = host.exited(&ended).await;
    let running = host.run(&sandbox, "running", "sleep 1000").await;
    let meanwhile = host
        .run(
            &sandbox,
            "meanwhile",
            "until [ -e go ]; do sleep 0.01; done; echo bye; exit 4",
        )
        .await;
    let failed = host.create(&sandbox, {
        let mut config = container("failed", "");
        config.command = vec!["no-such".to_owned()];
        config
    });
    let failed = failed.await.unwrap();
    host.runtime.start_container(&failed).await.unwrap_err();
    let before = host.status(&running).await;
    let address = host.runtime.pod_sandbox_status(&sandbox).await.unwrap();
    let exit = host.container_dir(&meanwhile).join("exit.json");
    let go = host.container_dir(&meanwhile).join("root/go");
    host.processes.close().await;
    std::fs::write(go, "").unwrap();
    until("the container has ended", || exit.exists()).await;
    host.reopen().await;

    assert_eq!(
        host.status(&created).await.state(),
        ContainerState::ContainerCreated
    );
    assert_eq!(host.status(&ended.id).await, ended);
    assert_eq!(host.status(&running).await, before);
    assert_eq!(host.status(&meanwhile).await.exit_code, 4);
    assert!(host.log("web", "meanwhile").ends_with("bye\n"));
    let status = host.status(&failed).await;
    assert_eq!(
        (status.exit_code, status.reason.as_str()),
        (128, "StartError")
    );
    let again = host.runtime.pod_sandbox_status(&sandbox).await.unwrap();
    assert_eq!(again.status, address.status);

    host.runtime.start_container(&created).await.unwrap();
    assert_eq!(host.exited(&created).await.exit_code, 0);
    assert_eq!(host.exec(&running, "exit 5").await.exit_code, 5);
    host.runtime
        .stop_container(&running, DEADLINE)
        .await
        .unwrap();
    assert_eq!(host.status(&running).await.exit_code, 143);
    let other = host.sandbox("other").await;
    let other = host.runtime.pod_sandbox_status(&other).await.unwrap();
    assert_ne!(
        other.status.unwrap().network,
        address.status.unwrap().network
    );
    host.end().await;
}

/// It never ran, so it has not ended.
#[tokio::test]
async fn a_runtime_that_is_killed_before_it_started_a_shim_leaves_a_container_to_be_started() {
    let mut host = Host::start().await;
    let sandbox = host.sandbox("web").await;
    let created = host.create(&sandbox, container("job", "exit 3")).await;
    let id = created.unwrap();
    let lock = host.container_dir(&id).join("lock");
    host.processes.close().await;
    // This is all that it did of the start.
    std::fs::write(lock, "").unwrap();
    host.reopen().await;
    let state = host.status(&id).await.state();
    assert_eq!(state, ContainerState::ContainerCreated);
    host.runtime.start_container(&id).await.unwrap();
    assert_eq!(host.exited(&id).await.exit_code, 3);
    host.end().await;
}

#[tokio::test]
async fn a_runtime_that_is_just_dropped_leaves_its_containers_to_the_next() {
    let host = Host::start().await;
    let sandbox = host.sandbox("web").await;
    let id = host.run(&sandbox, "app", "sleep 1000").await;
    let (pid, _) = host.pids(&id);
    // Both handles of the host go, in exchange for those of a runtime elsewhere.
    let mut host = host;
    let elsewhere = TempDir::new().unwrap();
    let other = ProcessRuntime::open(options(elsewhere.path()))
        .await
        .unwrap();
    host.runtime = Runtime::in_process(other.clone());
    host.processes = other.clone();
    let processes = ProcessRuntime::open(options(host.dir.path()))
        .await
        .unwrap();
    other.shutdown().await.unwrap();
    host.runtime = Runtime::in_process(processes.clone());
    host.processes = processes;
    assert!(is_alive(pid));
    assert_eq!(
        host.status(&id).await.state(),
        ContainerState::ContainerRunning
    );
    host.end().await;
}

#[tokio::test]
async fn a_killed_shim_takes_its_container_with_it() {
    let mut host = Host::start().await;
    let sandbox = host.sandbox("web").await;
    let script = "setsid sleep 1000 & env -i sleep 1000 & touch ready; wait";
    let id = host.run_until_ready(&sandbox, "watched", script).await;
    let (pid, shim) = host.pids(&id);
    kill(shim, Signal::KILL);
    let status = host.exited(&id).await;
    assert_eq!((status.exit_code, status.reason.as_str()), (137, "Unknown"));
    assert!(status.message.contains("shim"), "{status:?}");
    assert!(status.finished_at >= status.started_at && status.started_at > 0);
    assert!(!is_alive(pid));
    let left = processes_left_in(&host.root(), DEADLINE).await;
    assert!(left.is_empty(), "{left:?}");

    let id = host.run(&sandbox, "unwatched", "sleep 1000").await;
    let (pid, shim) = host.pids(&id);
    host.reopen_after(|_| kill(shim, Signal::KILL)).await;
    let status = host.exited(&id).await;
    assert_eq!((status.exit_code, status.reason.as_str()), (137, "Unknown"));
    assert!(!is_alive(pid));
    host.reopen().await;
    assert_eq!(host.status(&id).await, status, "and that stays so");
    host.end().await;
}

#[tokio::test]
async fn a_shim_outlives_what_ends_programs_by_accident() {
    let host = Host::start().await;
    let sandbox = host.sandbox("web").await;
    let id = host.run(&sandbox, "app", "sleep 1000").await;
    let (_, shim) = host.pids(&id);
    for signal in [Signal::TERM, Signal::INT, Signal::HUP, Signal::PIPE] {
        kill(shim, signal);
    }
    assert_eq!(host.exec(&id, "exit 0").await.exit_code, 0);
    host.end().await;
}

#[tokio::test]
async fn records_that_cannot_be_read_are_set_aside() {
    let mut host = Host::start().await;
    let sandbox = host.sandbox("good").await;
    let good = host.run(&sandbox, "good", "sleep 1000").await;
    let bad_sandbox = host.sandbox("bad").await;
    let bad = host.run(&sandbox, "bad", "sleep 1000").await;
    let (pid, _) = host.pids(&bad);
    host.reopen_after(|root| {
        std::fs::write(root.join("containers").join(&bad).join("record.json"), "{").unwrap();
        std::fs::write(
            root.join("sandboxes")
                .join(&bad_sandbox)
                .join("record.json"),
            "[]",
        )
        .unwrap();
        std::fs::create_dir(root.join("containers/half-made")).unwrap();
    })
    .await;
    assert_eq!(host.processes.set_aside().len(), 2);
    assert!(
        host.processes
            .set_aside()
            .iter()
            .all(|path| path.join("record.json").exists())
    );
    assert!(
        host.runtime
            .container_status(&bad)
            .await
            .unwrap_err()
            .is_not_found()
    );
    until("its process is ended", || !is_alive(pid)).await;
    assert_eq!(
        host.status(&good).await.state(),
        ContainerState::ContainerRunning
    );
    assert!(!host.root().join("containers/half-made").exists());
    // What was set aside is nobody's to remove, even at the end.
    host.processes.shutdown().await.unwrap();
    let left: Vec<_> = std::fs::read_dir(host.root()).unwrap().flatten().collect();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].file_name(), "set-aside");
}

#[tokio::test]
async fn two_runtimes_do_not_share_a_root_directory() {
    let host = Host::start().await;
    let error = ProcessRuntime::open(options(host.dir.path()))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::InUse(_)), "{error}");
    host.end().await;
}

#[tokio::test]
async fn a_program_that_cannot_be_a_shim_is_told_so() {
    let dir = TempDir::new().unwrap();
    let options = kubewright_process_runtime::Options::new(dir.path());
    let error = ProcessRuntime::open(options).await.unwrap_err();
    assert!(error.to_string().contains("main_if_asked"), "{error}");
}

/// The runtime as a program of its own.
struct Program {
    dir: TempDir,
    child: Child,
}

impl Program {
    fn start(dir: TempDir) -> Self {
        let child = Command::new(program())
            .arg("--root-dir")
            .arg(dir.path().join("root"))
            .arg("--listen")
            .arg(format!("unix://{}", dir.path().join("sock").display()))
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { dir, child }
    }

    async fn connect(&self) -> Runtime {
        let endpoint = Endpoint::unix(self.dir.path().join("sock")).unwrap();
        let start = Instant::now();
        loop {
            match Runtime::connect(&endpoint, RuntimeOptions::default()).await {
                Ok(runtime) => return runtime,
                Err(error) => assert!(start.elapsed() < DEADLINE, "{error}"),
            }
            sleep(Duration::from_millis(10)).await;
        }
    }

    async fn ends(&mut self) -> Option<i32> {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(start.elapsed() < DEADLINE, "the program does not end");
            sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        kill_processes_of(&self.dir.path().join("root"));
    }
}

#[tokio::test]
async fn a_killed_program_is_succeeded_and_a_terminated_one_leaves_nothing() {
    let mut program = Program::start(TempDir::new().unwrap());
    let runtime = program.connect().await;
    let pod = kubewright_cri::v1::PodSandboxConfig {
        metadata: Some(kubewright_cri::v1::PodSandboxMetadata {
            name: "web".to_owned(),
            ..Default::default()
        }),
        ..Default::default()
    };
    let sandbox = runtime.run_pod_sandbox(pod.clone(), "").await.unwrap();
    let create = runtime.create_container(&sandbox, container("app", "exec sleep 1000"), pod);
    let id = create.await.unwrap();
    runtime.start_container(&id).await.unwrap();
    program.child.kill().unwrap();
    program.child.wait().unwrap();
    let root = program.dir.path().join("root");
    assert_eq!(
        processes_of(&root).len(),
        2,
        "the shim and its container go on"
    );

    let dir = std::mem::replace(&mut program.dir, TempDir::new().unwrap());
    program = Program::start(dir);
    let runtime = program.connect().await;
    let status = runtime.container_status(&id).await.unwrap();
    assert_eq!(status.state(), ContainerState::ContainerRunning);
    kill(program.child.id().cast_signed(), Signal::TERM);
    assert_eq!(timeout(DEADLINE, program.ends()).await.unwrap(), Some(0));
    let left = processes_left_in(&root, DEADLINE).await;
    assert!(left.is_empty(), "{left:?}");
    assert_eq!(std::fs::read_dir(program.dir.path()).unwrap().count(), 0);
}
