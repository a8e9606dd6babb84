use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, Pod};

use super::{Backoff, ObservedPod, RuntimeState, container_hash};
use crate::config::GoDuration;
use crate::pod::{PodName, PodUid};

/// Keeps containers that end again and again from being restarted at once.
///
/// A container of another name or image is another one: it waits for nothing.
/// Answers to kubelet's `doBackOff`.
#[derive(Clone, Debug)]
pub struct CrashLoop {
    backoff: Backoff<Key>,
}

/// A container is to wait before it is restarted. Its text is what its status tells.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("back-off {} restarting failed container={container} pod={pod}({uid})", GoDuration::truncated_to_millis(*delay))]
pub struct CrashLoopBackoff {
    /// The container's name.
    pub container: String,
    /// Its pod.
    pub pod: PodName,
    /// Its pod's uid.
    pub uid: PodUid,
    /// How long it waits after its end.
    pub delay: Duration,
    /// Until when.
    pub expiry: Timestamp,
}

/// What is taken for the same container, from one restart to the next.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    uid: PodUid,
    pod: PodName,
    container: String,
    hash: u64,
}

impl CrashLoop {
    /// The first delay.
    pub const INITIAL: Duration = Duration::from_secs(10);

    /// The longest delay, if nothing else is configured.
    pub const MAX: Duration = Duration::from_secs(300);

    /// Delays from `initial` up to `max`.
    pub fn new(initial: Duration, max: Duration) -> Self {
        Self {
            backoff: Backoff::new(initial, max),
        }
    }

    /// How many containers are remembered.
    pub fn len(&self) -> usize {
        self.backoff.len()
    }

    /// Whether no container is.
    pub fn is_empty(&self) -> bool {
        self.backoff.is_empty()
    }

    /// Lets a container be started, or says how long it has to wait.
    ///
    /// To let it is to count: it is called once for each start.
    ///
    /// # Errors
    ///
    /// The container ended too short a while ago.
    pub fn try_start(
        &mut self,
        pod: &Pod,
        container: &Container,
        observed: &ObservedPod,
        now: Timestamp,
    ) -> Result<(), CrashLoopBackoff> {
        let mut found = observed.containers.iter();
        let exited =
            found.find(|it| *it.name == *container.name && it.state == RuntimeState::Exited);
        let Some(exited) = exited else {
            return Ok(());
        };
        let finished_at = exited.finished_at.unwrap_or(exited.created_at);
        let key = Key::of(pod, container);
        if let Some(expiry) = self.backoff.expiry_since(&key, finished_at, now) {
            let delay = self
                .backoff
                .delay(&key, finished_at, now)
                .unwrap_or_default();
            let Key {
                uid,
                pod,
                container,
                ..
            } = key;
            return Err(CrashLoopBackoff {
                container,
                pod,
                uid,
                delay,
                expiry,
            });
        }
        self.backoff.fail(key, finished_at, now);
        Ok(())
    }

    /// Drops what would be forgotten anyway.
    pub fn collect_garbage(&mut self, now: Timestamp) {
        self.backoff.collect_garbage(now);
    }
}

impl Default for CrashLoop {
    /// Delays from 10 s up to 300 s.
    fn default() -> Self {
        Self::new(Self::INITIAL, Self::MAX)
    }
}

impl Key {
    fn of(pod: &Pod, container: &Container) -> Self {
        Self {
            uid: PodUid::of(pod),
            pod: PodName::of(pod),
            container: container.name.clone(),
            hash: container_hash(container),
        }
    }
}
