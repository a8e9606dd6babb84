//! The bodies between a socket and the service: requests that must arrive, answers that end on stop.

use std::future::Future as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::Incoming;
use parking_lot::Mutex;
use tokio::time::{Sleep, sleep, timeout};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::BoxError;

/// How much of a body that the service did not want is read, and for how long at most, so that a
/// client that is still sending comes to read the answer.
const DRAIN_BYTES: usize = 64 << 20;
const DRAIN_TIME: Duration = Duration::from_secs(10);

/// The body of a request that a [`Listener`](super::Listener) received.
///
/// It fails when the client makes no progress for [`Limits::body_stall`](super::Limits::body_stall).
#[derive(Debug)]
pub struct RequestBody {
    shared: Arc<Mutex<Incoming>>,
    patience: Duration,
    deadline: Option<Pin<Box<Sleep>>>,
}

/// What remains of a request's body while the service has the [`RequestBody`].
pub(super) struct Remainder {
    shared: Arc<Mutex<Incoming>>,
    patience: Duration,
}

impl RequestBody {
    pub(super) fn new(incoming: Incoming, patience: Duration) -> (Self, Remainder) {
        let shared = Arc::new(Mutex::new(incoming));
        let body = Self {
            shared: Arc::clone(&shared),
            patience,
            deadline: None,
        };
        (body, Remainder { shared, patience })
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        let frame = Pin::new(&mut *this.shared.lock()).poll_frame(context);
        if let Poll::Ready(frame) = frame {
            this.deadline = None;
            return Poll::Ready(frame.map(|frame| frame.map_err(BoxError::from)));
        }
        let deadline = this
            .deadline
            .get_or_insert_with(|| Box::pin(sleep(this.patience)));
        ready!(deadline.as_mut().poll(context));
        Poll::Ready(Some(Err("the request's body does not arrive".into())))
    }

    fn is_end_stream(&self) -> bool {
        self.shared.lock().is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.shared.lock().size_hint()
    }
}

impl Remainder {
    /// Reads what the service left unread.
    ///
    /// A client that sends its whole request before it looks for an answer would otherwise find a
    /// connection that was reset, instead of the answer that says why its body was not wanted.
    pub(super) async fn drain(self) {
        let Some(incoming) = Arc::into_inner(self.shared) else {
            return;
        };
        let mut incoming = incoming.into_inner();
        let drain = async {
            let mut drained = 0;
            while !incoming.is_end_stream() && drained < DRAIN_BYTES {
                match incoming.frame().await {
                    Some(Ok(frame)) => drained += frame.data_ref().map_or(0, Bytes::len),
                    Some(Err(_)) | None => return,
                }
            }
        };
        // Whether all of it came does not matter: the answer is sent either way.
        let _ = timeout(DRAIN_TIME.min(self.patience), drain).await;
    }
}

/// The body of an answer; if it has no known length, as watches have not, it ends on stop.
pub(super) struct AnswerBody {
    body: UnsyncBoxBody<Bytes, BoxError>,
    stop: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
}

impl AnswerBody {
    pub(super) fn new<B>(body: B, stop: &CancellationToken) -> Self
    where
        B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        let endless = body.size_hint().exact().is_none();
        Self {
            body: body.map_err(Into::into).boxed_unsync(),
            stop: endless.then(|| Box::pin(stop.clone().cancelled_owned())),
        }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(context) {
            return Poll::Ready(frame);
        }
        match &mut this.stop {
            Some(stop) => stop.as_mut().poll(context).map(|()| None),
            None => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
