//! Tells people what happened, by Events of the Kubernetes API.

mod correlator;
mod lru;
mod name;
mod sink;
mod writer;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube_core::Resource;
use kubewright_clock::Clock;
use kubewright_informer::Object;
use tokio::sync::mpsc;

use self::name::Names;
pub use self::sink::{EventPatch, EventSink};
pub use self::writer::EventWriter;

/// Records Events about objects, without ever waiting.
///
/// A cheap handle. What it records is written by its [`EventWriter`], which somebody has to run.
///
/// # Guarantees
///
/// - Recording never blocks and never fails. At most [`RecorderConfig::capacity`] events wait to be
///   written; further ones are dropped and counted; the first, second, fourth, eighth and so
///   on of them are logged.
/// - Identical events become one, with a count: the first is created, the others are patches of it.
/// - From ten distinct messages on within ten minutes, events of one object, type and reason become
///   one whose message begins with `(combined from similar events): `.
/// - Of one object and type, 25 events are written at once and one more every five minutes; counting
///   goes on meanwhile.
/// - What the server refuses is not tried again. What does not reach it is tried twelve times, ten
///   seconds apart.
///
/// # Example
///
/// ```
/// use k8s_openapi::api::core::v1::Pod;
/// use kube_client::Client;
/// use kubewright_controller::{EventRecorder, EventType, RecorderConfig, reference};
/// use kubewright_informer::Object;
/// use tokio_util::sync::CancellationToken;
///
/// async fn greet(client: Client, pod: Object<Pod>, token: CancellationToken) {
///     let (recorder, writer) = EventRecorder::new(client, &RecorderConfig::of("greeter"));
///     recorder.record(&reference(&pod), EventType::Normal, "Greeted", "hello");
///     writer.run(token).await;
/// }
/// ```
///
/// Answers to client-go's `tools/record`, with its defaults.
#[derive(Clone)]
pub struct EventRecorder {
    shared: Arc<Shared>,
}

struct Shared {
    sender: mpsc::Sender<Event>,
    source: EventSource,
    clock: Clock,
    names: Names,
    dropped: AtomicU64,
}

/// How events are recorded and written.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RecorderConfig {
    /// Who reports: the name of the controller.
    pub component: String,
    /// Where it runs, for events about what happens on a node. Default: empty.
    pub host: String,
    /// How many events may wait to be written. Default: 1000.
    pub capacity: usize,
    /// How many distinct messages make similar events one. Default: 10.
    pub aggregate_after: usize,
    /// How long a pause ends the similarity. Default: 10 min.
    pub aggregate_within: Duration,
    /// How many events of one object and type may be written at once. Default: 25.
    pub spam_burst: u32,
    /// How often one more may be. Default: every 5 min.
    pub spam_refill: Duration,
    /// How many objects, groups and events are remembered, each. Default: 4096.
    pub memory: usize,
    /// How often an event that does not reach the server is tried. Default: 12.
    pub tries: u32,
    /// How long to wait before it is tried again; the first time a random part of it. Default: 10 s.
    pub retry_delay: Duration,
    /// How long one try may take; what is not answered by then is tried again. Default: 10 s.
    pub write_timeout: Duration,
    /// How long writing may go on after the writer was stopped. Default: 5 s.
    pub flush_timeout: Duration,
    /// The wall clock. Default: the system's.
    pub clock: Clock,
    /// Seeds the random part of the first wait. Default: 0.
    pub seed: u64,
}

impl RecorderConfig {
    /// The defaults, for a component.
    pub fn of(component: impl Into<String>) -> Self {
        Self {
            component: component.into(),
            host: String::new(),
            capacity: 1000,
            aggregate_after: 10,
            aggregate_within: Duration::from_secs(600),
            spam_burst: 25,
            spam_refill: Duration::from_secs(300),
            memory: 4096,
            tries: 12,
            retry_delay: Duration::from_secs(10),
            write_timeout: Duration::from_secs(10),
            flush_timeout: Duration::from_secs(5),
            clock: Clock::system(),
            seed: 0,
        }
    }
}

/// What kind of news an event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EventType {
    /// Information.
    Normal,
    /// Something may be wrong.
    Warning,
}

impl EventType {
    /// `Normal` or `Warning`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "Normal",
            Self::Warning => "Warning",
        }
    }
}

impl EventRecorder {
    /// A recorder, and the writer that brings what it records to `sink`, which for a cluster is a
    /// [`kube_client::Client`].
    pub fn new<S: EventSink>(sink: S, config: &RecorderConfig) -> (Self, EventWriter<S>) {
        let (sender, receiver) = mpsc::channel(config.capacity.max(1));
        let non_empty = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let shared = Arc::new(Shared {
            sender,
            source: EventSource {
                component: non_empty(&config.component),
                host: non_empty(&config.host),
            },
            clock: config.clock.clone(),
            names: Names::default(),
            dropped: AtomicU64::new(0),
        });
        let writer = EventWriter::new(sink, receiver, config);
        (Self { shared }, writer)
    }

    /// Records that something happened to the object that `regarding` names.
    ///
    /// `reason` is a short word for machines, in camel case; `message` is for people.
    pub fn record(
        &self,
        regarding: &ObjectReference,
        event_type: EventType,
        reason: &str,
        message: impl Into<String>,
    ) {
        match self.shared.sender.try_reserve() {
            Ok(place) => place.send(self.event(regarding, event_type, reason, message.into())),
            Err(mpsc::error::TrySendError::Full(())) => {
                self.note_dropped("too many events wait to be written");
            }
            Err(mpsc::error::TrySendError::Closed(())) => {
                self.note_dropped("the event writer has stopped");
            }
        }
    }

    fn note_dropped(&self, reason: &str) {
        let dropped = self.shared.dropped.fetch_add(1, Ordering::Relaxed) + 1;
        // A flood of events is not to become a flood of logs.
        if dropped.is_power_of_two() {
            tracing::warn!(dropped, reason, "events were dropped");
        }
    }

    /// How many events were dropped so far, because too many waited or because the writer stopped.
    pub fn dropped(&self) -> u64 {
        self.shared.dropped.load(Ordering::Relaxed)
    }

    fn event(
        &self,
        regarding: &ObjectReference,
        event_type: EventType,
        reason: &str,
        message: String,
    ) -> Event {
        let shared = &*self.shared;
        let now = shared.clock.now();
        let namespace = regarding.namespace.as_deref().unwrap_or("default");
        Event {
            metadata: ObjectMeta {
                name: Some(
                    shared
                        .names
                        .next(regarding.name.as_deref().unwrap_or_default(), now),
                ),
                namespace: Some(namespace.to_owned()),
                ..ObjectMeta::default()
            },
            involved_object: regarding.clone(),
            reason: Some(reason.to_owned()),
            message: Some(message),
            type_: Some(event_type.as_str().to_owned()),
            count: Some(1),
            first_timestamp: Some(Time(now)),
            last_timestamp: Some(Time(now)),
            source: Some(shared.source.clone()),
            reporting_component: shared.source.component.clone(),
            reporting_instance: shared.source.host.clone(),
            ..Event::default()
        }
    }
}

impl fmt::Debug for EventRecorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventRecorder")
            .field("component", &self.shared.source.component)
            .field("dropped", &self.dropped())
            .finish_non_exhaustive()
    }
}

/// A reference to an object, as events and other objects carry it.
pub fn reference<K: Resource<DynamicType = ()>>(object: &Object<K>) -> ObjectReference {
    let meta = object.meta();
    let non_empty = |text: String| (!text.is_empty()).then_some(text);
    ObjectReference {
        api_version: Some(K::api_version(&()).into_owned()),
        kind: Some(K::kind(&()).into_owned()),
        namespace: meta.namespace().map(str::to_owned),
        name: Some(meta.name().to_owned()),
        uid: non_empty(meta.uid().to_string()),
        resource_version: non_empty(meta.resource_version().to_string()),
        field_path: None,
    }
}
