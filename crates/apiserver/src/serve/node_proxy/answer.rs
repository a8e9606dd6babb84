//! What clients are told of what kubelets answer.

use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use http::header::{
    CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use kubewright_streaming::OneWay;
use tokio::time::{Instant, timeout_at};

use super::kubelet::{Answered, Flow, Kubelets, Patience, Silence};
use super::refusal;
use crate::proxy::{Forward, Manner};
use crate::serve::connection::Stop;
use crate::serve::tunnel::Tunnel;
use crate::{ApiError, ResponseBody};

/// Headers that are of one connection, and not of what it carries.
const OF_CONNECTIONS: [HeaderName; 8] = [
    CONNECTION,
    EXPECT,
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");

impl Kubelets {
    /// The kubelet's answer to a request; `client` is the way to the client's connection, should
    /// it become a tunnel. What may take for ever ends on `stop`.
    ///
    /// # Errors
    ///
    /// What upstream answers where the kubelet does not answer, or says no.
    pub(super) async fn answer(
        &self,
        forward: Forward,
        client: Option<OnUpgrade>,
        stop: Option<Stop>,
    ) -> Result<Response<ResponseBody>, ApiError> {
        match &forward.manner {
            Manner::Log { pod, follow: false } => {
                let log = self.log(&forward, pod, Patience::Usual).await?;
                sent(log, &forward.headers, client)
            }
            Manner::Log { pod, follow: true } => {
                let log = self.log(&forward, pod, Patience::Endless);
                let log = match stop {
                    None => log.await,
                    Some(Stop(stop)) => stop.run_until_cancelled(log).await.unwrap_or_else(|| {
                        Err(unavailable("the server is shutting down".to_owned()))
                    }),
                };
                sent(log?, &forward.headers, client)
            }
            Manner::Stream if upgrade(&forward.headers).is_none() => {
                Err(ApiError::bad_request("Upgrade request required"))
            }
            Manner::Stream | Manner::Plain => self.carry(&forward, client).await,
        }
    }

    /// A log, as it comes.
    async fn log(
        &self,
        forward: &Forward,
        pod: &str,
        patience: Patience,
    ) -> Result<Flow, ApiError> {
        let answered = self
            .ask(forward, Request::new(Full::default()), patience)
            .await
            .map_err(|why| {
                let url = forward.location.url(self.scheme);
                ApiError::unclassified(format!("Get {url:?}: {why}"))
            })?;
        let (head, flow) = answered.into_flow().into_parts();
        if !(200..=206).contains(&head.status.as_u16()) {
            let said = self.beginning(flow).await;
            return Err(refusal::of_log(head.status, pod, &said));
        }
        Ok(flow)
    }

    /// How a refusal begins, which is all that is told of it.
    async fn beginning(&self, mut flow: Flow) -> String {
        let mut said = BytesMut::new();
        let deadline = Instant::now() + self.linger;
        while said.len() < refusal::LONGEST
            && let Ok(Some(Ok(bytes))) = timeout_at(deadline, flow.next()).await
        {
            said.extend_from_slice(&bytes);
        }
        said.truncate(refusal::LONGEST);
        String::from_utf8_lossy(&said).into_owned()
    }

    /// Carries a request to the kubelet and its answer back, whatever they are.
    async fn carry(
        &self,
        forward: &Forward,
        client: Option<OnUpgrade>,
    ) -> Result<Response<ResponseBody>, ApiError> {
        let protocol = upgrade(&forward.headers);
        if protocol.is_some() && client.is_none() {
            return Err(no_upgrade());
        }
        if protocol.is_some() && !forward.body.is_empty() {
            return Err(ApiError::bad_request(
                "a request for an upgrade has no body",
            ));
        }
        let answered = self
            .ask(forward, request(forward, protocol), Patience::Usual)
            .await
            .map_err(|why| unanswered(&forward.manner, &why))?;
        match client {
            Some(client) if answered.status() == StatusCode::SWITCHING_PROTOCOLS => self
                .tunnel(answered, client)
                .await
                .map_err(|why| unanswered(&forward.manner, &why)),
            _ => Ok(passed_on(answered)),
        }
    }

    async fn tunnel(
        &self,
        answered: Answered,
        client: OnUpgrade,
    ) -> Result<Response<ResponseBody>, Silence> {
        let (head, node) = answered.into_upgraded().await?;
        let mut response = Response::new(ResponseBody::from(Bytes::new()));
        *response.status_mut() = head.status;
        *response.headers_mut() = head.headers;
        response
            .extensions_mut()
            .insert(Tunnel::new(client, TokioIo::new(node), self.linger));
        Ok(response)
    }
}

/// A log as its client wants it: as text, or in the messages of a WebSocket.
fn sent(
    log: Flow,
    headers: &HeaderMap,
    client: Option<OnUpgrade>,
) -> Result<Response<ResponseBody>, ApiError> {
    if OneWay::is_wanted(headers) {
        let client = client.ok_or_else(no_upgrade)?;
        return Ok(match OneWay::negotiate(headers) {
            Ok((protocol, answer)) => {
                let mut response = answer.map(|_| ResponseBody::from(Bytes::new()));
                let tunnel = Tunnel::one_way(client, protocol, log);
                response.extensions_mut().insert(tunnel);
                response
            }
            Err(refusal) => refusal.map(|body| {
                let text = body.into_data_stream().map(|Ok(text)| text);
                ResponseBody::stream(text)
            }),
        });
    }
    let mut response = Response::new(ResponseBody::fallible(log));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
    Ok(response)
}

fn no_upgrade() -> ApiError {
    ApiError::unsupported(
        "upgrades of requests that did not come through its listener over HTTP/1.1",
    )
}

/// The request as a kubelet gets it: without what is of the client's connection, and without who
/// the client is.
fn request(forward: &Forward, protocol: Option<HeaderValue>) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::new(forward.body.clone()));
    *request.method_mut() = forward.method.clone();
    let mut headers = of_content(&forward.headers);
    let names: Vec<HeaderName> = headers.keys().cloned().collect();
    for name in names {
        if name.as_str().starts_with("impersonate-") {
            headers.remove(name);
        }
    }
    // The body is whole, and hyper says how long it is.
    headers.remove(CONTENT_LENGTH);
    if forward.method == Method::POST && forward.body.is_empty() {
        headers.insert(CONTENT_LENGTH, 0.into());
    }
    if let Some(protocol) = protocol {
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, protocol);
    }
    *request.headers_mut() = headers;
    request
}

/// The answer of a kubelet, as it is.
fn passed_on(answered: Answered) -> Response<ResponseBody> {
    let (head, flow) = answered.into_flow().into_parts();
    let mut response = Response::new(ResponseBody::fallible(flow));
    *response.status_mut() = match head.status {
        // It was not asked for.
        StatusCode::SWITCHING_PROTOCOLS => StatusCode::BAD_GATEWAY,
        status => status,
    };
    *response.headers_mut() = of_content(&head.headers);
    response
}

/// What a client is told if there is no answer to pass on.
fn unanswered(manner: &Manner, why: &Silence) -> ApiError {
    match manner {
        Manner::Plain => unavailable(format!("error trying to reach service: {why}")),
        Manner::Stream | Manner::Log { .. } => {
            ApiError::unclassified(format!("error dialing backend: {why}"))
        }
    }
}

fn unavailable(message: String) -> ApiError {
    ApiError::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "ServiceUnavailable",
        message,
    )
}

/// The protocol that a request asks to go on in.
fn upgrade(headers: &HeaderMap) -> Option<HeaderValue> {
    named_by_connection(headers)
        .any(|name| name.eq_ignore_ascii_case("upgrade"))
        .then(|| headers.get(UPGRADE).cloned())
        .flatten()
}

/// The headers that are not of a connection.
fn of_content(headers: &HeaderMap) -> HeaderMap {
    let mut kept = headers.clone();
    for name in named_by_connection(headers) {
        kept.remove(name);
    }
    for name in OF_CONNECTIONS.iter().chain([&KEEP_ALIVE]) {
        kept.remove(name);
    }
    kept
}

fn named_by_connection(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    headers
        .get_all(CONNECTION)
        .into_iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
}
