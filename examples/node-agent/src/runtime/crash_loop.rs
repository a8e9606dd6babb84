use std::collections::HashMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, Pod};
use tokio::time::Instant;

use super::{Backoff, ContainerId, ObservedContainer, ObservedPod, RuntimeState, container_hash};
use crate::config::GoDuration;
use crate::moment::Moment;
use crate::pod::{PodName, PodUid};

/// Keeps containers that end again and again from being restarted at once.
///
/// A container of another name or image is another one: it waits for nothing.
///
/// # Clocks
///
/// Delays are measured by the clock that nobody sets, from the end of a container. When that was, the
/// runtime says in wall time, which is believed as far as it can be true: not after the end was
/// seen, and not before the container was let be started and had run for as long as the runtime says
/// it has. So clocks that disagree, or are set, make no delay shorter than it should be but by what
/// lay between its permission and the start, and none longer than from when the end was seen.
///
/// # Restarts of the agent
///
/// Each container bears how long the next of its name is to wait. An agent that finds one which has
/// ended goes on from there; a kubelet forgets. All it has to go by is then the wall clock, and it
/// waits for no longer than that delay.
///
/// Answers to kubelet's `doBackOff`.
#[derive(Clone, Debug)]
pub struct CrashLoop {
    backoff: Backoff<Key>,
    /// The ends that were seen last; only of what the back-off knows.
    deaths: HashMap<Key, Death>,
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
    pub expiry: Instant,
}

/// What is taken for the same container, from one restart to the next.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    uid: PodUid,
    pod: PodName,
    container: String,
    hash: u64,
}

/// The end of a container. When it was is found out once.
#[derive(Clone, Debug)]
struct Death {
    container: ContainerId,
    at: Instant,
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
            deaths: HashMap::new(),
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

    /// Lets a container be started, and says how long the next one will have to wait after its end;
    /// or says how long this one has to wait.
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
        now: Moment,
    ) -> Result<Option<Duration>, CrashLoopBackoff> {
        let key = Key::of(pod, container);
        let mut found = observed.containers.iter();
        let exited =
            found.find(|it| *it.name == *container.name && it.state == RuntimeState::Exited);
        let Some(exited) = exited else {
            return Ok(self.backoff.delay(&key, now.at));
        };
        let died_at = self.death(&key, exited, now);
        let Some(expiry) = self.backoff.expiry_since(&key, died_at, now.at) else {
            return Ok(Some(self.backoff.fail(key, died_at, now.at)));
        };
        Err(CrashLoopBackoff {
            delay: self.backoff.delay(&key, died_at).unwrap_or_default(),
            container: key.container,
            pod: key.pod,
            uid: key.uid,
            expiry,
        })
    }

    /// Drops what would be forgotten anyway.
    pub fn collect_garbage(&mut self, now: Instant) {
        self.backoff.collect_garbage(now);
        let backoff = &self.backoff;
        self.deaths.retain(|key, _| backoff.contains(key));
    }

    /// When a container ended.
    fn death(&mut self, key: &Key, exited: &ObservedContainer, now: Moment) -> Instant {
        let known = self.deaths.get(key);
        if let Some(known) = known.filter(|known| known.container == exited.id) {
            return known.at;
        }
        let finished_at = exited.finished_at.unwrap_or(exited.created_at);
        // Both are of one clock, so that this holds whatever it shows.
        let lasted = finished_at.duration_since(exited.created_at);
        let lasted = Duration::try_from(lasted).unwrap_or_default();
        let at = match self.backoff.updated_at(key) {
            Some(started_at) => {
                let earliest = started_at.checked_add(lasted).unwrap_or(now.at);
                now.when_since(finished_at, earliest)
            }
            None => {
                let at = now.when(finished_at);
                self.adopt(key, exited, at, lasted);
                at
            }
        };
        let container = exited.id.clone();
        self.deaths.insert(key.clone(), Death { container, at });
        at
    }

    /// Takes over what an agent before this one has counted.
    fn adopt(&mut self, key: &Key, exited: &ObservedContainer, died_at: Instant, lasted: Duration) {
        let is_same = exited.hash == key.hash;
        if let Some(delay) = exited.restart_delay.filter(|_| is_same)
            && let Some(started_at) = died_at.checked_sub(lasted)
        {
            self.backoff.adopt(key.clone(), delay, started_at);
        }
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
