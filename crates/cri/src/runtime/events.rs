//! What happens to containers.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures::Stream;
use tonic::Streaming;

use super::{Call, Runtime};
use crate::Error;
use crate::v1;

const METHOD: &str = "GetContainerEvents";

/// What happens to containers, as it happens, made by [`Runtime::container_events`].
///
/// It ends with the connection, by an error or without one; what happens until the next stream is
/// opened is then missed, so that its user lists anew.
#[derive(Debug)]
pub struct Events {
    stream: Streaming<v1::ContainerEventResponse>,
}

impl Runtime {
    /// What happens to containers from now on.
    ///
    /// # Errors
    ///
    /// [`Error::Unimplemented`] with runtimes that send no events, either here or as the first item
    /// of the stream.
    pub async fn container_events(&self) -> Result<Events, Error> {
        let call = Call::unlimited(METHOD);
        let request = call.request(v1::GetEventsRequest {})?;
        let stream = call
            .answer(self.runtime().get_container_events(request))
            .await?;
        Ok(Events { stream })
    }
}

impl Stream for Events {
    type Item = Result<v1::ContainerEventResponse, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = ready!(Pin::new(&mut self.stream).poll_next(cx));
        Poll::Ready(next.map(|event| event.map_err(|status| Error::from_status(METHOD, &status))))
    }
}
