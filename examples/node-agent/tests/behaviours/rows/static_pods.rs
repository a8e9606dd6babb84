//! Pods of files: their mirrors, their ends, and life without an API server.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube_client::Api;
use kube_client::api::DeleteParams;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::script::ends_with;
use crate::table::{Row, row};
use crate::world::{IMAGE, World, container_id, eventually, is_ready};

pub(crate) fn rows() -> Vec<Row> {
    vec![
        row!(
            48,
            "a mirror pod is made anew when its static pod changes",
            Any,
            changed
        ),
        row!(
            48,
            "a mirror pod is made anew when it is deleted gracefully",
            Any,
            deleted
        ),
        row!(
            48,
            "a mirror pod is made anew when it is deleted by force",
            Any,
            deleted_by_force
        ),
        row!(
            48,
            "a static pod whose file goes and comes runs again",
            Any,
            removed_and_back
        ),
        row!(
            49,
            "a static pod has its grace when its file is removed",
            Any,
            grace_on_removal
        ),
        row!(
            49,
            "a static pod has its grace when it changes, and the new one waits",
            Any,
            grace_on_change
        ),
        row!(
            49,
            "a mirror pod is not made anew while its static pod is ended",
            Any,
            no_mirror_meanwhile
        ),
        row!(
            49,
            "a static pod that changes again and again while it is ended runs as it was last",
            Any,
            changed_again_and_again
        ),
        row!(
            57,
            "an agent alone runs static pods, and follows their files",
            Any,
            Alone,
            standalone
        ),
    ]
}

/// A static pod of a behaviour, whose name is the namespace's.
struct Static<'a> {
    world: &'a World,
    name: String,
}

/// A behaviour that fails leaves no pod to the node that it shares.
impl Drop for Static<'_> {
    fn drop(&mut self) {
        // As a rule it was removed.
        let _ = self.remove();
    }
}

impl<'a> Static<'a> {
    fn new(world: &'a World, suffix: &str) -> Self {
        let name = format!("{}-{suffix}", world.namespace);
        Self { world, name }
    }

    fn write(&self, script: &str, grace: u32) -> Result<()> {
        let manifest = json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": self.name, "namespace": self.world.namespace},
            "spec": {
                "terminationGracePeriodSeconds": grace,
                "containers": [{"name": "main", "image": IMAGE, "command": ["sh", "-c", script]}],
            },
        });
        // Under its name only once it is whole.
        let path = self.path();
        let new = path.with_extension("new");
        std::fs::write(&new, manifest.to_string())?;
        Ok(std::fs::rename(new, path)?)
    }

    fn remove(&self) -> Result<()> {
        Ok(std::fs::remove_file(self.path())?)
    }

    fn path(&self) -> PathBuf {
        let name = format!("{}.json", self.name);
        self.world.node.manifests().join(name)
    }

    /// The name of its mirror.
    fn mirror(&self) -> String {
        format!("{}-{}", self.name, self.world.node.name())
    }

    async fn ready(&self) -> Result<Pod> {
        let mirror = self.mirror();
        let api = self.world.api::<Pod>();
        let there = async || Ok(api.get_opt(&mirror).await?.filter(is_ready));
        eventually("the mirror of the static pod is ready", there).await
    }

    /// A ready mirror that is another one than `old`.
    async fn other(&self, old: &Pod) -> Result<Pod> {
        let mirror = self.mirror();
        let api = self.world.api::<Pod>();
        let there = async || {
            let pod = api.get_opt(&mirror).await?.filter(is_ready);
            Ok(pod.filter(|pod| pod.metadata.uid != old.metadata.uid))
        };
        eventually("there is another mirror", there).await
    }
}

const STAYS: &str = "exec sleep 1000";

async fn changed(world: World) -> Result<()> {
    let pod = Static::new(&world, "s");
    pod.write(STAYS, 1)?;
    let before = pod.ready().await?;
    pod.write("exec sleep 1001", 1)?;
    let after = pod.other(&before).await?;
    ensure!(
        container_id(&before, "main") != container_id(&after, "main"),
        "another container runs"
    );
    let command = after.spec.context("it has a spec")?.containers[0]
        .command
        .clone();
    ensure!(command.is_some_and(|command| command[2] == "exec sleep 1001"));
    pod.remove()?;
    world.gone(&pod.mirror()).await
}

async fn mirror_deleted(world: &World, grace: u32) -> Result<()> {
    let pod = Static::new(world, "s");
    pod.write(STAYS, 1)?;
    let before = pod.ready().await?;
    let params = DeleteParams {
        grace_period_seconds: Some(grace),
        ..DeleteParams::default()
    };
    world.api::<Pod>().delete(&pod.mirror(), &params).await?;
    let after = pod.other(&before).await?;
    ensure!(
        container_id(&before, "main") == container_id(&after, "main"),
        "the container was left alone"
    );
    pod.remove()?;
    world.gone(&pod.mirror()).await
}

async fn deleted(world: World) -> Result<()> {
    mirror_deleted(&world, 30).await
}

async fn deleted_by_force(world: World) -> Result<()> {
    mirror_deleted(&world, 0).await
}

async fn removed_and_back(world: World) -> Result<()> {
    let pod = Static::new(&world, "s");
    pod.write(STAYS, 1)?;
    let before = pod.ready().await?;
    pod.remove()?;
    pod.write(STAYS, 1)?;
    let after = pod.ready().await?;
    // Whether anybody saw that it was away is the file system's affair; it runs.
    ensure!(container_id(&after, "main").is_some());
    pod.remove()?;
    world.gone(&pod.mirror()).await?;
    pod.write(STAYS, 1)?;
    let again = pod.ready().await?;
    ensure!(
        container_id(&again, "main") != container_id(&before, "main"),
        "it was ended in between"
    );
    pod.remove()?;
    world.gone(&pod.mirror()).await
}

/// Runs a static pod that takes three seconds to end, until it hears that it is told to.
async fn slow(pod: &Static<'_>) -> Result<Pod> {
    pod.write(&ends_with("sleep 3"), 60)?;
    let mirror = pod.ready().await?;
    pod.world.listen(&pod.mirror(), &["main"]).await?;
    Ok(mirror)
}

async fn grace_on_removal(world: World) -> Result<()> {
    let pod = Static::new(&world, "s");
    slow(&pod).await?;
    let began = Instant::now();
    pod.remove()?;
    world.gone(&pod.mirror()).await?;
    let took = began.elapsed();
    ensure!(took > Duration::from_secs_f64(2.8), "{took:?}");
    Ok(())
}

async fn grace_on_change(world: World) -> Result<()> {
    let pod = Static::new(&world, "s");
    let before = slow(&pod).await?;
    let began = Instant::now();
    pod.write(STAYS, 1)?;
    pod.other(&before).await?;
    let took = began.elapsed();
    ensure!(took > Duration::from_secs_f64(2.8), "{took:?}");
    pod.remove()?;
    world.gone(&pod.mirror()).await
}

async fn no_mirror_meanwhile(world: World) -> Result<()> {
    let pod = Static::new(&world, "s");
    slow(&pod).await?;
    pod.remove()?;
    // As long as the file is there for all that the agent knows, a mirror is right.
    eventually("the agent has seen that the file went", async || {
        let seen = world.node.seen_static(&pod.name).await?;
        Ok(seen.is_empty().then_some(()))
    })
    .await?;
    let api = world.api::<Pod>();
    let force = DeleteParams {
        grace_period_seconds: Some(0),
        ..DeleteParams::default()
    };
    // It may be gone already; what matters is that it does not come again.
    let _ = api.delete(&pod.mirror(), &force).await;
    let mirror = pod.mirror();
    eventually("its container has ended", async || {
        let there = api.get_opt(&mirror).await?;
        ensure!(there.is_none(), "the mirror came again");
        let runs = world.node.runs(&mirror).await?;
        Ok((!runs).then_some(()))
    })
    .await
}

async fn changed_again_and_again(world: World) -> Result<()> {
    let pod = Static::new(&world, "s");
    let before = slow(&pod).await?;
    // Each time it is another pod, and only the last of them is to run: the first takes its time.
    for number in 0..10 {
        let seen = world.node.seen_static(&pod.name).await?;
        pod.write(&format!("exec sleep {}", 2000 + number), 1)?;
        eventually("the agent has seen the change", async || {
            let now = world.node.seen_static(&pod.name).await?;
            Ok((now != seen).then_some(()))
        })
        .await?;
    }
    pod.write(STAYS, 1)?;
    let last = |pod: &Pod| {
        let spec = pod.spec.as_ref();
        let command = spec.and_then(|spec| spec.containers[0].command.as_ref());
        command.is_some_and(|command| command[2] == STAYS)
    };
    let mirror = pod.mirror();
    let after = eventually("the last one runs", async || {
        let there = world.api::<Pod>().get_opt(&mirror).await?;
        Ok(there.filter(|pod| is_ready(pod) && last(pod)))
    });
    let after = after.await?;
    ensure!(container_id(&after, "main") != container_id(&before, "main"));
    pod.remove()?;
    world.gone(&pod.mirror()).await
}

async fn standalone(world: World) -> Result<()> {
    world.node.stop_agent().await?;
    world.node.start_standalone_agent().await?;
    let pod = Static::new(&world, "s");
    pod.write(STAYS, 1)?;
    let running = async || {
        let pods: Value = world.node.ask_agent("/pods").await?;
        let pods = pods["items"].as_array().cloned().unwrap_or_default();
        let found = pods
            .into_iter()
            .find(|item| item["metadata"]["name"] == json!(pod.mirror()));
        let pod: Option<Pod> = found.map(serde_json::from_value).transpose()?;
        Ok(pod.filter(is_ready))
    };
    let before = eventually("the static pod runs", running).await?;
    pod.write("exec sleep 1001", 1)?;
    let after = eventually("the new static pod runs", async || {
        Ok(running()
            .await?
            .filter(|pod| container_id(pod, "main") != container_id(&before, "main")))
    });
    let after = after.await?;
    let command = after.spec.context("it has a spec")?.containers[0]
        .command
        .clone();
    ensure!(command.is_some_and(|command| command[2] == "exec sleep 1001"));
    let pods = Api::<Pod>::all(world.client.clone())
        .list(&Default::default())
        .await?;
    ensure!(pods.items.is_empty(), "the API server hears nothing of it");
    pod.remove()?;
    eventually("the static pod is gone", async || {
        Ok(world.node.all_containers().await?.is_empty().then_some(()))
    })
    .await
}
