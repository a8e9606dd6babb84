//! What all tests of the loop stand on: collections in memory, and a reconciler that follows a script
//! and keeps a journal.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use k8s_openapi::DeepMerge;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kubewright_cache::testing::FakeSource;
use kubewright_controller::{
    Action, Controller, Error, Reconciler, Request, Source, TerminalError,
};
use kubewright_informer::{InformerConfig, ObjectKey, SharedInformer};
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

pub(crate) fn key(name: &str) -> ObjectKey {
    ObjectKey::namespaced("default", name)
}

pub(crate) const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// What a scripted reconcile does.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Step {
    Done,
    After(u64),
    Requeue,
    Fail,
    FailForGood,
    Panic,
    /// Takes so many milliseconds, then is done.
    Take(u64),
    /// Takes for ever.
    Hang,
}

/// One reconcile, as the journal has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) name: String,
    /// Milliseconds since the world began.
    pub(crate) at: u128,
    pub(crate) attempt: u32,
    pub(crate) reasons: String,
    /// The version of the object in the store; `None` if it has none.
    pub(crate) version: Option<String>,
}

/// A reconciler that follows a script, each key its own, and is done when the script is.
pub(crate) struct Scripted {
    journal: Journal,
    store: Option<kubewright_cache::Store<ConfigMap>>,
}

#[derive(Clone)]
pub(crate) struct Journal {
    inner: Arc<Mutex<Inner>>,
    start: Instant,
}

#[derive(Default)]
struct Inner {
    script: Vec<(String, VecDeque<Step>)>,
    runs: Vec<Run>,
    running: Vec<String>,
    most_at_once: usize,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("it failed")]
    Plain,
    #[error("it failed")]
    Deep(#[source] TerminalError),
}

impl Journal {
    pub(crate) fn new() -> Self {
        Self {
            inner: Arc::default(),
            start: Instant::now(),
        }
    }

    /// What the next reconciles of a key do.
    pub(crate) fn script(&self, name: &str, steps: &[Step]) {
        self.with(|inner| {
            inner
                .script
                .push((name.into(), steps.iter().copied().collect()));
        });
    }

    pub(crate) fn runs(&self) -> Vec<Run> {
        self.with(|inner| inner.runs.clone())
    }

    /// The runs so far as (name, milliseconds, attempt).
    pub(crate) fn times(&self) -> Vec<(String, u128, u32)> {
        let brief = |run: Run| (run.name, run.at, run.attempt);
        self.runs().into_iter().map(brief).collect()
    }

    /// The names of the runs so far.
    pub(crate) fn names(&self) -> Vec<String> {
        self.runs().into_iter().map(|run| run.name).collect()
    }

    pub(crate) fn running(&self) -> usize {
        self.with(|inner| inner.running.len())
    }

    pub(crate) fn most_at_once(&self) -> usize {
        self.with(|inner| inner.most_at_once)
    }

    pub(crate) fn reconciler(&self) -> Scripted {
        Scripted {
            journal: self.clone(),
            store: None,
        }
    }

    /// A reconciler that also looks at a store.
    pub(crate) fn looking_at(&self, informer: &SharedInformer<ConfigMap>) -> Scripted {
        Scripted {
            journal: self.clone(),
            store: Some(informer.store().clone()),
        }
    }

    fn with<T>(&self, see: impl FnOnce(&mut Inner) -> T) -> T {
        // A scripted panic happens outside of this.
        see(&mut self.inner.lock().expect("nothing panics in here"))
    }

    fn begin(&self, request: &Request, version: Option<String>) -> (Running, Step) {
        let name = request.key().name().to_owned();
        let run = Run {
            name: name.clone(),
            at: self.start.elapsed().as_millis(),
            attempt: request.attempt(),
            reasons: request.reasons().to_string(),
            version,
        };
        let step = self.with(|inner| {
            assert!(!inner.running.contains(&name), "two reconciles of {name}");
            inner.running.push(name.clone());
            inner.most_at_once = inner.most_at_once.max(inner.running.len());
            inner.runs.push(run);
            let script = inner
                .script
                .iter_mut()
                .find(|(of, steps)| *of == name && !steps.is_empty());
            script
                .and_then(|(_, steps)| steps.pop_front())
                .unwrap_or(Step::Done)
        });
        let running = Running {
            journal: self.clone(),
            name,
        };
        (running, step)
    }
}

/// A reconcile under way, until it ends or is dropped.
struct Running {
    journal: Journal,
    name: String,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.journal
            .with(|inner| inner.running.retain(|name| *name != self.name));
    }
}

impl Reconciler for Scripted {
    type Error = Failure;

    async fn reconcile(&self, request: Request) -> Result<Action, Failure> {
        let object = self
            .store
            .as_ref()
            .and_then(|store| store.get(request.key()));
        let version = object.map(|object| object.meta().resource_version().to_string());
        let (_running, step) = self.journal.begin(&request, version);
        match step {
            Step::Done => Ok(Action::done()),
            Step::After(delay) => Ok(Action::requeue_after(ms(delay))),
            Step::Requeue => Ok(Action::requeue_rate_limited()),
            Step::Fail => Err(Failure::Plain),
            Step::FailForGood => Err(Failure::Deep(TerminalError::new("for good"))),
            Step::Panic => panic!("as the script says"),
            Step::Take(time) => {
                sleep(ms(time)).await;
                Ok(Action::done())
            }
            Step::Hang => std::future::pending().await,
        }
    }
}

/// A collection, its informer, and the task that runs it.
pub(crate) struct Collection<K: 'static> {
    pub(crate) source: FakeSource,
    pub(crate) informer: SharedInformer<K>,
}

impl<K: DeserializeOwned + Send + Sync + 'static> Collection<K> {
    pub(crate) fn new(name: &str) -> Self {
        Self::with(name, InformerConfig::default())
    }

    pub(crate) fn with(name: &str, config: InformerConfig) -> Self {
        let source = FakeSource::new();
        let informer = SharedInformer::new(name, source.clone(), config);
        Self {
            source,
            informer: informer.expect("the configuration is sound"),
        }
    }

    pub(crate) fn as_source(&self) -> Source<K> {
        Source::new(&self.informer)
    }
}

pub(crate) type ConfigMaps = Collection<ConfigMap>;
pub(crate) type Pods = Collection<Pod>;

/// The JSON of a `ConfigMap`, with more merged into it.
pub(crate) fn config_map(name: &str, more: serde_json::Value) -> serde_json::Value {
    let mut object = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"namespace": "default", "name": name},
    });
    object.merge_from(more);
    object
}

/// Everything that runs; it ends with the test.
pub(crate) struct World {
    pub(crate) token: CancellationToken,
    tasks: JoinSet<()>,
    controllers: JoinSet<Result<(), Error>>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self {
            token: CancellationToken::new(),
            tasks: JoinSet::new(),
            controllers: JoinSet::new(),
        }
    }

    pub(crate) fn run_informer<K>(&mut self, collection: &Collection<K>)
    where
        K: DeserializeOwned + Send + Sync + 'static,
    {
        let (informer, token) = (collection.informer.clone(), self.token.clone());
        self.tasks.spawn(async move {
            informer.run(token).await.expect("it is started once");
        });
    }

    pub(crate) fn run_controller(&mut self, controller: Controller, reconciler: impl Reconciler) {
        let token = self.token.child_token();
        self.controllers.spawn(controller.run(reconciler, token));
    }

    /// Lets time pass; with it everything that can happen in that time does.
    pub(crate) async fn pass(&self, time: u64) {
        sleep(ms(time)).await;
    }

    /// How the controller ended.
    pub(crate) async fn ended(&mut self) -> Result<(), Error> {
        let ended = self
            .controllers
            .join_next()
            .await
            .expect("there is a controller");
        ended.expect("it does not panic")
    }

    /// Stops everything, and tells how the controller ended.
    pub(crate) async fn stop(mut self) -> Result<(), Error> {
        self.token.cancel();
        let ended = self.ended().await;
        while let Some(task) = self.tasks.join_next().await {
            task.expect("no informer panics");
        }
        ended
    }
}
