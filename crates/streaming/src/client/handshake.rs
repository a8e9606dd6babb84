use std::io::{self, ErrorKind};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::header::{
    CONNECTION, HOST, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{HeaderValue, Request, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;

use super::{Dial, Transport};
use crate::ByteStream;
use crate::protocol::Protocol;
use crate::upgrade::{PROTOCOL_VERSION, SPDY};

/// The server learns nothing from the key, and is not asked for more than an answer to it.
const KEY: [u8; 16] = *b"kubewright-tests";

/// Asks the server to speak another protocol than HTTP.
pub(super) async fn upgrade(
    dial: Dial,
    transport: Transport,
) -> io::Result<(Box<dyn ByteStream>, Protocol)> {
    let (request, protocol) = request(&dial, transport).map_err(invalid)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(dial.io))
        .await
        .map_err(io::Error::other)?;
    let mut connection = Box::pin(connection.with_upgrades());
    let exchange = async {
        let answer = sender
            .send_request(request)
            .await
            .map_err(io::Error::other)?;
        let status = answer.status();
        if status == StatusCode::SWITCHING_PROTOCOLS {
            return Ok(hyper::upgrade::on(answer));
        }
        let body = answer
            .into_body()
            .collect()
            .await
            .map_err(io::Error::other)?;
        let body = body.to_bytes();
        let text = format!("{status}: {}", String::from_utf8_lossy(&body).trim_end());
        Err(io::Error::new(ErrorKind::ConnectionRefused, text))
    };
    let mut exchange = Box::pin(exchange);
    let upgrade = tokio::select! {
        biased;
        upgrade = &mut exchange => upgrade?,
        ended = &mut connection => {
            ended.map_err(io::Error::other)?;
            let upgrade = exchange.await?;
            return Ok((Box::new(TokioIo::new(upgrade.await.map_err(io::Error::other)?)), protocol));
        }
    };
    connection.await.map_err(io::Error::other)?;
    let upgraded = upgrade.await.map_err(io::Error::other)?;
    Ok((Box::new(TokioIo::new(upgraded)), protocol))
}

fn request(
    dial: &Dial,
    transport: Transport,
) -> Result<(Request<Empty<Bytes>>, Protocol), http::Error> {
    let mut request = Request::post(dial.uri.path_and_query().map_or("/", |uri| uri.as_str()))
        .header(CONNECTION, "Upgrade");
    if let Some(authority) = dial.uri.authority() {
        request = request.header(HOST, HeaderValue::from_str(authority.as_str())?);
    }
    let protocol = match transport {
        Transport::Spdy(name) => {
            request = request.header(UPGRADE, SPDY).header(PROTOCOL_VERSION, name);
            Protocol::over_spdy(name)
        }
        Transport::WebSocket(name) => {
            request = request
                .method("GET")
                .header(UPGRADE, "websocket")
                .header(SEC_WEBSOCKET_VERSION, "13")
                .header(SEC_WEBSOCKET_KEY, BASE64_STANDARD.encode(KEY));
            if !name.is_empty() {
                request = request.header(SEC_WEBSOCKET_PROTOCOL, name);
            }
            Protocol::over_websocket(name)
        }
    };
    let mut request = request.body(Empty::new())?;
    request.headers_mut().extend(dial.headers.clone());
    Ok((request, protocol))
}

fn invalid(error: http::Error) -> io::Error {
    io::Error::new(ErrorKind::InvalidInput, error)
}
