use std::sync::Arc;
use std::time::Duration;

use kubewright_cri::v1::{RuntimeCondition, StatusResponse};
use parking_lot::Mutex;
use tokio::time::Instant;

/// For how long a runtime that was up is taken to be so.
const THRESHOLD: Duration = Duration::from_secs(30);

/// How the container runtime is. Cheap to clone; clones share what they know.
///
/// Answers to kubelet's `runtimeState`.
#[derive(Clone)]
pub struct RuntimeHealth {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    last_sync: Option<Instant>,
    runtime: Option<String>,
    network: Option<String>,
    checks: Vec<Check>,
}

struct Check {
    name: &'static str,
    check: Arc<dyn Fn() -> Result<(), String> + Send + Sync>,
}

/// What a runtime said of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuntimeSync {
    /// It is up. What depends on it may be started.
    Up,
    /// It is not, or could not be asked.
    Down,
}

impl RuntimeHealth {
    /// The health of a runtime that was not asked yet.
    pub fn new() -> Self {
        Self {
            state: Arc::default(),
        }
    }

    /// Adds something that is asked with every look at the health, such as whether the PLEG still
    /// lists. It must not wait.
    pub fn add_check(
        &self,
        name: &'static str,
        check: impl Fn() -> Result<(), String> + Send + Sync + 'static,
    ) {
        let check = Arc::new(check);
        self.state.lock().checks.push(Check { name, check });
    }

    /// Notes what the runtime says of itself, every 5 s: its answer, or that it gave none.
    ///
    /// Answers to kubelet's `updateRuntimeUp`.
    pub fn observe(
        &self,
        now: Instant,
        status: Result<&StatusResponse, &kubewright_cri::Error>,
    ) -> RuntimeSync {
        let response = match status {
            Ok(response) => response,
            Err(error) => {
                tracing::error!(%error, "the container runtime does not tell how it is");
                return RuntimeSync::Down;
            }
        };
        let Some(status) = &response.status else {
            tracing::error!("the container runtime tells nothing of how it is");
            return RuntimeSync::Down;
        };
        let condition = |type_| status.conditions.iter().find(|it| it.r#type == type_);
        let complaint = |type_| match condition(type_) {
            Some(condition) if condition.status => None,
            Some(condition) => Some(described(condition)),
            None => Some(format!("no condition {type_}")),
        };
        let mut state = self.state.lock();
        state.network = complaint("NetworkReady")
            .map(|why| format!("container runtime network not ready: {why}"));
        state.runtime =
            complaint("RuntimeReady").map(|why| format!("container runtime not ready: {why}"));
        if state.runtime.is_some() {
            return RuntimeSync::Down;
        }
        state.last_sync = Some(now);
        RuntimeSync::Up
    }

    /// What is wrong with the runtime: pods are not synced while something is.
    pub fn runtime_errors(&self, now: Instant) -> Vec<String> {
        let (mut errors, checks) = {
            let state = self.state.lock();
            let mut errors = Vec::new();
            match state.last_sync {
                None => errors
                    .push("container runtime status check may not have completed yet".to_owned()),
                Some(at) if now.duration_since(at) >= THRESHOLD => {
                    errors.push("container runtime is down".to_owned());
                }
                Some(_) => {}
            }
            let checks = state.checks.iter();
            let checks: Vec<_> = checks.map(|it| (it.name, Arc::clone(&it.check))).collect();
            errors.extend(state.runtime.clone());
            (errors, checks)
        };
        // They are not ours, and may take locks of their own.
        let failures = checks.into_iter().filter_map(|(name, check)| {
            let why = check().err()?;
            Some(format!("{name} is not healthy: {why}"))
        });
        errors.extend(failures);
        errors
    }

    /// What is wrong with the network: while something is, only pods in the host's may start.
    pub fn network_errors(&self) -> Option<String> {
        self.state.lock().network.clone()
    }

    /// All that keeps the node from being ready.
    pub fn problems(&self, now: Instant) -> Vec<String> {
        let mut problems = self.runtime_errors(now);
        problems.extend(self.network_errors());
        problems
    }
}

impl Default for RuntimeHealth {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for RuntimeHealth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = self.state.lock();
        f.debug_struct("RuntimeHealth")
            .field("last_sync", &state.last_sync)
            .field("runtime", &state.runtime)
            .field("network", &state.network)
            .finish_non_exhaustive()
    }
}

fn described(condition: &RuntimeCondition) -> String {
    format!(
        "{}={} reason:{} message:{}",
        condition.r#type, condition.status, condition.reason, condition.message
    )
}
