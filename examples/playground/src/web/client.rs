use std::net::SocketAddr;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use futures::future::{Either, select};
use http::Request;
use http::header::HOST;
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::Identity;

/// Asks a web server who it is.
///
/// # Errors
///
/// It does not answer, or something else does.
///
/// # Cancel safety
///
/// Dropping the future closes the connection.
pub async fn ask(address: SocketAddr) -> Result<Identity> {
    let socket = TcpStream::connect(address).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(socket)).await?;
    let exchange = async {
        let request = Request::get("/")
            .header(HOST, address.to_string())
            .body(Empty::<Bytes>::new())?;
        let answer = sender.send_request(request).await?;
        let body = answer.into_body().collect().await?.to_bytes();
        serde_json::from_slice(&body).context("it does not say who it is")
    };
    // The connection moves only while it is polled.
    match select(Box::pin(exchange), Box::pin(connection)).await {
        Either::Left((answer, _)) => answer,
        Either::Right((ended, exchange)) => {
            ended?;
            exchange.await
        }
    }
}
