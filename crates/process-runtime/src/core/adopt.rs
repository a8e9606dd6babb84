//! Knowing how containers end: those that this runtime started, and those of the one before.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use kubewright_cri::v1::ContainerEventType;
use rustix::process::Signal;
use tokio::process::Child;
use tokio::time::{Instant, sleep};

use super::{Core, blocking};
use crate::container::{Container, Life, mark};
use crate::process::ProcessTable;
use crate::record::{ContainerRecord, Exit, SandboxRecord, Started};
use crate::shim::wire::{Reply, Request};
use crate::shim_client::ShimClient;
use crate::store::{EXIT, Found, LOCK, STARTED, STARTING};
use crate::{Error, durable};

/// How often a shim is looked for that does not answer.
const INTERVAL: Duration = Duration::from_millis(20);

/// How long a shim of which nothing but a lock is to be seen may take to show itself.
const PATIENCE: Duration = Duration::from_secs(5);

impl Core {
    /// Takes in what an earlier runtime left; the directories of what cannot be read.
    pub(crate) async fn adopt(self: &Arc<Self>) -> Result<Vec<PathBuf>, Error> {
        let mut set_aside = Vec::new();
        for found in self.store.sandboxes()? {
            match found {
                Found::Record(record) => self.adopt_sandbox(record),
                Found::Unreadable { id, error } => {
                    let path = self.store.set_aside::<SandboxRecord>(&id)?;
                    tracing::error!(sandbox = id, %error, path = %path.display(), "a sandbox cannot be read and was set aside");
                    set_aside.push(path);
                }
            }
        }
        for found in self.store.containers()? {
            match found {
                Found::Record(record) => {
                    let life = self.life_of(&record).await;
                    let is_running = matches!(life, Life::Running(_));
                    let container = self.adopt_container(record, life);
                    if is_running {
                        let core = Arc::clone(self);
                        self.spawn(async move { core.watch(&container, None).await });
                    }
                }
                Found::Unreadable { id, error } => {
                    // Nobody could ever stop it.
                    let shim = ShimClient::new(self.store.container(&id));
                    let _ = shim.call(&Request::Kill).await;
                    self.end_remnants(&id, 0).await;
                    let path = self.store.set_aside::<ContainerRecord>(&id)?;
                    tracing::error!(container = id, %error, path = %path.display(), "a container cannot be read; it was ended and set aside");
                    set_aside.push(path);
                }
            }
        }
        Ok(set_aside)
    }

    /// Waits until a container has ended, and makes that known.
    pub(super) async fn watch(&self, container: &Container, child: Option<Child>) {
        let exit = self.exit_of(container).await;
        self.end_container(container, exit);
        if let Some(mut child) = child {
            // A shim ends by itself; this is to leave no zombie.
            let _ = child.wait().await;
        }
    }

    /// A container has ended, or was never started.
    pub(super) fn end_container(&self, container: &Container, exit: Exit) {
        if exit.lost_log_bytes > 0 {
            let (bytes, id) = (exit.lost_log_bytes, container.id());
            tracing::warn!(
                container = id,
                bytes,
                "output of a container did not fit into its log"
            );
        }
        container.life.send_replace(Life::Exited(exit));
        let sandbox_id = &container.record.sandbox_id;
        self.tell(
            ContainerEventType::ContainerStoppedEvent,
            container.id(),
            sandbox_id,
        );
    }

    /// How a container ended of which the shim is gone: what it wrote down, else what is said here.
    ///
    /// Whatever still runs of it is ended by force.
    pub(super) async fn bury(&self, container: &Container, shim: i32, unknown: Exit) -> Exit {
        if let Ok(Some(exit)) = durable::read_if_any(&container.directory.join(EXIT)) {
            return exit;
        }
        self.end_remnants(container.id(), shim).await;
        let path = container.directory.join(EXIT);
        let written = unknown.clone();
        if let Err(error) = blocking(move || durable::write(&path, &written)).await {
            // After a restart it is found out once more.
            tracing::warn!(container = container.id(), %error, "cannot write down that a container has ended");
        }
        unknown
    }

    async fn exit_of(&self, container: &Container) -> Exit {
        let started = container.started();
        let (shim, started_at) = started.map_or((0, 0), |it| (it.shim, it.started_at));
        loop {
            if let Ok(mut conversation) = container.shim().open(&Request::Watch, &[]).await
                && let Ok(Reply::Ended(exit)) = conversation.answer().await
            {
                return exit;
            }
            if !is_locked(&container.directory) {
                let unknown = Exit::unknown(LOST, started_at, self.now());
                return self.bury(container, shim, unknown).await;
            }
            sleep(INTERVAL).await;
        }
    }

    /// Where in its life a container of an earlier runtime is.
    async fn life_of(&self, record: &ContainerRecord) -> Life {
        let directory = self.store.container(&record.id);
        let deadline = Instant::now() + PATIENCE;
        loop {
            // The order matters: a shim writes down the end before it lets go of the lock.
            let is_locked = is_locked(&directory);
            let has_begun = directory.join(STARTING).exists();
            let started: Option<Started> =
                durable::read_if_any(&directory.join(STARTED)).unwrap_or_default();
            match durable::read_if_any(&directory.join(EXIT)) {
                Ok(Some(exit)) => return Life::Exited(exit),
                Ok(None) => {}
                Err(error) => {
                    tracing::error!(container = record.id, %error, "the exit code of a container cannot be read");
                }
            }
            match started {
                Some(started) if is_locked => return Life::Running(started),
                None if is_locked && Instant::now() < deadline => sleep(INTERVAL).await,
                // The runtime was killed before there was a shim, if it had begun at all.
                None if !is_locked && !has_begun => return Life::Created,
                started => {
                    let (shim, at) = started.map_or((0, 0), |it| (it.shim, it.started_at));
                    let container = Container::new(record.clone(), directory, Life::Created);
                    let unknown = Exit::unknown(LOST, at, self.now());
                    return Life::Exited(self.bury(&container, shim, unknown).await);
                }
            }
        }
    }

    /// Ends what still runs of a container without a shim.
    async fn end_remnants(&self, id: &str, session: i32) {
        let id = id.to_owned();
        let mark = mark(&id);
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let mark = mark.clone();
            let killed = blocking(move || {
                let table = ProcessTable::read();
                let remnants = table.remnants(session, &mark);
                remnants.iter().for_each(|it| it.signal(Signal::KILL));
                io::Result::Ok(remnants.len())
            });
            if killed.await.unwrap_or(0) == 0 {
                return;
            }
            sleep(INTERVAL).await;
        }
        tracing::error!(container = id, "processes of a container do not end");
    }
}

/// What is said of a container whose end nobody saw.
const LOST: &str = "the shim of the container was killed: nobody saw how the container ended";

/// Whether a shim lives. If that cannot be found out it counts as living: nothing is given up then.
fn is_locked(directory: &std::path::Path) -> bool {
    durable::is_locked(&directory.join(LOCK)).unwrap_or(true)
}
