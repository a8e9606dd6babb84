mod exchange;
mod location;
mod request;
mod tls;

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use rustls::ClientConfig;
use tokio::time::Instant;

pub use request::{HttpPurpose, HttpTarget};

use super::ask::{Answer, ProbeError};
use exchange::{Broken, Exchange};

/// How many redirects are followed.
const MAX_REDIRECTS: usize = 10;

/// Asks web servers as kubelet does.
///
/// Each request has a connection of its own, through no proxy. Certificates are not verified: a
/// probe goes to an address, and asks whether somebody answers, not who.
/// Redirects are followed on the same host only.
///
/// Answers to `pkg/probe/http` of Kubernetes 1.36.
#[derive(Clone, Debug)]
pub struct HttpClient {
    tls: Arc<ClientConfig>,
}

impl Default for HttpClient {
    fn default() -> Self {
        Self {
            tls: Arc::new(tls::accept_any()),
        }
    }
}

/// How a request went.
#[derive(Debug)]
enum Asked {
    Answered(Exchange),
    /// There was no answer, for this reason.
    Unanswered(String),
}

impl HttpClient {
    /// Asks whether a server is well: whether it answers in time with a status from 200 to 399.
    ///
    /// # Errors
    ///
    /// If the answer breaks off in its body.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the connection.
    pub async fn probe(&self, target: &HttpTarget, limit: Duration) -> Result<Answer, ProbeError> {
        let answer = match self.ask(target, limit).await {
            Asked::Answered(answer) => answer,
            Asked::Unanswered(reason) => return Ok(Answer::Failure(reason)),
        };
        let body = answer.body.map_err(ProbeError::Answer)?;
        Ok(match answer.status.as_u16() {
            200..300 => Answer::Success(body),
            300..400 => {
                Answer::Warning(format!("Probe terminated redirects, Response body: {body}"))
            }
            // What a body says is not for everybody who may read events.
            status => Answer::Failure(format!("HTTP probe failed with statuscode: {status}")),
        })
    }

    /// Sends a request for its effect, as hooks do, and answers its status.
    ///
    /// # Errors
    ///
    /// Why there was no answer.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the connection; whether the request had an effect is unknown.
    pub async fn get(&self, target: &HttpTarget, limit: Duration) -> Result<StatusCode, String> {
        match self.ask(target, limit).await {
            Asked::Answered(answer) => Ok(answer.status),
            Asked::Unanswered(reason) => Err(reason),
        }
    }

    async fn ask(&self, target: &HttpTarget, limit: Duration) -> Asked {
        let deadline = Instant::now() + limit;
        let unanswered = |url: &dyn std::fmt::Display, reason: &str| {
            Asked::Unanswered(format!("Get \"{url}\": {reason}"))
        };
        let mut next = target.clone();
        for _ in 0..MAX_REDIRECTS {
            let answer = match exchange::send(&next, &self.tls, deadline).await {
                Ok(answer) => answer,
                Err(Broken(reason)) => return unanswered(&next.url(), &reason),
            };
            match next.redirected(&answer) {
                Ok(None) => return Asked::Answered(answer),
                Ok(Some(elsewhere)) if elsewhere.host != target.host => {
                    return Asked::Answered(answer);
                }
                Ok(Some(elsewhere)) => next = elsewhere,
                Err(reason) => return unanswered(&next.url(), &reason),
            }
        }
        unanswered(&next.url(), "stopped after 10 redirects")
    }
}
