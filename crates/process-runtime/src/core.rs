//! What a runtime does, whoever asks for it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Weak};

use futures::future::join_all;
use kubewright_clock::Clock;
use kubewright_cri::Status;
use kubewright_cri::v1::{ContainerEventResponse, ContainerEventType};
use parking_lot::Mutex;
use tokio::sync::{RwLock, broadcast, oneshot};
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::Error;
use crate::address::Addresses;
use crate::container::Container;
use crate::image::Images;
use crate::policy::Identity;
use crate::sandbox::Sandbox;
use crate::store::{Store, nanoseconds};

mod adopt;
mod containers;
mod create;
mod exec;
mod sandboxes;
mod start;
mod stats;
mod stop;

/// How many events a listener may be behind before its stream ends.
const EVENTS: usize = 1024;

#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) store: Store,
    pub(crate) clock: Clock,
    pub(crate) identity: Identity,
    /// The program that shims are.
    shim: PathBuf,
    /// The boot of the machine: what ran before the last one does not run any more.
    boot: String,
    pub(crate) images: Mutex<Images>,
    state: Mutex<State>,
    pub(crate) events: broadcast::Sender<ContainerEventResponse>,
    tasks: Weak<Tasks>,
    /// Shared by what makes something, exclusive to the end of the runtime.
    gate: RwLock<Gate>,
    /// Cancelled once nobody looks after containers any more.
    over: CancellationToken,
}

/// The tasks of a runtime, which end with its last handle.
#[derive(Debug, Default)]
pub(crate) struct Tasks {
    set: Mutex<JoinSet<()>>,
}

/// Whether anything may still be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gate {
    Open,
    Closed,
}

#[derive(Debug)]
struct State {
    sandboxes: BTreeMap<String, Arc<Sandbox>>,
    containers: BTreeMap<String, Arc<Container>>,
    /// Which names are taken, by the ids of their owners, who may still be in the making.
    names: BTreeMap<String, String>,
    addresses: Addresses,
    chance: fastrand::Rng,
}

/// What a [`Core`] is made from.
pub(crate) struct Parts {
    pub(crate) store: Store,
    pub(crate) clock: Clock,
    pub(crate) shim: PathBuf,
    pub(crate) boot: String,
    pub(crate) images: Images,
    pub(crate) addresses: Addresses,
    pub(crate) seed: u64,
    pub(crate) tasks: Weak<Tasks>,
}

impl Core {
    pub(crate) fn new(parts: Parts) -> Self {
        let state = State {
            sandboxes: BTreeMap::new(),
            containers: BTreeMap::new(),
            names: BTreeMap::new(),
            addresses: parts.addresses,
            chance: fastrand::Rng::with_seed(parts.seed),
        };
        Self {
            store: parts.store,
            clock: parts.clock,
            identity: Identity::own(),
            shim: parts.shim,
            boot: parts.boot,
            images: Mutex::new(parts.images),
            state: Mutex::new(state),
            events: broadcast::Sender::new(EVENTS),
            tasks: parts.tasks,
            gate: RwLock::new(Gate::Open),
            over: CancellationToken::new(),
        }
    }

    /// Does something to its end, even if nobody waits for it any more: half of it is of no use.
    ///
    /// Cancel safe: what was begun goes on.
    pub(crate) async fn finish<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl Future<Output = Result<T, Status>> + Send + 'static,
    ) -> Result<T, Status> {
        let (sender, receiver) = oneshot::channel();
        let core = Arc::clone(self);
        self.spawn(async move {
            let gate = core.gate.read().await;
            let result = match *gate {
                Gate::Open => work.await,
                Gate::Closed => Err(ending()),
            };
            // Whoever asked may have gone.
            let _ = sender.send(result);
        });
        receiver.await.unwrap_or_else(|_| Err(ending()))
    }

    /// Does something that may be given up halfway, as long as the runtime is there.
    ///
    /// As cancel safe as the work.
    pub(crate) async fn attempt<T>(
        &self,
        work: impl Future<Output = Result<T, Status>>,
    ) -> Result<T, Status> {
        self.over
            .run_until_cancelled(work)
            .await
            .unwrap_or_else(|| Err(ending()))
    }

    /// Runs a task that ends with the runtime.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        if let Some(tasks) = self.tasks.upgrade() {
            let mut set = tasks.set.lock();
            while set.try_join_next().is_some() {}
            set.spawn(task);
        }
    }

    /// Ends all containers and removes everything, as far as that goes; fails with all that does not.
    pub(crate) async fn end(self: &Arc<Self>, grace: std::time::Duration) -> Result<(), Error> {
        let mut gate = self.gate.write().await;
        *gate = Gate::Closed;
        let containers = self.containers();
        let stops = containers
            .iter()
            .map(|container| self.stop(container, grace));
        let mut results = join_all(stops).await;
        let removals = containers.iter().map(|container| self.remove(container));
        results.extend(join_all(removals).await);
        for sandbox in self.sandboxes() {
            results.push(self.remove_sandbox(&sandbox).await);
        }
        let failures = results.into_iter().filter_map(Result::err);
        let failures: Vec<_> = failures.map(|error| error.message().to_owned()).collect();
        match failures.is_empty() {
            true => Ok(()),
            false => Err(Error::Io {
                path: self.store.root().to_owned(),
                cause: std::io::Error::other(failures.join("; ")),
            }),
        }
    }

    /// Nothing is made any more; what runs goes on.
    pub(crate) async fn close(&self) {
        *self.gate.write().await = Gate::Closed;
        self.over.cancel();
    }

    /// Tells those who listen what happened to a container, or to a sandbox by its own id.
    fn tell(&self, what: ContainerEventType, id: &str, sandbox_id: &str) {
        if self.events.receiver_count() == 0 {
            return;
        }
        let event = ContainerEventResponse {
            container_id: id.to_owned(),
            container_event_type: what.into(),
            created_at: self.now(),
            pod_sandbox_status: self
                .find_sandbox(sandbox_id)
                .map(|sandbox| sandbox.status()),
            containers_statuses: self.statuses_in(sandbox_id),
        };
        // The last listener may just have gone.
        let _ = self.events.send(event);
    }

    pub(crate) fn now(&self) -> i64 {
        nanoseconds(&self.clock)
    }
}

impl Tasks {
    /// Ends all tasks and waits for them.
    pub(crate) async fn end(&self) {
        let mut set = std::mem::take(&mut *self.set.lock());
        set.shutdown().await;
    }
}

impl State {
    /// An id as container runtimes have them, and a name for its owner alone.
    fn reserve(&mut self, what: &str, name: String) -> Result<String, Status> {
        if let Some(owner) = self.names.get(&name) {
            return Err(Status::already_exists(format!(
                "failed to reserve {what} name {name:?}: name {name:?} is reserved for {owner:?}"
            )));
        }
        let id: String = (0..4)
            .map(|_| format!("{:016x}", self.chance.u64(..)))
            .collect();
        self.names.insert(name, id.clone());
        Ok(id)
    }
}

/// Does what blocks where blocking does no harm.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> std::io::Result<T> {
    let result: Result<_, JoinError> = tokio::task::spawn_blocking(work).await;
    result.unwrap_or_else(|error| Err(std::io::Error::other(error)))
}

/// What a call answers when something failed on disk.
fn on_disk(what: &str) -> impl FnOnce(std::io::Error) -> Status {
    let what = what.to_owned();
    move |error| match error.kind() {
        std::io::ErrorKind::StorageFull => {
            Status::resource_exhausted(format!("failed to {what}: {error}"))
        }
        _ => Status::unknown(format!("failed to {what}: {error}")),
    }
}

fn ending() -> Status {
    Status::unavailable("the process runtime is ending")
}
