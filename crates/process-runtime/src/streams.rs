use std::fs::OpenOptions;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use kubewright_cri::Status;
use kubewright_streaming::{
    AttachRequest, ByteReader, ByteStream, ByteWriter, ExecRequest, ExitStatus, RuntimeError,
    Stdio, StreamingRuntime, TerminalSize,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy, split};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::core::Core;
use crate::shim::channel::{Reader, Writer, pipe};
use crate::shim::terminal;
use crate::shim::wire::{Reply, Request};
use crate::shim_client::{Conversation, ShimClient};

/// How long a client may still send to what has closed its end.
const LINGER: Duration = Duration::from_secs(1);

/// How long a stream that says nothing may be open when its command has ended: what the command
/// left in the background may hold it for ever.
const LAST_OUTPUT: Duration = Duration::from_secs(1);

/// What the streams of a runtime lead to: commands, containers and ports.
///
/// The runtime serves them itself, at the URLs that CRI's `Exec`, `Attach` and `PortForward` answer
/// with. This is for those who serve streams in their own way.
#[derive(Clone, Debug)]
pub struct Streams {
    core: Arc<Core>,
}

/// The ends of a command's streams that are this side's.
#[derive(Debug)]
struct Ends {
    stdin: Option<Writer>,
    stdout: Option<Reader>,
    stderr: Option<Reader>,
    /// To change its size.
    terminal: Option<OwnedFd>,
}

impl Streams {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self { core }
    }
}

impl StreamingRuntime for Streams {
    async fn exec(&self, request: ExecRequest, stdio: Stdio) -> Result<ExitStatus, RuntimeError> {
        let (container, _) = self
            .core
            .running(&request.container_id)
            .map_err(|status| text(&status))?;
        let exec = Request::Exec {
            command: request.command,
            tty: request.streams.tty,
        };
        let (theirs, ends) = if request.streams.tty {
            on_terminal()?
        } else {
            on_pipes(&stdio)?
        };
        let streams = theirs.iter().map(OwnedFd::as_fd).collect::<Vec<_>>();
        let mut conversation = container.shim().open(&exec, &streams).await?;
        drop(streams);
        drop(theirs);
        let answer = carry(&mut conversation, stdio, ends, None).await?;
        match answer {
            Reply::Exited(code) => Ok(ExitStatus(code)),
            Reply::Refused(reason) => {
                Err(format!("failed to exec in container: failed to start exec: {reason}").into())
            }
            Reply::Done | Reply::Ended(_) => Err("the container has ended".into()),
        }
    }

    async fn attach(&self, request: AttachRequest, stdio: Stdio) -> Result<(), RuntimeError> {
        let (container, _) = self
            .core
            .running(&request.container_id)
            .map_err(|status| text(&status))?;
        let (theirs, ends) = to_attach(&stdio, container.record.stdin || container.record.tty)?;
        let [stdin, stdout, stderr] = theirs;
        let attach = Request::Attach {
            stdin: stdin.is_some(),
            stdout: stdout.is_some(),
            stderr: stderr.is_some(),
        };
        let theirs = [stdin, stdout, stderr];
        let streams: Vec<BorrowedFd<'_>> = theirs.iter().flatten().map(OwnedFd::as_fd).collect();
        let shim = container.shim();
        let mut conversation = shim.open(&attach, &streams).await?;
        drop(streams);
        drop(theirs);
        let closed = stdio.closed.clone();
        let resized = container.record.tty.then_some(&shim);
        tokio::select! {
            answer = carry(&mut conversation, stdio, ends, resized) => match answer? {
                Reply::Refused(reason) => Err(reason.into()),
                _ => Ok(()),
            },
            // Whoever watched has gone; the container goes on.
            () = closed.cancelled() => Ok(()),
        }
    }

    async fn port_forward(
        &self,
        sandbox_id: &str,
        port: u16,
        mut stream: Box<dyn ByteStream>,
    ) -> Result<(), RuntimeError> {
        let sandbox = self
            .core
            .sandbox(sandbox_id)
            .map_err(|status| text(&status))?;
        if !sandbox.is_ready() {
            return Err(format!(
                "failed to forward port {port}: sandbox {sandbox_id:?} is not running"
            )
            .into());
        }
        let address = sandbox.record.address.unwrap_or(Ipv4Addr::LOCALHOST);
        let mut socket = TcpStream::connect((IpAddr::from(address), port))
            .await
            .map_err(|error| format!("failed to connect to {address}:{port}: {error}"))?;
        let (mut from_client, mut to_client) = split(&mut stream);
        let (mut from_target, mut to_target) = socket.split();
        let outward = async {
            copy(&mut from_client, &mut to_target).await?;
            to_target.shutdown().await
        };
        let inward = async {
            copy(&mut from_target, &mut to_client).await?;
            to_client.shutdown().await
        };
        let (mut outward, mut inward) = (pin!(outward), pin!(inward));
        tokio::select! {
            ended = &mut outward => {
                ended?;
                inward.await?;
            }
            ended = &mut inward => {
                ended?;
                // Not every protocol lets a client say that it has nothing more to send.
                let _ = timeout(LINGER, outward).await;
            }
        }
        Ok(())
    }
}

/// Carries bytes and sizes until the answer is there and all output was taken.
async fn carry(
    conversation: &mut Conversation,
    stdio: Stdio,
    ends: Ends,
    resized: Option<&ShimClient>,
) -> io::Result<Reply> {
    let Ends {
        stdin,
        stdout,
        stderr,
        terminal,
    } = ends;
    let Stdio {
        stdin: typed,
        stdout: to_stdout,
        stderr: to_stderr,
        resize: sizes,
        closed,
    } = stdio;
    let has_terminal = terminal.is_some();
    let ended = CancellationToken::new();
    // Boxed so that they can be dropped, and what they hold with them, before the answer is there.
    let mut typing = Some(Box::pin(async move {
        tokio::join!(type_in(typed, stdin), resize(sizes, terminal, resized));
    }));
    let mut output = Some(Box::pin(async {
        tokio::join!(
            copy_out(stdout, to_stdout, &ended),
            copy_out(stderr, to_stderr, &ended),
        );
    }));
    let mut answer = pin!(conversation.answer());
    let answer = loop {
        tokio::select! {
            answer = &mut answer => break answer,
            () = done(&mut typing), if typing.is_some() => typing = None,
            () = done(&mut output), if output.is_some() => output = None,
            // A terminal that nobody sits at is hung up, by giving up this side of it.
            () = closed.cancelled(), if has_terminal && output.is_some() => {
                (typing, output) = (None, None);
            }
        }
    };
    ended.cancel();
    tokio::select! {
        () = done(&mut output) => {}
        () = closed.cancelled() => {}
    }
    answer
}

/// Until a future is done that may be given up before.
async fn done<F: Future<Output = ()>>(future: &mut Option<Pin<Box<F>>>) {
    if let Some(future) = future {
        future.await;
    }
}

async fn type_in(from: Option<ByteReader>, to: Option<Writer>) {
    let (Some(mut from), Some(to)) = (from, to) else {
        return;
    };
    let mut part = vec![0; 16 << 10];
    while let Ok(read @ 1..) = from.read(&mut part).await {
        if to.write_all(&part[..read]).await.is_err() {
            return;
        }
    }
}

async fn resize(
    sizes: Option<mpsc::Receiver<TerminalSize>>,
    terminal: Option<OwnedFd>,
    shim: Option<&ShimClient>,
) {
    let Some(mut sizes) = sizes else {
        return;
    };
    while let Some(TerminalSize { width, height }) = sizes.recv().await {
        // A terminal of another size than its window is no reason to end anything.
        if let Some(terminal) = &terminal {
            let _ = terminal::resize(terminal, width, height);
        } else if let Some(shim) = shim {
            let _ = shim.call(&Request::Resize { width, height }).await;
        }
    }
}

/// Copies a stream to its end, or until it has nothing more to say after the command has ended.
async fn copy_out(from: Option<Reader>, to: Option<ByteWriter>, ended: &CancellationToken) {
    let (Some(from), Some(mut to)) = (from, to) else {
        return;
    };
    let mut part = vec![0; 32 << 10];
    loop {
        let silence = async {
            ended.cancelled().await;
            sleep(LAST_OUTPUT).await;
        };
        let read = tokio::select! {
            biased;
            read = from.read(&mut part) => read,
            () = silence => break,
        };
        let Ok(read @ 1..) = read else { break };
        if to.write_all(&part[..read]).await.is_err() || to.flush().await.is_err() {
            return;
        }
    }
    // The client sees the end of the stream, if it is still there.
    let _ = to.shutdown().await;
}

/// The three streams of a command on a terminal, and this side of it.
fn on_terminal() -> io::Result<([OwnedFd; 3], Ends)> {
    let (near, far) = terminal::open()?;
    let ends = Ends {
        stdin: Some(Writer::new(near.try_clone()?)?),
        stdout: Some(Reader::new(near.try_clone()?)?),
        stderr: None,
        terminal: Some(near),
    };
    Ok(([far.try_clone()?, far.try_clone()?, far], ends))
}

/// The three streams of a command: pipes to the client, and nothing where it wants none.
fn on_pipes(stdio: &Stdio) -> io::Result<([OwnedFd; 3], Ends)> {
    let ([stdin, stdout, stderr], ends) = to_attach(stdio, true)?;
    let or_nothing = |end: Option<OwnedFd>| match end {
        Some(end) => Ok(end),
        None => nothing(),
    };
    let theirs = [or_nothing(stdin)?, or_nothing(stdout)?, or_nothing(stderr)?];
    Ok((theirs, ends))
}

/// The streams that a client wants and that there are: their ends, and those of this side.
fn to_attach(stdio: &Stdio, has_stdin: bool) -> io::Result<([Option<OwnedFd>; 3], Ends)> {
    let mut ends = Ends {
        stdin: None,
        stdout: None,
        stderr: None,
        terminal: None,
    };
    let mut theirs = [None, None, None];
    if stdio.stdin.is_some() && has_stdin {
        let (read, write) = pipe()?;
        ends.stdin = Some(Writer::new(write)?);
        theirs[0] = Some(read);
    }
    if stdio.stdout.is_some() {
        let (read, write) = pipe()?;
        ends.stdout = Some(Reader::new(read)?);
        theirs[1] = Some(write);
    }
    if stdio.stderr.is_some() {
        let (read, write) = pipe()?;
        ends.stderr = Some(Reader::new(read)?);
        theirs[2] = Some(write);
    }
    Ok((theirs, ends))
}

fn nothing() -> io::Result<OwnedFd> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/null")?;
    Ok(file.into())
}

fn text(status: &Status) -> RuntimeError {
    status.message().into()
}
