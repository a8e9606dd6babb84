use thiserror::Error;

/// Which streams a client wants to be connected to, and whether they are those of a terminal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamOptions {
    /// The client writes to standard input.
    pub stdin: bool,
    /// The client reads standard output.
    pub stdout: bool,
    /// The client reads standard error. Not with a terminal, which has one output.
    pub stderr: bool,
    /// The streams are those of a terminal, whose size may change.
    pub tty: bool,
}

/// A command to be run in a container: CRI's `ExecRequest`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExecRequest {
    /// The container to run it in.
    pub container_id: String,
    /// The program and its arguments.
    pub command: Vec<String>,
    /// The streams that are wanted.
    pub streams: StreamOptions,
}

/// The main process of a container to be connected to: CRI's `AttachRequest`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AttachRequest {
    /// The container to attach to.
    pub container_id: String,
    /// The streams that are wanted.
    pub streams: StreamOptions,
}

/// Ports of a sandbox to be reached from outside: CRI's `PortForwardRequest`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PortForwardRequest {
    /// The sandbox whose ports they are.
    pub sandbox_id: String,
    /// The ports that the protocol `v4.channel.k8s.io` forwards. The others name the port of each
    /// connection themselves, and do not look here.
    pub ports: Vec<u16>,
}

/// Why a request makes no sense. The texts are upstream's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum InvalidRequest {
    /// There is no container.
    #[error("missing required container_id")]
    NoContainer,
    /// There is no sandbox.
    #[error("missing required pod_sandbox_id")]
    NoSandbox,
    /// A terminal has one output.
    #[error("tty and stderr cannot both be true")]
    TtyWithStderr,
    /// A client that wants no stream wants nothing.
    #[error("one of stdin, stdout, or stderr must be set")]
    NoStreams,
    /// No process listens there.
    #[error("port 0 cannot be forwarded")]
    PortZero,
}

/// What a URL stands for.
#[derive(Clone, Debug)]
pub(crate) enum Request {
    Exec(ExecRequest),
    Attach(AttachRequest),
    PortForward(PortForwardRequest),
}

impl Request {
    pub(crate) fn validate(&self) -> Result<(), InvalidRequest> {
        match self {
            Self::Exec(exec) => validate(&exec.container_id, exec.streams),
            Self::Attach(attach) => validate(&attach.container_id, attach.streams),
            Self::PortForward(forward) if forward.sandbox_id.is_empty() => {
                Err(InvalidRequest::NoSandbox)
            }
            Self::PortForward(forward) if forward.ports.contains(&0) => {
                Err(InvalidRequest::PortZero)
            }
            Self::PortForward(_) => Ok(()),
        }
    }

    /// The first part of the path under which it is served.
    pub(crate) fn method(&self) -> &'static str {
        match self {
            Self::Exec(_) => "exec",
            Self::Attach(_) => "attach",
            Self::PortForward(_) => "portforward",
        }
    }
}

fn validate(container_id: &str, streams: StreamOptions) -> Result<(), InvalidRequest> {
    if container_id.is_empty() {
        return Err(InvalidRequest::NoContainer);
    }
    if streams.tty && streams.stderr {
        return Err(InvalidRequest::TtyWithStderr);
    }
    if !(streams.stdin || streams.stdout || streams.stderr) {
        return Err(InvalidRequest::NoStreams);
    }
    Ok(())
}
