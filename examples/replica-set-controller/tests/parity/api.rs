//! An API that answers by script and remembers what it was asked.

use std::sync::{Arc, Mutex};

use http::{Request, Response};
use http_body_util::BodyExt;
use kube_client::Client;
use kube_client::client::Body;
use serde_json::{Value, json};

/// A request, as far as tests look at it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Asked {
    /// The method and the path.
    pub(crate) what: String,
    /// The `Content-Type`.
    pub(crate) content_type: Option<String>,
    /// The body.
    pub(crate) body: Value,
}

/// An API and what it was asked so far.
#[derive(Clone, Default)]
pub(crate) struct Api {
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Api {
    /// A client whose requests are answered by `answer` and remembered here.
    pub(crate) fn client(&self, answer: fn(&Asked) -> (u16, Value)) -> Client {
        let asked = Arc::clone(&self.asked);
        let service = tower::service_fn(move |request: Request<Body>| {
            let asked = Arc::clone(&asked);
            async move {
                let (parts, body) = request.into_parts();
                let body = body.collect().await.unwrap().to_bytes();
                let content_type = parts.headers.get(http::header::CONTENT_TYPE);
                let request = Asked {
                    what: format!("{} {}", parts.method, parts.uri.path()),
                    content_type: content_type.map(|it| it.to_str().unwrap().to_owned()),
                    body: serde_json::from_slice(&body).unwrap_or(Value::Null),
                };
                let (code, body) = answer(&request);
                asked.lock().unwrap().push(request);
                let body = Body::from(serde_json::to_vec(&body).unwrap());
                let response = Response::builder().status(code).body(body);
                Ok::<_, std::convert::Infallible>(response.unwrap())
            }
        });
        Client::new(service, "default")
    }

    /// What it was asked.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

/// The answer to a request for something that is not there.
pub(crate) fn not_found() -> (u16, Value) {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "pods \"nobody\" not found", "reason": "NotFound", "code": 404,
    });
    (404, status)
}
