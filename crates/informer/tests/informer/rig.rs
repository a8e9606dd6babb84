//! An informer of a collection in memory, and handlers that write down what they are told.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use kubewright_cache::testing::FakeSource;
use kubewright_cache::{ObjectKey, ResourceVersion, SourceError};
use kubewright_informer::{
    Certainty, Error, Event, EventHandler, HandlerConfig, InformerConfig, Initial, Mailbox,
    Registration, SharedInformer, async_handler,
};
use parking_lot::Mutex;
use serde_json::json;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// The type that tests mirror: any will do.
pub(crate) type Thing = ConfigMap;

/// A source, its informer, and the task that drives it.
pub(crate) struct Rig {
    pub(crate) source: FakeSource,
    pub(crate) informer: SharedInformer<Thing>,
    pub(crate) token: CancellationToken,
    tasks: JoinSet<Result<(), Error>>,
}

impl Rig {
    /// Holds these objects, at versions 1 and up; nothing runs yet.
    pub(crate) fn new(names: &[&str]) -> Self {
        Self::with_config(names, InformerConfig::default())
    }

    pub(crate) fn with_config(names: &[&str], config: InformerConfig) -> Self {
        let source = FakeSource::new();
        let informer = SharedInformer::new("things", source.clone(), config).unwrap();
        let rig = Self {
            source,
            informer,
            token: CancellationToken::new(),
            tasks: JoinSet::new(),
        };
        for name in names {
            rig.put(name);
        }
        rig
    }

    /// Holds these objects, and is in sync.
    pub(crate) async fn started(names: &[&str]) -> Self {
        let mut rig = Self::new(names);
        rig.start();
        rig.informer.synced().await.unwrap();
        rig
    }

    pub(crate) fn start(&mut self) {
        let (informer, token) = (self.informer.clone(), self.token.clone());
        self.tasks.spawn(async move { informer.run(token).await });
    }

    /// Stops the informer and waits until it has.
    pub(crate) async fn stop(&mut self) {
        self.token.cancel();
        while let Some(ended) = self.tasks.join_next().await {
            ended.unwrap().unwrap();
        }
    }

    /// Drops the future that drives the informer.
    pub(crate) async fn kill(&mut self) {
        self.tasks.shutdown().await;
    }

    /// Creates or changes an object.
    pub(crate) fn put(&self, name: &str) -> ResourceVersion {
        self.source.apply(thing(name))
    }

    pub(crate) fn delete(&self, name: &str) {
        self.source.delete(&key(name)).unwrap();
    }

    /// Creates or changes an object while the watch looks away.
    pub(crate) fn put_unseen(&self, name: &str) {
        self.source.apply_unseen(thing(name));
    }

    /// Deletes an object while the watch looks away.
    pub(crate) fn delete_unseen(&self, name: &str) {
        self.source.delete_unseen(&key(name)).unwrap();
    }

    /// Makes the watch fail so that only a new list can help, and waits until that is done.
    pub(crate) async fn relist(&self) {
        let lists = self.source.lists().len();
        let expired = || SourceError::Expired {
            message: "too old".into(),
        };
        while self.source.lists().len() == lists || self.source.open_watches() == 0 {
            self.source.fail_watches(expired);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        settle().await;
    }

    /// Adds a handler that writes down what it is told.
    pub(crate) fn record(&self, config: HandlerConfig) -> (Registration, Record) {
        let record = Record::default();
        let registration = self.informer.add_handler(record.handler(), config).unwrap();
        (registration, record)
    }

    /// Adds a handler that handles one event for each permit.
    pub(crate) fn record_gated(&self, config: HandlerConfig) -> (Registration, Record, Gate) {
        let (record, gate) = (Record::default(), Gate::default());
        let handler = gate.before(record.clone());
        let registration = self.informer.add_handler(handler, config).unwrap();
        (registration, record, gate)
    }
}

/// Lets everything that can happen now happen: paused time passes only when all tasks wait.
pub(crate) async fn settle() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

pub(crate) fn key(name: &str) -> ObjectKey {
    name.parse().unwrap()
}

/// An object; `name` may be `namespace/name`.
pub(crate) fn thing(name: &str) -> serde_json::Value {
    let key = key(name);
    json!({"metadata": {"namespace": key.namespace(), "name": key.name()}})
}

pub(crate) fn lossless(capacity: usize) -> HandlerConfig {
    let mut config = HandlerConfig::named("lossless");
    let capacity = capacity.try_into().unwrap();
    config.mailbox = Mailbox::Lossless { capacity };
    config
}

pub(crate) fn resynced(seconds: u64) -> HandlerConfig {
    let mut config = HandlerConfig::default();
    config.resync = Some(Duration::from_secs(seconds));
    config
}

/// What a handler was told, in short: `*a@1` added initially, `+a@1` added later, `a@1>2` updated,
/// `-a@3` deleted, `?a@2` deleted by inference.
#[derive(Clone, Default)]
pub(crate) struct Record {
    lines: Arc<Mutex<Vec<String>>>,
}

impl Record {
    pub(crate) fn handler(&self) -> impl EventHandler<Thing> {
        let record = self.clone();
        move |event: Event<Thing>| record.note(&event)
    }

    pub(crate) fn note(&self, event: &Event<Thing>) {
        self.lines.lock().push(show(event));
    }

    /// What was told since the last call.
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.lines.lock())
    }

    /// What was told since the last call, in alphabetical order.
    pub(crate) fn take_sorted(&self) -> Vec<String> {
        let mut lines = self.take();
        lines.sort();
        lines
    }

    pub(crate) fn len(&self) -> usize {
        self.lines.lock().len()
    }
}

pub(crate) fn show(event: &Event<Thing>) -> String {
    let (sign, before) = match event {
        Event::Added { initial, .. } => match initial {
            Initial::Yes => ("*", None),
            Initial::No => ("+", None),
        },
        Event::Updated { old, .. } => ("", Some(old)),
        Event::Deleted { certainty, .. } => match certainty {
            Certainty::Seen => ("-", None),
            Certainty::Inferred => ("?", None),
        },
    };
    let version = event.object().meta().resource_version();
    let key = event.key();
    match before {
        Some(old) => format!("{sign}{key}@{}>{version}", old.meta().resource_version()),
        None => format!("{sign}{key}@{version}"),
    }
}

/// Holds a handler up.
#[derive(Clone)]
pub(crate) struct Gate {
    permits: Arc<Semaphore>,
    /// How many events are or were in the handler's hands.
    entered: Arc<AtomicUsize>,
}

impl Default for Gate {
    fn default() -> Self {
        Self {
            permits: Arc::new(Semaphore::new(0)),
            entered: Arc::default(),
        }
    }
}

impl Gate {
    /// A handler that waits for a permit before it notes an event.
    pub(crate) fn before(&self, record: Record) -> impl EventHandler<Thing> + use<> {
        let gate = self.clone();
        async_handler(move |event: Event<Thing>| {
            let (gate, record) = (gate.clone(), record.clone());
            async move {
                gate.entered.fetch_add(1, Ordering::SeqCst);
                gate.permits.acquire().await.unwrap().forget();
                record.note(&event);
            }
        })
    }

    pub(crate) fn let_through(&self, events: usize) {
        self.permits.add_permits(events);
    }

    pub(crate) fn open(&self) {
        self.permits.add_permits(Semaphore::MAX_PERMITS / 2);
    }

    pub(crate) fn entered(&self) -> usize {
        self.entered.load(Ordering::SeqCst)
    }
}
