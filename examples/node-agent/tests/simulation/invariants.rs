//! What holds whatever happens.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use kubewright_cri::v1;
use tokio::time::Instant;

use crate::world::{View, name_of, of_pod};

/// How long a container may go on of which nobody wants anything, when all goes well.
const LEAK: Duration = Duration::from_secs(60);
/// How long a status may lag behind, when all goes well.
const LAG: Duration = Duration::from_secs(15);
/// How long it takes until all goes well again: the longest back-off that anybody has.
const SETTLE: Duration = Duration::from_secs(60);

/// Looks at a world again and again.
///
/// - No two containers of one name of one pod run at one time.
/// - Nothing runs for long that nobody wants.
/// - Phases and counts of restarts go one way, and no phase is terminal while a container runs.
/// - A pod that has succeeded is one whose containers all did.
/// - A status does not say for long that something runs, or is ready, that does not.
pub(crate) struct Watchdog {
    pub(crate) seed: u64,
    /// How long a status may lag behind, when all goes well.
    pub(crate) lag: Duration,
    /// How long a container may go on of which nobody wants anything, when all goes well.
    pub(crate) leak: Duration,
    calm_since: Instant,
    /// Since when something is amiss, by what.
    suspects: HashMap<String, Instant>,
    /// The highest count of restarts that was told, by uid and container.
    restarts: HashMap<(String, String), i32>,
    terminal: HashMap<String, String>,
    /// How containers ended.
    exits: HashMap<String, i32>,
}

impl Watchdog {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            seed,
            lag: LAG,
            leak: LEAK,
            calm_since: Instant::now(),
            suspects: HashMap::new(),
            restarts: HashMap::new(),
            terminal: HashMap::new(),
            exits: HashMap::new(),
        }
    }

    /// Things are to settle first.
    pub(crate) fn disturb(&mut self) {
        self.calm_since = Instant::now() + SETTLE;
    }

    pub(crate) fn check(&mut self, view: &View, statics: &BTreeSet<String>) {
        for container in &view.containers {
            if container.state() == v1::ContainerState::ContainerExited {
                self.exits.insert(container.id.clone(), container.exit_code);
            }
        }
        let running: Vec<_> = view
            .containers
            .iter()
            .filter(|it| it.state() == v1::ContainerState::ContainerRunning)
            .collect();
        let running_ids: BTreeSet<_> = running.iter().map(|it| it.id.as_str()).collect();
        let mut amiss = Vec::new();

        let mut seen = BTreeSet::new();
        for container in &running {
            let uid = &container.labels["io.kubernetes.pod.uid"];
            let key = (uid.clone(), name_of(container));
            self.assert(seen.insert(key), view, || {
                format!("two of {}/{} run", of_pod(container), name_of(container))
            });
            let pods = view.pods.iter();
            let wanted = pods
                .filter(|pod| uid_of(pod) == *uid)
                .any(|pod| pod.metadata.deletion_timestamp.is_none());
            if !wanted && !statics.contains(of_pod(container)) {
                let what = format!("{}/{} leaks", of_pod(container), name_of(container));
                amiss.push((format!("{what}: {}", container.id), self.leak));
            }
        }
        for sandbox in &view.sandboxes {
            let is_ready = sandbox.state() == v1::PodSandboxState::SandboxReady;
            let name = &sandbox.labels["io.kubernetes.pod.name"];
            let uid = &sandbox.labels["io.kubernetes.pod.uid"];
            let wanted = view.pods.iter().any(|pod| uid_of(pod) == *uid);
            if is_ready && !wanted && !statics.contains(name) {
                amiss.push((
                    format!("sandbox of {name} leaks: {}", sandbox.id),
                    self.leak,
                ));
            }
        }
        for pod in &view.pods {
            self.check_pod(pod, view, &running_ids, &mut amiss);
        }

        let now = Instant::now();
        let names: BTreeSet<_> = amiss.iter().map(|(what, _)| what.clone()).collect();
        self.suspects.retain(|what, _| names.contains(what));
        for (what, patience) in amiss {
            let since = *self.suspects.entry(what.clone()).or_insert(now);
            let lasts = now.saturating_duration_since(since.max(self.calm_since));
            self.assert(lasts <= patience, view, || format!("{what} for {lasts:?}"));
        }
    }

    fn check_pod(
        &mut self,
        pod: &Pod,
        view: &View,
        running: &BTreeSet<&str>,
        amiss: &mut Vec<(String, Duration)>,
    ) {
        let (uid, status) = (uid_of(pod), pod.status.clone().unwrap_or_default());
        let name = pod.metadata.name.clone().unwrap_or_default();
        let phase = status.phase.clone().unwrap_or_default();
        let is_mirror = uid != pod.metadata.uid.clone().unwrap_or_default();
        let all = [
            &status.init_container_statuses,
            &status.container_statuses,
            &status.ephemeral_container_statuses,
        ];
        let all: Vec<&ContainerStatus> = all.into_iter().flatten().flatten().collect();
        // A static pod may begin again under its uid.
        if !is_mirror {
            if let Some(ended) = self.terminal.get(&uid).cloned() {
                self.assert(ended == phase, view, || {
                    format!("{name} was {ended} and is {phase}")
                });
            }
            for container in &all {
                let key = (uid.clone(), container.name.clone());
                let before = self.restarts.get(&key).copied().unwrap_or_default();
                let count = container.restart_count;
                self.assert(before <= count, view, || {
                    format!(
                        "restarts of {name}/{}: {before}, then {count}",
                        container.name
                    )
                });
                self.restarts.insert(key, count);
            }
        }
        if ["Succeeded", "Failed"].contains(&phase.as_str()) {
            if !is_mirror {
                self.terminal.insert(uid.clone(), phase.clone());
            }
            let still: Vec<_> = view.running(&name);
            let of_this = view.containers.iter().any(|it| {
                it.labels["io.kubernetes.pod.uid"] == uid && running.contains(it.id.as_str())
            });
            self.assert(!of_this, view, || {
                format!("{name} is {phase}, and {still:?} run")
            });
        }
        if phase == "Succeeded" {
            let regular = status.container_statuses.iter().flatten();
            for container in regular {
                let state = container.state.as_ref();
                let ended = state.and_then(|state| state.terminated.as_ref());
                let id = ended.and_then(|it| bare(it.container_id.as_deref()));
                let real = id.and_then(|id| self.exits.get(id)).copied();
                self.assert(ended.is_some_and(|it| it.exit_code == 0), view, || {
                    format!("{name} has succeeded without {}", container.name)
                });
                self.assert(real.is_none_or(|code| code == 0), view, || {
                    format!(
                        "{name} has succeeded, and {} ended with {real:?}",
                        container.name
                    )
                });
            }
        }
        for container in all {
            let id = bare(container.container_id.as_deref()).unwrap_or_default();
            let runs = running.contains(id);
            let state = container.state.clone().unwrap_or_default();
            if state.running.is_some() && !runs {
                amiss.push((
                    format!("{name}/{} is told to run: {id}", container.name),
                    self.lag,
                ));
            }
            let is_init = status.init_container_statuses.iter().flatten();
            let is_init = is_init.into_iter().any(|it| it.name == container.name);
            // An init container that has done its part is ready.
            if container.ready && !runs && !(is_init && state.terminated.is_some()) {
                amiss.push((
                    format!("{name}/{} is told ready: {id}", container.name),
                    self.lag,
                ));
            }
            if let (Some(ended), Some(real)) = (&state.terminated, self.exits.get(id).copied()) {
                let told = ended.exit_code;
                self.assert(told == real, view, || {
                    format!("{name}/{} ended with {real}, told {told}", container.name)
                });
            }
        }
    }

    fn assert(&self, holds: bool, view: &View, what: impl FnOnce() -> String) {
        assert!(holds, "seed {}: {}\n{}", self.seed, what(), view.told());
    }
}

/// The uid that the runtime knows the pod by.
fn uid_of(pod: &Pod) -> String {
    let annotations = pod.metadata.annotations.as_ref();
    let mirrored = annotations.and_then(|it| it.get("kubernetes.io/config.mirror"));
    let uid = mirrored.or(pod.metadata.uid.as_ref());
    uid.cloned().unwrap_or_default()
}

fn bare(id: Option<&str>) -> Option<&str> {
    let (_, id) = id?.split_once("://")?;
    Some(id)
}
