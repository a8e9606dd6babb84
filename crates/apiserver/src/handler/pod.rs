//! What can be done to pods: binding them to a node, reading their logs.

use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde_json::{Value, json};

use crate::body;
use crate::error::ApiError;
use crate::handler::{Answer, Exchange};
use crate::request::WriteOptions;
use crate::store::Key;

impl Exchange<'_> {
    /// Assigns a pod to a node, as a scheduler does.
    pub(super) fn bind_pod(self) -> Result<Answer, ApiError> {
        let options = WriteOptions::parse(&self.query, "CreateOptions")?;
        let binding = body::decode(self.header(&CONTENT_TYPE), &self.body)?.value;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let name = match &self.target.name {
            Some(name) => name.clone(),
            None => text(&binding["metadata"]["name"]),
        };
        let node = text(&binding["target"]["name"]);
        let kind = text(&binding["target"]["kind"]);
        if name.is_empty() || node.is_empty() || !matches!(kind.as_str(), "" | "Node") {
            return Err(ApiError::bad_request(
                "a binding names a pod in metadata.name and a node in target",
            ));
        }
        let pods = self
            .resources
            .get("", "v1", "pods")
            .expect("pods are built in");
        let key = Key::new(self.target.namespace(), &name);
        let now = self.core.timestamp();
        self.core.amend(pods, &key, options.dry_run, |pod| {
            let refuse = |why: String| Err(ApiError::binding_conflict(&name, &why));
            if !pod["metadata"]["deletionTimestamp"].is_null() {
                return refuse(format!(
                    "pod {name} is being deleted, cannot be assigned to a host"
                ));
            }
            if let Some(node) = pod["spec"]["nodeName"]
                .as_str()
                .filter(|node| !node.is_empty())
            {
                return refuse(format!("pod {name} is already assigned to node {node:?}"));
            }
            pod["spec"]["nodeName"] = node.as_str().into();
            let annotations = binding["metadata"]["annotations"].as_object();
            for (key, value) in annotations.into_iter().flatten() {
                pod["metadata"]["annotations"][key] = value.clone();
            }
            let conditions = &mut pod["status"]["conditions"];
            if !conditions.is_array() {
                *conditions = json!([]);
            }
            let conditions = conditions.as_array_mut().expect("an array by now");
            conditions.retain(|condition| condition["type"] != "PodScheduled");
            conditions.push(json!({
                "type": "PodScheduled",
                "status": "True",
                "lastProbeTime": null,
                "lastTransitionTime": now,
            }));
            Ok(())
        })?;
        self.done(StatusCode::CREATED)
    }

    /// Pods of this server run nothing, so that only those without a node have a log: none yet.
    pub(super) fn pod_log(self) -> Result<Answer, ApiError> {
        let pod = self.core.get(&self.target.resource, &self.key()?)?;
        let value = pod.value();
        let spec = &value["spec"];
        if let Some(container) = self.query.get("container") {
            let known = ["containers", "initContainers", "ephemeralContainers"]
                .into_iter()
                .flat_map(|list| spec[list].as_array().into_iter().flatten())
                .any(|known| known["name"] == container);
            if !known {
                return Err(ApiError::bad_request(format!(
                    "container {container} is not valid for pod {}",
                    pod.key().name()
                )));
            }
        }
        if spec["nodeName"]
            .as_str()
            .is_some_and(|node| !node.is_empty())
        {
            return Err(ApiError::unsupported("logs: nothing runs in its pods"));
        }
        Ok(Answer::nothing())
    }
}
