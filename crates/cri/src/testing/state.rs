//! What a runtime knows, as a state machine: the instant is passed in, and nothing waits.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use kubewright_clock::Clock;
use tokio::time::Instant;
use tonic::Status;

use super::behaviour::{Behaviour, OnStop};
use crate::v1::{self, ContainerEventType, ContainerState, NamespaceMode, PodSandboxState};

mod container;
mod image;
mod sandbox;

/// With which code SIGKILL ends a process.
pub(super) const KILLED: i32 = 137;

#[derive(Debug)]
pub(super) struct State {
    pub(super) clock: Clock,
    pub(super) chance: fastrand::Rng,
    pub(super) sandboxes: BTreeMap<String, Sandbox>,
    pub(super) containers: BTreeMap<String, Container>,
    pub(super) images: BTreeMap<String, v1::Image>,
    /// What was asked for by pulls that took effect.
    pub(super) pulls: Vec<v1::PullImageRequest>,
    pub(super) behaviours: HashMap<String, Behaviour>,
    pub(super) conditions: BTreeMap<String, v1::RuntimeCondition>,
    /// How many sandboxes there have ever been; each gets the next address.
    pub(super) addresses: u32,
    /// What happened and was not yet told, for each who listens.
    pub(super) listeners: HashMap<u64, VecDeque<v1::ContainerEventResponse>>,
}

#[derive(Debug)]
pub(super) struct Sandbox {
    pub(super) config: v1::PodSandboxConfig,
    pub(super) status: v1::PodSandboxStatus,
}

#[derive(Debug)]
pub(super) struct Container {
    pub(super) sandbox_id: String,
    pub(super) behaviour: Behaviour,
    pub(super) config: v1::ContainerConfig,
    pub(super) status: v1::ContainerStatus,
    /// When it will exit, and with which code, if that is settled.
    pub(super) end: Option<(Instant, i32)>,
}

impl State {
    pub(super) fn new(clock: Clock, seed: u64) -> Self {
        let ready = |kind: &str| {
            let condition = v1::RuntimeCondition {
                r#type: kind.to_owned(),
                status: true,
                ..v1::RuntimeCondition::default()
            };
            (kind.to_owned(), condition)
        };
        Self {
            clock,
            chance: fastrand::Rng::with_seed(seed),
            sandboxes: BTreeMap::new(),
            containers: BTreeMap::new(),
            images: BTreeMap::new(),
            pulls: Vec::new(),
            behaviours: HashMap::new(),
            conditions: [ready("NetworkReady"), ready("RuntimeReady")].into(),
            addresses: 0,
            listeners: HashMap::new(),
        }
    }

    /// Ends the containers whose time has come, in the order of their ends.
    pub(super) fn settle(&mut self, now: Instant) {
        let mut due: Vec<_> = self
            .containers
            .values()
            .filter_map(|container| Some((container.end?, container.status.id.clone())))
            .filter(|((at, _), _)| *at <= now)
            .collect();
        due.sort();
        for ((at, code), id) in due {
            self.end(&id, code, now - at);
        }
    }

    /// When the next container ends.
    pub(super) fn next_end(&self) -> Option<Instant> {
        let ends = self
            .containers
            .values()
            .filter_map(|container| container.end);
        ends.map(|(at, _)| at).min()
    }

    /// What a call is about, in names rather than ids.
    pub(super) fn subject(&self, id: &str) -> String {
        if let Some(sandbox) = self.sandboxes.get(id) {
            return sandbox.pod().to_owned();
        }
        match self.containers.get(id) {
            None => id.to_owned(),
            Some(container) => {
                let sandbox = self.sandboxes.get(&container.sandbox_id);
                let pod = sandbox.map_or("", Sandbox::pod);
                format!("{pod}/{}", container.name())
            }
        }
    }

    /// The present as CRI writes it, in nanoseconds since 1970.
    pub(super) fn nanoseconds(&self) -> i64 {
        self.nanoseconds_ago(Duration::ZERO)
    }

    fn nanoseconds_ago(&self, ago: Duration) -> i64 {
        let ago = i128::try_from(ago.as_nanos()).unwrap_or(i128::MAX);
        let at = self.clock.now().as_nanosecond().saturating_sub(ago);
        i64::try_from(at).unwrap_or(i64::MAX)
    }

    fn new_id(&mut self) -> String {
        (0..4)
            .map(|_| format!("{:016x}", self.chance.u64(..)))
            .collect()
    }

    pub(super) fn tell(&mut self, what: ContainerEventType, id: &str, sandbox_id: &str) {
        let containers = self
            .containers
            .values()
            .filter(|container| container.sandbox_id == sandbox_id);
        let event = v1::ContainerEventResponse {
            container_id: id.to_owned(),
            container_event_type: what.into(),
            created_at: self.nanoseconds(),
            pod_sandbox_status: self
                .sandboxes
                .get(sandbox_id)
                .map(|sandbox| sandbox.status.clone()),
            containers_statuses: containers
                .map(|container| container.status.clone())
                .collect(),
        };
        for pending in self.listeners.values_mut() {
            pending.push_back(event.clone());
        }
    }
}

impl Sandbox {
    /// The name of the pod.
    pub(super) fn pod(&self) -> &str {
        self.config
            .metadata
            .as_ref()
            .map_or("", |metadata| &metadata.name)
    }

    pub(super) fn is_ready(&self) -> bool {
        self.status.state() == PodSandboxState::SandboxReady
    }
}

impl Container {
    pub(super) fn name(&self) -> &str {
        self.status
            .metadata
            .as_ref()
            .map_or("", |metadata| &metadata.name)
    }

    pub(super) fn is_running(&self) -> bool {
        self.status.state() == ContainerState::ContainerRunning
    }

    /// When it ends if it is asked to stop now, and with which code.
    fn stopped(&self, now: Instant, grace: Duration) -> (Instant, i32) {
        match self.behaviour.on_stop {
            OnStop::Exits { after, code } if after < grace => (later(now, after), code),
            // With no grace at all nobody is asked.
            OnStop::Exits { .. } | OnStop::Ignores => (later(now, grace), KILLED),
        }
    }
}

fn is_host_network(config: &v1::PodSandboxConfig) -> bool {
    let linux = config.linux.as_ref();
    linux
        .and_then(|linux| linux.security_context.as_ref())
        .and_then(|security| security.namespace_options.as_ref())
        .is_some_and(|namespaces| namespaces.network() == NamespaceMode::Node)
}

/// An instant that may be farther off than time goes.
fn later(now: Instant, by: Duration) -> Instant {
    const FAR: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
    now + by.min(FAR)
}

fn absent(what: &str, id: &str) -> Status {
    Status::not_found(format!("no {what} {id:?}"))
}
