use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, Probe};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::http::{HttpPurpose, HttpTarget};
use crate::environment::expand;

/// What a probe asks, with all that has to be looked up for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A command in the container.
    Exec(Vec<String>),
    /// A web server.
    Http(HttpTarget),
    /// Whether somebody listens.
    Tcp {
        /// Where.
        host: String,
        /// On which port.
        port: u16,
    },
    /// A server that speaks `grpc.health.v1`.
    Grpc {
        /// Where.
        host: String,
        /// On which port.
        port: u16,
        /// Which of its services; empty for the server as a whole.
        service: String,
    },
}

/// What a probe asks cannot be made out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TargetError {
    /// The probe says nothing of what is asked.
    #[error("missing probe handler for container {0:?}")]
    MissingHandler(String),
    /// The container has no port of this name, and the name is no number.
    #[error("couldn't find port: {0:?}")]
    UnknownPort(String),
    /// There is no such port.
    #[error("invalid port number: {0}")]
    InvalidPort(i64),
    /// A header or the host cannot be sent.
    #[error("invalid HTTP request: {0}")]
    InvalidRequest(String),
}

impl Target {
    /// What a container's probe asks. Whoever names no host means the pod's address.
    ///
    /// # Errors
    ///
    /// If the probe asks nothing, or cannot be asked as it is.
    pub fn of(probe: &Probe, container: &Container, pod_ip: &str) -> Result<Self, TargetError> {
        if let Some(exec) = &probe.exec {
            let command = exec.command.as_deref().unwrap_or_default();
            return Ok(Self::Exec(static_command(command, container)));
        }
        if let Some(action) = &probe.http_get {
            let target = HttpTarget::of(action, container, pod_ip, HttpPurpose::Probe)?;
            return Ok(Self::Http(target));
        }
        if let Some(action) = &probe.tcp_socket {
            let host = action.host.as_deref().filter(|host| !host.is_empty());
            return Ok(Self::Tcp {
                host: host.unwrap_or(pod_ip).to_owned(),
                port: container_port(&action.port, container)?,
            });
        }
        if let Some(action) = &probe.grpc {
            return Ok(Self::Grpc {
                host: pod_ip.to_owned(),
                port: port(action.port.into())?,
                service: action.service.clone().unwrap_or_default(),
            });
        }
        Err(TargetError::MissingHandler(container.name.clone()))
    }
}

/// The port that is meant by a number, or by the name that the container gives one of its ports.
///
/// # Errors
///
/// If there is no such port.
pub fn container_port(wanted: &IntOrString, container: &Container) -> Result<u16, TargetError> {
    match wanted {
        IntOrString::Int(number) => port((*number).into()),
        IntOrString::String(name) => {
            let mut ports = container.ports.iter().flatten();
            let named = ports.find(|port| port.name.as_ref() == Some(name));
            let number = match named {
                Some(named) => i64::from(named.container_port),
                None => name
                    .parse()
                    .map_err(|_| TargetError::UnknownPort(name.clone()))?,
            };
            port(number)
        }
    }
}

/// How long the answer to a probe may take: a second unless told otherwise.
pub(super) fn timeout(probe: &Probe) -> Duration {
    seconds(probe.timeout_seconds, 1)
}

/// A number of seconds in a probe, which is at least one.
pub(super) fn seconds(given: Option<i32>, default: u64) -> Duration {
    let given = given.and_then(|seconds| u64::try_from(seconds).ok());
    Duration::from_secs(given.filter(|seconds| *seconds > 0).unwrap_or(default))
}

fn port(number: i64) -> Result<u16, TargetError> {
    let port = u16::try_from(number).ok().filter(|port| *port > 0);
    port.ok_or(TargetError::InvalidPort(number))
}

/// A command with the variables that need no looking up.
fn static_command(command: &[String], container: &Container) -> Vec<String> {
    let value_of = |name: &str| {
        let mut variables = container.env.iter().flatten();
        variables
            .find(|variable| variable.name == name && variable.value_from.is_none())
            .map(|variable| variable.value.as_deref().unwrap_or_default())
    };
    command.iter().map(|word| expand(word, value_of)).collect()
}
