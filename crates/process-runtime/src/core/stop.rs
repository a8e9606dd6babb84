//! Ending and removing containers.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use kubewright_cri::Status;
use kubewright_cri::v1::ContainerEventType;
use tokio::time::{Instant, sleep, timeout};

use super::{Core, blocking, on_disk};
use crate::container::{Container, Life};
use crate::durable;
use crate::shim::wire::Request;
use crate::store::LOCK;

/// How long what was killed may take to be gone.
const END: Duration = Duration::from_secs(30);

/// How long a shim may take to go after its container.
const LAST_STEPS: Duration = Duration::from_secs(2);

impl Core {
    /// Asks a container to end, and ends it by force when its grace is over.
    ///
    /// Cancel safe: a container that was asked is not asked again, and ended by the next call.
    pub(crate) async fn stop(&self, container: &Container, grace: Duration) -> Result<(), Status> {
        // Whatever is being done to it is done first.
        drop(container.operation.lock().await);
        if container.started().is_none() {
            return Ok(());
        }
        if !grace.is_zero() {
            if !container.was_asked.swap(true, Ordering::AcqRel) {
                let signal = Request::Signal(container.record.stop_signal);
                // A shim that cannot be asked is gone, which is found out elsewhere.
                if let Err(error) = container.shim().call(&signal).await {
                    tracing::debug!(container = container.id(), %error, "cannot ask a container to stop");
                }
            }
            if timeout(grace, container.ended()).await.is_ok() {
                return Ok(());
            }
        }
        self.kill(container).await
    }

    /// Ends a container by force, with all that it has started.
    pub(crate) async fn kill(&self, container: &Container) -> Result<(), Status> {
        if container.started().is_none() {
            return Ok(());
        }
        if let Err(error) = container.shim().call(&Request::Kill).await {
            tracing::debug!(container = container.id(), %error, "cannot end a container");
        }
        timeout(END, container.ended()).await.map_err(|_| {
            let id = container.id();
            Status::deadline_exceeded(format!(
                "container {id:?} does not end, though it was killed"
            ))
        })
    }

    /// Removes a container, by force if it runs.
    pub(crate) async fn remove(self: &Arc<Self>, container: &Container) -> Result<(), Status> {
        let _operation = container.operation.lock().await;
        if self.find_container(container.id()).is_none() {
            return Ok(());
        }
        self.kill(container).await?;
        let never_ran = matches!(*container.life.borrow(), Life::Created);
        if !never_ran {
            self.last_steps(container).await;
        }
        let core = Arc::clone(self);
        let id = container.id().to_owned();
        blocking(move || core.store.remove_container(&id))
            .await
            .map_err(on_disk("remove container"))?;
        self.forget_container(container);
        let sandbox_id = &container.record.sandbox_id;
        self.tell(
            ContainerEventType::ContainerDeletedEvent,
            container.id(),
            sandbox_id,
        );
        Ok(())
    }

    /// Waits a little for a shim that has nothing more to do: one that still tries to write to a
    /// full disk gives up when the directory is gone.
    async fn last_steps(&self, container: &Container) {
        let lock = container.directory.join(LOCK);
        let deadline = Instant::now() + LAST_STEPS;
        while durable::is_locked(&lock).unwrap_or(false) && Instant::now() < deadline {
            sleep(Duration::from_millis(2)).await;
        }
    }
}
