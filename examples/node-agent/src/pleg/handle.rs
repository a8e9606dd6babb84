use std::collections::BTreeMap;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

use super::{PlegDriver, PlegOptions, PodCache, PodLifecycleEvent, RunningCounts};
use crate::pod::{PodName, PodUid};
use crate::runtime::PodRuntime;

/// Where what happens to pods comes out.
pub type PlegEvents = mpsc::Receiver<PodLifecycleEvent>;

/// A handle on the pod lifecycle event generator.
///
/// Cheap to clone. What it stands for is run by its [`PlegDriver`].
#[derive(Clone, Debug)]
pub struct Pleg {
    pub(super) shared: Arc<Shared>,
}

/// Pods are not watched as they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unhealthy {
    /// The runtime has not listed its pods yet.
    #[error("pleg has yet to be successful")]
    NeverRelisted,
    /// It has not for too long.
    #[error("pleg was last seen active {age:?} ago; threshold is {threshold:?}")]
    Stale {
        /// How long.
        age: Duration,
        /// How long it might.
        threshold: Duration,
    },
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) options: PlegOptions,
    state: Mutex<State>,
    /// Somebody has asked for a pod.
    pub(super) asked: Notify,
    dropped: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    /// The pods that were asked for, each once.
    wanted: BTreeMap<PodUid, PodName>,
    relisted_at: Option<Instant>,
    is_evented: bool,
    counts: RunningCounts,
}

impl Pleg {
    /// A handle, what runs it, and where its events come out. `cache` is filled by the driver.
    pub fn new<R: PodRuntime>(
        runtime: Arc<R>,
        cache: PodCache,
        options: PlegOptions,
    ) -> (Self, PlegDriver<R>, PlegEvents) {
        let (events, receiver) = mpsc::channel(options.event_capacity.max(1));
        let shared = Arc::new(Shared {
            options,
            state: Mutex::default(),
            asked: Notify::new(),
            dropped: AtomicU64::new(0),
        });
        let driver = PlegDriver::new(runtime, cache, events, shared.clone());
        (Self { shared }, driver, receiver)
    }

    /// Has one pod looked at as soon as possible, and returns at once; if that is
    /// [turned off](PlegOptions::on_demand_relist), the pod waits for the next list.
    ///
    /// The look begins after this call. Pods that are asked for again before that are looked at
    /// once. Answers to `RequestRelist` of kubelet's `GenericPLEG`.
    pub fn request_relist(&self, uid: &PodUid, name: &PodName) {
        if self.shared.options.on_demand_relist {
            self.shared.want(uid.clone(), name.clone());
        }
    }

    /// Whether pods are watched as they should be: the last list is not too old.
    ///
    /// # Errors
    ///
    /// What is the matter.
    pub fn health(&self) -> Result<(), Unhealthy> {
        let options = &self.shared.options;
        let (relisted_at, is_evented) = {
            let state = self.shared.state.lock();
            (state.relisted_at, state.is_evented)
        };
        let age = relisted_at.ok_or(Unhealthy::NeverRelisted)?.elapsed();
        let threshold = match is_evented {
            true => options.evented_relist_threshold,
            false => options.relist_threshold,
        };
        if age > threshold {
            return Err(Unhealthy::Stale { age, threshold });
        }
        Ok(())
    }

    /// How long ago the last list was begun that went well; `None` if there was none.
    pub fn last_relist_age(&self) -> Option<Duration> {
        let relisted_at = self.shared.state.lock().relisted_at;
        relisted_at.map(|at| at.elapsed())
    }

    /// Whether the runtime tells what happens, so that lists are rare.
    pub fn is_evented(&self) -> bool {
        self.shared.state.lock().is_evented
    }

    /// How many pods and containers there were when they were last looked at.
    pub fn counts(&self) -> RunningCounts {
        self.shared.state.lock().counts
    }

    /// How many events were dropped since the sync loop did not take them.
    pub fn dropped(&self) -> u64 {
        self.shared.dropped.load(Ordering::Relaxed)
    }
}

impl Shared {
    pub(super) fn want(&self, uid: PodUid, name: PodName) {
        self.state.lock().wanted.insert(uid, name);
        self.asked.notify_one();
    }

    pub(super) fn take_wanted(&self) -> Vec<(PodUid, PodName)> {
        mem::take(&mut self.state.lock().wanted)
            .into_iter()
            .collect()
    }

    pub(super) fn relisted(&self, at: Instant) {
        self.state.lock().relisted_at = Some(at);
    }

    pub(super) fn set_evented(&self, is_evented: bool) {
        self.state.lock().is_evented = is_evented;
    }

    pub(super) fn set_counts(&self, counts: RunningCounts) {
        self.state.lock().counts = counts;
    }

    pub(super) fn count_dropped(&self, count: u64) {
        self.dropped.fetch_add(count, Ordering::Relaxed);
    }
}
