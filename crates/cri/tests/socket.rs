//! A runtime on a unix socket: who is reached and who is not, and runtimes that restart.

use std::time::Duration;

use futures::StreamExt as _;
use kubewright_cri::testing::{FakeRuntime, Fault};
use kubewright_cri::{
    Endpoint, Error, Runtime, RuntimeOptions, Server, Status, Unreachable, bind, serve,
};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::net::UnixListener;
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio::time::timeout;

mod support;

use support::{run, sandbox};

/// How long anything here may take before the test has failed.
const DEADLINE: Duration = Duration::from_secs(120);

struct Host {
    dir: TempDir,
    fake: FakeRuntime,
    serving: JoinSet<()>,
}

impl Host {
    fn new() -> Self {
        Self {
            dir: TempDir::new().expect("temporary directories can be made"),
            fake: FakeRuntime::default(),
            serving: JoinSet::new(),
        }
    }

    fn endpoint(&self) -> Endpoint {
        Endpoint::unix(self.dir.path().join("cri.sock")).expect("temporary paths are absolute")
    }

    async fn start(&mut self) {
        let listener = bind(&self.endpoint()).await.expect("nobody listens there");
        self.serving
            .spawn(serve(listener, Server::new(self.fake.clone())));
    }

    /// As when the runtime's process is killed: the socket's file stays.
    async fn stop(&mut self) {
        self.serving.shutdown().await;
    }

    async fn connect(&self) -> Result<Runtime, Error> {
        let endpoint = self.endpoint();
        let connect = Runtime::connect(&endpoint, RuntimeOptions::default());
        timeout(DEADLINE, connect).await.expect("connecting ends")
    }
}

/// Waits until something is so.
async fn until(is_so: impl Fn() -> bool) {
    let seen = async {
        while !is_so() {
            tokio::task::yield_now().await;
        }
    };
    timeout(DEADLINE, seen).await.expect("it comes to be so");
}

#[tokio::test]
async fn a_pod_runs_over_a_socket() {
    let mut host = Host::new();
    host.start().await;
    let runtime = host.connect().await.unwrap();
    let mut events = runtime.container_events().await.unwrap();
    let (sandbox_id, _) = run(&runtime, "web", "app").await.unwrap();
    let event = timeout(DEADLINE, events.next()).await.unwrap();
    assert_eq!(event.unwrap().unwrap().container_id, sandbox_id);
    runtime.remove_pod_sandbox(&sandbox_id).await.unwrap();
    assert!(host.fake.sandboxes().is_empty());
}

#[tokio::test]
async fn many_calls_share_a_connection() {
    let mut host = Host::new();
    host.start().await;
    let runtime = host.connect().await.unwrap();
    let names: Vec<_> = (0..100).map(|number| format!("pod-{number}")).collect();
    let runs = names.iter().map(|name| run(&runtime, name, "app"));
    let runs = timeout(DEADLINE, futures::future::join_all(runs)).await;
    assert!(runs.unwrap().iter().all(Result::is_ok));
    assert_eq!(host.fake.containers().len(), 100);
}

#[tokio::test]
async fn a_message_above_the_limit_is_refused_and_the_next_call_goes_on() {
    let mut host = Host::new();
    host.start().await;
    let runtime = host.connect().await.unwrap();
    let mut config = sandbox("web");
    let large = "x".repeat(kubewright_cri::MAX_MESSAGE_SIZE + 1);
    config.annotations.insert("large".to_owned(), large);
    let call = timeout(DEADLINE, runtime.run_pod_sandbox(config, ""));
    let error = call.await.unwrap().unwrap_err();
    assert!(matches!(error, Error::ResourceExhausted(_)), "{error:?}");
    runtime.version().await.unwrap();
}

#[tokio::test]
async fn an_absent_runtime_is_told_as_such() {
    let host = Host::new();
    let error = host.connect().await.unwrap_err();
    assert!(matches!(error, Error::Unavailable(_)), "{error}");
    assert!(matches!(error.unreachable(), Some(Unreachable::Absent(_))));
    assert!(
        error.to_string().contains("cri.sock does not exist"),
        "{error}"
    );
}

#[tokio::test]
async fn a_socket_without_a_runtime_is_told_as_such() {
    let mut host = Host::new();
    host.start().await;
    host.stop().await;
    let error = host.connect().await.unwrap_err();
    assert!(matches!(
        error.unreachable(),
        Some(Unreachable::NotListening(_))
    ));
}

#[tokio::test]
async fn a_runtime_of_another_version_is_told_as_such() {
    let mut host = Host::new();
    host.start().await;
    let unknown = Status::unimplemented("unknown service runtime.v1.RuntimeService");
    host.fake.fault("Version", Fault::Refused(unknown));
    let error = host.connect().await.unwrap_err();
    assert!(error.is_unimplemented());
    assert!(
        error.to_string().contains("is not a CRI v1 runtime"),
        "{error}"
    );
}

#[tokio::test]
async fn what_does_not_speak_grpc_is_unavailable() {
    let host = Host::new();
    let listener = UnixListener::bind(host.endpoint().path()).unwrap();
    let mut other = JoinSet::new();
    other.spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let _ = socket.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
    });
    let error = host.connect().await.unwrap_err();
    assert!(matches!(error, Error::Unavailable(_)), "{error}");
}

#[tokio::test]
async fn a_runtime_that_restarts_is_connected_to_anew() {
    let mut host = Host::new();
    host.start().await;
    let runtime = host.connect().await.unwrap();
    let (id, _) = run(&runtime, "web", "app").await.unwrap();
    for _ in 0..3 {
        host.stop().await;
        let away = timeout(DEADLINE, runtime.version()).await.unwrap();
        assert!(matches!(away, Err(Error::Unavailable(_))), "{away:?}");
        host.start().await;
        let status = timeout(DEADLINE, runtime.pod_sandbox_status(&id)).await;
        status.unwrap().unwrap();
    }
}

#[tokio::test]
async fn calls_and_streams_under_way_end_with_the_runtime() {
    let mut host = Host::new();
    host.start().await;
    let runtime = host.connect().await.unwrap();
    let mut events = runtime.container_events().await.unwrap();
    let hour = Duration::from_secs(3600);
    host.fake.fault("RunPodSandbox", Fault::Delayed(hour));
    let fake = host.fake.clone();
    let interfere = async {
        until(|| fake.calls().last().unwrap().method == "RunPodSandbox").await;
        host.stop().await;
    };
    let call = timeout(DEADLINE, runtime.run_pod_sandbox(sandbox("web"), ""));
    let (answer, ()) = tokio::join!(call, interfere);
    let error = answer.unwrap().unwrap_err();
    assert!(matches!(error, Error::Unavailable(_)), "{error}");
    let end = timeout(DEADLINE, events.next()).await.unwrap();
    assert!(!matches!(end, Some(Ok(_))), "{end:?}");
}

#[tokio::test]
async fn a_call_over_a_socket_ends_with_its_timeout() {
    let mut host = Host::new();
    host.start().await;
    let mut options = RuntimeOptions::default();
    options.timeout = Duration::from_millis(100);
    let runtime = Runtime::lazy(&host.endpoint(), options);
    host.fake.fault("Version", Fault::Delayed(DEADLINE * 2));
    let answer = timeout(DEADLINE, runtime.version()).await.unwrap();
    assert!(
        matches!(answer, Err(Error::DeadlineExceeded(_))),
        "{answer:?}"
    );
}

#[tokio::test]
async fn a_socket_in_use_is_not_taken_over() {
    let mut host = Host::new();
    host.start().await;
    let error = bind(&host.endpoint()).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
    host.connect().await.unwrap();
}

#[tokio::test]
async fn a_file_that_is_no_socket_is_left_alone() {
    let host = Host::new();
    let path = host.endpoint().path().to_owned();
    std::fs::write(&path, "precious").unwrap();
    let error = bind(&host.endpoint()).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
}

#[tokio::test]
async fn no_task_outlives_the_runtime_and_its_handles() {
    let mut host = Host::new();
    host.start().await;
    let runtime = host.connect().await.unwrap();
    let events = runtime.container_events().await.unwrap();
    run(&runtime, "web", "app").await.unwrap();
    let tasks = || Handle::current().metrics().num_alive_tasks();
    assert!(tasks() > 0);
    drop((events, runtime));
    host.stop().await;
    until(|| tasks() == 0).await;
}

#[tokio::test]
async fn what_a_server_does_for_one_who_left_ends() {
    let mut host = Host::new();
    host.start().await;
    let runtime = host.connect().await.unwrap();
    let tasks = || Handle::current().metrics().num_alive_tasks();
    let idle = tasks();
    let hour = Duration::from_secs(3600);
    host.fake.fault("RunPodSandbox", Fault::Delayed(hour));
    let under_way = until(|| {
        let calls = host.fake.calls();
        calls.last().unwrap().method == "RunPodSandbox"
    });
    tokio::select! {
        answer = runtime.run_pod_sandbox(sandbox("web"), "") => panic!("{answer:?}"),
        () = under_way => assert!(tasks() > idle),
    }
    // What was left of the connection's beginning may have ended as well.
    until(|| tasks() <= idle).await;
    assert!(host.fake.sandboxes().is_empty());
}
