use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::{Body as HttpBody, Bytes, StdError};
use tower::Service;

use crate::MAX_MESSAGE_SIZE;
use crate::v1::image_service_server::{self, ImageService, ImageServiceServer};
use crate::v1::runtime_service_server::{self, RuntimeService, RuntimeServiceServer};

/// A runtime as a tower service: gRPC requests in, gRPC responses out.
///
/// Cheap to clone; clones are the same runtime.
pub struct Server<S> {
    runtime: RuntimeServiceServer<S>,
    images: ImageServiceServer<S>,
}

impl<S: RuntimeService + ImageService> Server<S> {
    /// A service of the runtime `services`.
    pub fn new(services: S) -> Self {
        let services = Arc::new(services);
        Self {
            runtime: RuntimeServiceServer::from_arc(Arc::clone(&services))
                .max_decoding_message_size(MAX_MESSAGE_SIZE)
                .max_encoding_message_size(MAX_MESSAGE_SIZE),
            images: ImageServiceServer::from_arc(services)
                .max_decoding_message_size(MAX_MESSAGE_SIZE)
                .max_encoding_message_size(MAX_MESSAGE_SIZE),
        }
    }
}

impl<S, B> Service<Request<B>> for Server<S>
where
    S: RuntimeService + ImageService,
    B: HttpBody<Data = Bytes, Error: Into<StdError> + Send> + Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let service = request.uri().path().split('/').nth(1).unwrap_or_default();
        match service {
            runtime_service_server::SERVICE_NAME => self.runtime.call(request),
            image_service_server::SERVICE_NAME => self.images.call(request),
            other => {
                let status = Status::unimplemented(format!("unknown service {other}"));
                Box::pin(async move { Ok(status.into_http()) })
            }
        }
    }
}

impl<S> Clone for Server<S> {
    fn clone(&self) -> Self {
        Self {
            runtime: self.runtime.clone(),
            images: self.images.clone(),
        }
    }
}

impl<S> fmt::Debug for Server<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").finish_non_exhaustive()
    }
}
