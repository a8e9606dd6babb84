use std::time::Duration;

use k8s_openapi::api::core::v1::{NodeCondition, NodeStatus};
use tokio::time::Instant;

use crate::patch::canonical;

/// When a status that says nothing new is written all the same. Pure.
///
/// After a change the next report comes at a random time between half and one and a half of the
/// frequency, so that nodes that changed together do not report together for ever.
#[derive(Clone, Copy, Debug)]
pub struct ReportSchedule {
    frequency: Duration,
    next: Option<Instant>,
}

impl ReportSchedule {
    /// Nothing was reported yet.
    pub fn new(frequency: Duration) -> Self {
        Self {
            frequency,
            next: None,
        }
    }

    /// Whether a status is to be written though nothing is new.
    pub fn is_due(&self, now: Instant) -> bool {
        self.next.is_none_or(|next| next <= now)
    }

    /// Notes that a status was written, because it was new if there is a `chance` between 0 and 1.
    pub fn reported(&mut self, now: Instant, chance: Option<f64>) {
        let share = chance.map_or(1.0, |chance| 0.5 + chance.clamp(0.0, 1.0));
        self.next = Some(now + self.frequency.mul_f64(share));
    }
}

/// Whether a status says something new, other than that it was looked at again.
///
/// Answers to kubelet's `nodeStatusHasChanged`.
pub fn status_has_changed(old: &NodeStatus, new: &NodeStatus) -> bool {
    let without_beats = |status: &NodeStatus| {
        let conditions = status.conditions.iter().flatten();
        let mut conditions: Vec<_> = conditions
            .map(|condition| NodeCondition {
                last_heartbeat_time: None,
                ..condition.clone()
            })
            .collect();
        conditions.sort_by(|a, b| a.type_.cmp(&b.type_));
        canonical(&NodeStatus {
            conditions: Some(conditions),
            ..status.clone()
        })
    };
    without_beats(old) != without_beats(new)
}
