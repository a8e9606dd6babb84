//! Defaults of the kinds of the smaller groups.

use serde_json::{Value, json};

use super::fill::{fill, given, is_empty, items};

const RBAC_GROUP: &str = "rbac.authorization.k8s.io";

pub(super) fn rbac(object: &mut Value) {
    if object["roleRef"].is_object() && is_empty(&object["roleRef"]["apiGroup"]) {
        object["roleRef"]["apiGroup"] = RBAC_GROUP.into();
    }
    for subject in items(object, "subjects") {
        if subject["kind"] == "User" || subject["kind"] == "Group" {
            fill(subject, "apiGroup", RBAC_GROUP);
        }
    }
}

pub(super) fn network_policy(object: &mut Value) {
    let spec = &mut object["spec"];
    for list in ["ingress", "egress"] {
        for rule in items(spec, list) {
            for port in items(rule, "ports") {
                fill(port, "protocol", "TCP");
            }
        }
    }
    if is_empty(&spec["policyTypes"]) {
        let has_egress = !is_empty(&spec["egress"]);
        spec["policyTypes"] = match has_egress {
            true => json!(["Ingress", "Egress"]),
            false => json!(["Ingress"]),
        };
    }
}

pub(super) fn ingress_class(object: &mut Value) {
    if let Some(parameters) = given(&mut object["spec"], "parameters") {
        fill(parameters, "scope", "Cluster");
    }
}

pub(super) fn priority_class(object: &mut Value) {
    fill(object, "preemptionPolicy", "PreemptLowerPriority");
}

pub(super) fn storage_class(object: &mut Value) {
    fill(object, "reclaimPolicy", "Delete");
    fill(object, "volumeBindingMode", "Immediate");
}

pub(super) fn csi_driver(object: &mut Value) {
    let spec = &mut object["spec"];
    fill(spec, "attachRequired", true);
    fill(spec, "podInfoOnMount", false);
    fill(spec, "storageCapacity", false);
    fill(spec, "fsGroupPolicy", "ReadWriteOnceWithFSType");
    fill(spec, "volumeLifecycleModes", json!(["Persistent"]));
    fill(spec, "requiresRepublish", false);
    fill(spec, "seLinuxMount", false);
}

pub(super) fn endpoint_slice(object: &mut Value) {
    for port in items(object, "ports") {
        fill(port, "name", "");
        fill(port, "protocol", "TCP");
    }
}

pub(super) fn signing_request(object: &mut Value) {
    let spec = &mut object["spec"];
    if is_empty(&spec["usages"]) {
        spec["usages"] = json!(["digital signature", "key encipherment"]);
    }
}

/// Webhook configurations and admission policies.
pub(super) fn admission(object: &mut Value) {
    for webhook in items(object, "webhooks") {
        fill(webhook, "failurePolicy", "Fail");
        matching(webhook);
        fill(webhook, "timeoutSeconds", 10);
        if let Some(service) = webhook["clientConfig"].get_mut("service") {
            fill(service, "port", 443);
        }
    }
    if object["kind"] == "MutatingWebhookConfiguration" {
        for webhook in items(object, "webhooks") {
            fill(webhook, "reinvocationPolicy", "Never");
        }
    }
    let kind = object["kind"].as_str().unwrap_or_default().to_owned();
    let Some(spec) = given(object, "spec") else {
        return;
    };
    if kind.ends_with("AdmissionPolicy") {
        fill(spec, "failurePolicy", "Fail");
    }
    if kind == "MutatingAdmissionPolicy" {
        fill(spec, "reinvocationPolicy", "Never");
    }
    for field in ["matchConstraints", "matchResources"] {
        if let Some(resources) = given(spec, field) {
            matching_policy(resources);
        }
    }
}

/// Which requests a webhook sees: all, unless it says otherwise.
fn matching(webhook: &mut Value) {
    fill(webhook, "matchPolicy", "Equivalent");
    fill(webhook, "namespaceSelector", json!({}));
    fill(webhook, "objectSelector", json!({}));
    for rule in items(webhook, "rules") {
        fill(rule, "scope", "*");
    }
}

fn matching_policy(resources: &mut Value) {
    fill(resources, "matchPolicy", "Equivalent");
    fill(resources, "namespaceSelector", json!({}));
    fill(resources, "objectSelector", json!({}));
    for list in ["resourceRules", "excludeResourceRules"] {
        for rule in items(resources, list) {
            fill(rule, "scope", "*");
        }
    }
}

pub(super) fn flow_control(object: &mut Value) {
    let spec = &mut object["spec"];
    if !spec["priorityLevelConfiguration"].is_null() && is_unset(&spec["matchingPrecedence"]) {
        spec["matchingPrecedence"] = 1000.into();
    }
    if let Some(limited) = given(spec, "limited") {
        fill(limited, "nominalConcurrencyShares", 30);
        fill(limited, "lendablePercent", 0);
        if limited["limitResponse"]["type"] == "Queue" {
            fill(&mut limited["limitResponse"], "queuing", json!({}));
            let queuing = &mut limited["limitResponse"]["queuing"];
            for (field, default) in [("queues", 64), ("handSize", 8), ("queueLengthLimit", 50)] {
                if is_unset(&queuing[field]) {
                    queuing[field] = default.into();
                }
            }
        }
    }
    if let Some(exempt) = given(spec, "exempt") {
        fill(exempt, "nominalConcurrencyShares", 0);
        fill(exempt, "lendablePercent", 0);
    }
}

fn is_unset(number: &Value) -> bool {
    number.is_null() || *number == 0
}

/// Requests for devices.
pub(super) fn devices(object: &mut Value) {
    let spec = &mut object["spec"];
    let claim = match spec["spec"].is_object() {
        true => &mut spec["spec"],
        false => spec,
    };
    let Some(devices) = claim
        .get_mut("devices")
        .filter(|devices| devices.is_object())
    else {
        return;
    };
    for request in items(devices, "requests") {
        if let Some(exactly) = given(request, "exactly") {
            allocation(exactly);
        }
        for alternative in items(request, "firstAvailable") {
            allocation(alternative);
        }
    }
}

fn allocation(request: &mut Value) {
    fill(request, "allocationMode", "ExactCount");
    if request["allocationMode"] == "ExactCount" {
        fill(request, "count", 1);
    }
    for toleration in items(request, "tolerations") {
        fill(toleration, "operator", "Equal");
    }
}
