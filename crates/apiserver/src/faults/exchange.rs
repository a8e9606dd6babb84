//! One request, with the faults that it meets.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::{Stream, stream};
use http::header::ACCEPT;
use http::{Request, Response};
use http_body_util::BodyExt as _;
use serde_json::json;

use super::{Call, Fault, Verb, WatchEnd};
use crate::core::Core;
use crate::error::{ApiError, ServiceError};
use crate::handler::refusal;
use crate::request::{Route, Target};
use crate::response::ResponseBody;

/// What one request meets, all in all.
#[derive(Debug, Default)]
pub(super) struct Plan {
    delay: Duration,
    compact: bool,
    drop_watches: bool,
    answer: Answer,
    end_watch: Option<(usize, WatchEnd)>,
}

#[derive(Debug, Default)]
enum Answer {
    /// The server's own.
    #[default]
    Given,
    Refused(ApiError),
    /// As refused, for an object that has changed.
    Conflict,
    /// None, and nothing was done.
    LostBefore,
    /// None, although it was done.
    LostAfter,
}

impl Plan {
    pub(super) fn add(&mut self, fault: &Fault) {
        let answer = match fault {
            Fault::Delay(delay) => {
                self.delay = self.delay.saturating_add(*delay);
                return;
            }
            Fault::Compact => {
                self.compact = true;
                return;
            }
            Fault::DropWatches => {
                self.drop_watches = true;
                return;
            }
            Fault::EndWatch { after, end } => {
                self.end_watch.get_or_insert((*after, *end));
                return;
            }
            Fault::Refuse(error) => Answer::Refused(error.clone()),
            Fault::Conflict => Answer::Conflict,
            Fault::LoseRequest => Answer::LostBefore,
            Fault::LoseAnswer => Answer::LostAfter,
        };
        if matches!(self.answer, Answer::Given) {
            self.answer = answer;
        }
    }
}

impl Core {
    /// Answers a request whose body has been read, unless a fault has it otherwise.
    ///
    /// Cancel safe: a request is carried out whole or not at all.
    pub(crate) async fn exchange(
        &self,
        request: Request<Bytes>,
    ) -> Result<Response<ResponseBody>, ServiceError> {
        if self.faults.is_idle() {
            return Ok(self.respond(request));
        }
        let mut call = Call::of(&request, &self.registry.resources());
        let plan = self.faults.plan(&call);
        if !plan.delay.is_zero() {
            tokio::time::sleep(plan.delay).await;
        }
        if plan.compact {
            self.store.compact(self.store.revision());
        }
        if plan.drop_watches {
            self.signals.cut();
        }
        let result = self.obey(plan.answer, request);
        if let Ok(response) = &result {
            call.answered(response.status(), response.body().whole());
        }
        self.faults.tell(&call);
        result.map(|response| match plan.end_watch {
            Some((after, end)) if call.verb == Verb::Watch && response.status().is_success() => {
                response.map(|body| ResponseBody::fallible(cut(body, after, end)))
            }
            _ => response,
        })
    }

    fn obey(
        &self,
        answer: Answer,
        request: Request<Bytes>,
    ) -> Result<Response<ResponseBody>, ServiceError> {
        let error = match answer {
            Answer::Given => return Ok(self.respond(request)),
            Answer::LostBefore => return Err(ServiceError::ConnectionLost),
            Answer::LostAfter => {
                self.respond(request);
                return Err(ServiceError::ConnectionLost);
            }
            Answer::Refused(error) => error,
            Answer::Conflict => {
                match Route::parse(request.uri().path(), &self.registry.resources()) {
                    Route::Resource(Target { resource, name, .. }) => {
                        ApiError::stale(&resource, name.as_deref().unwrap_or_default())
                    }
                    Route::Unknown | Route::Other => ApiError::unknown_path(),
                }
            }
        };
        let accept = request.headers().get(ACCEPT);
        Ok(refusal(
            accept.and_then(|accept| accept.to_str().ok()),
            &error,
        ))
    }
}

/// The first `events` of a watch, and then its end.
fn cut(
    body: ResponseBody,
    events: usize,
    end: WatchEnd,
) -> impl Stream<Item = Result<Bytes, ServiceError>> {
    let open = Cut::Open {
        body,
        events,
        end,
        rest: BytesMut::new(),
    };
    stream::unfold(open, Cut::next)
}

/// A watch that is to end early.
enum Cut {
    Open {
        body: ResponseBody,
        /// How many events it still tells.
        events: usize,
        end: WatchEnd,
        /// Bytes that came and are not told yet.
        rest: BytesMut,
    },
    Lost,
    Ended,
}

impl Cut {
    async fn next(self) -> Option<(Result<Bytes, ServiceError>, Self)> {
        let (mut body, events, end, mut rest) = match self {
            Self::Ended => return None,
            Self::Lost => return Some((Err(ServiceError::ConnectionLost), Self::Ended)),
            Self::Open {
                body,
                events,
                end,
                rest,
            } => (body, events, end, rest),
        };
        if events == 0 {
            return match end {
                WatchEnd::Clean => None,
                WatchEnd::Broken => {
                    let beginning = Bytes::from_static(br#"{"type":"MODIFIED","object":{"#);
                    Some((Ok(beginning), Self::Lost))
                }
                WatchEnd::Expired => {
                    let status = ApiError::expired("too old resource version").to_status();
                    let event = json!({ "type": "ERROR", "object": status });
                    Some((Ok(format!("{event}\n").into()), Self::Ended))
                }
            };
        }
        loop {
            if let Some(newline) = rest.iter().position(|byte| *byte == b'\n') {
                let event = rest.split_to(newline + 1).freeze();
                let events = events - 1;
                let open = Self::Open {
                    body,
                    events,
                    end,
                    rest,
                };
                return Some((Ok(event), open));
            }
            match body.frame().await? {
                Ok(frame) => rest.extend_from_slice(frame.data_ref()?),
                Err(error) => return Some((Err(error), Self::Ended)),
            }
        }
    }
}
