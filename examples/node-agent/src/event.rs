//! What is told to people about pods and the node: events.

mod recorder;
mod reference;
mod writer;

pub use recorder::{EventReceiver, EventRecorder, EventType, RecordedEvent};
pub use reference::{container_reference, node_reference, pod_reference};
pub use writer::event_writer;
