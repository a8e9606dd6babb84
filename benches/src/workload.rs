use std::collections::HashSet;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::api::apps::v1::ReplicaSet;
use kube_client::api::{ListParams, PostParams, WatchEvent, WatchParams};
use kube_client::{Api, Client, Config, ResourceExt as _};
use serde_json::json;
use tokio::time::Instant;

/// Many ReplicaSets of the same size, created at once by several clients.
#[derive(Clone, Debug)]
pub struct ReplicaSets {
    /// How many ReplicaSets.
    pub sets: usize,
    /// The replicas of each.
    pub pods: i32,
    /// How many clients create them, each with a connection of its own.
    pub clients: usize,
}

/// When the ReplicaSets were as they should be.
#[derive(Clone, Copy, Debug)]
pub struct Converged {
    /// From the first create until the last create was answered.
    pub created: Duration,
    /// From the first create until every `status.replicas` was seen as wanted.
    pub converged: Duration,
}

impl ReplicaSets {
    /// Creates them all and waits until each `status.replicas` is what was asked for.
    ///
    /// # Errors
    ///
    /// When a create fails, or they are not done by `deadline`.
    pub async fn run(&self, config: &Config, deadline: Duration) -> Result<Converged> {
        let observer: Api<ReplicaSet> = Api::default_namespaced(Client::try_from(config.clone())?);
        let from = observer.list(&ListParams::default().limit(1)).await?;
        let from = from
            .metadata
            .resource_version
            .context("a list without resourceVersion")?;
        let start = Instant::now();
        let end = start + deadline;
        let (created, converged) = futures::try_join!(
            async {
                self.create(config).await?;
                Ok(start.elapsed())
            },
            async {
                match tokio::time::timeout_at(end, self.wait(&observer, from)).await {
                    Ok(done) => done.map(|()| start.elapsed()),
                    Err(_) => bail!("the ReplicaSets have not converged after {deadline:?}"),
                }
            }
        )?;
        Ok(Converged { created, converged })
    }

    async fn create(&self, config: &Config) -> Result<()> {
        let clients = (0..self.clients).map(|client| async move {
            let api: Api<ReplicaSet> = Api::default_namespaced(Client::try_from(config.clone())?);
            for number in (client..self.sets).step_by(self.clients) {
                api.create(&PostParams::default(), &self.set(number)?)
                    .await?;
            }
            anyhow::Ok(())
        });
        stream::iter(clients)
            .buffer_unordered(self.clients)
            .try_collect()
            .await
    }

    fn set(&self, number: usize) -> Result<ReplicaSet> {
        let labels = json!({ "app": format!("set-{number:04}") });
        Ok(serde_json::from_value(json!({
            "metadata": { "name": format!("set-{number:04}"), "labels": labels },
            "spec": {
                "replicas": self.pods,
                "selector": { "matchLabels": labels },
                "template": {
                    "metadata": { "labels": labels },
                    "spec": { "containers": [{ "name": "main", "image": "registry.example/app:1" }] },
                },
            },
        }))?)
    }

    async fn wait(&self, api: &Api<ReplicaSet>, mut version: String) -> Result<()> {
        let mut done = HashSet::new();
        while done.len() < self.sets {
            let mut events = api.watch(&WatchParams::default(), &version).await?.boxed();
            while let Some(event) = events.try_next().await? {
                match event {
                    WatchEvent::Added(set) | WatchEvent::Modified(set) => {
                        version = set
                            .resource_version()
                            .context("an object without version")?;
                        if set
                            .status
                            .is_some_and(|status| status.replicas == self.pods)
                        {
                            done.insert(set.metadata.name);
                        }
                        if done.len() == self.sets {
                            return Ok(());
                        }
                    }
                    WatchEvent::Bookmark(bookmark) => version = bookmark.metadata.resource_version,
                    WatchEvent::Deleted(set) => bail!("{} was deleted", set.name_any()),
                    WatchEvent::Error(status) => bail!("the watch failed: {status}"),
                }
            }
        }
        Ok(())
    }
}
