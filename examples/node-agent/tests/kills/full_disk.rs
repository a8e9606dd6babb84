//! A disk without room, for the agent as for its runtime.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::core::v1::{ConfigMap, Event};
use kube_client::Api;
use kube_client::api::{DeleteParams, ListParams, PostParams};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use serde_json::json;

use crate::assembly::eventually;
use crate::audit::{Audit, until_nothing_but};
use crate::machine::{DEADLINE, Machine, NAMESPACE};
use crate::pods::{Life, pod, script, uid_on_node};

/// How the system says that a disk is full.
const NO_SPACE: &str = "No space left on device";

/// A small disk, unmounted when it is dropped.
struct Disk(PathBuf);

impl Disk {
    fn mount(path: &Path) -> Result<Option<Self>> {
        std::fs::create_dir(path)?;
        match mount(
            "tmpfs",
            path,
            "tmpfs",
            MountFlags::empty(),
            Some(c"size=4m"),
        ) {
            Ok(()) => Ok(Some(Self(path.to_owned()))),
            Err(rustix::io::Errno::PERM) => Ok(None),
            Err(error) => Err(error).context("a small file system cannot be mounted"),
        }
    }

    /// Until not a byte more fits, also of what was given back since.
    fn fill(&self) -> Result<()> {
        let mut filler = OpenOptions::new();
        let mut filler = filler
            .create(true)
            .append(true)
            .open(self.0.join("filler"))?;
        let written = filler.write_all(&vec![1; 8 << 20]);
        ensure!(written.is_err(), "there is more room than thought");
        Ok(())
    }

    fn empty(&self) -> Result<()> {
        Ok(std::fs::remove_file(self.0.join("filler"))?)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = unmount(&self.0, UnmountFlags::DETACH);
    }
}

pub(crate) async fn is_told_and_outlived() -> Result<()> {
    // It goes last, when nothing is mounted in it any more.
    let directory = Arc::new(tempfile::Builder::new().prefix("kills-").tempdir()?);
    let files = directory.path().join("disk");
    let Some(disk) = Disk::mount(&files)? else {
        eprintln!("SKIPPED: a full disk: mounting a small file system takes root");
        return Ok(());
    };
    let mut machine = Machine::with_files("full-disk", directory.clone(), files).await?;
    machine.serve_runtime().await?;
    let mut audit = Audit::start(&machine);
    let mut agent = machine.start_agent()?;
    machine.until_ready(true).await?;
    let pods = machine.pods();
    let params = PostParams::default();
    let calm = Life::Company.pod("calm", machine.name);
    let calm = pods.create(&params, &calm).await?;
    let calm_uids = [uid_on_node(&calm)].into();
    machine
        .until("calm", |pod| Life::Company.check(pod))
        .await?;
    let before = machine.containers().processes(&calm_uids);
    let maps = Api::<ConfigMap>::namespaced(machine.client.clone(), NAMESPACE);
    let map = json!({"metadata": {"name": "settings"}, "data": {"key": "v".repeat(5000)}});
    maps.create(&params, &serde_json::from_value(map)?).await?;

    disk.fill()?;
    pods.create(&params, &Life::Sleeper.pod("late", machine.name))
        .await?;
    let mut reader = script("main", "exec sleep 1000");
    reader["volumeMounts"] = json!([{"name": "settings", "mountPath": "/settings"}]);
    let spec = json!({
        "containers": [reader],
        "volumes": [{"name": "settings", "configMap": {"name": "settings"}}],
    });
    pods.create(&params, &pod("reader", machine.name, spec))
        .await?;
    let told = told(&machine, &disk, "late").await?;
    eprintln!("a full disk: the agent says {told:?}");
    let told = self::told(&machine, &disk, "reader").await?;
    eprintln!("a full disk: the agent says {told:?}");
    // Ending takes no room, and an agent that is begun anew needs none.
    agent.must_run()?;
    agent.kill().await?;
    let agent = machine.start_agent()?;
    let heartbeat = machine.heartbeat().await?;
    eventually("the node's heart beats", DEADLINE, async || {
        Ok((machine.heartbeat().await? != heartbeat).then_some(()))
    })
    .await
    .with_context(|| machine.agent_log())?;
    machine.until_ready(true).await?;
    machine
        .until("calm", |pod| Life::Company.check(pod))
        .await?;

    disk.empty()?;
    for name in ["late", "reader"] {
        machine.until(name, |pod| Life::Sleeper.check(pod)).await?;
    }
    let after = machine.containers().processes(&calm_uids);
    ensure!(
        after == before,
        "what ran was touched: {before:?}, now {after:?}"
    );
    disk.fill()?;
    for pod in pods.list(&ListParams::default()).await? {
        let name = pod.metadata.name.unwrap_or_default();
        pods.delete(&name, &DeleteParams::default()).await?;
    }
    eventually("all pods are gone from a full disk", DEADLINE, async || {
        Ok(pods
            .list(&ListParams::default())
            .await?
            .items
            .is_empty()
            .then_some(()))
    })
    .await
    .with_context(|| machine.agent_log())?;
    until_nothing_but(&machine, &[].into(), DEADLINE).await?;
    disk.empty()?;
    for kind in ["sandboxes", "containers"] {
        let left = std::fs::read_dir(machine.runtime_dir().join(kind))?.count();
        ensure!(left == 0, "{left} {kind} are left half made");
    }
    audit.check()?;
    agent.terminate().await?;
    machine.stop().await
}

/// What the agent tells people of a pod that cannot be made.
async fn told(machine: &Machine, disk: &Disk, pod: &str) -> Result<String> {
    let events = Api::<Event>::namespaced(machine.client.clone(), NAMESPACE);
    let look = async || {
        disk.fill()?;
        let all = events.list(&ListParams::default()).await?.items;
        let mut warnings = all.into_iter().filter(|event| {
            event.involved_object.name.as_deref() == Some(pod)
                && event.type_.as_deref() == Some("Warning")
        });
        let is_told = warnings.find_map(|event| {
            let message = event.message.unwrap_or_default();
            let of_disk = message.contains(NO_SPACE);
            of_disk.then(|| format!("{}: {message}", event.reason.unwrap_or_default()))
        });
        Ok(is_told)
    };
    let waited = eventually(&format!("the full disk is told of {pod}"), DEADLINE, look).await;
    let told = waited.with_context(|| machine.agent_log())?;
    ensure!(
        told.matches(NO_SPACE).count() == 1,
        "told more than once in {told:?}"
    );
    Ok(told)
}
