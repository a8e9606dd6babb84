//! The values that fields have when a client leaves them out.

mod autoscaling;
mod core;
mod extensions;
mod fill;
mod jobs;
mod pods;
mod service;
mod volumes;
mod workloads;

use serde_json::Value;

pub(crate) use self::autoscaling::autoscaler;
use crate::crd::{default_definition, default_object};
use crate::resource::{Origin, Resource};

/// Fills in what the client left out; doing it twice changes nothing more.
///
/// Expects a decoded object: one that [`crate::fields::check`] has been over.
pub(crate) fn apply(resource: &Resource, object: &mut Value) {
    if let Origin::Custom(version) = &resource.origin {
        // Metadata is never defaulted by a schema.
        let metadata = object["metadata"].take();
        default_object(object, &version.schema);
        object["metadata"] = metadata;
        return;
    }
    match (resource.group.as_str(), resource.kind.as_str()) {
        ("", "ConfigMap" | "Lease") => {}
        ("", "Endpoints") => core::endpoints(object),
        ("", "LimitRange") => core::limit_range(object),
        ("", "Namespace") => core::namespace(object),
        ("", "Node") => core::node(object),
        ("", "PersistentVolume") => volumes::persistent_volume(object),
        ("", "PersistentVolumeClaim") => volumes::claim(object),
        ("", "Pod") => pods::pod(object),
        ("", "PodTemplate") => pods::template(&mut object["template"]),
        ("", "ReplicationController") => workloads::replication_controller(object),
        ("", "Secret") => core::secret(object),
        ("", "Service") => service::service(object),
        ("admissionregistration.k8s.io", _) => extensions::admission(object),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => default_definition(object),
        ("apps", "DaemonSet") => workloads::daemon_set(object),
        ("apps", "Deployment") => workloads::deployment(object),
        ("apps", "ReplicaSet") => workloads::replica_set(object),
        ("apps", "StatefulSet") => workloads::stateful_set(object),
        ("autoscaling", "HorizontalPodAutoscaler") => autoscaler(object),
        ("batch", "CronJob") => jobs::cron_job(object),
        ("batch", "Job") => jobs::job(object),
        ("certificates.k8s.io", "CertificateSigningRequest") => extensions::signing_request(object),
        ("discovery.k8s.io", "EndpointSlice") => extensions::endpoint_slice(object),
        ("flowcontrol.apiserver.k8s.io", _) => extensions::flow_control(object),
        ("networking.k8s.io", "IngressClass") => extensions::ingress_class(object),
        ("networking.k8s.io", "NetworkPolicy") => extensions::network_policy(object),
        ("rbac.authorization.k8s.io", _) => extensions::rbac(object),
        ("resource.k8s.io", _) => extensions::devices(object),
        ("scheduling.k8s.io", "PriorityClass") => extensions::priority_class(object),
        ("storage.k8s.io", "CSIDriver") => extensions::csi_driver(object),
        ("storage.k8s.io", "StorageClass") => extensions::storage_class(object),
        _ => {}
    }
}

#[cfg(test)]
mod tests;
