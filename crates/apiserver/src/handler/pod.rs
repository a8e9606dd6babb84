//! What can be done to pods: binding them to a node, reading their logs.

use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde_json::{Value, json};

use crate::body;
use crate::container::container;
use crate::core::invalid_object;
use crate::error::ApiError;
use crate::fields;
use crate::handler::{Answer, Exchange};
use crate::request::WriteOptions;
use crate::store::Key;

impl Exchange<'_> {
    /// Assigns a pod to a node, as a scheduler does.
    pub(super) fn bind_pod(self) -> Result<Answer, ApiError> {
        let options = WriteOptions::parse(&self.query, "CreateOptions")?;
        let sent = body::decode(self.header(&CONTENT_TYPE), &self.body)?;
        let mut binding = sent.value;
        let built_in = |plural| {
            let resource = self.resources.get("", "v1", plural);
            resource.expect("pods and bindings are built in")
        };
        let warnings = fields::check(
            built_in("bindings"),
            &mut binding,
            options.field_validation,
            &sent.duplicates,
        )?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let said = text(&binding["metadata"]["name"]);
        let name = match &self.target.name {
            Some(name) if !said.is_empty() && said != *name => {
                return Err(ApiError::bad_request(
                    "name in URL does not match name in Binding object",
                ));
            }
            Some(name) => name.clone(),
            None => said,
        };
        let node = text(&binding["target"]["name"]);
        let kind = text(&binding["target"]["kind"]);
        if name.is_empty() || node.is_empty() || !matches!(kind.as_str(), "" | "Node") {
            return Err(ApiError::bad_request(
                "a binding names a pod in metadata.name and a node in target",
            ));
        }
        let pods = built_in("pods");
        let key = Key::new(self.target.namespace(), &name);
        let now = self.core.timestamp();
        self.core.amend(pods, &key, options.dry_run, |pod| {
            // A pod of the same name may have been made since the scheduler saw its own.
            for (what, field) in [("UID", "uid"), ("ResourceVersion", "resourceVersion")] {
                let wanted = text(&binding["metadata"][field]);
                let current = text(&pod["metadata"][field]);
                if !wanted.is_empty() && wanted != current {
                    return Err(invalid_object(pods, &key, what, &wanted, &current));
                }
            }
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
            let gates = pod["spec"]["schedulingGates"].as_array();
            if gates.is_some_and(|gates| !gates.is_empty()) {
                return refuse(format!("pod {name} has non-empty .spec.schedulingGates"));
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
        Ok(self.done(StatusCode::CREATED)?.with_warnings(warnings))
    }

    /// Pods of this server run nothing, so that only those without a node have a log: none yet.
    pub(super) fn pod_log(self) -> Result<Answer, ApiError> {
        let pod = self.core.get(&self.target.resource, &self.key()?)?;
        let value = pod.value();
        container(&value, self.query.get("container"))?;
        if value["spec"]["nodeName"]
            .as_str()
            .is_some_and(|node| !node.is_empty())
        {
            return Err(ApiError::unsupported("logs: nothing runs in its pods"));
        }
        Ok(Answer::nothing())
    }
}
