use std::sync::Arc;

use parking_lot::Mutex;
use tokio::task::JoinSet;

/// Runs the requests of one connection, which all end with it.
#[derive(Clone, Default)]
pub(super) struct Tasks {
    tasks: Arc<Mutex<JoinSet<()>>>,
}

impl<F> hyper::rt::Executor<F> for Tasks
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, task: F) {
        let mut tasks = self.tasks.lock();
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task);
    }
}
