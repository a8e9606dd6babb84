//! Namespaces, nodes, and what runs the cluster.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::table::subject::{Subject, none_if_empty};

pub(super) fn namespace(o: &Subject<'_>) -> Vec<Value> {
    vec![o.name(), o.text_or("/status/phase", ""), o.age()]
}

pub(super) fn node(o: &Subject<'_>) -> Vec<Value> {
    let mut status = match o.condition("Ready") {
        Some(ready) if ready["status"] == "True" => "Ready",
        Some(_) => "NotReady",
        None => "Unknown",
    }
    .to_owned();
    if o.flag("/spec/unschedulable") {
        status.push_str(",SchedulingDisabled");
    }
    let labels = o.at("/metadata/labels").as_object().into_iter().flatten();
    let roles: BTreeSet<&str> = labels
        .filter_map(
            |(key, value)| match key.strip_prefix("node-role.kubernetes.io/") {
                Some(role) => Some(role),
                None if key == "kubernetes.io/role" => value.as_str(),
                None => None,
            },
        )
        .filter(|role| !role.is_empty())
        .collect();
    let roles: Vec<&str> = roles.into_iter().collect();
    let address = |kind: &str| {
        let mut addresses = o.list("/status/addresses").iter();
        let found = addresses.find(|address| address["type"] == kind);
        none_if_empty(
            found
                .and_then(|found| found["address"].as_str())
                .unwrap_or_default(),
        )
    };
    let kernel = match (
        o.text("/status/nodeInfo/kernelVersion"),
        o.text("/status/nodeInfo/architecture"),
    ) {
        (Some(kernel), Some(architecture)) => format!("{kernel} ({architecture})"),
        (kernel, _) => kernel.unwrap_or("<unknown>").to_owned(),
    };
    vec![
        o.name(),
        status.into(),
        none_if_empty(&roles.join(",")),
        o.age(),
        o.text_or("/status/nodeInfo/kubeletVersion", ""),
        address("InternalIP"),
        address("ExternalIP"),
        o.text_or("/status/nodeInfo/osImage", "<unknown>"),
        kernel.into(),
        o.text_or("/status/nodeInfo/containerRuntimeVersion", "<unknown>"),
    ]
}

pub(super) fn component_status(o: &Subject<'_>) -> Vec<Value> {
    let healthy = o
        .list("/conditions")
        .iter()
        .find(|condition| condition["type"] == "Healthy");
    let status = match healthy {
        Some(condition) if condition["status"] == "True" => "Healthy",
        Some(_) => "Unhealthy",
        None => "Unknown",
    };
    let text = |field: &str| -> Value {
        healthy
            .and_then(|condition| condition[field].as_str())
            .unwrap_or_default()
            .into()
    };
    vec![o.name(), status.into(), text("message"), text("error")]
}

pub(super) fn api_service(o: &Subject<'_>) -> Vec<Value> {
    let service = match o.text("/spec/service/name") {
        Some(name) => format!("{}/{name}", o.first_text(&["/spec/service/namespace"])),
        None => "Local".to_owned(),
    };
    let available = match o.condition("Available") {
        Some(condition) if condition["status"] == "True" => "True".to_owned(),
        Some(condition) => {
            let text = |field: &str| condition[field].as_str().unwrap_or_default();
            format!("{} ({})", text("status"), text("reason"))
        }
        None => "Unknown".to_owned(),
    };
    vec![o.name(), service.into(), available.into(), o.age()]
}

pub(super) fn runtime_class(o: &Subject<'_>) -> Vec<Value> {
    vec![o.name(), o.text_or("/handler", ""), o.age()]
}

pub(super) fn flow_schema(o: &Subject<'_>) -> Vec<Value> {
    let dangling = o
        .condition("Dangling")
        .and_then(|condition| condition["status"].as_str());
    vec![
        o.name(),
        o.text_or("/spec/priorityLevelConfiguration/name", ""),
        o.int("/spec/matchingPrecedence").into(),
        o.text_or("/spec/distinguisherMethod/type", "<none>"),
        o.age(),
        dangling.unwrap_or("?").into(),
    ]
}

pub(super) fn priority_level(o: &Subject<'_>) -> Vec<Value> {
    let number = |pointer: &str| match o.at(pointer) {
        number @ Value::Number(_) => number.clone(),
        _ => "<none>".into(),
    };
    let queuing = "/spec/limited/limitResponse/queuing";
    vec![
        o.name(),
        o.text_or("/spec/type", ""),
        number("/spec/limited/nominalConcurrencyShares"),
        number(&format!("{queuing}/queues")),
        number(&format!("{queuing}/handSize")),
        number(&format!("{queuing}/queueLengthLimit")),
        o.age(),
    ]
}
