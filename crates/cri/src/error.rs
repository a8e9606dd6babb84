use std::error::Error as StdError;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tonic::{Code, Status};

use crate::MAX_MESSAGE_SIZE;

/// Why a call did not succeed, by what the caller would do next.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// What was asked for is not there. To one who wants it gone, that is success.
    #[error("{0}")]
    NotFound(Failure),
    /// What was to be made is there: the name is taken.
    #[error("{0}")]
    AlreadyExists(Failure),
    /// The runtime does not have this call, or not this use of it: do without.
    #[error("{0}")]
    Unimplemented(Failure),
    /// The runtime was not reached, or was lost before it answered: whether the call took effect
    /// is unknown. Look, and try again later.
    #[error("{0}")]
    Unavailable(Failure),
    /// There was no answer in time: whether the call took effect is unknown.
    #[error("{0}")]
    DeadlineExceeded(Failure),
    /// Something has run out: space, memory, or the size of a message.
    #[error("{0}")]
    ResourceExhausted(Failure),
    /// The runtime refused for a reason of its own: tell people.
    #[error("{0}")]
    Other(Failure),
}

/// Which call failed, and why. Displays as `StartContainer: not found: no container "c1"`.
#[derive(Clone, Debug)]
pub struct Failure {
    method: &'static str,
    code: Code,
    message: String,
    unreachable: Option<Unreachable>,
}

/// Why a runtime cannot be connected to.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum Unreachable {
    /// There is no socket at the path.
    #[error("no container runtime: {} does not exist", .0.display())]
    Absent(PathBuf),
    /// The socket is not this user's to use.
    #[error("no permission to connect to the container runtime at {}", .0.display())]
    PermissionDenied(PathBuf),
    /// There is a socket, and nobody listens: the runtime has stopped.
    #[error("no container runtime listens at {}", .0.display())]
    NotListening(PathBuf),
    /// It is something else.
    #[error("cannot connect to the container runtime at {}: {error}", path.display())]
    Other {
        /// The path of the socket.
        path: PathBuf,
        /// What the system says.
        error: Arc<std::io::Error>,
    },
}

impl Error {
    /// The call that failed, as CRI names it.
    pub fn method(&self) -> &'static str {
        self.failure().method
    }

    /// What the runtime says, for people.
    pub fn message(&self) -> &str {
        &self.failure().message
    }

    /// The status code that the runtime answered with.
    pub fn code(&self) -> Code {
        self.failure().code
    }

    /// Why the runtime could not be connected to, if that is it.
    pub fn unreachable(&self) -> Option<&Unreachable> {
        self.failure().unreachable.as_ref()
    }

    /// Whether what was asked for is not there.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound(_))
    }

    /// Whether the runtime does without this call.
    pub fn is_unimplemented(&self) -> bool {
        matches!(self, Self::Unimplemented(_))
    }

    fn failure(&self) -> &Failure {
        match self {
            Self::NotFound(failure)
            | Self::AlreadyExists(failure)
            | Self::Unimplemented(failure)
            | Self::Unavailable(failure)
            | Self::DeadlineExceeded(failure)
            | Self::ResourceExhausted(failure)
            | Self::Other(failure) => failure,
        }
    }

    pub(crate) fn from_status(method: &'static str, status: &Status) -> Self {
        let unreachable = status.source().and_then(unreachable_in);
        // A status with a source was not sent by the runtime: the wire broke under the call.
        let code = if status.source().is_some() {
            Code::Unavailable
        } else {
            status.code()
        };
        let message = match (&unreachable, status.source()) {
            (Some(unreachable), _) => unreachable.to_string(),
            (None, Some(source)) => format!("the connection was lost: {}", root_of(source)),
            (None, None) => status.message().to_owned(),
        };
        Self::new(Failure {
            method,
            code,
            message,
            unreachable,
        })
    }

    pub(crate) fn late(method: &'static str, limit: Duration) -> Self {
        Self::new(Failure {
            method,
            code: Code::DeadlineExceeded,
            message: format!("no answer within {limit:?}"),
            unreachable: None,
        })
    }

    pub(crate) fn too_large(method: &'static str, size: usize) -> Self {
        Self::new(Failure {
            method,
            code: Code::ResourceExhausted,
            message: format!("a request of {size} bytes is above the limit of {MAX_MESSAGE_SIZE}"),
            unreachable: None,
        })
    }

    /// The runtime answered, and without what CRI has the answer hold.
    pub(crate) fn incomplete(method: &'static str, missing: &str) -> Self {
        Self::new(Failure {
            method,
            code: Code::Internal,
            message: format!("the answer has no {missing}"),
            unreachable: None,
        })
    }

    pub(crate) fn not_cri(self, endpoint: &dyn fmt::Display) -> Self {
        match self {
            Self::Unimplemented(failure) => Self::Unimplemented(Failure {
                message: format!(
                    "what listens at {endpoint} is not a CRI v1 runtime: {}",
                    failure.message
                ),
                ..failure
            }),
            other => other,
        }
    }

    fn new(failure: Failure) -> Self {
        match failure.code {
            Code::NotFound => Self::NotFound(failure),
            Code::AlreadyExists => Self::AlreadyExists(failure),
            Code::Unimplemented => Self::Unimplemented(failure),
            Code::Unavailable => Self::Unavailable(failure),
            Code::DeadlineExceeded => Self::DeadlineExceeded(failure),
            // Out of range is what tonic says of a message above the limit.
            Code::ResourceExhausted | Code::OutOfRange => Self::ResourceExhausted(failure),
            _ => Self::Other(failure),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.code {
            Code::NotFound => "not found",
            Code::AlreadyExists => "already exists",
            Code::Unimplemented => "not implemented",
            Code::Unavailable => "unavailable",
            Code::DeadlineExceeded => "too late",
            Code::ResourceExhausted | Code::OutOfRange => "exhausted",
            _ => return write!(f, "{}: {}", self.method, self.message),
        };
        write!(f, "{}: {what}: {}", self.method, self.message)
    }
}

impl Unreachable {
    pub(crate) fn new(path: PathBuf, error: std::io::Error) -> Self {
        use std::io::ErrorKind;
        match error.kind() {
            ErrorKind::NotFound => Self::Absent(path),
            ErrorKind::PermissionDenied => Self::PermissionDenied(path),
            ErrorKind::ConnectionRefused => Self::NotListening(path),
            _ => Self::Other {
                path,
                error: Arc::new(error),
            },
        }
    }
}

fn unreachable_in(error: &(dyn StdError + 'static)) -> Option<Unreachable> {
    chain(error).find_map(|error| error.downcast_ref::<Unreachable>().cloned())
}

fn root_of<'e>(error: &'e (dyn StdError + 'static)) -> &'e (dyn StdError + 'static) {
    chain(error).last().unwrap_or(error)
}

fn chain<'e>(
    error: &'e (dyn StdError + 'static),
) -> impl Iterator<Item = &'e (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

#[cfg(test)]
mod tests {
    use std::io::{Error as IoError, ErrorKind};

    use super::*;

    #[test]
    fn what_the_system_says_of_a_socket_is_told_as_a_cause() {
        let cause = |kind: ErrorKind| {
            Unreachable::new("/run/a.sock".into(), IoError::from(kind)).to_string()
        };
        assert_eq!(
            cause(ErrorKind::NotFound),
            "no container runtime: /run/a.sock does not exist"
        );
        assert_eq!(
            cause(ErrorKind::PermissionDenied),
            "no permission to connect to the container runtime at /run/a.sock"
        );
        assert_eq!(
            cause(ErrorKind::ConnectionRefused),
            "no container runtime listens at /run/a.sock"
        );
        assert!(cause(ErrorKind::NotADirectory).contains("not a directory"));
    }

    #[test]
    fn errors_are_told_apart_by_what_to_do_next() {
        let of = |code: Code| Error::from_status("Version", &Status::new(code, "so it is"));
        assert!(matches!(of(Code::NotFound), Error::NotFound(_)));
        assert!(matches!(of(Code::AlreadyExists), Error::AlreadyExists(_)));
        assert!(matches!(of(Code::Unimplemented), Error::Unimplemented(_)));
        assert!(matches!(of(Code::Unavailable), Error::Unavailable(_)));
        assert!(matches!(
            of(Code::DeadlineExceeded),
            Error::DeadlineExceeded(_)
        ));
        assert!(matches!(
            of(Code::ResourceExhausted),
            Error::ResourceExhausted(_)
        ));
        assert!(matches!(of(Code::Unknown), Error::Other(_)));
        assert_eq!(
            of(Code::NotFound).to_string(),
            "Version: not found: so it is"
        );
        assert_eq!(of(Code::Internal).to_string(), "Version: so it is");
    }
}
