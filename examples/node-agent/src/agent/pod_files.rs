use std::collections::HashMap;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

use crate::pod::PodUid;
use crate::volume::VolumeError;

/// Lets one thing at a time be done to the files of a pod.
///
/// Work on files cannot be stopped: when a turn of a pod's worker is cancelled, what it began goes
/// on. Nobody is to write files that somebody else removes.
#[derive(Debug, Default)]
pub(super) struct PodFiles {
    busy: Mutex<HashMap<PodUid, Weak<AsyncMutex<()>>>>,
}

impl PodFiles {
    /// Does something to the files of a pod, where it may wait for a disk, after all that was begun
    /// before has ended.
    ///
    /// Dropping the future gives up what was not begun, and leaves alone what was.
    pub(super) async fn work<T: Send + 'static>(
        &self,
        uid: &PodUid,
        work: impl FnOnce() -> Result<T, VolumeError> + Send + 'static,
    ) -> Result<T, VolumeError> {
        let turn = self.turn(uid).await;
        let done = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            work()
        });
        match done.await {
            Ok(done) => done,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }

    /// Whether something is being done to the files of a pod, or waits for its turn.
    pub(super) fn is_busy(&self, uid: &PodUid) -> bool {
        let busy = self.busy.lock();
        busy.get(uid).is_some_and(|turns| turns.strong_count() > 0)
    }

    async fn turn(&self, uid: &PodUid) -> OwnedMutexGuard<()> {
        let turns = {
            let mut busy = self.busy.lock();
            busy.retain(|_, turns| turns.strong_count() > 0);
            let known = busy.get(uid).and_then(Weak::upgrade);
            known.unwrap_or_else(|| {
                let turns = Arc::default();
                busy.insert(uid.clone(), Arc::downgrade(&turns));
                turns
            })
        };
        turns.lock_owned().await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use futures::FutureExt as _;
    use tokio::time::timeout;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn what_was_begun_ends_before_the_next_begins_though_nobody_waits_for_it() {
        let files = PodFiles::default();
        let (uid, other, last) = (PodUid::new("1"), PodUid::new("2"), PodUid::new("3"));
        let (begin, begun) = mpsc::channel();
        let (tell, told) = mpsc::channel::<()>();
        let slow = files.work(&uid, move || {
            begin.send(()).unwrap();
            let _ = told.recv();
            Ok(())
        });
        // It is begun, and given up.
        assert!(slow.now_or_never().is_none());
        begun.recv_timeout(LIMIT).unwrap();
        assert!(files.is_busy(&uid) && !files.is_busy(&other));

        let other = files.work(&other, || Ok(()));
        timeout(LIMIT, other).await.unwrap().unwrap();
        let mut next = Box::pin(files.work(&uid, || Ok(())));
        assert!((&mut next).now_or_never().is_none());
        tokio::task::yield_now().await;
        assert!((&mut next).now_or_never().is_none(), "the first goes on");
        drop(tell);
        timeout(LIMIT, next).await.unwrap().unwrap();
        assert!(!files.is_busy(&uid));

        files.work(&last, || Ok(())).await.unwrap();
        assert!(
            files.busy.lock().len() <= 1,
            "pods that are gone are forgotten"
        );
    }
}
