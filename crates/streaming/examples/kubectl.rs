//! Just enough of an API server for kubectl to stream with one pod, whose container is this
//! machine: commands run as they are, and ports are those of loopback.
//!
//! ```text
//! cargo run -p kubewright-streaming --example kubectl
//! kubectl --server http://127.0.0.1:PORT exec -it p -- sh
//! kubectl --server http://127.0.0.1:PORT port-forward pod/p 8080:80
//! ```
//!
//! As an API server and a kubelet do, it asks the runtime for a URL and then passes bytes on. The
//! environment variables `KUBECTL_REMOTE_COMMAND_WEBSOCKETS` and `KUBECTL_PORT_FORWARD_WEBSOCKETS`
//! choose how kubectl speaks.

use std::error::Error;
use std::process::Stdio as Pipe;

use kubewright_streaming::{
    AttachRequest, ByteStream, ExecRequest, ExitStatus, PortForwardRequest, RuntimeError, Stdio,
    StreamOptions, StreamingConfig, StreamingHandle, StreamingRuntime, StreamingServer,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

const POD: &str = r#"{"kind":"Pod","apiVersion":"v1","metadata":{"name":"p","namespace":"default","uid":"1"},"spec":{"containers":[{"name":"c","image":"host","stdin":true}]},"status":{"phase":"Running"}}"#;

/// What kubectl asks before it asks for a pod.
const VERSIONS: &str = r#"{"kind":"APIVersions","versions":["v1"]}"#;
const GROUPS: &str = r#"{"kind":"APIGroupList","apiVersion":"v1","groups":[]}"#;
const RESOURCES: &str = r#"{"kind":"APIResourceList","groupVersion":"v1","resources":[{"name":"pods","singularName":"pod","namespaced":true,"kind":"Pod","verbs":["get"]}]}"#;

struct Host;

impl StreamingRuntime for Host {
    async fn exec(&self, request: ExecRequest, stdio: Stdio) -> Result<ExitStatus, RuntimeError> {
        let (program, arguments) = request.command.split_first().ok_or("no command")?;
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Pipe::piped())
            .stdout(Pipe::piped())
            .stderr(Pipe::piped())
            .kill_on_drop(true)
            .spawn()?;
        let (stdin, stdout, stderr) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let input = async {
            if let (Some(mut from), Some(mut to)) = (stdio.stdin, stdin) {
                let _ = copy(&mut from, &mut to).await;
            }
        };
        let output = async {
            if let (Some(mut from), Some(mut to)) = (stdout, stdio.stdout) {
                let _ = copy(&mut from, &mut to).await;
            }
        };
        let errors = async {
            if let (Some(mut from), Some(mut to)) = (stderr, stdio.stderr) {
                let _ = copy(&mut from, &mut to).await;
            }
        };
        let ended = async { tokio::join!(output, errors, child.wait()).2 };
        let mut input = std::pin::pin!(input);
        let mut ended = std::pin::pin!(ended);
        let status = tokio::select! {
            status = &mut ended => status?,
            () = &mut input => ended.await?,
        };
        Ok(ExitStatus(status.code().unwrap_or(137)))
    }

    /// There is no main process: what is typed comes back.
    async fn attach(&self, _: AttachRequest, stdio: Stdio) -> Result<(), RuntimeError> {
        if let (Some(mut from), Some(mut to)) = (stdio.stdin, stdio.stdout) {
            copy(&mut from, &mut to).await?;
        }
        Ok(())
    }

    async fn port_forward(
        &self,
        _: &str,
        port: u16,
        mut stream: Box<dyn ByteStream>,
    ) -> Result<(), RuntimeError> {
        let mut socket = TcpStream::connect(("127.0.0.1", port)).await?;
        copy_bidirectional(&mut stream, &mut socket).await?;
        Ok(())
    }
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "where to point kubectl")]
async fn main() -> Result<(), Box<dyn Error>> {
    let streaming = StreamingServer::bind(StreamingConfig::default()).await?;
    let handle = streaming.handle();
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("http://{}", listener.local_addr()?);
    let mut tasks = JoinSet::new();
    tasks.spawn(streaming.run(Host, CancellationToken::new()));
    loop {
        let (client, _) = listener.accept().await?;
        let handle = handle.clone();
        tasks.spawn(async move {
            if let Err(error) = serve(client, &handle).await {
                eprintln!("{error}");
            }
        });
    }
}

async fn serve(mut client: TcpStream, handle: &StreamingHandle) -> Result<(), Box<dyn Error>> {
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        if client.read_buf(&mut head).await? == 0 {
            return Ok(());
        }
    }
    let text = String::from_utf8_lossy(&head);
    let target = text.split(' ').nth(1).unwrap_or_default().to_owned();
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let values = |name: &str| -> Vec<String> {
        query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .filter(|(key, _)| *key == name)
            .map(|(_, value)| decode(value))
            .collect()
    };
    let is = |name: &str| values(name).iter().any(|value| value == "true");
    let streams = StreamOptions {
        stdin: is("stdin"),
        stdout: is("stdout"),
        stderr: is("stderr"),
        tty: is("tty"),
    };
    let container_id = "c".to_owned();
    let url = match path.strip_prefix("/api/v1/namespaces/default/pods/p") {
        Some("/exec") => handle.exec_url(ExecRequest {
            container_id,
            command: values("command"),
            streams,
        }),
        Some("/attach") => handle.attach_url(AttachRequest {
            container_id,
            streams,
        }),
        Some("/portforward") => handle.port_forward_url(PortForwardRequest {
            sandbox_id: "s".to_owned(),
            ports: Vec::new(),
        }),
        known => {
            let (status, body) = match (known, path) {
                (Some(""), _) => ("200 OK", POD),
                (_, "/api") => ("200 OK", VERSIONS),
                (_, "/apis") => ("200 OK", GROUPS),
                (_, "/api/v1") => ("200 OK", RESOURCES),
                _ => ("404 Not Found", "{}"),
            };
            let length = body.len();
            let answer = format!(
                "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\
                 Connection: close\r\n\r\n{body}"
            );
            client.write_all(answer.as_bytes()).await?;
            return Ok(());
        }
    }?;
    let address = handle.address();
    let path = url
        .trim_start_matches(&format!("http://{address}"))
        .to_owned();
    let mut server = TcpStream::connect(address).await?;
    server
        .write_all(text.replacen(&target, &path, 1).as_bytes())
        .await?;
    copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}

/// Undoes the encoding of a value in a query.
fn decode(value: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits: Vec<u8> = rest.by_ref().take(2).collect();
                let digits = String::from_utf8_lossy(&digits).into_owned();
                u8::from_str_radix(&digits, 16).unwrap_or(b'?')
            }
            byte => byte,
        });
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
