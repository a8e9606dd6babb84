use kubewright_clock::Clock;
use kubewright_controller::{EventSink, EventWriter, RecorderConfig};

use super::EventRecorder;

/// Who reports events, to Kubernetes' eyes.
const COMPONENT: &str = "kubelet";

/// A recorder of a node's events, and the writer that brings them to `sink`, which for an API
/// server is the [events client](crate::client::Clients::events). Somebody has to run it.
///
/// Similar events become one, one object's are limited, and what does not reach the API server is
/// tried again: as [`kubewright_controller::EventRecorder`] has it.
pub fn event_writer<S: EventSink>(
    sink: S,
    node_name: &str,
    clock: Clock,
    seed: u64,
) -> (EventRecorder, EventWriter<S>) {
    let mut config = RecorderConfig::of(COMPONENT);
    config.host = node_name.to_owned();
    config.clock = clock;
    config.seed = seed;
    let (recorder, writer) = kubewright_controller::EventRecorder::new(sink, &config);
    (EventRecorder::written(recorder), writer)
}
