//! Names for events.

use std::sync::atomic::{AtomicI64, Ordering};

use jiff::Timestamp;

/// Gives events names after their object and the time, no two the same.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// The nanoseconds in the last name.
    last: AtomicI64,
}

impl Names {
    /// `object.17a0b3c4d5e6f708`; without an object's name that cannot be part of an event's.
    pub(super) fn next(&self, object: &str, now: Timestamp) -> String {
        let now = i64::try_from(now.as_nanosecond()).unwrap_or(i64::MAX - 1);
        let after = |last: i64| Some(now.max(last.saturating_add(1)));
        let last = self
            .last
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, after)
            .expect("there is always a next");
        let nanos = now.max(last.saturating_add(1));
        let name = format!("{object}.{nanos:x}");
        if is_subdomain(&name) {
            name
        } else {
            format!("event.{nanos:x}")
        }
    }
}

/// Whether the server takes it for the name of an object: a DNS subdomain of RFC 1123.
fn is_subdomain(name: &str) -> bool {
    let is_label = |label: &str| {
        let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        !label.is_empty()
            && label.bytes().all(inner)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.len() <= 253 && name.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_never_given_twice() {
        let names = Names::default();
        let now = Timestamp::from_nanosecond(0x17a0).unwrap();
        assert_eq!(names.next("web", now), "web.17a0");
        assert_eq!(names.next("web", now), "web.17a1");
        assert_eq!(names.next("web", Timestamp::UNIX_EPOCH), "web.17a2");
    }

    /// client-go `GenerateEventName`: some objects have names that no event can have.
    #[test]
    fn names_that_no_event_can_have_are_left_out() {
        let names = Names::default();
        let now = Timestamp::from_nanosecond(0x10).unwrap();
        let long = "a".repeat(252);
        for object in ["system:node", "UPPER", "", "-a", "a-", "a..b", &long] {
            assert!(names.next(object, now).starts_with("event."), "{object}");
        }
        assert!(names.next("a.b-c", now).starts_with("a.b-c."));
    }
}
