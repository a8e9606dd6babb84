//! A runtime whose commands are scripts, behind a server on a socket of its own.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use kubewright_streaming::client::{Command, Dial, PortForward, Transport};
use kubewright_streaming::{
    AttachRequest, ByteStream, ExecRequest, ExitStatus, PortForwardRequest, RuntimeError, Stdio,
    StreamOptions, StreamingConfig, StreamingHandle, StreamingRuntime, StreamingServer,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy, split};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Every way to exec and attach, with a status as JSON.
pub(crate) const COMMANDS: [Transport; 5] = [
    Transport::SPDY,
    Transport::WEBSOCKET,
    Transport::WebSocket("v4.channel.k8s.io"),
    Transport::WebSocket("v4.base64.channel.k8s.io"),
    Transport::Spdy("v3.channel.k8s.io"),
];
/// Those whose client can end its standard input.
pub(crate) const CLOSING: [Transport; 2] = [Transport::SPDY, Transport::WEBSOCKET];
pub(crate) const FORWARDS: [Transport; 2] = [Transport::SPDY_FORWARD, Transport::TUNNEL];

pub(crate) const OUT: StreamOptions = StreamOptions {
    stdin: false,
    stdout: true,
    stderr: true,
    tty: false,
};
pub(crate) const IN_OUT: StreamOptions = StreamOptions { stdin: true, ..OUT };
pub(crate) const TTY: StreamOptions = StreamOptions {
    stdin: true,
    stdout: true,
    stderr: false,
    tty: true,
};

pub(crate) struct Server {
    pub(crate) handle: StreamingHandle,
    pub(crate) stop: CancellationToken,
    pub(crate) events: mpsc::UnboundedReceiver<String>,
    pub(crate) tasks: JoinSet<()>,
    /// Has as many holders as there are futures of the runtime.
    pub(crate) alive: Arc<()>,
}

/// A connection on which a request was made by hand, and what was read of the answer.
pub(crate) struct Raw {
    pub(crate) socket: TcpStream,
    pub(crate) read: Vec<u8>,
}

impl Raw {
    /// Sends a request with headers, and reads until the headers of the answer end.
    pub(crate) async fn request(method: &str, url: &str, headers: &[&str]) -> Self {
        let rest = url.strip_prefix("http://").unwrap();
        let (authority, path) = rest.split_once('/').unwrap();
        let mut socket = TcpStream::connect(authority).await.unwrap();
        let mut request = format!("{method} /{path} HTTP/1.1\r\nHost: {authority}\r\n");
        for header in headers {
            request += &format!("{header}\r\n");
        }
        socket
            .write_all(format!("{request}\r\n").as_bytes())
            .await
            .unwrap();
        let mut read = Vec::new();
        while !read.windows(4).any(|end| end == b"\r\n\r\n") {
            assert!(within(socket.read_buf(&mut read)).await.unwrap() > 0);
        }
        Self { socket, read }
    }

    /// All that comes until the server closes the connection.
    pub(crate) async fn rest(mut self) -> String {
        let _ = within(self.socket.read_to_end(&mut self.read)).await;
        String::from_utf8_lossy(&self.read).into_owned()
    }
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(configure: impl FnOnce(&mut StreamingConfig)) -> Self {
        let mut config = StreamingConfig::default();
        configure(&mut config);
        let server = StreamingServer::bind(config).await.unwrap();
        let handle = server.handle();
        let stop = CancellationToken::new();
        let (sender, events) = mpsc::unbounded_channel();
        let alive = Arc::new(());
        let runtime = Scripts {
            events: sender,
            alive: alive.clone(),
        };
        let mut tasks = JoinSet::new();
        tasks.spawn(server.run(runtime, stop.clone()));
        Self {
            handle,
            stop,
            events,
            tasks,
            alive,
        }
    }

    pub(crate) fn exec_url(&self, command: &[&str], streams: StreamOptions) -> String {
        let command = command.iter().map(|&part| part.to_owned()).collect();
        let request = ExecRequest {
            container_id: "c".to_owned(),
            command,
            streams,
        };
        self.handle.exec_url(request).unwrap()
    }

    pub(crate) async fn exec(
        &self,
        transport: Transport,
        command: &[&str],
        streams: StreamOptions,
    ) -> Command {
        let dial = Dial::tcp(&self.exec_url(command, streams)).await.unwrap();
        within(dial.command(transport, streams)).await.unwrap()
    }

    pub(crate) fn forward_url(&self, ports: &[u16]) -> String {
        let request = PortForwardRequest {
            sandbox_id: "s".to_owned(),
            ports: ports.to_vec(),
        };
        self.handle.port_forward_url(request).unwrap()
    }

    pub(crate) async fn forward(&self, transport: Transport) -> PortForward {
        let dial = Dial::tcp(&self.forward_url(&[])).await.unwrap();
        within(dial.port_forward(transport)).await.unwrap()
    }

    /// Waits until a script says something.
    pub(crate) async fn event(&mut self) -> String {
        within(self.events.recv()).await.unwrap()
    }
}

/// Nothing takes long: what does has failed.
pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), future)
        .await
        .expect("took too long")
}

/// Bytes in an order that a loss or a doubling disturbs.
pub(crate) fn pattern(length: usize) -> Vec<u8> {
    (0..length)
        .map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect()
}

struct Scripts {
    events: mpsc::UnboundedSender<String>,
    alive: Arc<()>,
}

impl Scripts {
    fn say(&self, event: impl Into<String>) {
        let _ = self.events.send(event.into());
    }
}

impl StreamingRuntime for Scripts {
    async fn exec(
        &self,
        request: ExecRequest,
        mut stdio: Stdio,
    ) -> Result<ExitStatus, RuntimeError> {
        let _alive = self.alive.clone();
        let command: Vec<&str> = request.command.iter().map(String::as_str).collect();
        let mut code = 0;
        match command[..] {
            ["echo", text] => {
                stdio
                    .stdout
                    .take()
                    .unwrap()
                    .write_all(text.as_bytes())
                    .await?;
            }
            ["both"] => {
                let (mut out, mut err) =
                    (stdio.stdout.take().unwrap(), stdio.stderr.take().unwrap());
                out.write_all(b"out").await?;
                err.write_all(b"err").await?;
            }
            ["cat"] => {
                let (mut from, mut to) =
                    (stdio.stdin.take().unwrap(), stdio.stdout.take().unwrap());
                copy(&mut from, &mut to).await?;
            }
            ["head", count] => {
                let mut from = stdio.stdin.take().unwrap().take(count.parse()?);
                let mut to = stdio.stdout.take().unwrap();
                copy(&mut from, &mut to).await?;
            }
            ["write", count] => {
                let mut to = stdio.stdout.take().unwrap();
                to.write_all(&pattern(count.parse()?)).await?;
                self.say("written");
            }
            ["flood"] => {
                let mut to = stdio.stdout.take().unwrap();
                let chunk = pattern(64 << 10);
                let mut written = 0;
                loop {
                    match to.write(&chunk).await {
                        Ok(more) => written += more,
                        Err(error) => {
                            self.say(format!(
                                "{:?} {}",
                                error.kind(),
                                stdio.closed.is_cancelled()
                            ));
                            return Ok(ExitStatus(1));
                        }
                    }
                    self.say(written.to_string());
                }
            }
            ["exit", status] => code = status.parse()?,
            ["sizes"] => {
                let mut sizes = stdio.resize.take().unwrap();
                while let Some(size) = sizes.recv().await {
                    self.say(format!("{}x{}", size.width, size.height));
                }
                self.say("no more sizes");
            }
            ["wait"] => {
                self.say("waiting");
                let mut rest = Vec::new();
                stdio.stdin.take().unwrap().read_to_end(&mut rest).await?;
                self.say(format!("{} bytes and the end", rest.len()));
                stdio.closed.cancelled().await;
                self.say("closed");
            }
            ["hold"] => {
                self.say("holding");
                let stdin = stdio.stdin.take();
                stdio.closed.cancelled().await;
                drop(stdin);
                self.say("closed");
            }
            ["forever"] => {
                self.say("forever");
                pending::<()>().await;
            }
            _ => return Err(format!("no such command: {}", command.join(" ")).into()),
        }
        Ok(ExitStatus(code))
    }

    async fn attach(&self, request: AttachRequest, stdio: Stdio) -> Result<(), RuntimeError> {
        if request.container_id != "c" {
            return Err(format!("no such container: {}", request.container_id).into());
        }
        let (mut from, mut to) = (stdio.stdin.unwrap(), stdio.stdout.unwrap());
        copy(&mut from, &mut to).await?;
        Ok(())
    }

    async fn port_forward(
        &self,
        _: &str,
        port: u16,
        mut stream: Box<dyn ByteStream>,
    ) -> Result<(), RuntimeError> {
        let _alive = self.alive.clone();
        match port {
            // Says all back.
            7 => {
                let (mut from, mut to) = split(stream);
                copy(&mut from, &mut to).await?;
                to.shutdown().await?;
            }
            // Reads all, and then says how much it was.
            9 => {
                let mut all = Vec::new();
                let end = stream.read_to_end(&mut all).await;
                self.say(format!(
                    "{} bytes, {:?}",
                    all.len(),
                    end.map_err(|error| error.kind()).err()
                ));
                let _ = stream.write_all(all.len().to_string().as_bytes()).await;
            }
            // Says much, whether or not it is read.
            19 => {
                stream.write_all(&pattern(8 << 20)).await?;
                stream.shutdown().await?;
                self.say("all written");
            }
            // Reads nothing.
            99 => {
                self.say("not reading");
                pending::<()>().await;
            }
            _ => return Err("connection refused".into()),
        }
        Ok(())
    }
}
