use std::fmt;

use anyhow::{Context as _, Result};
use futures::future::try_join;
use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::core::v1::Pod;
use kube_client::api::{Api, ListParams};
use kube_client::{Client, Error};
use kubewright_cache::{KubeListerWatcher, Object, ObjectKey, VersionChanges};
use kubewright_informer::{InformerConfig, SharedInformer};
use tokio_util::sync::CancellationToken;

use crate::demo::picture::Picture;

/// What anybody can see of a set and its pods through the API.
///
/// It has informers of its own, so that what is shown is not what the controller believes.
pub struct View {
    sets: SharedInformer<ReplicaSet>,
    pods: SharedInformer<Pod>,
    set_changes: VersionChanges<ReplicaSet>,
    pod_changes: VersionChanges<Pod>,
    client: Client,
    set: ObjectKey,
}

impl View {
    /// A view of a set through `client`, blind until it is [driven](Self::driver).
    ///
    /// # Errors
    ///
    /// When the key has no namespace.
    pub fn new(client: &Client, set: ObjectKey) -> Result<Self> {
        let namespace = namespace_of(&set)?;
        let sets = KubeListerWatcher::<ReplicaSet>::namespaced(client.clone(), namespace);
        let sets = SharedInformer::new("the set on show", sets, InformerConfig::default())?;
        let pods = KubeListerWatcher::<Pod>::namespaced(client.clone(), namespace);
        let pods = SharedInformer::new("its pods", pods, InformerConfig::default())?;
        Ok(Self {
            set_changes: sets.store().version_changes(),
            pod_changes: pods.store().version_changes(),
            sets,
            pods,
            client: client.clone(),
            set,
        })
    }

    /// What keeps the view up to date until the token is cancelled.
    ///
    /// # Errors
    ///
    /// When the view has been driven before.
    pub fn driver(
        &self,
        token: CancellationToken,
    ) -> impl Future<Output = Result<()>> + Send + 'static {
        let (sets, pods) = (self.sets.clone(), self.pods.clone());
        async move {
            try_join(sets.run(token.clone()), pods.run(token)).await?;
            Ok(())
        }
    }

    /// The set and its pods, as watched.
    pub fn picture(&self) -> Picture {
        let set = self.sets.store().get(&self.set);
        let namespace = self.set.namespace().unwrap_or_default();
        Picture::of(set.as_ref(), self.pods.store().namespace(namespace))
    }

    /// Waits until the picture may have changed.
    ///
    /// # Errors
    ///
    /// When the view is not driven any more.
    pub async fn changed(&mut self) -> Result<()> {
        tokio::select! {
            changed = self.set_changes.changed() => changed?,
            changed = self.pod_changes.changed() => changed?,
        };
        Ok(())
    }

    /// The set and its pods, asked for now.
    ///
    /// # Errors
    ///
    /// When the server does not answer.
    pub async fn ask(&self) -> Result<Picture> {
        let namespace = namespace_of(&self.set)?;
        let sets = Api::<ReplicaSet>::namespaced(self.client.clone(), namespace);
        let pods = Api::<Pod>::namespaced(self.client.clone(), namespace);
        let set = sets.get_opt(self.set.name()).await;
        let set = set.context("GET of the set")?;
        let pods = pods.list(&ListParams::default()).await;
        let pods = pods.context("LIST of the pods")?;
        let set = set.as_ref().map(Object::from_typed).transpose()?;
        let pods = pods.iter().map(Object::from_typed);
        let pods: Vec<_> = pods.collect::<Result<_, _>>()?;
        Ok(Picture::of(set.as_ref(), pods))
    }

    /// A pod, asked for now.
    ///
    /// # Errors
    ///
    /// When the server does not answer, or the pod is not there.
    pub async fn ask_for_pod(&self, name: &str) -> Result<Pod, Error> {
        let namespace = self.set.namespace().unwrap_or_default();
        let pods = Api::<Pod>::namespaced(self.client.clone(), namespace);
        pods.get(name).await
    }

    /// The set that is looked at.
    pub const fn set(&self) -> &ObjectKey {
        &self.set
    }

    /// The client it looks through.
    pub const fn client(&self) -> &Client {
        &self.client
    }
}

fn namespace_of(set: &ObjectKey) -> Result<&str> {
    let namespace = set.namespace();
    namespace.with_context(|| format!("{set} is in no namespace"))
}

impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("View")
            .field("sets", &self.sets)
            .field("pods", &self.pods)
            .finish_non_exhaustive()
    }
}
