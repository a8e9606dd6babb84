use std::ops::ControlFlow;

use anyhow::{Context as _, Result};
use kube_client::api::{DeleteParams, Patch, PatchParams, PostParams};
use rustix::process::Pid;
use serde_json::json;

use super::Tour;
use crate::census::Census;
use crate::process;
use crate::workload::{NAME, replica_set};

impl Tour<'_> {
    pub(super) async fn create(&mut self, replicas: usize) -> Result<String> {
        let set = replica_set(replicas, self.cluster.program());
        let created = self.sets.create(&PostParams::default(), &set).await;
        created.context("the set could not be created")?;
        let census = self.settled_at(replicas, |_| Ok(())).await?;
        Ok(format!(
            "the API shows {replicas} ready pods, and their processes run: {census}"
        ))
    }

    pub(super) async fn kill(&mut self) -> Result<String> {
        let before = self.census()?;
        let (name, victim) = before.members().first_key_value().context("nobody runs")?;
        process::kill(victim.process)?;
        let others = before.without(name);
        let census = self
            .settled_at(before.len(), |census| {
                let healed = &census.members().get(name);
                let healed = healed.with_context(|| format!("{name} is not there"))?;
                anyhow::ensure!(healed.uid == victim.uid, "{name} is another pod");
                anyhow::ensure!(
                    healed.restarts == victim.restarts + 1,
                    "its restartCount is {}",
                    healed.restarts
                );
                anyhow::ensure!(
                    healed.process != victim.process && healed.container != victim.container,
                    "its container is the one that was killed"
                );
                has_ended(victim.process)?;
                anyhow::ensure!(others.is_part_of(census), "other pods were touched");
                Ok(())
            })
            .await?;
        let healed = &census.members()[name];
        Ok(format!(
            "{name} was process {}, is {}, and its restartCount {}; the others run on",
            victim.process, healed.process, healed.restarts
        ))
    }

    pub(super) async fn delete(&mut self) -> Result<String> {
        let before = self.census()?;
        let (name, doomed) = before.members().last_key_value().context("nobody runs")?;
        let deleted = self.pods.delete(name, &DeleteParams::default()).await;
        deleted.with_context(|| format!("{name} could not be deleted"))?;
        let others = before.without(name);
        let census = self
            .settled_at(before.len(), |census| {
                anyhow::ensure!(
                    !census.members().contains_key(name),
                    "{name} is still there"
                );
                has_ended(doomed.process)?;
                anyhow::ensure!(others.is_part_of(census), "other pods were touched");
                Ok(())
            })
            .await?;
        let mut members = census.members().iter();
        let (heir, member) = members
            .find(|(heir, _)| !before.members().contains_key(*heir))
            .context("nobody replaced it")?;
        Ok(format!(
            "{name} and its process {} are gone, {heir} runs as {}",
            doomed.process, member.process
        ))
    }

    pub(super) async fn scale(&mut self, replicas: usize) -> Result<String> {
        let before = self.census()?;
        let scale = Patch::Merge(json!({"spec": {"replicas": replicas}}));
        let params = PatchParams::default();
        let scaled = self.sets.patch_scale(NAME, &params, &scale).await;
        scaled.context("the set could not be scaled")?;
        let census = self
            .settled_at(replicas, |census| {
                let (few, many) = match before.len() < census.len() {
                    true => (&before, census),
                    false => (census, &before),
                };
                anyhow::ensure!(few.is_part_of(many), "those that stay were touched");
                for (name, member) in before.members() {
                    if !census.members().contains_key(name) {
                        has_ended(member.process)?;
                    }
                }
                Ok(())
            })
            .await?;
        Ok(format!(
            "the API shows {replicas} ready pods, and just their processes run: {census}"
        ))
    }

    /// Waits until the set has as many pods and all is as a check wants it.
    pub(super) async fn settled_at(
        &mut self,
        replicas: usize,
        check: impl Fn(&Census) -> Result<()>,
    ) -> Result<Census> {
        let (client, runtime) = (self.cluster.client(), self.cluster.runtime());
        let program = self.cluster.program();
        let census = self.stage.until_seen(async |view| {
            let picture = view.picture();
            let is_settled =
                picture.has_settled_at(replicas) && view.ask().await?.has_settled_at(replicas);
            if !is_settled {
                return Ok(ControlFlow::Continue(picture.to_string()));
            }
            let census = Census::take(client, runtime, program).await;
            let checked = census.and_then(|census| check(&census).map(|()| census));
            Ok(match checked {
                Ok(census) => ControlFlow::Break(census),
                Err(misses) => ControlFlow::Continue(format!("{picture}, but {misses:#}")),
            })
        });
        let census = census.await?;
        self.census = Some(census.clone());
        Ok(census)
    }

    /// Who ran when the last step was over.
    pub(super) fn census(&self) -> Result<Census> {
        self.census.clone().context("nothing has been applied")
    }
}

fn has_ended(process: Pid) -> Result<()> {
    anyhow::ensure!(!process::is_alive(process), "process {process} still runs");
    Ok(())
}
