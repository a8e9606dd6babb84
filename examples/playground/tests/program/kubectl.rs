//! The real kubectl, where there is one: what needs the way through server, agent and runtime.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use rustix::process::Signal;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::time::timeout;

use crate::process::{DEADLINE, Program, assert_nothing_is_left, directory};

/// How kubectl streams: over WebSocket as it does by itself, or over SPDY.
#[derive(Clone, Copy, Debug)]
enum Protocol {
    WebSocket,
    Spdy,
}

struct Kubectl {
    kubeconfig: PathBuf,
    protocol: Protocol,
}

/// What a command came to: status, output, errors.
type Outcome = (Option<i32>, String, String);

impl Kubectl {
    fn command(&self, arguments: &[&str]) -> Command {
        let is_web_socket = matches!(self.protocol, Protocol::WebSocket).to_string();
        let mut command = Command::new("kubectl");
        command
            .arg("--kubeconfig")
            .arg(&self.kubeconfig)
            .args(arguments)
            .env("KUBECTL_REMOTE_COMMAND_WEBSOCKETS", &is_web_socket)
            .env("KUBECTL_PORT_FORWARD_WEBSOCKETS", &is_web_socket)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    async fn run(&self, arguments: &[&str], input: &str) -> Outcome {
        let mut child = self.command(arguments).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let ended = async {
            // One that reads nothing may have ended.
            let _ = stdin.write_all(input.as_bytes()).await;
            drop(stdin);
            child.wait_with_output().await.unwrap()
        };
        let output = timeout(DEADLINE, ended).await.expect("in time");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
        (output.status.code(), stdout, stderr)
    }

    async fn output(&self, arguments: &[&str]) -> String {
        let (status, output, errors) = self.run(arguments, "").await;
        assert_eq!(status, Some(0), "{arguments:?}: {errors}");
        output
    }

    /// The answer of a pod at a port that is forwarded to it.
    async fn through_a_forwarded_port(&self, pod: &str) -> String {
        let mut child = self
            .command(&["port-forward", pod, "0:http"])
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let asked = async {
            let line = lines.next_line().await.unwrap().unwrap();
            let words = line.split_whitespace();
            let address = { words }.find(|word| word.starts_with("127.0.0.1:"));
            let mut socket = TcpStream::connect(address.unwrap()).await.unwrap();
            let request = b"GET / HTTP/1.1\r\nhost: pod\r\nconnection: close\r\n\r\n";
            socket.write_all(request).await.unwrap();
            let mut answer = String::new();
            socket.read_to_string(&mut answer).await.unwrap();
            answer
        };
        timeout(DEADLINE, asked).await.expect("in time")
    }
}

/// Whether there is one; where `KUBEWRIGHT_KUBECTL` is `required` there has to be.
async fn is_there() -> bool {
    let version = Command::new("kubectl")
        .args(["version", "--client"])
        .output();
    let is_there = version.await.is_ok_and(|output| output.status.success());
    let is_required = std::env::var("KUBEWRIGHT_KUBECTL").is_ok_and(|it| it == "required");
    assert!(is_there || !is_required, "kubectl is required");
    is_there
}

#[tokio::test]
async fn logs_exec_and_port_forward_work() {
    if !is_there().await {
        // Not by a macro, whose words tests keep to themselves.
        let word = "NOT RUN: kubectl was not found; this test drives it and did not happen";
        let _ = writeln!(std::io::stderr(), "{word}");
        return;
    }
    let (parent, root_dir) = directory();
    let mut program = Program::start(&root_dir, &["--serve"]);
    program.line_that_begins("OK").await;
    for protocol in [Protocol::WebSocket, Protocol::Spdy] {
        let kubectl = Kubectl {
            kubeconfig: program.kubeconfig(),
            protocol,
        };
        let pods = ["get", "pods", "--output", "name"];
        let pods = kubectl.output(&pods).await;
        let pod = pods.lines().next().unwrap();
        check(&kubectl, pod, parent.path()).await;
    }
    program.signal(Signal::INT);
    let (lines, status) = program.end().await;
    assert!(status.success(), "{lines:#?}");
    assert_nothing_is_left(&root_dir).await;
}

async fn check(kubectl: &Kubectl, pod: &str, directory: &Path) {
    let name = pod.strip_prefix("pod/").unwrap();
    let protocol = kubectl.protocol;

    let log = kubectl.output(&["logs", pod]).await;
    assert!(log.starts_with(&format!("{name} listens")), "{log}");

    let script = "echo I am $POD_NAME; echo trouble >&2; exit 7";
    let (status, output, errors) = kubectl
        .run(&["exec", pod, "--", "sh", "-c", script], "")
        .await;
    assert_eq!(status, Some(7), "{protocol:?}");
    assert_eq!(output, format!("I am {name}\n"), "{protocol:?}");
    assert!(errors.starts_with("trouble\n"), "{protocol:?}: {errors}");

    let text = "a line\n".repeat(10_000);
    let (status, output, _) = kubectl
        .run(&["exec", "--stdin", pod, "--", "cat"], &text)
        .await;
    assert_eq!(
        (status, output.len()),
        (Some(0), text.len()),
        "{protocol:?}"
    );

    let answer = kubectl.through_a_forwarded_port(pod).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{protocol:?}: {answer}");
    assert!(answer.contains(&format!("\"pod\":\"{name}\"")), "{answer}");

    let (here, back) = (directory.join("here"), directory.join("back"));
    std::fs::write(&here, &text).unwrap();
    let there = format!("default/{name}:there");
    kubectl
        .output(&["cp", here.to_str().unwrap(), &there])
        .await;
    kubectl
        .output(&["cp", &there, back.to_str().unwrap()])
        .await;
    assert_eq!(
        std::fs::read_to_string(&back).unwrap(),
        text,
        "{protocol:?}"
    );
}
