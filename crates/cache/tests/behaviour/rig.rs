//! A reflector, its log and its store, running against a fake source.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use kubewright_cache::testing::FakeSource;
use kubewright_cache::{
    Certainty, DeltaFifo, Event, FifoConfig, Initial, ListerWatcher, ObjectKey, Observer,
    Operation, Reflector, ReflectorConfig, SourceError, Store, StoreConfig, Undecodable,
};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// What a rig notes while it runs.
#[derive(Default)]
pub(crate) struct Notes {
    /// Events in words: `+a@1` and `+a@1!` (initial), `~a@1>2`, `-a@3` and `-a@3?` (inferred).
    pub(crate) events: Mutex<Vec<String>>,
    pub(crate) failures: Mutex<Vec<(Operation, String)>>,
    pub(crate) undecodable: Mutex<Vec<String>>,
}

impl Observer for Notes {
    fn source_failed(&self, operation: Operation, error: &SourceError) {
        self.failures.lock().push((operation, error.to_string()));
    }

    fn undecodable(&self, item: &Undecodable) {
        self.undecodable.lock().push(item.to_string());
    }
}

pub(crate) struct Rig {
    pub(crate) store: Store<ConfigMap>,
    pub(crate) fifo: DeltaFifo<ConfigMap>,
    pub(crate) notes: Arc<Notes>,
    pub(crate) token: CancellationToken,
    pub(crate) tasks: JoinSet<()>,
}

impl Rig {
    /// Starts with the defaults and a fixed seed.
    pub(crate) fn start(source: &FakeSource) -> Self {
        Self::configured(source.clone(), |_, _| {})
    }

    pub(crate) fn configured(
        source: impl ListerWatcher,
        configure: impl FnOnce(&mut ReflectorConfig, &mut StoreConfig),
    ) -> Self {
        let notes = Arc::new(Notes::default());
        let (mut reflector, mut store) = (ReflectorConfig::default(), StoreConfig::default());
        reflector.seed = 1;
        reflector.observer = Arc::clone(&notes) as Arc<dyn Observer>;
        store.observer = Arc::clone(&notes) as Arc<dyn Observer>;
        configure(&mut reflector, &mut store);

        let (mut writer, store) = Store::new(store);
        let fifo = DeltaFifo::new(FifoConfig::default());
        let token = CancellationToken::new();
        let mut tasks = JoinSet::new();
        let reflector = Reflector::new(source, store.clone(), fifo.clone(), reflector).unwrap();
        tasks.spawn(reflector.run(token.clone()));
        let (log, told) = (fifo.clone(), Arc::clone(&notes));
        tasks.spawn(async move {
            while let Some(mut batch) = log.pop_batch().await {
                let events = writer.apply_batch(&mut batch);
                told.events.lock().extend(events.iter().map(describe));
            }
        });
        Self {
            store,
            fifo,
            notes,
            token,
            tasks,
        }
    }

    /// Lets everything happen that takes no time.
    pub(crate) async fn settle(&self) {
        sleep(Duration::from_millis(1)).await;
    }

    /// The events since the last call.
    pub(crate) fn events(&self) -> Vec<String> {
        std::mem::take(&mut self.notes.events.lock())
    }

    /// The failures since the last call.
    pub(crate) fn failures(&self) -> Vec<(Operation, String)> {
        std::mem::take(&mut self.notes.failures.lock())
    }

    /// The store's objects as `name@version`.
    pub(crate) fn objects(&self) -> Vec<String> {
        let snapshot = self.store.snapshot();
        snapshot
            .iter()
            .map(|object| format!("{object:?}"))
            .collect()
    }

    /// Stops everything and asserts that nothing is left.
    pub(crate) async fn stop(mut self) {
        self.token.cancel();
        let before = tokio::time::Instant::now();
        while let Some(ended) = self.tasks.join_next().await {
            ended.unwrap();
        }
        assert_eq!(before.elapsed(), Duration::ZERO, "stopping takes no time");
    }
}

pub(crate) fn describe(event: &Event<ConfigMap>) -> String {
    let version =
        |object: &kubewright_cache::Object<ConfigMap>| object.meta().resource_version().to_string();
    match event {
        Event::Added { object, initial } => {
            let mark = if *initial == Initial::Yes { "!" } else { "" };
            format!("+{object:?}{mark}")
        }
        Event::Updated { old, new } => {
            format!("~{}@{}>{}", new.key(), version(old), version(new))
        }
        Event::Deleted { object, certainty } => {
            let mark = if *certainty == Certainty::Inferred {
                "?"
            } else {
                ""
            };
            format!("-{object:?}{mark}")
        }
    }
}

/// A `ConfigMap` without a namespace.
pub(crate) fn object(name: &str) -> Value {
    json!({"metadata": {"name": name}, "data": {"k": "v"}})
}

pub(crate) fn key(name: &str) -> ObjectKey {
    name.parse().unwrap()
}

pub(crate) fn busy() -> SourceError {
    SourceError::TooManyRequests {
        retry_after: None,
        message: "slow down".into(),
    }
}

pub(crate) fn expired() -> SourceError {
    SourceError::Expired {
        message: "too old".into(),
    }
}

pub(crate) fn internal() -> SourceError {
    SourceError::Internal {
        message: "oops".into(),
    }
}

pub(crate) fn unreachable() -> SourceError {
    SourceError::Unreachable("connection refused".into())
}

pub(crate) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
