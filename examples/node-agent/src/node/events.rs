use crate::event::{EventRecorder, EventType, node_reference};

/// Something about a node that people are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeNews {
    /// Whether all is well.
    pub event_type: EventType,
    /// What happened, in a word.
    pub reason: &'static str,
    /// What happened, for people.
    pub message: String,
}

impl NodeNews {
    /// A node is now what a word says.
    pub(super) fn status(node_name: &str, reason: &'static str) -> Self {
        Self {
            event_type: EventType::Normal,
            reason,
            message: format!("Node {node_name} status is now: {reason}"),
        }
    }

    /// A node was booted anew.
    pub(super) fn rebooted(node_name: &str, boot_id: &str) -> Self {
        Self {
            event_type: EventType::Warning,
            reason: "Rebooted",
            message: format!("Node {node_name} has been rebooted, boot id: {boot_id}"),
        }
    }

    /// Records it as an event.
    pub fn record(self, recorder: &EventRecorder, node_name: &str) {
        let node = node_reference(node_name);
        match self.event_type {
            EventType::Normal => recorder.normal(&node, self.reason, self.message),
            EventType::Warning => recorder.warning(&node, self.reason, self.message),
        }
    }
}
