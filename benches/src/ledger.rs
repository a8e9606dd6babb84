use std::collections::HashMap;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response};
use http_body_util::{BodyExt as _, Full};
use kubewright_apiserver::serve::RequestBody;
use kubewright_apiserver::{ApiService, ResponseBody};
use serde_json::Value;
use tokio::sync::watch;
use tower::Service;

/// Stands between a listener and an API server, and keeps account of what controllers that are
/// killed one after the other had asked for and were not told.
///
/// Each life of the controller has to impersonate the user that [`Ledger::user`] names.
#[derive(Clone, Debug)]
pub struct Ledger {
    service: ApiService,
    state: watch::Sender<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Which life it is, counted from 0.
    life: usize,
    /// Writes that were answered, events apart.
    writes: usize,
    next: u64,
    /// The pod creates that are being answered, and whose they are.
    open: HashMap<u64, String>,
    /// How many pod creates of each set were unanswered at a kill.
    unanswered: HashMap<String, usize>,
}

/// What the ledger needs to know of a request.
struct Write {
    life: usize,
    /// The set for which a pod is created.
    creates_for: Option<String>,
}

impl Ledger {
    /// A ledger of what `service` is asked.
    pub fn new(service: ApiService) -> Self {
        Self {
            service,
            state: watch::Sender::new(State::default()),
        }
    }

    /// Whom the controller impersonates in the life that begins now.
    pub fn user(&self) -> String {
        format!("life-{}", self.state.borrow().life)
    }

    /// Waits until `count` writes were answered, those of events apart.
    pub async fn writes(&self, count: usize) {
        let mut state = self.state.subscribe();
        // The sender is `self`: it does not go away.
        let _ = state.wait_for(|state| state.writes >= count).await;
    }

    /// The controller is dead: what it has not been told until now it will never hear of.
    pub fn killed(&self) {
        self.state.send_modify(|state| {
            state.life += 1;
            let State {
                open, unanswered, ..
            } = state;
            for set in open.values() {
                *unanswered.entry(set.clone()).or_default() += 1;
            }
        });
    }

    /// How many pod creates of each set were unanswered at the kills.
    pub fn unanswered(&self) -> HashMap<String, usize> {
        self.state.borrow().unanswered.clone()
    }

    fn begin(&self, write: &Write) -> u64 {
        let mut number = 0;
        self.state.send_modify(|state| {
            number = state.next;
            state.next += 1;
            let Some(set) = &write.creates_for else {
                return;
            };
            if write.life < state.life {
                // It was on its way when its sender died.
                *state.unanswered.entry(set.clone()).or_default() += 1;
            } else {
                state.open.insert(number, set.clone());
            }
        });
        number
    }

    fn end(&self, number: u64) {
        self.state.send_modify(|state| {
            state.open.remove(&number);
            state.writes += 1;
        });
    }
}

impl Write {
    /// `None` for what is no write of a controller.
    fn of(method: &Method, path: &str, headers: &HeaderMap, body: &[u8]) -> Option<Self> {
        let user = headers.get("impersonate-user")?.to_str().ok()?;
        let life = user.strip_prefix("life-")?.parse().ok()?;
        if method == Method::GET || path.ends_with("/events") {
            return None;
        }
        let is_pod = method == Method::POST && path.ends_with("/pods");
        let owner = || -> Option<String> {
            let pod: Value = serde_json::from_slice(body).ok()?;
            Some(
                pod["metadata"]["ownerReferences"][0]["name"]
                    .as_str()?
                    .to_owned(),
            )
        };
        Some(Self {
            life,
            creates_for: if is_pod { owner() } else { None },
        })
    }
}

impl Service<Request<RequestBody>> for Ledger {
    type Response = Response<ResponseBody>;
    type Error = Box<dyn std::error::Error + Send + Sync>;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<RequestBody>) -> Self::Future {
        let mut this = self.clone();
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let body: Bytes = body.collect().await?.to_bytes();
            let write = Write::of(&parts.method, parts.uri.path(), &parts.headers, &body);
            let number = write.map(|write| this.begin(&write));
            let body = Full::new(body).map_err(|never: Infallible| match never {});
            let answer = this.service.call(Request::from_parts(parts, body)).await;
            if let Some(number) = number {
                this.end(number);
            }
            Ok(answer?)
        })
    }
}
