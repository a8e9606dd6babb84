//! What is asked, and the targets that are commands and ports; answers to `probe/util_test.go`,
//! `probe/exec/exec_test.go` and `probe/tcp/tcp_test.go`.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, Probe};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kubewright_cri::testing::{Exec, FakeRuntime, Fault};
use kubewright_cri::v1::{
    ContainerConfig, ContainerMetadata, ImageSpec, PodSandboxConfig, PodSandboxMetadata,
};
use kubewright_cri::{Runtime, Status};
use node_agent::probe::{Answer, Ask as _, Question, Target, Targets, container_port};
use node_agent::runtime::ContainerId;
use serde_json::json;
use tokio::net::TcpListener;

use crate::fixtures::{DEADLINE, id};
use crate::taken_port::taken_port;

fn container() -> Container {
    serde_json::from_value(json!({"name": "c", "ports": [
        {"name": "found", "containerPort": 93},
        {"name": "zero", "containerPort": 0},
    ]}))
    .unwrap()
}

/// Answers to `TestGetURLParts`, `TestGetTCPAddrParts` and `TestResolveContainerPort`.
#[test]
fn resolve_container_port() {
    let name = |name: &str| IntOrString::String(name.to_owned());
    for (port, expected) in [
        (IntOrString::Int(93), Ok(93)),
        (IntOrString::Int(0), Err("invalid port number: 0")),
        (IntOrString::Int(-1), Err("invalid port number: -1")),
        (IntOrString::Int(65536), Err("invalid port number: 65536")),
        (name("found"), Ok(93)),
        (name("118"), Ok(118)),
        (name("zero"), Err("invalid port number: 0")),
        (name("not-found"), Err("couldn't find port: \"not-found\"")),
    ] {
        let resolved = container_port(&port, &container()).map_err(|error| error.to_string());
        assert_eq!(resolved, expected.map_err(str::to_owned), "{port:?}");
    }
}

#[test]
fn what_names_no_host_means_the_pod() {
    let of = |probe| {
        let probe: Probe = serde_json::from_value(probe).unwrap();
        Target::of(&probe, &container(), "10.1.2.3").unwrap()
    };
    let tcp = |host: &str, port| Target::Tcp {
        host: host.into(),
        port,
    };
    let pod = of(json!({"tcpSocket": {"port": "found"}}));
    assert_eq!(pod, tcp("10.1.2.3", 93));
    let named = of(json!({"tcpSocket": {"port": 1, "host": "127.0.0.1"}}));
    assert_eq!(named, tcp("127.0.0.1", 1));
    let expected = Target::Grpc {
        host: "10.1.2.3".into(),
        port: 5,
        service: "s".into(),
    };
    assert_eq!(of(json!({"grpc": {"port": 5, "service": "s"}})), expected);
}

async fn ask(target: Target, timeout: Duration) -> Answer {
    let targets = Targets::new(Runtime::in_process(FakeRuntime::default()));
    let question = Question {
        container: id("id"),
        target,
        timeout,
    };
    targets.ask(&question).await.unwrap()
}

/// Answers to `TestTcpHealthChecker`.
#[tokio::test]
async fn tcp_health_checker() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let host = "127.0.0.1".to_owned();
    let target = Target::Tcp { host, port };
    let limit = DEADLINE;
    assert_eq!(ask(target, limit).await, Answer::Success(String::new()));
    let (_taken, port) = taken_port();
    let host = "127.0.0.1".to_owned();
    let refused = format!("dial tcp 127.0.0.1:{port}: connect: connection refused");
    let answer = ask(Target::Tcp { host, port }, limit).await;
    assert_eq!(answer, Answer::Failure(refused));
}

/// A runtime with one container that runs, and its id.
async fn runtime() -> (FakeRuntime, Runtime, ContainerId) {
    let fake = FakeRuntime::default();
    let runtime = Runtime::in_process(fake.clone());
    let sandbox = PodSandboxConfig {
        metadata: Some(PodSandboxMetadata {
            name: "web".into(),
            namespace: "ns".into(),
            uid: "7".into(),
            attempt: 0,
        }),
        ..Default::default()
    };
    let image = ImageSpec {
        image: "busybox".into(),
        ..Default::default()
    };
    runtime.pull_image(image.clone(), None, None).await.unwrap();
    let in_sandbox = runtime.run_pod_sandbox(sandbox.clone(), "").await.unwrap();
    let config = ContainerConfig {
        metadata: Some(ContainerMetadata {
            name: "c".into(),
            attempt: 0,
        }),
        image: Some(image),
        ..Default::default()
    };
    let created = runtime.create_container(&in_sandbox, config, sandbox).await;
    let created = created.unwrap();
    runtime.start_container(&created).await.unwrap();
    (fake, runtime, id(&created))
}

/// Answers to `TestExec` of the exec probe.
#[tokio::test(start_paused = true)]
async fn exec() {
    let (fake, runtime, container) = runtime().await;
    let targets = Targets::new(runtime);
    let question = Question {
        container,
        target: Target::Exec(vec!["sleep".into(), "9".into()]),
        timeout: Duration::from_secs(2),
    };
    let long = "x".repeat(20 << 10);
    for (ends, expected) in [
        (
            Exec {
                stdout: b"OK".to_vec(),
                ..Exec::default()
            },
            Answer::Success("OK".into()),
        ),
        (
            Exec {
                stdout: b"out ".to_vec(),
                stderr: b"err".to_vec(),
                exit_code: 3,
                ..Exec::default()
            },
            Answer::Failure("out err".into()),
        ),
        (
            Exec {
                stdout: long.clone().into_bytes(),
                ..Exec::default()
            },
            Answer::Success("x".repeat(10 << 10)),
        ),
        (
            Exec {
                takes: Duration::from_secs(9),
                ..Exec::default()
            },
            Answer::Failure("command \"sleep 9\" timed out".into()),
        ),
    ] {
        fake.on_exec(move |_, _| ends.clone());
        assert_eq!(targets.ask(&question).await.unwrap(), expected);
    }
    // What the runtime cannot run says nothing of the container.
    fake.fault(
        "ExecSync",
        Fault::Refused(Status::unknown("no such container")),
    );
    let error = targets.ask(&question).await.unwrap_err().to_string();
    assert_eq!(error, "rpc error: ExecSync: no such container");
}
