//! The event recorder and its writer, with a sink in memory and under paused time.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use k8s_openapi::api::core::v1::{Event, ObjectReference, Pod};
use kube_client::Error;
use kube_client::core::Status;
use kubewright_clock::Clock;
use kubewright_controller::{
    EventPatch, EventRecorder, EventSink, EventType, EventWriter, RecorderConfig, reference,
};
use kubewright_informer::Object;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

/// A server for events, as far as a recorder is concerned.
#[derive(Clone)]
struct Sink {
    inner: Arc<Mutex<Inner>>,
    start: Instant,
}

#[derive(Default)]
struct Inner {
    stored: BTreeMap<String, Event>,
    /// What was asked for: second, verb and name.
    calls: Vec<(u64, &'static str, String)>,
    /// What the next calls answer instead of doing it.
    answers: Vec<Answer>,
}

#[derive(Clone, Copy)]
enum Answer {
    Refuse(u16),
    Unreachable,
    Hang,
}

impl Sink {
    fn new() -> Self {
        Self {
            inner: Arc::default(),
            start: Instant::now(),
        }
    }

    /// The next so many calls are answered like that.
    fn answer(&self, answer: Answer, times: usize) {
        self.with(|inner| inner.answers.extend(vec![answer; times]));
    }

    fn with<T>(&self, see: impl FnOnce(&mut Inner) -> T) -> T {
        see(&mut self.inner.lock().expect("nothing panics in here"))
    }

    /// The stored events: message and count, in the order of their names.
    fn stored(&self) -> Vec<(String, i32)> {
        let brief = |event: &Event| {
            let message = event.message.clone().unwrap_or_default();
            (message, event.count.unwrap_or_default())
        };
        self.with(|inner| inner.stored.values().map(brief).collect())
    }

    /// Seconds and verbs of the calls so far.
    fn calls(&self) -> Vec<(u64, &'static str)> {
        self.with(|inner| {
            inner
                .calls
                .iter()
                .map(|(at, verb, _)| (*at, *verb))
                .collect()
        })
    }

    async fn call(&self, verb: &'static str, name: &str) -> Result<(), Error> {
        let at = self.start.elapsed().as_secs();
        let answer = self.with(|inner| {
            inner.calls.push((at, verb, name.to_owned()));
            (!inner.answers.is_empty()).then(|| inner.answers.remove(0))
        });
        match answer {
            None => Ok(()),
            Some(Answer::Refuse(code)) => Err(refusal(code)),
            Some(Answer::Unreachable) => {
                let error = std::io::Error::other("connection refused");
                Err(Error::Service(Box::new(error)))
            }
            Some(Answer::Hang) => std::future::pending().await,
        }
    }
}

fn refusal(code: u16) -> Error {
    Error::Api(Box::new(Status::failure("no", "Refused").with_code(code)))
}

impl EventSink for Sink {
    async fn create(&self, event: &Event) -> Result<Event, Error> {
        let name = event.metadata.name.clone().expect("it has a name");
        self.call("create", &name).await?;
        assert_eq!(event.metadata.resource_version, None);
        self.with(|inner| match inner.stored.insert(name, event.clone()) {
            None => Ok(event.clone()),
            Some(_) => Err(refusal(409)),
        })
    }

    async fn patch(&self, namespace: &str, name: &str, patch: &EventPatch) -> Result<Event, Error> {
        self.call("patch", name).await?;
        self.with(|inner| {
            let event = inner.stored.get_mut(name).ok_or_else(|| refusal(404))?;
            assert_eq!(event.metadata.namespace.as_deref(), Some(namespace));
            event.count = Some(patch.count);
            event.last_timestamp.clone_from(&patch.last_timestamp);
            event.message.clone_from(&patch.message);
            Ok(event.clone())
        })
    }
}

fn pod(name: &str) -> ObjectReference {
    ObjectReference {
        kind: Some("Pod".into()),
        name: Some(name.into()),
        namespace: Some("baz".into()),
        uid: Some("bar".into()),
        api_version: Some("v1".into()),
        ..ObjectReference::default()
    }
}

/// A recorder whose writer runs, and its sink.
struct Fixture {
    sink: Sink,
    recorder: EventRecorder,
    token: CancellationToken,
    writer: JoinSet<()>,
}

impl Fixture {
    fn new() -> Self {
        Self::with(&config())
    }

    fn with(config: &RecorderConfig) -> Self {
        let sink = Sink::new();
        let (recorder, writer) = EventRecorder::new(sink.clone(), config);
        let mut fixture = Self {
            sink,
            recorder,
            token: CancellationToken::new(),
            writer: JoinSet::new(),
        };
        fixture.start(writer);
        fixture
    }

    fn start(&mut self, writer: EventWriter<Sink>) {
        self.writer.spawn(writer.run(self.token.clone()));
    }

    fn record(&self, pod_name: &str, reason: &str, message: &str) {
        let regarding = pod(pod_name);
        self.recorder
            .record(&regarding, EventType::Normal, reason, message);
    }

    async fn pass(&self, seconds: u64) {
        sleep(Duration::from_secs(seconds)).await;
    }

    /// Stops the writer, and tells how long that takes.
    async fn stop(&mut self) -> Duration {
        let start = Instant::now();
        self.token.cancel();
        self.writer
            .join_next()
            .await
            .expect("it ran")
            .expect("it does not panic");
        start.elapsed()
    }
}

fn config() -> RecorderConfig {
    let mut config = RecorderConfig::of("eventTest");
    config.clock = Clock::starting_at("2024-05-01T12:00:00Z".parse().expect("it is a time"));
    config
}

/// client-go `TestEventf`: what is written of an event, and of one that happens again.
#[tokio::test(start_paused = true)]
async fn test_eventf() {
    let fixture = Fixture::new();
    fixture.record("foo", "Started", "some verbose message: 1");
    fixture.pass(60).await;
    fixture.record("foo", "Started", "some verbose message: 1");
    fixture.record("foo", "Killed", "some other verbose message: 1");
    fixture.pass(60).await;
    let events = fixture.sink.with(|inner| inner.stored.clone());
    assert_eq!(
        fixture.sink.calls(),
        [(0, "create"), (60, "patch"), (60, "create")]
    );
    let (name, event) = events.first_key_value().expect("it was written");
    let json = serde_json::to_value(event).expect("it serialises");
    let expected = serde_json::json!({
        "apiVersion": "v1", "kind": "Event",
        "metadata": {"namespace": "baz", "name": name},
        "involvedObject": {"apiVersion": "v1", "kind": "Pod", "namespace": "baz", "name": "foo", "uid": "bar"},
        "type": "Normal", "reason": "Started", "message": "some verbose message: 1",
        "count": 2,
        "firstTimestamp": "2024-05-01T12:00:00Z", "lastTimestamp": "2024-05-01T12:01:00Z",
        "source": {"component": "eventTest"}, "reportingComponent": "eventTest",
    });
    assert_eq!(json, expected);
    assert!(name.starts_with("foo.17"), "{name}");
}

/// client-go `TestEventfNoNamespace`: events about cluster-scoped objects are in `default`.
#[tokio::test(start_paused = true)]
async fn test_eventf_no_namespace() {
    let fixture = Fixture::new();
    let node = ObjectReference {
        kind: Some("Node".into()),
        name: Some("foo".into()),
        ..ObjectReference::default()
    };
    fixture
        .recorder
        .record(&node, EventType::Warning, "Bad", "it is bad");
    fixture.pass(1).await;
    let events = fixture.sink.with(|inner| inner.stored.clone());
    let event = events.into_values().next().expect("it was written");
    assert_eq!(event.metadata.namespace.as_deref(), Some("default"));
    assert_eq!(event.involved_object.namespace, None);
    assert_eq!(event.type_.as_deref(), Some("Warning"));
}

/// client-go `TestUpdateExpiredEvent`: an event that is gone is created again, with its count.
#[tokio::test(start_paused = true)]
async fn test_update_expired_event() {
    let fixture = Fixture::new();
    fixture.record("foo", "Started", "message");
    fixture.pass(1).await;
    fixture.sink.with(|inner| inner.stored.clear());
    fixture.record("foo", "Started", "message");
    fixture.pass(1).await;
    assert_eq!(
        fixture.sink.calls(),
        [(0, "create"), (1, "patch"), (1, "create")]
    );
    assert_eq!(fixture.sink.stored(), [("message".to_owned(), 2)]);
    // It is known under its name again.
    fixture.record("foo", "Started", "message");
    fixture.pass(1).await;
    assert_eq!(fixture.sink.calls()[3..], [(2, "patch")]);
    assert_eq!(fixture.sink.stored(), [("message".to_owned(), 3)]);
}

/// client-go `TestWriteEventError`: what the server refuses is not tried again; what does not reach
/// it is.
#[tokio::test(start_paused = true)]
async fn test_write_event_error() {
    for code in [400, 403, 409, 422, 429, 500, 503] {
        let fixture = Fixture::new();
        fixture.sink.answer(Answer::Refuse(code), 1);
        fixture.record("foo", "Started", "message");
        fixture.pass(1000).await;
        assert_eq!(fixture.sink.calls(), [(0, "create")], "{code}");
    }
    let fixture = Fixture::new();
    fixture.sink.answer(Answer::Unreachable, 2);
    fixture.record("foo", "Started", "message");
    fixture.pass(1000).await;
    let calls = fixture.sink.calls();
    assert_eq!(calls.len(), 3);
    assert!(calls[1].0 < 10, "the first wait is a part of 10 s");
    assert_eq!(calls[2].0, calls[1].0 + 10);
    assert_eq!(fixture.sink.stored().len(), 1);
}

/// client-go `TestUpdateEventError` and the limit of tries: twelve, ten seconds apart; then the next
/// event has its turn.
#[tokio::test(start_paused = true)]
async fn an_event_is_tried_twelve_times() {
    let fixture = Fixture::new();
    fixture.sink.answer(Answer::Unreachable, 12);
    fixture.record("foo", "Started", "lost");
    fixture.record("foo", "Started", "next");
    fixture.pass(1000).await;
    assert_eq!(fixture.sink.calls().len(), 13);
    let last = fixture.sink.calls()[11].0;
    assert!((100..110).contains(&last), "{last}");
    assert_eq!(fixture.sink.stored(), [("next".to_owned(), 1)]);
}

/// client-go `TestLotsOfEvents`: a thousand events are recorded at once, though each fails a few
/// times, and none is dropped.
#[tokio::test(start_paused = true)]
async fn test_lots_of_events() {
    let mut config = config();
    config.retry_delay = Duration::ZERO;
    let fixture = Fixture::with(&config);
    fixture.sink.answer(Answer::Unreachable, 5);
    for nth in 0..1000 {
        fixture.record(
            &format!("foo-{nth}"),
            &format!("Reason-{nth}"),
            &nth.to_string(),
        );
    }
    fixture.pass(1).await;
    assert_eq!(fixture.recorder.dropped(), 0);
    assert_eq!(fixture.sink.stored().len(), 1000);
    assert_eq!(fixture.sink.calls().len(), 1005);
}

#[tokio::test(start_paused = true)]
async fn recording_never_waits_and_drops_what_is_too_much() {
    let fixture = Fixture::new();
    fixture.sink.answer(Answer::Hang, 1);
    fixture.record("first", "Reason", "it hangs");
    fixture.pass(1).await;
    let start = Instant::now();
    for nth in 0..1500 {
        fixture.record(&format!("foo-{nth}"), "Reason", "message");
    }
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert_eq!(fixture.recorder.dropped(), 500);
}

/// client-go `TestNonRacyShutdown`: recording goes on while the writer stops, and nothing breaks.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn test_non_racy_shutdown() {
    let mut config = config();
    config.clock = Clock::system();
    // Real time passes here: a thread that waits for its turn is waited for.
    config.flush_timeout = Duration::from_secs(3600);
    let mut fixture = Fixture::with(&config);
    let mut recorders = JoinSet::new();
    for nth in 0..100 {
        let recorder = fixture.recorder.clone();
        recorders.spawn(async move {
            let regarding = pod(&format!("foo-{nth}"));
            recorder.record(&regarding, EventType::Normal, "Reason", "message");
        });
    }
    fixture.stop().await;
    recorders.join_all().await;
    let written = fixture.sink.stored().len() as u64;
    assert_eq!(written + fixture.recorder.dropped(), 100);
    fixture.record("late", "Reason", "message");
    assert_eq!(written + fixture.recorder.dropped(), 101);
}

#[tokio::test(start_paused = true)]
async fn a_stop_writes_what_waits() {
    let mut fixture = Fixture::new();
    for nth in 0..100 {
        fixture.record(&format!("foo-{nth}"), "Reason", "message");
    }
    assert_eq!(fixture.stop().await, Duration::ZERO);
    assert_eq!(fixture.sink.stored().len(), 100);
    assert_eq!(fixture.recorder.dropped(), 0);
}

/// client-go `TestCancelEvent`: after the stop each event is tried once.
#[tokio::test(start_paused = true)]
async fn test_cancel_event() {
    let mut fixture = Fixture::new();
    fixture.sink.answer(Answer::Unreachable, 3);
    for nth in 0..3 {
        fixture.record(&format!("foo-{nth}"), "Reason", "message");
    }
    assert_eq!(fixture.stop().await, Duration::ZERO);
    assert_eq!(fixture.sink.calls().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_the_wait_for_the_next_try() {
    let mut fixture = Fixture::new();
    fixture.sink.answer(Answer::Unreachable, 1);
    fixture.record("foo", "Reason", "message");
    sleep(Duration::from_millis(1)).await;
    assert_eq!(fixture.sink.calls().len(), 1);
    assert_eq!(fixture.stop().await, Duration::ZERO);
    assert_eq!(fixture.sink.stored().len(), 1, "it was tried once more");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_hangs_does_not_keep_the_writer_for_ever() {
    let mut config = config();
    config.write_timeout = Duration::from_secs(100);
    let mut fixture = Fixture::with(&config);
    fixture.sink.answer(Answer::Hang, 1);
    fixture.record("foo", "Reason", "message");
    fixture.pass(60).await;
    assert_eq!(fixture.stop().await, Duration::from_secs(5));
}

/// A connection into nowhere holds up one event for ten seconds, and none for ever.
#[tokio::test(start_paused = true)]
async fn a_write_without_an_answer_is_tried_again() {
    let fixture = Fixture::new();
    fixture.sink.answer(Answer::Hang, 1);
    fixture.record("foo", "Reason", "message");
    fixture.record("foo", "Reason", "next");
    fixture.pass(21).await;
    assert_eq!(fixture.sink.stored().len(), 2);
    let again = fixture.sink.calls()[1].0;
    assert!((10..=20).contains(&again), "{again}");
}

#[tokio::test(start_paused = true)]
async fn the_writer_ends_with_its_last_recorder() {
    let sink = Sink::new();
    let (recorder, writer) = EventRecorder::new(sink.clone(), &config());
    recorder.record(&pod("foo"), EventType::Normal, "Reason", "message");
    drop(recorder);
    writer.run(CancellationToken::new()).await;
    assert_eq!(sink.stored().len(), 1);
}

/// Ten distinct messages make one of the tenth and those after it.
#[tokio::test(start_paused = true)]
async fn similar_events_are_combined() {
    let fixture = Fixture::new();
    for nth in 1..=12 {
        fixture.record(
            "web",
            "SuccessfulCreate",
            &format!("Created pod: web-{nth}"),
        );
    }
    fixture.pass(1).await;
    let mut stored = fixture.sink.stored();
    stored.sort();
    let combined = stored.remove(0);
    let message = "(combined from similar events): Created pod: web-12".to_owned();
    assert_eq!(combined, (message, 3));
    assert_eq!(stored.len(), 9);
    assert!(stored.iter().all(|(_, count)| *count == 1));
    let verbs: Vec<_> = fixture
        .sink
        .calls()
        .into_iter()
        .map(|(_, verb)| verb)
        .collect();
    assert_eq!(verbs[..10], ["create"; 10]);
    assert_eq!(verbs[10..], ["patch"; 2]);
}

#[tokio::test(start_paused = true)]
async fn one_object_may_send_25_and_one_more_every_five_minutes() {
    let fixture = Fixture::new();
    for nth in 0..30 {
        fixture.record("web", &format!("Reason{nth}"), "message");
    }
    fixture.record("api", "Reason", "message");
    fixture.pass(299).await;
    assert_eq!(fixture.sink.calls().len(), 26);
    fixture.record("web", "Later", "message");
    fixture.pass(1).await;
    assert_eq!(fixture.sink.calls().len(), 26);
    fixture.record("web", "Later", "message");
    fixture.pass(1).await;
    // It happened twice, so a patch is tried first; nothing was written to be patched.
    assert_eq!(
        fixture.sink.calls()[26..],
        [(300, "patch"), (300, "create")]
    );
}

#[test]
fn a_reference_names_version_kind_and_incarnation() {
    let json =
        br#"{"metadata": {"namespace": "n", "name": "p", "uid": "u", "resourceVersion": "7"}}"#;
    let object = Object::<Pod>::from_json(json).unwrap();
    let reference = serde_json::to_value(reference(&object)).unwrap();
    let expected = serde_json::json!({
        "apiVersion": "v1", "kind": "Pod", "namespace": "n", "name": "p", "uid": "u",
        "resourceVersion": "7",
    });
    assert_eq!(reference, expected);
}
