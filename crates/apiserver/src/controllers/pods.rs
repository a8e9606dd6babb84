//! The life of pods where nothing runs: assigned to a node, running, ready, ended, gone.
//!
//! It stands for the scheduler and for the kubelets of nodes that exist in name only. Pods that
//! another scheduler is named for, or that are on nodes of others, are left alone.

mod script;
mod status;

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

pub use self::script::{Exit, PodLife, PodRule, PodScript};
use super::action::Operation;
use super::conditions::has_condition;
use super::{Action, Backlog, Engine, Seen, Ticket, Verdict};
use crate::resource::Resource;
use crate::store::{Key, Stored};

/// Pods get addresses from 10.244.0.0/14, one after the other and then again.
const FIRST_ADDRESS: u32 = 0x0af4_0000;
const ADDRESSES: u32 = 1 << 18;
/// Nodes get addresses from 192.168.0.0/16.
const FIRST_NODE_ADDRESS: u32 = 0xc0a8_0001;
const NODE_ADDRESSES: u32 = (1 << 16) - 2;

/// The engine. Its tickets are uids.
#[derive(Debug)]
pub(super) struct Pods {
    life: PodLife,
    /// The numbers of the nodes.
    nodes: HashMap<String, u32>,
    pods: HashMap<Ticket, Pod>,
    next_node: usize,
    next_address: u32,
}

#[derive(Debug)]
struct Pod {
    resource: Arc<Resource>,
    key: Key,
    stage: Stage,
    /// The number of its node, once it has one.
    node: u32,
    /// When it came to that stage, as far as was seen.
    since: Instant,
    /// When its containers began to run.
    started: Instant,
    restarts: i64,
    script: PodScript,
    /// How long it may take to end once it is deleted.
    grace: Duration,
}

/// Where a pod stands in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// It has no node yet.
    Unassigned,
    /// It has a node, and its containers do not run yet.
    Assigned,
    /// Its containers run and are not ready.
    Running,
    /// Its containers are ready.
    Ready,
    /// Its containers are ready, but the pod's condition does not say what it should: its readiness
    /// gates have changed.
    Gated,
    /// It is deleted, and its containers end.
    Ending,
    /// There is nothing more to do here.
    Over,
}

impl Pods {
    pub(super) fn new(life: PodLife) -> Self {
        let nodes = life.nodes.iter().cloned().zip(0..).collect();
        Self {
            life,
            nodes,
            pods: HashMap::new(),
            next_node: 0,
            next_address: 0,
        }
    }

    /// Where the pod stands, and on which node; `None` if it is someone else's.
    fn stage(&self, pod: &Stored) -> Option<(Stage, u32)> {
        let value = pod.value();
        let spec = &value["spec"];
        let Some(node) = spec["nodeName"].as_str().filter(|node| !node.is_empty()) else {
            let gates = spec["schedulingGates"].as_array();
            let waits = gates.is_some_and(|gates| !gates.is_empty());
            let scheduler = spec["schedulerName"].as_str();
            let ours = scheduler.is_none_or(|name| name == "default-scheduler");
            let goes_on = ours && !waits && !pod.is_terminating();
            return goes_on.then_some((Stage::Unassigned, 0));
        };
        let node = *self.nodes.get(node)?;
        let stage = match value["status"]["phase"].as_str() {
            _ if pod.is_terminating() && had_its_time(&value) => Stage::Over,
            _ if pod.is_terminating() => Stage::Ending,
            Some("Succeeded" | "Failed") => Stage::Over,
            Some("Running") if !has_condition(&value, "ContainersReady") => Stage::Running,
            Some("Running") if status::is_ready(&value) != has_condition(&value, "Ready") => {
                Stage::Gated
            }
            Some("Running") => Stage::Ready,
            _ => Stage::Assigned,
        };
        Some((stage, node))
    }

    /// The address of the next pod that begins to run.
    fn address(&mut self) -> Ipv4Addr {
        self.next_address = self.next_address % (ADDRESSES - 2) + 1;
        Ipv4Addr::from(FIRST_ADDRESS + self.next_address)
    }

    fn operation(&mut self, uid: &Ticket, node: u32, next: Next) -> Option<Operation> {
        let operation = match next {
            Next::Delete => Operation::Delete {
                uid: Arc::clone(uid),
                revision: None,
                propagation: None,
                grace_period: Some(0),
            },
            Next::Assign => {
                let nodes = &self.life.nodes;
                let node = nodes.get(self.next_node % nodes.len().max(1))?.clone();
                self.next_node += 1;
                Operation::amend(uid, move |pod, now| status::assign(pod, &node, now))
            }
            Next::Run => {
                let address = self.address();
                let host = Ipv4Addr::from(FIRST_NODE_ADDRESS + node % NODE_ADDRESSES);
                Operation::amend(uid, move |pod, now| status::run(pod, address, host, now))
            }
            Next::Ready => Operation::amend(uid, status::ready),
            Next::Exit(code) => Operation::amend(uid, move |pod, now| status::exit(pod, code, now)),
        };
        Some(operation)
    }
}

/// What comes next in the life of a pod.
#[derive(Clone, Copy, Debug)]
enum Next {
    Assign,
    Run,
    Ready,
    Exit(i32),
    Delete,
}

impl Pod {
    /// What comes next, and when.
    fn next(&self) -> Option<(Next, Instant)> {
        let script = &self.script;
        let exit = script.exit.and_then(|exit| {
            let at = self.started.checked_add(exit.after)?;
            Some((Next::Exit(exit.code), at))
        });
        match self.stage {
            Stage::Unassigned => Some((Next::Assign, self.since)),
            Stage::Assigned => Some((Next::Run, self.since.checked_add(script.run_after?)?)),
            Stage::Running => {
                let ready = script
                    .ready_after
                    .and_then(|delay| self.started.checked_add(delay))
                    .map(|at| (Next::Ready, at));
                // At the same moment a pod becomes ready before it ends.
                ready.into_iter().chain(exit).min_by_key(|(_, at)| *at)
            }
            Stage::Gated => Some((Next::Ready, self.since)),
            Stage::Ready => exit,
            Stage::Ending => {
                let delay = script.stop_after.min(self.grace);
                Some((Next::Delete, self.since.checked_add(delay)?))
            }
            Stage::Over => None,
        }
    }
}

impl Engine for Pods {
    fn observe(&mut self, seen: &Seen, now: Instant, backlog: &mut Backlog) {
        if !seen.resource.storage.group.is_empty() || seen.resource.plural != "pods" {
            return;
        }
        let Some(object) = seen.change.after() else {
            if let Some(last) = seen.change.before() {
                self.pods.remove(last.uid());
            }
            return;
        };
        let Some((stage, node)) = self.stage(object) else {
            self.pods.remove(object.uid());
            return;
        };
        let value = object.value();
        let uid: Ticket = object.uid().into();
        let restarts = status::restarts(&value);
        let old = self.pods.get(&uid);
        let began = |same: bool, since: Option<Instant>| since.filter(|_| same).unwrap_or(now);
        let runs = |stage| matches!(stage, Stage::Running | Stage::Ready | Stage::Gated);
        let went_on = |old: &Pod| runs(old.stage) && runs(stage) && old.restarts == restarts;
        let grace = value["metadata"]["deletionGracePeriodSeconds"].as_u64();
        let pod = Pod {
            resource: Arc::clone(&seen.resource),
            key: object.key().clone(),
            stage,
            node,
            since: began(
                old.is_some_and(|old| old.stage == stage),
                old.map(|old| old.since),
            ),
            started: began(old.is_some_and(went_on), old.map(|old| old.started)),
            restarts,
            script: self.life.script_of(&value),
            grace: grace.map_or(Duration::MAX, Duration::from_secs),
        };
        self.pods.insert(Arc::clone(&uid), pod);
        backlog.push(uid);
    }

    fn decide(&mut self, uid: &Ticket, now: Instant) -> Verdict {
        let Some(pod) = self.pods.get(uid) else {
            return Verdict::Rest;
        };
        let Some((next, at)) = pod.next() else {
            return Verdict::Rest;
        };
        if now < at {
            return Verdict::Later(at);
        }
        let (resource, key, node) = (Arc::clone(&pod.resource), pod.key.clone(), pod.node);
        match self.operation(uid, node, next) {
            Some(operation) => Verdict::Act(Action {
                resource,
                key,
                operation,
            }),
            None => Verdict::Rest,
        }
    }
}

/// Whether a deleted pod has had its time, and waits for something else.
fn had_its_time(pod: &Value) -> bool {
    pod["metadata"]["deletionGracePeriodSeconds"] == 0
}
