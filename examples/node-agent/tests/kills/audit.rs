//! What must never be seen, whoever is killed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use futures::StreamExt as _;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use kube_client::Api;
use kube_client::api::{ListParams, WatchParams};
use kube_client::core::WatchEvent;
use notify::event::{AccessKind, AccessMode};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use parking_lot::Mutex;
use tokio::sync::{Notify, broadcast};
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::timeout;

use crate::containers::{Containers, Owner};
use crate::machine::Machine;
use crate::pod::phase;
use crate::pods::uid_on_node;

/// How often containers are looked at though nothing told of a change.
const PERIOD: Duration = Duration::from_millis(20);

/// Looks on while pods live, and notes what must not be. Of what runs it knows by the runtime's files
/// and by processes, so that nobody can be killed who would have told it.
///
/// - No two containers of one name in one pod run at once.
/// - What a status says of how a container ended is how it ended.
/// - A pod that has ended does not begin again, and counts of restarts only grow.
/// - A pod that is gone from the API has no container that runs.
pub(crate) struct Audit {
    notes: Arc<Mutex<Notes>>,
    happened: broadcast::Sender<Happened>,
    tasks: JoinSet<Result<()>>,
}

/// Something happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Happened {
    /// A container was made.
    Made,
    /// A container was started.
    Started,
    /// A container has ended.
    Ended,
    /// A container was removed.
    Removed,
    /// Somebody wrote a pod.
    PodWritten,
    /// A pod is gone.
    PodGone,
}

/// What is known, and what was wrong.
struct Notes {
    on_disk: Containers,
    containers: BTreeMap<String, Known>,
    /// As they were last told, by uid.
    pods: BTreeMap<String, Pod>,
    ended_pods: BTreeMap<String, String>,
    restarts: BTreeMap<(String, String), i32>,
    faults: BTreeSet<String>,
}

struct Known {
    owner: Owner,
    was_started: bool,
    exit_code: Option<i32>,
    is_removed: bool,
}

impl Notes {
    fn new(on_disk: Containers) -> Self {
        Self {
            on_disk,
            containers: BTreeMap::new(),
            pods: BTreeMap::new(),
            ended_pods: BTreeMap::new(),
            restarts: BTreeMap::new(),
            faults: BTreeSet::new(),
        }
    }

    /// Looks at all containers, and says what happened to them since.
    fn look(&mut self) -> Vec<Happened> {
        let mut happened = Vec::new();
        let ids: BTreeSet<_> = self.on_disk.ids().into_iter().collect();
        for (id, known) in &mut self.containers {
            if !known.is_removed && !ids.contains(id) {
                known.is_removed = true;
                happened.push(Happened::Removed);
            }
        }
        for id in ids {
            if !self.containers.contains_key(&id) {
                let Some(owner) = self.on_disk.owner(&id) else {
                    continue;
                };
                let known = Known {
                    owner,
                    was_started: false,
                    exit_code: None,
                    is_removed: false,
                };
                self.containers.insert(id.clone(), known);
                happened.push(Happened::Made);
            }
            let Some(known) = self.containers.get_mut(&id) else {
                continue;
            };
            if !known.was_started && self.on_disk.process(&id).is_some() {
                known.was_started = true;
                happened.push(Happened::Started);
            }
            if known.exit_code.is_none() {
                known.exit_code = self.on_disk.exit_code(&id);
                happened.extend(known.exit_code.map(|_| Happened::Ended));
            }
        }
        self.look_for_doubles();
        happened
    }

    fn look_for_doubles(&mut self) {
        let mut going_on: BTreeMap<&Owner, Vec<&str>> = BTreeMap::new();
        for (id, known) in &self.containers {
            if known.was_started && known.exit_code.is_none() && !known.is_removed {
                going_on.entry(&known.owner).or_default().push(id);
            }
        }
        let mut faults = Vec::new();
        for (owner, mut ids) in going_on.into_iter().filter(|(_, ids)| ids.len() > 1) {
            // Both at one time: the first may have ended since it was looked at.
            ids.retain(|id| self.on_disk.is_running(id));
            if ids.len() > 1 {
                faults.push(format!("{owner:?} runs twice: {ids:?}"));
            }
        }
        self.faults.extend(faults);
    }

    fn was_started(&self, pod: &Pod, container: &str) -> bool {
        let uid = uid_on_node(pod);
        let of_it = |it: &&Known| it.owner.uid == uid && it.owner.container == container;
        let mut containers = self.containers.values().filter(of_it);
        containers.any(|it| it.was_started)
    }

    /// A pod is so, at the API; says what happened to containers since somebody looked.
    fn pod(&mut self, pod: &Pod) -> Vec<Happened> {
        let states = statuses(pod).flat_map(|status| [&status.state, &status.last_state]);
        let mut ends = states.flatten().filter(|state| state.terminated.is_some());
        // Nothing is said of how a container ended before it has.
        let happened = ends.next().map_or_else(Vec::new, |_| self.look());
        let name = pod.metadata.name.clone().unwrap_or_default();
        let uid = pod.metadata.uid.clone().unwrap_or_default();
        let phase = phase(pod);
        if ["Succeeded", "Failed"].contains(&phase) {
            let before = self
                .ended_pods
                .entry(uid.clone())
                .or_insert_with(|| phase.to_owned());
            if before != phase {
                self.faults
                    .insert(format!("{name} was {before}, and is {phase}"));
            }
        } else if let Some(before) = self.ended_pods.get(&uid) {
            self.faults
                .insert(format!("{name} was {before}, and is {phase}"));
        }
        for status in statuses(pod) {
            let count = self
                .restarts
                .entry((uid.clone(), status.name.clone()))
                .or_default();
            if status.restart_count < *count {
                let (container, now) = (&status.name, status.restart_count);
                self.faults.insert(format!(
                    "{container} of {name} was restarted {count} times, and then {now} times"
                ));
            }
            *count = (*count).max(status.restart_count);
            if let Err(lie) = self.compare(pod, status) {
                self.faults.insert(format!("pod {name}: {lie:#}"));
            }
        }
        self.pods.insert(uid, pod.clone());
        happened
    }

    /// Fails if a status says of how a container ended what is not so.
    fn compare(&self, pod: &Pod, status: &ContainerStatus) -> Result<()> {
        let states = [&status.state, &status.last_state].into_iter().flatten();
        for ended in states.filter_map(|state| state.terminated.as_ref()) {
            let Some(id) = ended.container_id.as_deref() else {
                // As upstream says it of a container that was never started when its pod ends. How
                // one ended that was started is known as long as the runtime has it, and nobody may
                // remove it before that was told.
                ensure!(
                    ended.reason.as_deref() == Some("ContainerStatusUnknown")
                        && !self.was_started(pod, &status.name),
                    "{} was started, and nobody knows which container ended: {status:?}",
                    status.name
                );
                continue;
            };
            let id = id.rsplit('/').next().unwrap_or_default();
            match self.containers.get(id).and_then(|known| known.exit_code) {
                Some(code) => ensure!(
                    code == ended.exit_code,
                    "{} ended with {code}, and it says: {ended:?}",
                    status.name
                ),
                // Nobody could write it down, or it was removed before anybody looked.
                None => ensure!(
                    !self.on_disk.is_running(id),
                    "{} runs, and it says: {ended:?}",
                    status.name
                ),
            }
        }
        Ok(())
    }

    fn pod_gone(&mut self, pod: &Pod) {
        let name = pod.metadata.name.as_deref().unwrap_or_default();
        let uid = uid_on_node(pod);
        self.pods
            .remove(pod.metadata.uid.as_deref().unwrap_or_default());
        // A mirror comes again.
        let is_mirror = Some(&uid) != pod.metadata.uid.as_ref();
        let left = self.on_disk.running(&uid);
        if !is_mirror && !left.is_empty() {
            let fault = format!("pod {name} is gone, and {left:?} runs");
            self.faults.insert(fault);
        }
    }
}

impl Audit {
    /// Begins to look at the containers and the pods of a machine.
    pub(crate) fn start(machine: &Machine) -> Self {
        let notes = Notes::new(machine.containers());
        let notes = Arc::new(Mutex::new(notes));
        let (happened, _) = broadcast::channel(4096);
        let mut tasks = JoinSet::new();
        tasks.spawn(look(notes.clone(), happened.clone()));
        tasks.spawn(watch(machine.pods(), notes.clone(), happened.clone()));
        Self {
            notes,
            happened,
            tasks,
        }
    }

    /// What happens from now on.
    pub(crate) fn happenings(&self) -> broadcast::Receiver<Happened> {
        self.happened.subscribe()
    }

    /// Fails if anything was wrong so far.
    pub(crate) fn check(&mut self) -> Result<()> {
        if let Some(ended) = self.tasks.try_join_next() {
            ended?.context("the audit ended")?;
        }
        let faults = self.notes.lock().faults.clone();
        let faults: Vec<_> = faults.into_iter().collect();
        ensure!(faults.is_empty(), "{}", faults.join("\n"));
        Ok(())
    }

    /// How many pods are so, as far as was told: nobody has to ask for all of them for that.
    pub(crate) fn count(&self, is_so: impl Fn(&Pod) -> bool) -> usize {
        let notes = self.notes.lock();
        notes.pods.values().filter(|pod| is_so(pod)).count()
    }

    /// How often the containers of a pod have been started.
    pub(crate) fn starts(&self, uid: &str) -> usize {
        let notes = self.notes.lock();
        let of_pod = notes.containers.values().filter(|it| it.owner.uid == uid);
        of_pod.filter(|it| it.was_started).count()
    }
}

/// The statuses of all containers of a pod.
pub(crate) fn statuses(pod: &Pod) -> impl Iterator<Item = &ContainerStatus> {
    let status = pod.status.iter();
    let lists = status.flat_map(|it| [&it.init_container_statuses, &it.container_statuses]);
    lists.flatten().flatten()
}

/// Looks at containers as often as anything happens to their files.
async fn look(notes: Arc<Mutex<Notes>>, tell: broadcast::Sender<Happened>) -> Result<()> {
    let directory = notes.lock().on_disk.directory();
    let changed = Arc::new(Notify::new());
    let mut watcher: Option<RecommendedWatcher> = None;
    loop {
        if watcher.is_none() && directory.exists() {
            let changed = changed.clone();
            let new = notify::recommended_watcher(move |event: notify::Result<_>| {
                if event.as_ref().map_or(true, matters) {
                    changed.notify_one();
                }
            });
            let watched = new.and_then(|mut new| {
                new.watch(&directory, RecursiveMode::Recursive)?;
                Ok(new)
            });
            // Users have few of them: without one it is looked now and then.
            watcher = watched.ok();
        }
        let happened = on_files(&notes, Notes::look).await?;
        for it in happened {
            let _ = tell.send(it);
        }
        // Whether something happened or it is only time to look again is the same.
        let _ = timeout(PERIOD, changed.notified()).await;
    }
}

/// Does something that reads files, on a thread where nobody waits for it: those of the tasks are few,
/// and serve the API and the runtime as well.
async fn on_files<T: Send + 'static>(
    notes: &Arc<Mutex<Notes>>,
    work: impl FnOnce(&mut Notes) -> T + Send + 'static,
) -> Result<T> {
    let notes = notes.clone();
    Ok(spawn_blocking(move || work(&mut notes.lock())).await?)
}

/// Whether a file may have changed: looking at one is an event, too.
fn matters(event: &notify::Event) -> bool {
    match event.kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => true,
        EventKind::Access(_) => false,
        _ => true,
    }
}

async fn watch(
    pods: Api<Pod>,
    notes: Arc<Mutex<Notes>>,
    tell: broadcast::Sender<Happened>,
) -> Result<()> {
    let list = pods.list(&ListParams::default()).await?;
    let mut version = list.metadata.resource_version.unwrap_or_default();
    loop {
        let mut events = pods.watch(&WatchParams::default(), &version).await?.boxed();
        while let Some(event) = events.next().await {
            let happened = match event? {
                WatchEvent::Added(pod) | WatchEvent::Modified(pod) => {
                    version = pod.metadata.resource_version.clone().unwrap_or_default();
                    let happened = on_files(&notes, move |notes| notes.pod(&pod)).await?;
                    [happened, vec![Happened::PodWritten]].concat()
                }
                WatchEvent::Deleted(pod) => {
                    version = pod.metadata.resource_version.clone().unwrap_or_default();
                    on_files(&notes, move |notes| notes.pod_gone(&pod)).await?;
                    vec![Happened::PodGone]
                }
                WatchEvent::Bookmark(mark) => {
                    version = mark.metadata.resource_version;
                    continue;
                }
                WatchEvent::Error(status) => bail!("the watch of pods failed: {status:?}"),
            };
            for it in happened {
                let _ = tell.send(it);
            }
        }
    }
}

/// Waits until the node holds nothing but these pods, by the uids that they have there: no sandbox,
/// no container that runs or has ended, no directory, no log.
pub(crate) async fn until_nothing_but(
    machine: &Machine,
    uids: &BTreeSet<String>,
    limit: Duration,
) -> Result<()> {
    let left = Mutex::new(Vec::new());
    let look = async || {
        let mut found = machine.containers().others(uids);
        for directory in [machine.agent_dir().join("pods"), machine.logs_dir()] {
            let entries = std::fs::read_dir(&directory).into_iter().flatten();
            for entry in entries.flatten() {
                let name = entry.file_name().to_string_lossy().into_owned();
                if !uids.iter().any(|uid| name.ends_with(uid)) {
                    found.push(entry.path().display().to_string());
                }
            }
        }
        let is_done = found.is_empty();
        *left.lock() = found;
        Ok(is_done.then_some(()))
    };
    let waited = crate::assembly::eventually("nothing is left", limit, look).await;
    waited.with_context(|| format!("left: {:#?}", left.lock()))
}
