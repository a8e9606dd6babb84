use std::sync::Arc;

use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::Pod;
use kubewright_clock::Clock;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::pod::PodSource;
use crate::source::{Duplicate, Merge, PodUpdate, SourcesReady};
use crate::task::surface;

/// How many sets may wait for the merge. A source that finds no room waits, and its next set is the
/// newer for it.
const WAITING_SETS: usize = 1;

/// Something that knows all the pods it wants on the node.
pub trait SetSource: Send + 'static {
    /// Which one it is.
    const SOURCE: PodSource;

    /// Delivers what it wants, and again whenever that changes, until the token is cancelled or
    /// [nobody listens](Closed) any more.
    ///
    /// What it cannot find out it logs and tries again. All tasks it starts end with the future.
    fn run(self, sets: PodSets, token: CancellationToken) -> impl Future<Output = ()> + Send;
}

/// All that a source wants.
pub type PodSet = (PodSource, Vec<Arc<Pod>>);

/// Where a source delivers its sets.
#[derive(Clone, Debug)]
pub struct PodSets {
    source: PodSource,
    sets: mpsc::Sender<PodSet>,
}

/// Nobody takes sets any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("nobody takes pods any more")]
pub struct Closed;

/// The sources of the node's pods.
///
/// # Example
///
/// ```
/// use std::time::Duration;
/// use kubewright_clock::Clock;
/// use node_agent::source::{FileSource, PodUpdate, Sources};
/// use tokio::sync::mpsc;
/// use tokio_util::sync::CancellationToken;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let files = FileSource::new("/nonexistent/manifests", "node-1", Duration::from_secs(20));
/// let sources = Sources::new(Clock::system()).with(files);
/// let ready = sources.ready();
/// let (updates, mut changes) = mpsc::channel::<PodUpdate>(50);
/// let token = CancellationToken::new();
/// let use_it = async {
///     // There are no files: the source has spoken all the same.
///     let update = changes.recv().await.expect("sources run until they are cancelled");
///     ready.mark(update.source);
///     assert!(update.pods.is_empty() && ready.all());
///     token.cancel();
/// };
/// tokio::join!(sources.run(updates, token.clone()), use_it);
/// # }
/// ```
pub struct Sources {
    clock: Clock,
    drivers: Vec<(PodSource, Driver)>,
    on_duplicate: Box<dyn Fn(&Duplicate) + Send>,
}

type Driver = Box<dyn FnOnce(PodSets, CancellationToken) -> BoxFuture<'static, ()> + Send>;

impl PodSets {
    /// Where a source's sets arrive. Beside [`Sources`], tests of a source have use for it.
    pub fn channel(source: PodSource) -> (Self, mpsc::Receiver<PodSet>) {
        let (sets, receiver) = mpsc::channel(WAITING_SETS);
        (Self { source, sets }, receiver)
    }

    /// Delivers all that the source wants.
    ///
    /// # Errors
    ///
    /// When nobody listens any more.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future delivers nothing.
    pub async fn send(&self, pods: Vec<Arc<Pod>>) -> Result<(), Closed> {
        let sent = self.sets.send((self.source, pods)).await;
        sent.map_err(|_| Closed)
    }
}

impl Sources {
    /// No sources; pods are first seen by this clock.
    pub fn new(clock: Clock) -> Self {
        Self {
            clock,
            drivers: Vec::new(),
            on_duplicate: Box::new(|_| {}),
        }
    }

    /// Adds a source.
    pub fn with<S: SetSource>(mut self, source: S) -> Self {
        let driver: Driver = Box::new(move |sets, token| Box::pin(source.run(sets, token)));
        self.drivers.push((S::SOURCE, driver));
        self
    }

    /// Calls this for every pod that is left out because it goes by the name of another, each time
    /// its source delivers it. Without this it is only logged.
    pub fn on_duplicate(mut self, tell: impl Fn(&Duplicate) + Send + 'static) -> Self {
        self.on_duplicate = Box::new(tell);
        self
    }

    /// A handle that awaits each of the sources added so far.
    pub fn ready(&self) -> SourcesReady {
        SourcesReady::awaiting(self.drivers.iter().map(|(source, _)| *source))
    }

    /// Runs the sources, and sends what changes, in order, until the token is cancelled or nobody
    /// receives updates any more.
    ///
    /// All tasks of all sources have ended when it returns.
    ///
    /// # Panics
    ///
    /// If a source panics: without one of its sources the agent must not go on as if it had it.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future stops the sources at their next `await`. Updates of a set may then be
    /// lost; start anew to get them.
    pub async fn run(self, updates: mpsc::Sender<PodUpdate>, token: CancellationToken) {
        let Self {
            clock,
            drivers,
            on_duplicate,
        } = self;
        let (sets, mut delivered) = mpsc::channel(WAITING_SETS);
        let stop = token.child_token();
        let mut tasks = JoinSet::new();
        for (source, driver) in drivers {
            let sets = sets.clone();
            tasks.spawn(driver(PodSets { source, sets }, stop.clone()));
        }
        let mut merge = Merge::new();
        loop {
            tokio::select! {
                biased;
                () = token.cancelled() => break,
                () = updates.closed() => break,
                Some(ended) = tasks.join_next() => surface(ended),
                Some((source, pods)) = delivered.recv() => {
                    let merged = merge.set(clock.now(), source, pods);
                    for duplicate in &merged.duplicates {
                        tracing::warn!("{duplicate}");
                        on_duplicate(duplicate);
                    }
                    if !pass_on(merged.updates, &updates, &token).await {
                        break;
                    }
                }
            }
        }
        stop.cancel();
        drop(delivered);
        while let Some(ended) = tasks.join_next().await {
            surface(ended);
        }
    }
}

/// Whether anybody wants more.
async fn pass_on(
    changes: Vec<PodUpdate>,
    updates: &mpsc::Sender<PodUpdate>,
    token: &CancellationToken,
) -> bool {
    for update in changes {
        let sent = tokio::select! {
            () = token.cancelled() => return false,
            sent = updates.send(update) => sent,
        };
        if sent.is_err() {
            return false;
        }
    }
    true
}

impl std::fmt::Debug for Sources {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sources = self.drivers.iter().map(|(source, _)| source);
        f.debug_list().entries(sources).finish()
    }
}
