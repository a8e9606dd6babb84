//! What an administrator of the server may ask for over HTTP.

use std::task::{Context, Poll};

use bytes::Bytes;
use futures::future::{Either, Ready, ready};
use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response};
use serde_json::json;
use tower::Service;

use super::BoxError;
use crate::access::{Attributes, User};
use crate::{ApiError, ApiServer, ApiService, ResponseBody, ResponseFuture, ServiceError};

/// A service that answers as [`ApiServer::service`] does, and takes orders from administrators.
///
/// | request | effect |
/// |---|---|
/// | `POST /debug/compact?revision=N` | [`ApiServer::compact`] up to `N`, or up to now without it |
/// | `POST /debug/bookmarks` | [`ApiServer::send_bookmarks`] |
/// | `POST /debug/drop-watches` | [`ApiServer::drop_watches`] |
///
/// A [`Listener`](super::Listener) lets only those in who have its token; service accounts, which it
/// may let in as well, are refused.
#[derive(Clone, Debug)]
pub struct DebugService {
    server: ApiServer,
    service: ApiService,
}

impl DebugService {
    /// The service of `server`, and the orders.
    pub fn new(server: ApiServer) -> Self {
        let service = server.service();
        Self { server, service }
    }

    fn obey(&self, order: &str, method: &Method, query: &str) -> Response<ResponseBody> {
        match self.effect(order, method, query) {
            Ok(()) => {
                let done = json!({
                    "kind": "Status",
                    "apiVersion": "v1",
                    "metadata": {},
                    "status": "Success",
                });
                answer(done.to_string())
            }
            Err(error) => {
                let mut response = refusal(&error);
                if error.code() == http::StatusCode::METHOD_NOT_ALLOWED {
                    let post = HeaderValue::from_static("POST");
                    response.headers_mut().insert(ALLOW, post);
                }
                response
            }
        }
    }

    fn effect(&self, order: &str, method: &Method, query: &str) -> Result<(), ApiError> {
        let effect: fn(&ApiServer, &str) -> Result<(), ApiError> = match order {
            "compact" => compact,
            "bookmarks" => |server, _| {
                server.send_bookmarks();
                Ok(())
            },
            "drop-watches" => |server, _| {
                server.drop_watches();
                Ok(())
            },
            _ => return Err(ApiError::unknown_path()),
        };
        if method != Method::POST {
            return Err(ApiError::method_not_allowed());
        }
        effect(&self.server, query)
    }
}

fn compact(server: &ApiServer, query: &str) -> Result<(), ApiError> {
    let asked = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "revision");
    let revision = match asked {
        None => server.resource_version(),
        Some((_, text)) => text.parse().map_err(|_| {
            ApiError::bad_request(format!("revision must be a resource version, not {text:?}"))
        })?,
    };
    server.compact(revision);
    Ok(())
}

fn refusal(error: &ApiError) -> Response<ResponseBody> {
    let mut response = answer(error.to_status().to_string());
    *response.status_mut() = error.code();
    response
}

fn answer(json: String) -> Response<ResponseBody> {
    let mut response = Response::new(Bytes::from(json).into());
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

impl<B> Service<Request<B>> for DebugService
where
    B: http_body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    type Response = Response<ResponseBody>;
    type Error = ServiceError;
    type Future = Either<ResponseFuture, Ready<Result<Response<ResponseBody>, ServiceError>>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), ServiceError>> {
        Service::<Request<B>>::poll_ready(&mut self.service, context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        match request.uri().path().strip_prefix("/debug/") {
            None => Either::Left(self.service.call(request)),
            Some(order) => {
                if let Some(user) = request.extensions().get::<User>() {
                    let asked = Attributes::of_path(request.method(), request.uri().path());
                    return Either::Right(ready(Ok(refusal(&asked.forbidden(user)))));
                }
                let query = request.uri().query().unwrap_or_default();
                Either::Right(ready(Ok(self.obey(order, request.method(), query))))
            }
        }
    }
}
