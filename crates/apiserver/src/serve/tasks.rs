use std::future::Future;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::task::JoinSet;

/// The tasks of one connection: HTTP/2 runs each of its requests as one.
///
/// They end when the last handle is dropped, which is when the connection is.
#[derive(Clone, Debug, Default)]
pub(super) struct Tasks {
    running: Arc<Mutex<JoinSet<()>>>,
}

impl<F> hyper::rt::Executor<F> for Tasks
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, future: F) {
        let mut running = self.running.lock();
        while running.try_join_next().is_some() {}
        running.spawn(future);
    }
}
