use std::sync::Arc;

use parking_lot::Mutex;
use tokio::task::JoinSet;

/// Tasks that end with the last handle to them: those of one connection, or the connections of a
/// server to the runtime.
#[derive(Clone, Debug, Default)]
pub(super) struct Tasks {
    running: Arc<Mutex<JoinSet<()>>>,
}

impl Tasks {
    /// Runs a task.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut running = self.running.lock();
        while running.try_join_next().is_some() {}
        running.spawn(task);
    }

    /// Ends all tasks, and waits until they have.
    pub(super) async fn shutdown(&self) {
        let mut running = std::mem::take(&mut *self.running.lock());
        running.shutdown().await;
    }
}

impl<F> hyper::rt::Executor<F> for Tasks
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, task: F) {
        self.spawn(task);
    }
}
