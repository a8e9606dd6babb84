//! Reconcile loops over shared informers and a work queue.

mod recorder;

pub use recorder::{
    EventPatch, EventRecorder, EventSink, EventType, EventWriter, RecorderConfig, reference,
};
