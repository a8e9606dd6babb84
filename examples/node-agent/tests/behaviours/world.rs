use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use futures::{AsyncReadExt as _, StreamExt as _};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::{Event, Namespace, Pod};
use kube_client::api::{DeleteParams, ListParams, LogParams, PostParams, WatchParams};
use kube_client::core::{Resource, WatchEvent};
use kube_client::{Api, Client};
use kubewright_streaming::client::Dial;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};

use crate::assembly;
use crate::node::Node;
use crate::pod::summary;
pub(crate) use crate::pod::{
    condition, container, container_id, ended, is_over, is_ready, is_running, phase, restarts,
    waits_for,
};
use crate::script::LISTENS;

/// A namespace of its own on a node that runs, for one behaviour.
#[derive(Clone)]
pub(crate) struct World {
    /// The API server, as anybody sees it.
    pub(crate) client: Client,
    /// Where the behaviour's pods are.
    pub(crate) namespace: String,
    /// The node.
    pub(crate) node: Arc<Node>,
}

/// The image that pods run unless they say otherwise: a shell and the usual commands.
pub(crate) const IMAGE: &str = "localhost/busybox:1";

/// The image of the [fixture](crate::fixture), which has the shell as well.
pub(crate) const FIXTURE: &str = "localhost/fixture:1";

/// How long anything may take, on a machine that has much else to do.
pub(crate) const DEADLINE: Duration = Duration::from_secs(120);

impl World {
    /// A new namespace.
    pub(crate) async fn new(node: Arc<Node>, namespace: &str) -> Result<Self> {
        let client = node.client().clone();
        let namespaces = Api::<Namespace>::all(client.clone());
        let body = serde_json::from_value(json!({"metadata": {"name": namespace}}))?;
        namespaces.create(&PostParams::default(), &body).await?;
        Ok(Self {
            client,
            namespace: namespace.to_owned(),
            node,
        })
    }

    /// The API of a kind in the namespace.
    pub(crate) fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Creates an object.
    pub(crate) async fn create<K>(&self, object: Value) -> Result<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
        K: Clone + Debug + Serialize + DeserializeOwned,
    {
        let object: K = serde_json::from_value(object)?;
        Ok(self
            .api::<K>()
            .create(&PostParams::default(), &object)
            .await?)
    }

    /// Creates a pod on the node. Its containers run [`IMAGE`] and are called `main`, unless they
    /// say otherwise; it is given a second to end.
    pub(crate) async fn pod(&self, name: &str, spec: Value) -> Result<Pod> {
        self.pod_with(name, json!({}), spec).await
    }

    /// [`pod`](Self::pod), with labels and annotations.
    pub(crate) async fn pod_with(
        &self,
        name: &str,
        mut metadata: Value,
        spec: Value,
    ) -> Result<Pod> {
        metadata["name"] = json!(name);
        let spec = completed(spec, self.node.name());
        self.create(json!({"metadata": metadata, "spec": spec}))
            .await
    }

    /// A pod that runs one shell script to its end.
    pub(crate) async fn script(&self, name: &str, script: &str) -> Result<Pod> {
        let container = json!({"command": ["sh", "-c", script]});
        let spec = json!({"restartPolicy": "Never", "containers": [container]});
        self.pod(name, spec).await
    }

    /// Runs a script to its good end and returns what it printed.
    pub(crate) async fn output(&self, name: &str, script: &str) -> Result<String> {
        self.script(name, script).await?;
        self.output_of(name).await
    }

    /// Waits for the good end of a pod and returns what its container `main` printed.
    pub(crate) async fn output_of(&self, name: &str) -> Result<String> {
        self.until(name, "it has ended", is_over).await?;
        let pod = self.get(name).await?;
        let log = self.log(name, "main").await?;
        if phase(&pod) != "Succeeded" {
            bail!("pod {name} is {}; it printed:\n{log}", phase(&pod));
        }
        Ok(log)
    }

    /// A pod as it is.
    pub(crate) async fn get(&self, name: &str) -> Result<Pod> {
        Ok(self.api::<Pod>().get(name).await?)
    }

    /// Waits until something is so of a pod.
    pub(crate) async fn until(
        &self,
        name: &str,
        what: &str,
        check: impl Fn(&Pod) -> bool,
    ) -> Result<Pod> {
        let mut seen = Vec::new();
        self.watch(name, what, |pod| {
            seen.push(summary(pod));
            Ok(check(pod))
        })
        .await
        .with_context(|| format!("it was, one after the other:\n{}", seen.join("\n")))
    }

    /// Looks at all states of a pod, one after the other, until one is the last.
    ///
    /// States that follow each other faster than they can be watched may be left out by nobody: the
    /// server keeps all of them.
    pub(crate) async fn watch(
        &self,
        name: &str,
        what: &str,
        mut look: impl FnMut(&Pod) -> Result<bool>,
    ) -> Result<Pod> {
        let deadline = Instant::now() + DEADLINE;
        let late = || anyhow!("pod {name}: not seen within {DEADLINE:?}: {what}");
        let api = self.api::<Pod>();
        let field = format!("metadata.name={name}");
        let list = api.list(&ListParams::default().fields(&field)).await?;
        let mut version = list.metadata.resource_version.unwrap_or_default();
        if list.items.is_empty() {
            bail!("pod {name} is gone; not seen: {what}");
        }
        if let Some(pod) = list.items.into_iter().next()
            && look(&pod)?
        {
            return Ok(pod);
        }
        loop {
            let params = WatchParams::default().fields(&field);
            let mut events = api.watch(&params, &version).await?.boxed();
            while let Some(event) = timeout_at(deadline, events.next())
                .await
                .map_err(|_| late())?
            {
                let pod = match event? {
                    WatchEvent::Added(pod) | WatchEvent::Modified(pod) => pod,
                    WatchEvent::Deleted(_) => bail!("pod {name} is gone; not seen: {what}"),
                    WatchEvent::Bookmark(mark) => {
                        version = mark.metadata.resource_version;
                        continue;
                    }
                    WatchEvent::Error(status) => bail!("the watch failed: {status:?}"),
                };
                version = pod.metadata.resource_version.clone().unwrap_or_default();
                if look(&pod)? {
                    return Ok(pod);
                }
            }
        }
    }

    /// Waits until a pod runs and all of its containers are ready.
    pub(crate) async fn ready(&self, name: &str) -> Result<Pod> {
        self.until(name, "it is ready", is_ready).await
    }

    /// Deletes a pod; `grace` is in seconds.
    pub(crate) async fn delete(&self, name: &str, grace: Option<u32>) -> Result<()> {
        let params = DeleteParams {
            grace_period_seconds: grace,
            ..DeleteParams::default()
        };
        self.api::<Pod>().delete(name, &params).await?;
        Ok(())
    }

    /// Deletes all pods at once.
    pub(crate) async fn clear(&self) -> Result<()> {
        let (params, all) = (
            DeleteParams::default().grace_period(0),
            ListParams::default(),
        );
        self.api::<Pod>().delete_collection(&params, &all).await?;
        Ok(())
    }

    /// Waits until a pod is gone from the API.
    pub(crate) async fn gone(&self, name: &str) -> Result<()> {
        eventually(&format!("pod {name} is gone"), async || {
            Ok(self
                .api::<Pod>()
                .get_opt(name)
                .await?
                .is_none()
                .then_some(()))
        })
        .await
    }

    /// What a container printed.
    pub(crate) async fn log(&self, name: &str, container: &str) -> Result<String> {
        let params = LogParams {
            container: Some(container.to_owned()),
            ..LogParams::default()
        };
        Ok(self.api::<Pod>().logs(name, &params).await?)
    }

    /// Waits until a container has printed something.
    pub(crate) async fn printed(&self, name: &str, container: &str, text: &str) -> Result<String> {
        let what = format!("container {container} of pod {name} printed {text:?}");
        eventually(&what, async || {
            // Before the container is there, its log is not either.
            let log = self.log(name, container).await.unwrap_or_default();
            Ok(log.contains(text).then_some(log))
        })
        .await
    }

    /// Waits until containers hear that they are told to end.
    pub(crate) async fn listen(&self, name: &str, containers: &[&str]) -> Result<()> {
        for container in containers {
            self.printed(name, container, LISTENS).await?;
        }
        Ok(())
    }

    /// Runs a command in the container `main` and returns what it printed.
    pub(crate) async fn exec(&self, name: &str, command: &[&str]) -> Result<String> {
        self.exec_in(name, "main", command).await
    }

    /// Runs a command in a container and returns what it printed.
    pub(crate) async fn exec_in(
        &self,
        name: &str,
        container: &str,
        command: &[&str],
    ) -> Result<String> {
        let params = kube_client::api::AttachParams::default()
            .container(container)
            .stderr(false);
        let command = command.iter().map(|word| (*word).to_owned());
        let mut process = self.api::<Pod>().exec(name, command, &params).await?;
        let status = process.take_status().context("the status is there once")?;
        let stdout = process.stdout().context("it was asked for")?;
        let mut stdout = tokio_util::compat::TokioAsyncReadCompatExt::compat(stdout);
        let mut printed = String::new();
        stdout.read_to_string(&mut printed).await?;
        let status = status.await.context("the process tells how it ended")?;
        if status.status.as_deref() != Some("Success") {
            bail!("{}", status.message.unwrap_or_default());
        }
        Ok(printed)
    }

    /// A connection to the API server on which nothing was said yet but who asks, for what there is
    /// at a path of the namespace.
    pub(crate) async fn dial(&self, path: &str) -> Result<Dial> {
        let path = format!("/api/v1/namespaces/{}/{path}", self.namespace);
        self.node.dial(&path).await
    }

    /// Waits for an event about a pod.
    pub(crate) async fn event(&self, pod: &str, reason: &str) -> Result<Event> {
        let what = format!("event {reason} about pod {pod}");
        eventually(&what, async || {
            let events = self.api::<Event>().list(&ListParams::default()).await?;
            let is_it = |event: &Event| {
                event.involved_object.name.as_deref() == Some(pod)
                    && event.reason.as_deref() == Some(reason)
            };
            Ok(events.items.into_iter().find(is_it))
        })
        .await
    }
}

/// Asks again and again until there is an answer. For what cannot be watched.
pub(crate) async fn eventually<T>(
    what: &str,
    ask: impl AsyncFn() -> Result<Option<T>>,
) -> Result<T> {
    assembly::eventually(what, DEADLINE, ask).await
}

/// A spec with what most pods have in common.
fn completed(mut spec: Value, node: &str) -> Value {
    spec["nodeName"] = json!(node);
    let mut default = |name: &str, value: Value| {
        if spec.get(name).is_none() {
            spec[name] = value;
        }
    };
    default("terminationGracePeriodSeconds", json!(1));
    default("automountServiceAccountToken", json!(false));
    for list in ["initContainers", "containers"] {
        let Some(containers) = spec.get_mut(list).and_then(Value::as_array_mut) else {
            continue;
        };
        for (index, container) in containers.iter_mut().enumerate() {
            if container.get("name").is_none() {
                let first = if list == "containers" { "main" } else { "init" };
                let name = match index {
                    0 => first.to_owned(),
                    _ => format!("{first}-{index}"),
                };
                container["name"] = json!(name);
            }
            if container.get("image").is_none() {
                container["image"] = json!(IMAGE);
            }
        }
    }
    spec
}
