use k8s_openapi::api::core::v1::{Pod, PodCondition};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube_client::api::{Patch, PatchParams, PostParams};
use kube_client::{Api, Client, Error};
use kubewright_clock::Clock;
use serde_json::{Value, json};

use super::place::NodeName;
use super::unschedulable::Unschedulable;

/// What the scheduler does to pods.
#[derive(Clone)]
pub(super) struct Binder {
    client: Client,
    clock: Clock,
}

impl Binder {
    pub(super) const fn new(client: Client, clock: Clock) -> Self {
        Self { client, clock }
    }

    /// Binds a pod to a node.
    pub(super) async fn bind(&self, pod: &Pod, node: &NodeName) -> Result<(), Error> {
        let (pods, name) = self.pods(pod);
        let binding = json!({
            "apiVersion": "v1",
            "kind": "Binding",
            // The uid keeps a pod that was created anew meanwhile from getting this one's node.
            "metadata": {"name": name, "uid": pod.metadata.uid},
            "target": {"apiVersion": "v1", "kind": "Node", "name": node.as_str()},
        });
        let params = PostParams::default();
        pods.create_subresource::<_, Value>("binding", name, &params, &binding)
            .await?;
        Ok(())
    }

    /// Has the status of a pod say why it waits, unless it does.
    pub(super) async fn tell(&self, pod: &Pod, why: &Unschedulable) -> Result<(), Error> {
        let message = why.to_string();
        let before = scheduled(pod);
        let says_it = |condition: &PodCondition| {
            condition.status == "False"
                && condition.reason.as_deref() == Some("Unschedulable")
                && condition.message.as_deref() == Some(message.as_str())
        };
        if before.is_some_and(says_it) {
            return Ok(());
        }
        let mut condition = json!({
            "type": "PodScheduled",
            "status": "False",
            "reason": "Unschedulable",
            "message": message,
        });
        if before.is_none_or(|condition| condition.status != "False") {
            condition["lastTransitionTime"] = json!(Time(self.clock.now()));
        }
        let (pods, name) = self.pods(pod);
        let patch = Patch::Strategic(json!({
            "metadata": {"uid": pod.metadata.uid},
            "status": {"conditions": [condition]},
        }));
        pods.patch_status(name, &PatchParams::default(), &patch)
            .await?;
        Ok(())
    }

    fn pods<'a>(&self, pod: &'a Pod) -> (Api<Pod>, &'a str) {
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        let name = pod.metadata.name.as_deref().unwrap_or_default();
        (Api::namespaced(self.client.clone(), namespace), name)
    }
}

fn scheduled(pod: &Pod) -> Option<&PodCondition> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    conditions.iter().find(|it| it.type_ == "PodScheduled")
}
