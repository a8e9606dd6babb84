//! The reconcile loop.

mod staleness;
mod worker;

use std::fmt;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::{join_all, try_join_all};
use kubewright_informer::Event;
use kubewright_workqueue::WorkQueue;
use tokio::task::JoinSet;
use tokio::time::{interval, timeout};
use tokio_util::sync::CancellationToken;

use self::staleness::Staleness;
use self::worker::Worker;
use crate::mapping::states;
use crate::metrics::Unmetered;
use crate::source::{Attach, Attached, Mapped};
use crate::{
    ControllerConfig, ControllerMetrics, Enqueue, Error, Owner, Reconciler, RequestQueue, Source,
};

/// Reconciles keys that come from the events of its sources, one at a time per key.
///
/// # Guarantees
///
/// - **Caches first.** No reconcile begins before every source is in sync and all that was there at
///   first has been mapped.
/// - **One at a time.** Reconciles of one key never overlap; different keys share
///   [`ControllerConfig::concurrency`] workers, first come first served.
/// - **No change is missed.** Every event of a source that is mapped to a key is answered by a
///   reconcile of it that begins later. Many events may be answered by one.
/// - **Failures stay local.** An error, a timeout or a panic of one reconcile delays its own key and
///   nothing else. The delay grows with each failure and is forgotten at the next success.
/// - **Nothing outlives [`run`](Self::run).**
///
/// # Example
///
/// ```
/// use std::convert::Infallible;
/// use k8s_openapi::api::apps::v1::ReplicaSet;
/// use k8s_openapi::api::core::v1::Pod;
/// use kubewright_controller::{Action, Controller, ControllerConfig, Owner, Request, Source};
/// use kubewright_informer::{InformerConfig, SharedInformer};
/// use tokio_util::sync::CancellationToken;
/// # use kubewright_cache::testing::FakeSource;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (set_source, pod_source) = (FakeSource::new(), FakeSource::new());
/// let sets = SharedInformer::<ReplicaSet>::new("replicasets", set_source, InformerConfig::default())?;
/// let pods = SharedInformer::<Pod>::new("pods", pod_source, InformerConfig::default())?;
/// let controller = Controller::new("replica-set", ControllerConfig::default())
///     .for_(Source::new(&sets))
///     .owns(Source::new(&pods), Owner::controller::<ReplicaSet>());
///
/// let store = sets.store().clone();
/// let reconcile = move |request: Request| {
///     let set = store.get(request.key());
///     async move {
///         println!("{request} is there: {}", set.is_some());
///         Ok::<_, Infallible>(Action::done())
///     }
/// };
///
/// let token = CancellationToken::new();
/// # token.cancel();
/// let (sets, pods, controller) = tokio::join!(
///     sets.run(token.clone()),
///     pods.run(token.clone()),
///     controller.run(reconcile, token.clone()),
/// );
/// # sets?; pods?; controller?;
/// # Ok(())
/// # }
/// ```
///
/// Answers to controller-runtime's `Controller` and `Builder`.
pub struct Controller {
    name: Arc<str>,
    queue: RequestQueue,
    sources: Vec<(Arc<str>, Box<dyn Attach>)>,
    settings: Settings,
}

/// The configuration, without the queue's.
struct Settings {
    concurrency: usize,
    sync_timeout: Duration,
    stop_timeout: Duration,
    reconcile_timeout: Option<Duration>,
    staleness: Option<Staleness>,
    reports_queue: bool,
    metrics: Arc<dyn ControllerMetrics>,
}

impl Controller {
    /// A controller without sources, which logs, spans and errors call `name`.
    pub fn new(name: impl Into<Arc<str>>, config: ControllerConfig) -> Self {
        let staleness = config
            .own_writes
            .map(|own_writes| Staleness::new(own_writes, config.deferral_limit));
        Self {
            name: name.into(),
            sources: Vec::new(),
            settings: Settings {
                concurrency: config.concurrency.get(),
                sync_timeout: config.sync_timeout,
                stop_timeout: config.stop_timeout,
                reconcile_timeout: config.reconcile_timeout,
                staleness,
                reports_queue: config.queue.metrics.is_some(),
                metrics: config.metrics.unwrap_or_else(|| Arc::new(Unmetered)),
            },
            queue: WorkQueue::new(config.queue),
        }
    }

    /// Reconciles the objects of `source` themselves.
    #[must_use]
    pub fn for_<K: Send + Sync + 'static>(self, source: Source<K>) -> Self {
        self.watches(source, |event, enqueue| enqueue.add(event.key().clone()))
    }

    /// Reconciles the owners of the objects of `source`; of an update, the old and the new ones.
    #[must_use]
    pub fn owns<K: Send + Sync + 'static>(self, source: Source<K>, owner: Owner) -> Self {
        self.watches(source, move |event, enqueue| {
            for object in states(event) {
                for key in owner.keys_of(object.meta()) {
                    enqueue.add(key);
                }
            }
        })
    }

    /// Does with the events of `source` what `map` says; [`related`](crate::related) makes a `map`
    /// that names keys and no more.
    ///
    /// `map` is called for one event at a time, on a worker thread: it looks at caches and the like,
    /// but waits for nothing. A panic of it costs that event.
    #[must_use]
    pub fn watches<K: Send + Sync + 'static>(
        mut self,
        source: Source<K>,
        map: impl FnMut(&Event<K>, &Enqueue) + Send + 'static,
    ) -> Self {
        let name = source.name();
        self.sources.push((name, Box::new(Mapped { source, map })));
        self
    }

    /// The controller's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A way to ask for reconciles from outside of all sources, before or while it runs.
    pub fn enqueue(&self) -> Enqueue {
        Enqueue::new(&self.queue)
    }

    /// The controller's queue, to look at.
    pub const fn queue(&self) -> &RequestQueue {
        &self.queue
    }

    /// Runs the controller until the token is cancelled.
    ///
    /// It listens to its sources and waits until all are in sync; then the workers start.
    /// The informers are run by whoever owns them.
    ///
    /// # How it stops
    ///
    /// No further event is mapped and no further reconcile begins; what is queued is dropped, as the
    /// next start brings it again.
    /// Reconciles that are under way get [`ControllerConfig::stop_timeout`] to end, then they are
    /// dropped.
    /// All tasks are joined.
    ///
    /// # Errors
    ///
    /// - [`Error::Source`] if an informer stops before it is in sync.
    /// - [`Error::NotSynced`] if some source is not in sync within
    ///   [`ControllerConfig::sync_timeout`].
    /// - [`Error::CutOff`] if reconciles had to be dropped.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future stops the controller at once; reconciles are dropped at their next
    /// `await`.
    pub async fn run<R: Reconciler>(
        self,
        reconciler: R,
        token: CancellationToken,
    ) -> Result<(), Error> {
        let Self {
            name,
            queue,
            sources,
            settings,
        } = self;
        // Whatever happens from here on: nobody is left adding to a queue that nobody works on.
        let _closed = CloseOnDrop(&queue);
        let names: Arc<[Arc<str>]> = sources.iter().map(|(name, _)| Arc::clone(name)).collect();
        let mut attached = Vec::with_capacity(sources.len());
        for (nth, (source, attach)) in sources.into_iter().enumerate() {
            let result = attach.attach(&name, nth, &queue);
            attached.push(result.map_err(|error| Error::Source {
                controller: Arc::clone(&name),
                name: source,
                error,
            })?);
        }
        let synced = tokio::select! {
            biased;
            () = token.cancelled() => None,
            synced = wait_for_sync(&name, &names, &attached, settings.sync_timeout) => Some(synced),
        };
        let Some(Ok(())) = synced else {
            detach(attached).await;
            return synced.unwrap_or(Ok(()));
        };

        let status = Arc::new(Status::default());
        let mut tasks = JoinSet::new();
        settings
            .metrics
            .max_concurrent_reconciles(settings.concurrency);
        let worker = Arc::new(Worker {
            controller: Arc::clone(&name),
            reconciler,
            queue: queue.clone(),
            sources: names,
            timeout: settings.reconcile_timeout,
            staleness: settings.staleness.clone(),
            metrics: settings.metrics,
            status: Arc::clone(&status),
        });
        for _ in 0..settings.concurrency {
            tasks.spawn(Arc::clone(&worker).work());
        }
        drop(worker);
        let mut assistants = JoinSet::new();
        if let Some(staleness) = settings.staleness {
            staleness.spawn(&mut assistants, &queue);
        }
        if settings.reports_queue {
            assistants.spawn(report(queue.clone()));
        }

        tokio::select! {
            () = token.cancelled() => {}
            // A worker returns only once it is told to stop.
            Some(Err(error)) = tasks.join_next() => resume_unwind(error.into_panic()),
        }
        status.stopping.store(true, Ordering::SeqCst);
        queue.shutdown();
        assistants.shutdown().await;
        let stop = async {
            detach(attached).await;
            while let Some(worker) = tasks.join_next().await {
                worker.unwrap_or_else(|error| resume_unwind(error.into_panic()));
            }
        };
        if timeout(settings.stop_timeout, stop).await.is_ok() {
            return Ok(());
        }
        let reconciles = status.running.load(Ordering::SeqCst);
        tasks.shutdown().await;
        Err(Error::CutOff {
            controller: name,
            reconciles,
            waited: settings.stop_timeout,
        })
    }
}

impl fmt::Debug for Controller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sources: Vec<_> = self.sources.iter().map(|(name, _)| name).collect();
        f.debug_struct("Controller")
            .field("name", &self.name)
            .field("sources", &sources)
            .field("queue", &self.queue)
            .finish_non_exhaustive()
    }
}

/// What the workers and `run` tell each other.
#[derive(Debug, Default)]
struct Status {
    /// No further reconcile is to begin.
    stopping: AtomicBool,
    /// How many reconciles are under way.
    running: AtomicUsize,
}

struct CloseOnDrop<'a>(&'a RequestQueue);

impl Drop for CloseOnDrop<'_> {
    fn drop(&mut self) {
        self.0.shutdown();
    }
}

async fn wait_for_sync(
    controller: &Arc<str>,
    names: &[Arc<str>],
    attached: &[Attached],
    limit: Duration,
) -> Result<(), Error> {
    let each = names.iter().zip(attached).map(|(source, attached)| async {
        let synced = attached.synced().await;
        synced.map_err(|error| Error::Source {
            controller: Arc::clone(controller),
            name: Arc::clone(source),
            error,
        })
    });
    if let Ok(synced) = timeout(limit, try_join_all(each)).await {
        return synced.map(drop);
    }
    let sources = names.iter().zip(attached);
    let unsynced = sources.filter(|(_, attached)| !attached.has_synced());
    Err(Error::NotSynced {
        controller: Arc::clone(controller),
        waited: limit,
        sources: unsynced.map(|(source, _)| Arc::clone(source)).collect(),
    })
}

/// Stops listening, and waits until no event is being mapped.
async fn detach(attached: Vec<Attached>) {
    join_all(attached.into_iter().map(Attached::detach)).await;
}

/// Tells the queue's metrics of unfinished work, as often as client-go does.
async fn report(queue: RequestQueue) {
    let mut every = interval(Duration::from_millis(500));
    loop {
        every.tick().await;
        queue.report_unfinished();
    }
}
