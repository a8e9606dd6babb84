//! Whether an object follows the rules of its kind.
//!
//! Metadata is checked as a real server checks it. Of what lies below, every built-in kind is held
//! to its schema: required fields, and values that are enumerated. The kinds that clients get
//! wrong most have their own rules beside that.

mod by_schema;
mod config;
mod events;
mod jobs;
mod metadata;
pub(crate) mod names;
mod pods;
mod rbac;
mod selectors;
mod services;
mod storage;
mod workloads;

use serde_json::Value;

use crate::crd;
use crate::error::Cause;
use crate::resource::{Origin, Resource};

/// What is wrong with an object that is about to be created.
pub(crate) fn create(resource: &Resource, object: &Value) -> Vec<Cause> {
    if is_definition(resource) {
        let mut causes = crd::validate_definition(object);
        causes.extend(metadata::rest(resource, object));
        return causes;
    }
    let mut causes = metadata::create(resource, object);
    match &resource.origin {
        Origin::Custom(version) => {
            causes.extend(crd::validate_object(resource, version, object, None));
        }
        Origin::BuiltIn { .. } => built_in(resource, object, None, &mut causes),
    }
    causes
}

/// What is wrong with a change from `old` to `new`; both are in the stored form.
pub(crate) fn update(
    resource: &Resource,
    new: &Value,
    old: &Value,
    subresource: Option<&str>,
) -> Vec<Cause> {
    // A real server checks this part twice, and says so twice.
    let mut causes = metadata::update(resource, new, old);
    causes.extend(causes.clone());
    causes.extend(metadata::rest(resource, new));
    match (&resource.origin, subresource) {
        (Origin::Custom(version), None) => {
            causes.extend(crd::validate_object(resource, version, new, Some(old)));
        }
        (Origin::Custom(version), Some("status")) => {
            causes.extend(crd::validate_status(version, new, old));
        }
        (Origin::BuiltIn { .. }, None) if is_definition(resource) => {
            causes.extend(crd::validate_definition_update(new, old));
        }
        (Origin::BuiltIn { .. }, None) => built_in(resource, new, Some(old), &mut causes),
        (Origin::BuiltIn { .. }, Some("status")) => status(resource, new, &mut causes),
        (Origin::BuiltIn { .. }, Some("ephemeralcontainers")) => {
            by_schema::check(resource, new, &mut causes);
            pods::update_ephemeral(new, old, &mut causes);
        }
        (_, Some(_)) => {}
    }
    causes
}

fn is_definition(resource: &Resource) -> bool {
    resource.group == "apiextensions.k8s.io" && resource.kind == "CustomResourceDefinition"
}

fn built_in(resource: &Resource, new: &Value, old: Option<&Value>, causes: &mut Vec<Cause>) {
    let kind = (resource.storage.group.as_str(), resource.kind.as_str());
    if kind == ("", "Event") {
        events::event(new, old, causes);
        return;
    }
    by_schema::check(resource, new, causes);
    match kind {
        ("", "ConfigMap") => config::config_map(new, old, causes),
        ("", "PersistentVolumeClaim") => storage::claim(new, old, causes),
        ("", "PersistentVolume") => storage::volume(new, causes),
        ("", "Pod") => match old {
            None => pods::create(new, causes),
            Some(old) => pods::update(new, old, causes),
        },
        ("", "ReplicationController") => workloads::replication_controller(new, causes),
        ("", "Secret") => config::secret(new, old, causes),
        ("", "Service") => services::service(new, old, causes),
        ("apps", "DaemonSet") => workloads::daemon_set(new, old, causes),
        ("apps", "Deployment") => workloads::deployment(new, old, causes),
        ("apps", "ReplicaSet") => workloads::replica_set(new, old, causes),
        ("apps", "StatefulSet") => workloads::stateful_set(new, old, causes),
        ("autoscaling", "HorizontalPodAutoscaler") => workloads::autoscaler(new, causes),
        ("batch", "CronJob") => jobs::cron_job(new, causes),
        ("batch", "Job") => jobs::job(new, old, causes),
        ("coordination.k8s.io", "Lease") => events::lease(new, causes),
        ("policy", "PodDisruptionBudget") => workloads::disruption_budget(new, causes),
        ("rbac.authorization.k8s.io", _) => rbac::check(resource, new, old, causes),
        ("storage.k8s.io", "StorageClass") => storage::class(new, old, causes),
        _ => {}
    }
}

fn status(resource: &Resource, new: &Value, causes: &mut Vec<Cause>) {
    if let ("apps", "ReplicaSet") | ("", "ReplicationController") =
        (resource.group.as_str(), resource.kind.as_str())
    {
        workloads::replica_set_status(&new["status"], causes);
    }
}

/// A count that is below zero.
fn non_negative(value: &Value, field: impl Into<String>, causes: &mut Vec<Cause>) {
    if value.as_i64().is_some_and(|count| count < 0) {
        causes.push(Cause::invalid(
            field,
            value,
            "must be greater than or equal to 0",
        ));
    }
}

/// A field that has changed and must not.
fn immutable(new: &Value, old: &Value, field: &str, causes: &mut Vec<Cause>) {
    let pointer = format!("/{}", field.replace('.', "/"));
    let (new, old) = (new.pointer(&pointer), old.pointer(&pointer));
    if new != old {
        let value = new.unwrap_or(&Value::Null);
        causes.push(Cause::invalid(field, value, "field is immutable"));
    }
}

/// The items of a list; none where there is no list.
fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// A text; empty where there is none.
fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[cfg(test)]
#[expect(clippy::needless_pass_by_value, reason = "calls read better")]
mod tests;
