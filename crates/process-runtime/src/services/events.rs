use futures::StreamExt as _;
use futures::stream::{BoxStream, unfold};
use kubewright_cri::Status;
use kubewright_cri::v1::ContainerEventResponse;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

pub(super) type Events = BoxStream<'static, Result<ContainerEventResponse, Status>>;

/// What happens from now on. A listener that falls too far behind is told so, and its stream ends:
/// it has to look for itself.
pub(super) fn stream(events: Receiver<ContainerEventResponse>) -> Events {
    unfold(Some(events), |events| async {
        let mut events = events?;
        match events.recv().await {
            Ok(event) => Some((Ok(event), Some(events))),
            Err(RecvError::Closed) => None,
            Err(RecvError::Lagged(missed)) => {
                let status = Status::resource_exhausted(format!("{missed} events were missed"));
                Some((Err(status), None))
            }
        }
    })
    .boxed()
}
