use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use k8s_openapi::api::core::v1::ObjectReference;
use tokio::sync::mpsc;

/// Takes events, and never waits for anybody to read them.
///
/// Cheap to clone. What finds no room is dropped, and counted: events are for people, and a node
/// must not stand still for them.
#[derive(Clone, Debug)]
pub struct EventRecorder {
    destination: Destination,
}

/// Where events go.
#[derive(Clone, Debug)]
enum Destination {
    /// Nowhere.
    Nowhere,
    /// To who reads them.
    Reader {
        events: mpsc::Sender<RecordedEvent>,
        dropped: Arc<AtomicU64>,
    },
    /// To the API server.
    Writer(kubewright_controller::EventRecorder),
}

/// The events that were recorded, in order; it ends when the last recorder is dropped.
pub type EventReceiver = mpsc::Receiver<RecordedEvent>;

/// An event, before it is written.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordedEvent {
    /// What it is about.
    pub object: ObjectReference,
    /// Whether all is well.
    pub event_type: EventType,
    /// Why it came, in a word: `Pulled`, `BackOff`…
    pub reason: String,
    /// What happened, for people.
    pub message: String,
}

/// Whether an event tells of something that is well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventType {
    /// It is.
    Normal,
    /// Somebody might have to do something.
    Warning,
}

impl EventType {
    /// The word that events have for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "Normal",
            Self::Warning => "Warning",
        }
    }
}

impl EventRecorder {
    /// A recorder, and where its events come out. So many may wait.
    pub fn channel(capacity: usize) -> (Self, EventReceiver) {
        let (events, receiver) = mpsc::channel(capacity);
        let dropped = Arc::default();
        let destination = Destination::Reader { events, dropped };
        (Self { destination }, receiver)
    }

    /// A recorder whose events go nowhere, for an agent without an API server.
    pub fn disabled() -> Self {
        let destination = Destination::Nowhere;
        Self { destination }
    }

    /// A recorder whose events are written.
    pub(super) fn written(recorder: kubewright_controller::EventRecorder) -> Self {
        let destination = Destination::Writer(recorder);
        Self { destination }
    }

    /// Records that something happened as it should.
    pub fn normal(&self, object: &ObjectReference, reason: &str, message: impl Into<String>) {
        self.record(object, EventType::Normal, reason, message.into());
    }

    /// Records that something happened that should not.
    pub fn warning(&self, object: &ObjectReference, reason: &str, message: impl Into<String>) {
        self.record(object, EventType::Warning, reason, message.into());
    }

    /// How many events were dropped since nobody read them fast enough.
    pub fn dropped(&self) -> u64 {
        match &self.destination {
            Destination::Nowhere => 0,
            Destination::Reader { dropped, .. } => dropped.load(Ordering::Relaxed),
            Destination::Writer(recorder) => recorder.dropped(),
        }
    }

    fn record(
        &self,
        object: &ObjectReference,
        event_type: EventType,
        reason: &str,
        message: String,
    ) {
        let name = object.name.as_deref().unwrap_or_default();
        tracing::debug!(object = name, reason, message, "event");
        match &self.destination {
            Destination::Nowhere => {}
            Destination::Reader { events, dropped } => {
                let event = RecordedEvent {
                    object: object.clone(),
                    event_type,
                    reason: reason.to_owned(),
                    message,
                };
                if events.try_send(event).is_err() {
                    dropped.fetch_add(1, Ordering::Relaxed);
                }
            }
            Destination::Writer(recorder) => {
                let event_type = match event_type {
                    EventType::Normal => kubewright_controller::EventType::Normal,
                    EventType::Warning => kubewright_controller::EventType::Warning,
                };
                recorder.record(object, event_type, reason, message);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::node_reference;

    #[test]
    fn what_finds_no_room_is_dropped_and_counted() {
        let (recorder, mut events) = EventRecorder::channel(1);
        let node = node_reference("n");
        recorder.normal(&node, "Starting", "Starting kubelet.");
        recorder.warning(&node, "Rebooted", "again");
        assert_eq!(recorder.dropped(), 1);
        assert_eq!(events.try_recv().unwrap().reason, "Starting");
        assert!(events.try_recv().is_err());
    }

    #[test]
    fn without_a_reader_nothing_is_kept() {
        let recorder = EventRecorder::disabled();
        recorder.normal(&node_reference("n"), "Starting", "");
        assert_eq!(recorder.dropped(), 0);
    }
}
