//! What of the events is written, and as what. A synchronous state machine.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Event, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kubewright_workqueue::TokenBucket;
use tokio::time::Instant;

use super::RecorderConfig;
use super::lru::Lru;

const COMBINED: &str = "(combined from similar events): ";

#[derive(Debug)]
pub(super) struct Correlator {
    aggregates: Lru<Aggregate>,
    aggregate_after: usize,
    aggregate_within: Duration,
    observations: Lru<Option<Observation>>,
    /// By object and type. `None` lets everything through.
    spam: Lru<Option<TokenBucket>>,
    bucket: Option<TokenBucket>,
}

/// Similar events: those of one object, type and reason.
#[derive(Debug)]
struct Aggregate {
    messages: BTreeSet<String>,
    last: Instant,
}

/// Identical events, as they were written last.
#[derive(Debug, Clone)]
struct Observation {
    name: Option<String>,
    count: i32,
    first_timestamp: Option<Time>,
}

/// An event to write.
#[derive(Debug)]
pub(super) struct Correlated {
    /// To be created if its count is 1, else to be patched.
    pub(super) event: Event,
    /// Names it in [`Correlator::written`].
    pub(super) key: String,
}

impl Correlator {
    pub(super) fn new(config: &RecorderConfig) -> Self {
        Self {
            aggregates: Lru::new(config.memory),
            aggregate_after: config.aggregate_after,
            aggregate_within: config.aggregate_within,
            observations: Lru::new(config.memory),
            spam: Lru::new(config.memory),
            bucket: TokenBucket::new(config.spam_refill, config.spam_burst).ok(),
        }
    }

    /// What to write for an event; `None` if it is one too many.
    pub(super) fn correlate(&mut self, event: Event, now: Instant) -> Option<Correlated> {
        let spam_key = spam_key(&event);
        let (event, key) = self.aggregate(event, now);
        let event = self.observe(event, &key);
        let bucket = &self.bucket;
        let spam = self.spam.get_or_insert_with(&spam_key, || bucket.clone());
        let admitted = spam.as_mut().is_none_or(|bucket| bucket.try_take(now));
        admitted.then_some(Correlated { event, key })
    }

    /// Takes over what the server made of an event.
    pub(super) fn written(&mut self, key: &str, event: &Event) {
        *self.observations.get_or_insert_with(key, || None) = Some(Observation::of(event));
    }

    /// The event itself, or one that stands for many similar ones; and what makes events identical
    /// to it.
    fn aggregate(&mut self, event: Event, now: Instant) -> (Event, String) {
        let key = aggregate_key(&event);
        let fresh = || Aggregate {
            messages: BTreeSet::new(),
            last: now,
        };
        let aggregate = self.aggregates.get_or_insert_with(&key, fresh);
        if now - aggregate.last > self.aggregate_within {
            *aggregate = fresh();
        }
        aggregate.last = now;
        let message = event.message.clone().unwrap_or_default();
        let is_new = aggregate.messages.insert(message.clone());
        if aggregate.messages.len() < self.aggregate_after {
            let key = event_key(&event);
            return (event, key);
        }
        // The first few messages go on being told one by one; the set grows no further.
        if is_new {
            aggregate.messages.remove(&message);
        }
        // It keeps the name of this event, which is not written itself.
        let combined = Event {
            message: Some(format!("{COMBINED}{message}")),
            ..event
        };
        (combined, key)
    }

    /// Counts an event; from the second on it becomes the first with a higher count.
    fn observe(&mut self, mut event: Event, key: &str) -> Event {
        let observation = self.observations.get_or_insert_with(key, || None);
        if let Some(before) = observation {
            event.metadata.name.clone_from(&before.name);
            event.first_timestamp.clone_from(&before.first_timestamp);
            event.count = Some(before.count.saturating_add(1));
        }
        *observation = Some(Observation::of(&event));
        event
    }
}

impl Observation {
    fn of(event: &Event) -> Self {
        Self {
            name: event.metadata.name.clone(),
            count: event.count.unwrap_or(1),
            first_timestamp: event.first_timestamp.clone(),
        }
    }
}

/// Identical events: all but the times are the same.
fn event_key(event: &Event) -> String {
    let field_path = event.involved_object.field_path.as_deref();
    let parts = [
        field_path,
        event.reason.as_deref(),
        event.message.as_deref(),
    ];
    join(event, &parts)
}

/// Similar events: identical but for the message and the part of the object.
fn aggregate_key(event: &Event) -> String {
    let reporters = [&event.reporting_component, &event.reporting_instance];
    let [component, instance] = reporters.map(Option::as_deref);
    join(event, &[event.reason.as_deref(), component, instance])
}

/// Events of one object and type from one source.
fn spam_key(event: &Event) -> String {
    join(event, &[])
}

fn join(event: &Event, more: &[Option<&str>]) -> String {
    let source = event.source.as_ref();
    let component = source.and_then(|source| source.component.as_deref());
    let host = source.and_then(|source| source.host.as_deref());
    let ObjectReference {
        kind,
        namespace,
        name,
        uid,
        api_version,
        ..
    } = &event.involved_object;
    let object = [kind, namespace, name, uid, api_version, &event.type_];
    let parts = [component, host]
        .into_iter()
        .chain(object.map(Option::as_deref));
    let mut key = String::new();
    for part in parts.chain(more.iter().copied()) {
        // No name, type or reason has a line feed; at most the last part, a message, does.
        key.push_str(part.unwrap_or_default());
        key.push('\n');
    }
    key
}
