//! Defaults of the kinds that keep pods running.

use serde_json::{Value, json};

use super::fill::{fill, is_empty, items};
use super::{pods, volumes};

pub(super) fn deployment(object: &mut Value) {
    let spec = &mut object["spec"];
    fill(spec, "replicas", 1);
    let strategy = &mut spec["strategy"];
    fill(strategy, "type", "RollingUpdate");
    if strategy["type"] == "RollingUpdate" {
        fill(strategy, "rollingUpdate", json!({}));
        fill(&mut strategy["rollingUpdate"], "maxUnavailable", "25%");
        fill(&mut strategy["rollingUpdate"], "maxSurge", "25%");
    }
    fill(spec, "revisionHistoryLimit", 10);
    fill(spec, "progressDeadlineSeconds", 600);
    pods::template(&mut spec["template"]);
}

pub(super) fn replica_set(object: &mut Value) {
    fill(&mut object["spec"], "replicas", 1);
    pods::template(&mut object["spec"]["template"]);
}

pub(super) fn daemon_set(object: &mut Value) {
    let spec = &mut object["spec"];
    let strategy = &mut spec["updateStrategy"];
    fill(strategy, "type", "RollingUpdate");
    if strategy["type"] == "RollingUpdate" {
        fill(strategy, "rollingUpdate", json!({}));
        fill(&mut strategy["rollingUpdate"], "maxUnavailable", 1);
        fill(&mut strategy["rollingUpdate"], "maxSurge", 0);
    }
    fill(spec, "revisionHistoryLimit", 10);
    pods::template(&mut spec["template"]);
}

pub(super) fn stateful_set(object: &mut Value) {
    let spec = &mut object["spec"];
    fill(spec, "podManagementPolicy", "OrderedReady");
    let strategy = &mut spec["updateStrategy"];
    if is_empty(&strategy["type"]) {
        strategy["type"] = "RollingUpdate".into();
        fill(strategy, "rollingUpdate", json!({}));
    }
    if strategy["type"] == "RollingUpdate" && strategy["rollingUpdate"].is_object() {
        fill(&mut strategy["rollingUpdate"], "partition", 0);
    }
    fill(spec, "persistentVolumeClaimRetentionPolicy", json!({}));
    let retention = &mut spec["persistentVolumeClaimRetentionPolicy"];
    fill(retention, "whenDeleted", "Retain");
    fill(retention, "whenScaled", "Retain");
    fill(spec, "replicas", 1);
    fill(spec, "revisionHistoryLimit", 10);
    for claim in items(spec, "volumeClaimTemplates") {
        claim["apiVersion"] = "v1".into();
        claim["kind"] = "PersistentVolumeClaim".into();
        volumes::claim(claim);
    }
    pods::template(&mut spec["template"]);
}

pub(super) fn replication_controller(object: &mut Value) {
    let labels = object["spec"]["template"]["metadata"]["labels"].clone();
    if labels.is_object() {
        if is_empty(&object["spec"]["selector"]) {
            object["spec"]["selector"] = labels.clone();
        }
        if is_empty(&object["metadata"]["labels"]) {
            object["metadata"]["labels"] = labels;
        }
    }
    let spec = &mut object["spec"];
    fill(spec, "replicas", 1);
    if spec["template"].is_object() {
        pods::template(&mut spec["template"]);
    }
}
