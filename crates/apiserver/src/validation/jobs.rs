//! Jobs and cron jobs.

use serde_json::Value;

use super::{non_negative, pods, text, workloads};
use crate::error::Cause;
use crate::path::Path;

pub(super) fn job(new: &Value, old: Option<&Value>, causes: &mut Vec<Cause>) {
    spec(&new["spec"], Path::Root.field("spec"), causes);
    let Some(old) = old else {
        return;
    };
    let mut fields = vec![
        "spec.selector",
        "spec.completionMode",
        "spec.podFailurePolicy",
        "spec.backoffLimitPerIndex",
        "spec.managedBy",
    ];
    // Suspended jobs that never ran may still be steered elsewhere.
    let is_waiting = old["spec"]["suspend"] == true && old["status"]["startTime"].is_null();
    if !is_waiting {
        fields.push("spec.template");
    }
    if new["spec"]["completionMode"] != "Indexed" {
        fields.push("spec.completions");
    }
    workloads::fixed(new, old, &fields, causes);
}

pub(super) fn cron_job(new: &Value, causes: &mut Vec<Cause>) {
    let name = &new["metadata"]["name"];
    if text(name).len() > 52 {
        causes.push(Cause::invalid(
            "metadata.name",
            name,
            "must be no more than 52 characters",
        ));
    }
    let job = &new["spec"];
    let path = Path::Root.field("spec");
    let schedule = text(&job["schedule"]);
    if !schedule.is_empty() && !is_schedule(schedule) {
        causes.push(Cause::invalid(
            path.field("schedule"),
            &job["schedule"],
            format!(
                "expected exactly 5 fields, found {}: [{schedule}]",
                schedule.split_whitespace().count()
            ),
        ));
    }
    for field in [
        "startingDeadlineSeconds",
        "successfulJobsHistoryLimit",
        "failedJobsHistoryLimit",
    ] {
        non_negative(&job[field], path.field(field), causes);
    }
    let template = path.field("jobTemplate");
    spec(&job["jobTemplate"]["spec"], template.field("spec"), causes);
}

fn is_schedule(text: &str) -> bool {
    text.starts_with('@') || text.split_whitespace().count() == 5
}

fn spec(job: &Value, path: Path<'_>, causes: &mut Vec<Cause>) {
    for field in [
        "parallelism",
        "completions",
        "activeDeadlineSeconds",
        "backoffLimit",
        "backoffLimitPerIndex",
        "maxFailedIndexes",
        "ttlSecondsAfterFinished",
    ] {
        non_negative(&job[field], path.field(field), causes);
    }
    if job["completionMode"] == "Indexed" && job["completions"].is_null() {
        causes.push(Cause::required(
            path.field("completions"),
            "when completion mode is Indexed",
        ));
    }
    let template = path.field("template");
    pods::template(&job["template"], template, causes);
    let pod = template.field("spec");
    match text(&job["template"]["spec"]["restartPolicy"]) {
        "OnFailure" | "Never" => {}
        other => causes.push(Cause::not_supported(
            pod.field("restartPolicy"),
            &other.into(),
            &["OnFailure", "Never"],
        )),
    }
}
