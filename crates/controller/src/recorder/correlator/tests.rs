//! The correlation of events, on its own.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use tokio::time::Instant;

use super::super::RecorderConfig;
use super::{COMBINED, Correlator};

/// A correlator, and a clock that tests move.
struct Fixture {
    correlator: Correlator,
    start: Instant,
    seconds: u64,
    names: u32,
}

impl Fixture {
    fn new(config: &RecorderConfig) -> Self {
        Self {
            correlator: Correlator::new(config),
            start: Instant::now(),
            seconds: 0,
            names: 0,
        }
    }

    /// Records an event, as the writer does, and tells what is written: name, count, message and
    /// the first and the last second.
    fn record(&mut self, event: &Event) -> Option<Written> {
        let now = Time(Timestamp::from_second(i64::try_from(self.seconds).unwrap()).unwrap());
        self.names += 1;
        let event = Event {
            metadata: ObjectMeta {
                name: Some(format!("event-{}", self.names)),
                ..ObjectMeta::default()
            },
            first_timestamp: Some(now.clone()),
            last_timestamp: Some(now),
            ..event.clone()
        };
        let now = self.start + Duration::from_secs(self.seconds);
        let correlated = self.correlator.correlate(event, now)?;
        self.correlator.written(&correlated.key, &correlated.event);
        let event = correlated.event;
        let second = |time: Option<Time>| time.unwrap().0.as_second();
        Some(Written {
            name: event.metadata.name.unwrap(),
            count: event.count.unwrap(),
            message: event.message.unwrap(),
            first: second(event.first_timestamp),
            last: second(event.last_timestamp),
        })
    }
}

#[derive(Debug, PartialEq)]
struct Written {
    name: String,
    count: i32,
    message: String,
    first: i64,
    last: i64,
}

fn object(name: &str) -> ObjectReference {
    ObjectReference {
        kind: Some("Pod".into()),
        name: Some(name.into()),
        namespace: Some("my-ns".into()),
        uid: Some("C934D34AFB20242".into()),
        api_version: Some("version".into()),
        field_path: Some("spec.containers{mycontainer}".into()),
        ..ObjectReference::default()
    }
}

fn event(reason: &str, message: &str, object: ObjectReference) -> Event {
    Event {
        reason: Some(reason.into()),
        message: Some(message.into()),
        involved_object: object,
        source: Some(EventSource {
            component: Some("kubelet".into()),
            host: Some("kubelet.node1".into()),
        }),
        count: Some(1),
        type_: Some("Normal".into()),
        ..Event::default()
    }
}

fn similar(nth: usize) -> Event {
    event(
        "similar",
        &format!("similar message {nth}"),
        object("my-pod"),
    )
}

/// client-go `TestEventCorrelator`, scenario by scenario: what comes of the last of some events that
/// are `seconds` apart, as its count and message.
fn last_of(events: &[Event], seconds: u64) -> Option<(i32, String)> {
    let mut fixture = Fixture::new(&RecorderConfig::of("test"));
    let mut last = None;
    for event in events {
        fixture.seconds += seconds;
        last = fixture.record(event);
    }
    last.map(|written| {
        assert_eq!(written.first == written.last, written.count == 1);
        (written.count, written.message)
    })
}

#[test]
fn test_event_correlator() {
    let duplicate = event("duplicate", "me again", object("my-pod"));
    let told = |count, message: &str| Some((count, message.to_owned()));

    let first = event("first", "i am first", object("my-pod"));
    assert_eq!(
        last_of(&[first], 5),
        told(1, "i am first"),
        "create-a-single-event"
    );

    let twice = vec![duplicate.clone(); 2];
    assert_eq!(
        last_of(&twice, 5),
        told(2, "me again"),
        "the-same-event-should-just-count"
    );

    let eleven = vec![duplicate.clone(); 11];
    let scenario = "the-same-event-should-just-count-even-if-more-than-aggregate";
    assert_eq!(last_of(&eleven, 60), told(11, "me again"), "{scenario}");

    let spam = vec![duplicate; 27];
    let scenario = "the-same-event-is-spam-if-happens-too-frequently";
    assert_eq!(last_of(&spam, 2), None, "{scenario}");

    let mut unique: Vec<_> = (0..30)
        .map(|nth| {
            event(
                &format!("reason-{nth}"),
                "message",
                object(&format!("pod-{nth}")),
            )
        })
        .collect();
    unique.push(event("unique", "snowflake", object("my-pod")));
    assert_eq!(
        last_of(&unique, 5),
        told(1, "snowflake"),
        "create-many-unique-events"
    );

    let combined = |nth| format!("{COMBINED}similar message {nth}");
    let ten: Vec<_> = (0..10).map(similar).collect();
    let scenario = "similar-events-should-aggregate-event";
    assert_eq!(last_of(&ten, 5), told(1, &combined(9)), "{scenario}");

    let eleven: Vec<_> = (0..11).map(similar).collect();
    let scenario = "similar-events-many-times-should-count-the-aggregate";
    assert_eq!(last_of(&eleven, 5), told(2, &combined(10)), "{scenario}");

    let in_container = |name: &str| ObjectReference {
        field_path: Some(format!("spec.containers{{{name}}}")),
        ..object("my-pod")
    };
    let containers =
        ["container2", "container1"].map(|name| event("similar", "same", in_container(name)));
    let scenario = "events-from-different-containers-do-not-aggregate";
    assert_eq!(last_of(&containers, 5), told(1, "same"), "{scenario}");

    let scenario =
        "similar-events-whose-interval-is-greater-than-aggregate-interval-do-not-aggregate";
    assert_eq!(
        last_of(&ten, 601),
        told(1, "similar message 9"),
        "{scenario}"
    );
    assert_eq!(last_of(&ten, 600), told(1, &combined(9)), "{scenario}");
}

/// client-go `TestEventSpamFilter`: the default filter looks at object and type, not at the reason.
#[test]
fn test_event_spam_filter() {
    let mut config = RecorderConfig::of("test");
    config.spam_burst = 1;
    let mut fixture = Fixture::new(&config);
    let mut is_written = |event: &Event| fixture.record(event).is_some();
    assert!(is_written(&event(
        "original",
        "i am first",
        object("my-pod")
    )));
    assert!(!is_written(&event(
        "duplicate",
        "me again",
        object("my-pod")
    )));
    assert!(is_written(&event(
        "duplicate",
        "me again",
        object("other-pod")
    )));
    let mut warning = event("original", "i am first", object("my-pod"));
    warning.type_ = Some("Warning".into());
    assert!(is_written(&warning));
}

/// client-go `TestEventAggregatorByReasonFunc`.
#[test]
fn test_event_aggregator_by_reason_func() {
    let fun = event("end-of-world", "it was fun", object("pod1"));
    let awful = event("end-of-world", "it was awful", object("pod1"));
    let nevermind = event("nevermind", "it was a bug", object("pod1"));
    let key = super::aggregate_key;
    assert_eq!(key(&fun), key(&awful));
    assert_ne!(key(&fun), key(&nevermind));
    assert_ne!(super::event_key(&fun), super::event_key(&awful));
}

#[test]
fn parts_of_a_key_do_not_run_into_each_other() {
    let mut one = event("ab", "c", object("pod1"));
    let other = event("a", "bc", object("pod1"));
    assert_ne!(super::event_key(&one), super::event_key(&other));
    one.type_ = None;
    one.involved_object.api_version = Some("versionNormal".into());
    assert_ne!(super::spam_key(&one), super::spam_key(&other));
}

#[test]
fn an_event_that_happens_again_is_the_first_with_a_higher_count() {
    let mut fixture = Fixture::new(&RecorderConfig::of("test"));
    let it = event("reason", "message", object("my-pod"));
    fixture.seconds = 100;
    let first = fixture.record(&it).unwrap();
    fixture.seconds = 160;
    let again = fixture.record(&it).unwrap();
    let expected = Written {
        count: 2,
        last: 160,
        ..first
    };
    assert_eq!(again, expected);
}

/// The filter keeps events from being written, not from being counted.
#[test]
fn counting_goes_on_while_events_are_held_back() {
    let mut config = RecorderConfig::of("test");
    config.spam_burst = 2;
    let mut fixture = Fixture::new(&config);
    let it = event("reason", "message", object("my-pod"));
    let counts: Vec<_> = (0..5)
        .map(|_| fixture.record(&it).map(|written| written.count))
        .collect();
    assert_eq!(counts, [Some(1), Some(2), None, None, None]);
    fixture.seconds += 299;
    assert_eq!(fixture.record(&it), None);
    fixture.seconds += 1;
    assert_eq!(fixture.record(&it).map(|written| written.count), Some(7));
}

/// The first nine messages stay what they are; the others are combined, however many there are.
#[test]
fn messages_told_one_by_one_go_on_being_told_so() {
    let mut config = RecorderConfig::of("test");
    config.spam_burst = 1000;
    let mut fixture = Fixture::new(&config);
    for nth in 0..50 {
        assert!(fixture.record(&similar(nth)).is_some());
    }
    assert_eq!(
        fixture.record(&similar(3)).map(|written| written.count),
        Some(2)
    );
    let combined = fixture.record(&similar(30)).unwrap();
    assert_eq!((combined.name.as_str(), combined.count), ("event-10", 42));
}

#[test]
fn what_was_not_seen_for_longest_is_forgotten() {
    let mut config = RecorderConfig::of("test");
    config.memory = 3;
    let mut fixture = Fixture::new(&config);
    let count = |fixture: &mut Fixture, pod: &str| {
        let written = fixture.record(&event("reason", "message", object(pod)));
        written.map(|written| written.count)
    };
    for pod in ["a", "b", "c"] {
        assert_eq!(count(&mut fixture, pod), Some(1));
    }
    assert_eq!(count(&mut fixture, "a"), Some(2));
    assert_eq!(count(&mut fixture, "d"), Some(1)); // b is forgotten
    assert_eq!(count(&mut fixture, "a"), Some(3));
    assert_eq!(count(&mut fixture, "b"), Some(1));
}
