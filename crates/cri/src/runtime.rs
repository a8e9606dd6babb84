//! The handle on a container runtime.

use std::fmt;
use std::time::Duration;

use prost::Message;
use tokio::time::Instant;
use tonic::{Code, Request, Response, Status};

use crate::v1::image_service_client::ImageServiceClient;
use crate::v1::runtime_service_client::RuntimeServiceClient;
use crate::wire::{self, Wire};
use crate::{Endpoint, Error, ImageService, MAX_MESSAGE_SIZE, RuntimeService, Server};

mod containers;
mod events;
mod images;
mod sandboxes;
mod stats;
mod status;
mod streaming;

pub use events::Events;

/// Who waits for longer waits for ever: some hundred years. There is a length from which on gRPC
/// cannot write a limit down, and a pod may ask for any grace.
const LONGEST_LIMIT: Duration = Duration::from_secs(u32::MAX as u64);

/// A handle on a container runtime.
///
/// Cheap to clone; clones share one connection.
/// The methods are the calls of CRI v1 under their names there.
///
/// # Errors
///
/// Every call fails with an [`Error`] that names it; the variant says what the caller might do next.
///
/// # Cancel safety
///
/// Dropping a call's future gives up the answer and tells the runtime so; whether the call took
/// effect is then unknown, as it is after [`Error::Unavailable`].
#[derive(Clone)]
pub struct Runtime {
    runtime: RuntimeServiceClient<Wire>,
    images: ImageServiceClient<Wire>,
    options: RuntimeOptions,
}

/// How a [`Runtime`] treats its runtime.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RuntimeOptions {
    /// How long a call may take: 2 minutes by default, as `runtimeRequestTimeout` of kubelet.
    ///
    /// [`Runtime::stop_container`] and [`Runtime::exec_sync`] may take as much longer as they ask
    /// the runtime to wait; [`Runtime::pull_image`] and streams may take for ever.
    pub timeout: Duration,
}

impl Default for RuntimeOptions {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(120),
        }
    }
}

impl Runtime {
    /// A handle on the runtime at an endpoint, after it answered as a CRI v1 runtime.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`] with [`Error::unreachable`] if there is no runtime or no permission to
    /// speak to it, [`Error::Unimplemented`] if what answers speaks gRPC and not CRI v1.
    pub async fn connect(endpoint: &Endpoint, options: RuntimeOptions) -> Result<Self, Error> {
        let runtime = Self::lazy(endpoint, options);
        match runtime.version().await {
            Ok(_) => Ok(runtime),
            Err(error) => Err(error.not_cri(endpoint)),
        }
    }

    /// A handle on the runtime at an endpoint; the first call connects.
    ///
    /// Call it inside a tokio runtime.
    pub fn lazy(endpoint: &Endpoint, options: RuntimeOptions) -> Self {
        Self::over(wire::unix(endpoint), options)
    }

    /// A handle on a runtime in this process.
    ///
    /// Calls are encoded as they are on a socket, and no socket, task or thread is involved.
    pub fn in_process<S: RuntimeService + ImageService>(services: S) -> Self {
        Self::in_process_with(services, RuntimeOptions::default())
    }

    /// [`in_process`](Self::in_process), with options.
    pub fn in_process_with<S: RuntimeService + ImageService>(
        services: S,
        options: RuntimeOptions,
    ) -> Self {
        Self::over(wire::in_process(Server::new(services)), options)
    }

    fn over(wire: Wire, options: RuntimeOptions) -> Self {
        Self {
            runtime: RuntimeServiceClient::new(wire.clone())
                .max_decoding_message_size(MAX_MESSAGE_SIZE)
                .max_encoding_message_size(MAX_MESSAGE_SIZE),
            images: ImageServiceClient::new(wire)
                .max_decoding_message_size(MAX_MESSAGE_SIZE)
                .max_encoding_message_size(MAX_MESSAGE_SIZE),
            options,
        }
    }

    fn runtime(&self) -> RuntimeServiceClient<Wire> {
        self.runtime.clone()
    }

    fn images(&self) -> ImageServiceClient<Wire> {
        self.images.clone()
    }

    fn call(&self, method: &'static str) -> Call {
        self.call_of(method, Duration::ZERO)
    }

    /// A call in which the runtime is asked to wait.
    fn call_of(&self, method: &'static str, wait: Duration) -> Call {
        let limit = self.options.timeout.saturating_add(wait);
        Call {
            method,
            limit: (limit <= LONGEST_LIMIT).then_some(limit),
        }
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// One call: what it is named in errors, and how long it may take.
struct Call {
    method: &'static str,
    limit: Option<Duration>,
}

impl Call {
    const fn unlimited(method: &'static str) -> Self {
        Self {
            method,
            limit: None,
        }
    }

    /// The request; the runtime is told how long anybody waits for its answer.
    ///
    /// One that is too large is refused here: on a socket it would look like a lost connection.
    fn request<M: Message>(&self, message: M) -> Result<Request<M>, Error> {
        let size = message.encoded_len();
        if size > MAX_MESSAGE_SIZE {
            return Err(Error::too_large(self.method, size));
        }
        let mut request = Request::new(message);
        if let Some(limit) = self.limit {
            request.set_timeout(limit);
        }
        Ok(request)
    }

    fn answer<M>(
        &self,
        call: impl Future<Output = Result<Response<M>, Status>> + Send,
    ) -> impl Future<Output = Result<M, Error>> + Send {
        // What gRPC keeps during a call is too large to be part of every caller's future.
        self.ended(Box::pin(call))
    }

    async fn ended<M>(
        &self,
        call: impl Future<Output = Result<Response<M>, Status>> + Send,
    ) -> Result<M, Error> {
        let result = match self.limit {
            None => call.await,
            Some(limit) => {
                let start = Instant::now();
                match tokio::time::timeout(limit, call).await {
                    Err(_) => return Err(Error::late(self.method, limit)),
                    // The transport has a timer of its own for the same limit.
                    Ok(Err(status))
                        if status.code() == Code::Cancelled && start.elapsed() >= limit =>
                    {
                        return Err(Error::late(self.method, limit));
                    }
                    Ok(result) => result,
                }
            }
        };
        match result {
            Ok(response) => Ok(response.into_inner()),
            Err(status) => Err(Error::from_status(self.method, &status)),
        }
    }

    /// The part of an answer that CRI promises.
    fn promised<M>(&self, part: Option<M>, name: &str) -> Result<M, Error> {
        part.ok_or_else(|| Error::incomplete(self.method, name))
    }
}
