//! The informers of a factory.

use std::any::{Any, TypeId};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::entry::{Entry, Kept};
use crate::error::Error;
use crate::informer::SharedInformer;
use crate::status::Phase;

/// Which informers there are, and how far the factory is in its life.
pub(super) struct Directory {
    state: Mutex<State>,
    /// Told when there is an informer to start; heard by the factory's driver.
    made: Notify,
    /// Cancelled when the driver is to stop.
    stopping: CancellationToken,
    /// Cancelled once no task of the factory runs or ever will.
    stopped: CancellationToken,
}

/// # Invariants
///
/// - No two entries have the same identity.
/// - An entry that is `started` is run by a task of the driver until that retires it.
/// - Users of an entry appear only under the lock of this, so one that is found unused under
///   that lock stays unused while it is held.
struct State {
    phase: Phase,
    /// In the order in which they were made.
    entries: Vec<Listed>,
}

struct Listed {
    identity: Identity,
    entry: Arc<dyn Entry>,
    started: bool,
}

/// What makes two requests mean one informer.
#[derive(PartialEq, Eq)]
struct Identity {
    object: TypeId,
    name: Arc<str>,
}

/// What errors call a factory.
const NAME: &str = "the informer factory";

impl Default for Directory {
    fn default() -> Self {
        Self {
            state: Mutex::new(State {
                phase: Phase::Ready,
                entries: Vec::new(),
            }),
            made: Notify::new(),
            stopping: CancellationToken::new(),
            stopped: CancellationToken::new(),
        }
    }
}

impl Directory {
    pub(super) fn start(&self) -> Result<(), Error> {
        let mut state = self.state.lock();
        match state.phase {
            Phase::Ready => {
                state.phase = Phase::Running;
                Ok(())
            }
            Phase::Running => Err(Error::AlreadyStarted { name: NAME.into() }),
            Phase::Stopped => Err(Error::Stopped { name: NAME.into() }),
        }
    }

    /// The informer of this type and name, if there is one.
    pub(super) fn find<K: Send + Sync + 'static>(
        &self,
        name: &str,
    ) -> Result<Option<SharedInformer<K>>, Error> {
        self.state.lock().find(&Identity::of::<K>(name))
    }

    /// Keeps a new informer, unless another was quicker: then that one is given back.
    pub(super) fn list<K: Send + Sync + 'static>(
        &self,
        informer: SharedInformer<K>,
    ) -> Result<SharedInformer<K>, Error> {
        let identity = Identity::of::<K>(informer.name());
        let mut state = self.state.lock();
        if let Some(quicker) = state.find(&identity)? {
            return Ok(quicker);
        }
        state.entries.push(Listed {
            identity,
            entry: Arc::new(Kept::new(&informer)),
            started: false,
        });
        drop(state);
        self.made.notify_one();
        Ok(informer)
    }

    /// Waits until there is an informer to start.
    pub(super) async fn made(&self) {
        self.made.notified().await;
    }

    /// Waits until the driver is to stop.
    pub(super) async fn stopping(&self) {
        self.stopping.cancelled().await;
    }

    /// Waits until no task of the factory runs or ever will.
    pub(super) async fn stopped(&self) {
        self.stopped.cancelled().await;
    }

    /// Lets no more informers be made, and asks the driver to stop; one that was never started
    /// cannot start any more.
    pub(super) fn stop(&self) {
        let before = std::mem::replace(&mut self.state.lock().phase, Phase::Stopped);
        self.stopping.cancel();
        if before == Phase::Ready {
            self.end();
        }
    }

    /// No task runs, and none ever will.
    pub(super) fn end(&self) {
        let entries: Vec<_> = {
            let mut state = self.state.lock();
            state.phase = Phase::Stopped;
            let entries = state.entries.iter();
            entries.map(|listed| Arc::clone(&listed.entry)).collect()
        };
        for entry in entries {
            entry.stop();
        }
        self.stopped.cancel();
    }

    /// The informers that are in use.
    pub(super) fn used(&self) -> Vec<Arc<dyn Entry>> {
        let state = self.state.lock();
        let used = state.entries.iter().filter(|listed| listed.entry.is_used());
        used.map(|listed| Arc::clone(&listed.entry)).collect()
    }

    /// The informers that are in use and have not been started; from now on they count as started.
    /// Those that are neither are forgotten.
    pub(super) fn startable(&self) -> Vec<Arc<dyn Entry>> {
        let mut startable = Vec::new();
        let mut unused = Vec::new();
        let mut state = self.state.lock();
        for mut listed in std::mem::take(&mut state.entries) {
            if !listed.started && !listed.entry.is_used() {
                unused.push(listed);
                continue;
            }
            if !std::mem::replace(&mut listed.started, true) {
                startable.push(Arc::clone(&listed.entry));
            }
            state.entries.push(listed);
        }
        drop(state);
        drop(unused);
        startable
    }

    /// Forgets an informer, unless it is in use. Says whether it did.
    ///
    /// Whoever asks for its identity from now on gets another.
    pub(super) fn retire(&self, entry: &Arc<dyn Entry>) -> bool {
        let mut state = self.state.lock();
        let unused = !entry.is_used();
        if unused {
            state
                .entries
                .retain(|listed| !Arc::ptr_eq(&listed.entry, entry));
        }
        unused
    }
}

impl Identity {
    fn of<K: 'static>(name: &str) -> Self {
        Self {
            object: TypeId::of::<K>(),
            name: name.into(),
        }
    }
}

impl State {
    fn find<K: Send + Sync + 'static>(
        &self,
        identity: &Identity,
    ) -> Result<Option<SharedInformer<K>>, Error> {
        if self.phase == Phase::Stopped {
            return Err(Error::Stopped { name: NAME.into() });
        }
        let mut entries = self.entries.iter();
        let Some(listed) = entries.find(|listed| listed.identity == *identity) else {
            return Ok(None);
        };
        let entry: Arc<dyn Any + Send + Sync> = Arc::clone(&listed.entry) as _;
        let kept: Arc<Kept<K>> = entry
            .downcast()
            .unwrap_or_else(|_| unreachable!("an identity names its entry's type"));
        Ok(Some(kept.informer()))
    }
}
