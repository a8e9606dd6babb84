use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use futures::{StreamExt as _, stream};
use k8s_openapi::api::core::v1::Pod;
use tokio::time::timeout;

use super::handler::Handler;
use crate::causes::with_causes;
use crate::pod::{PodUid, is_static, is_terminal};
use crate::runtime::{ListedPod, PodRuntime as _};
use crate::worker::{Kill, KillCause, Stage, Subject, UpdateKind, WorkerUpdate};

/// Of how many pods files are removed at one time.
const CONCURRENT_REMOVALS: usize = 4;
/// How long the sync loop waits for files to be removed. What has begun by then goes on.
const REMOVAL_PATIENCE: Duration = Duration::from_secs(1);

/// What is done again and again so that nothing stays behind, whatever was missed.
///
/// Answers to kubelet's `HandlePodCleanups`.
impl Handler {
    pub(super) async fn clean_up_pods(&self) -> anyhow::Result<()> {
        let parts = &self.parts;
        // Before it is known which pods there are: what is made meanwhile is not among them.
        let cgroups = parts.cgroups.all().await;
        let cgroups = cgroups.context("the cgroups of pods cannot be listed")?;
        let (pods, mirrored) = {
            let pods = parts.pods.lock();
            let all: Vec<_> = pods.pods().cloned().collect();
            // Of one that is gone its mirror still tells how it ended.
            let mirrors = pods
                .mirrors()
                .map(|mirror| pods.resolve(&PodUid::of(mirror)));
            let mirrored: Vec<_> = mirrors.collect();
            (all, mirrored)
        };
        let wanted: HashSet<_> = pods.iter().map(|pod| PodUid::of(pod)).collect();
        let known = self.workers.sync_known_pods(&wanted);

        // Probes end with the containers, statuses with the pod.
        let may_run = known
            .iter()
            .filter(|(_, worker)| worker.stage != Stage::Terminated);
        parts
            .probes
            .cleanup_pods(&may_run.map(|(uid, _)| uid.clone()).collect());
        let mut kept = wanted.clone();
        kept.extend(mirrored);
        parts.statuses.remove_orphaned(&kept);
        parts.failures.lock().retain(|uid| known.contains_key(uid));

        let listed = parts.runtime.list_pods().await;
        let listed = listed.context("the pods of the runtime cannot be listed")?;
        self.cleaned_up.notify_one();
        self.remove_orphaned_files(&wanted, &listed).await;

        // Those whose worker is gone begin anew: a static pod has the same uid when it comes back.
        // It is before orphans are looked for, since then what runs of them is theirs.
        let mut begun = HashSet::new();
        for pod in pods {
            let uid = PodUid::of(&pod);
            if !known.contains_key(&uid) && !is_terminal(&pod) && self.begin_again(&pod).await {
                begun.insert(uid);
            }
        }
        let objects = &parts.objects;
        objects.retain_pods(|uid| known.contains_key(uid) || begun.contains(uid));
        self.kill_orphans(&listed, |uid| {
            let worker = known.get(uid);
            begun.contains(uid)
                || worker.is_some_and(|worker| !worker.is_orphan || worker.has_config)
        });
        let may_run = |uid: &PodUid| {
            let worker = known.get(uid);
            worker.is_some_and(|worker| worker.stage != Stage::Terminated)
                || begun.contains(uid)
                || listed.iter().any(|pod| pod.uid == *uid && pod.is_alive())
        };
        let orphans = cgroups.into_iter().filter(|(uid, _)| !may_run(uid));
        let has_volumes = |uid: &PodUid| parts.directories(uid).volumes().exists();
        parts
            .cgroups
            .remove_orphans(orphans.collect(), has_volumes)
            .await;
        parts.runtime.collect_garbage();
        Ok(())
    }

    /// Ends what runs of pods that nobody looks after.
    fn kill_orphans(&self, listed: &[ListedPod], is_looked_after: impl Fn(&PodUid) -> bool) {
        let running = listed.iter().filter(|pod| pod.is_alive());
        for pod in running.filter(|pod| !is_looked_after(&pod.uid)) {
            // What is known of it in full; without that, the next round has it.
            let Some(Ok(observed)) = self.parts.cache.get(&pod.uid) else {
                continue;
            };
            if !self.workers.is_pod_termination_requested(&pod.uid) {
                tracing::info!(pod = %pod.name, uid = %pod.uid, "a pod that no source has is ended");
            }
            self.workers.update(WorkerUpdate {
                kind: UpdateKind::Kill,
                subject: Subject::Orphan(observed),
                kill: Some(Kill {
                    cause: KillCause::Removed,
                    grace: Some(Duration::from_secs(1)),
                    status: None,
                    waiter: None,
                }),
            });
        }
    }

    /// Removes what pods have on disk that are gone.
    ///
    /// Answers to kubelet's `cleanupOrphanedPodDirs`.
    async fn remove_orphaned_files(&self, wanted: &HashSet<PodUid>, listed: &[ListedPod]) {
        let directory = self.parts.config.root_dir.join("pods");
        let found = match names_in(&directory) {
            Ok(found) => found,
            Err(error) => {
                tracing::warn!(%error, directory = %directory.display(), "files of pods cannot be listed");
                return;
            }
        };
        let alive: HashSet<_> = listed
            .iter()
            .filter(|pod| pod.is_alive())
            .map(|pod| &pod.uid)
            .collect();
        let is_orphan = |uid: &PodUid| {
            !wanted.contains(uid)
                && !alive.contains(uid)
                && self.workers.should_pod_content_be_removed(uid)
        };
        let orphans = found.into_iter().map(PodUid::new).filter(is_orphan);
        let orphans: HashSet<_> = orphans.collect();
        self.stuck_files.retain(|uid| orphans.contains(uid));
        // What an earlier round has begun goes on.
        let files = &self.parts.files;
        let orphans = orphans.into_iter().filter(|uid| !files.is_busy(uid));
        let removal = stream::iter(orphans).for_each_concurrent(CONCURRENT_REMOVALS, |uid| async move {
            if let Err(error) = self.parts.tear_down(&uid).await {
                let error = with_causes(&error);
                if self.stuck_files.is_first(&uid) {
                    tracing::warn!(%uid, "the files of a pod that is gone cannot be removed: {error}");
                } else {
                    tracing::debug!(%uid, "the files of a pod are still there: {error}");
                }
            }
        });
        if timeout(REMOVAL_PATIENCE, removal).await.is_err() {
            tracing::info!("files of pods that are gone are still being removed");
        }
    }

    /// Has a pod begin that has no worker, if the node takes it; whether it does.
    async fn begin_again(&self, pod: &Arc<Pod>) -> bool {
        let uid = PodUid::of(pod);
        if is_static(pod) {
            self.parts.statuses.forget_finished(&uid);
        }
        // One that was rejected stays so.
        let last = self.parts.statuses.status(&uid);
        if last.is_some_and(|status| crate::pod::is_phase_terminal(status.phase.as_deref())) {
            return false;
        }
        let others = self.active_pods(Some(&uid));
        self.begin(pod, &others).await
    }
}

/// What is in a directory; nothing if it is not there.
fn names_in(directory: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    Ok(names.collect())
}
