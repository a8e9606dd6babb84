//! The cells of built-in kinds.

mod admission;
mod cluster;
mod config;
mod event;
mod network;
mod pod;
mod scaling;
mod storage;
mod workload;

use serde_json::Value;

use super::subject::Subject;
use crate::resource::Resource;

/// Makes the cells of an object, one for each column of its kind.
pub(super) type Print = fn(&Subject<'_>) -> Vec<Value>;

/// Name and time of creation: the cells of what has no others.
pub(super) const DEFAULT: Print = |o| {
    vec![
        o.name(),
        o.text_or("/metadata/creationTimestamp", "<unknown>"),
    ]
};

/// What makes the cells of a resource.
pub(super) fn of(resource: &Resource) -> Print {
    match (resource.group.as_str(), resource.plural.as_str()) {
        ("", "pods") => pod::pod,
        ("", "podtemplates") => pod::template,
        ("", "replicationcontrollers") => workload::replication_controller,
        ("apps", "replicasets") => workload::replica_set,
        ("apps", "deployments") => workload::deployment,
        ("apps", "statefulsets") => workload::stateful_set,
        ("apps", "daemonsets") => workload::daemon_set,
        ("apps", "controllerrevisions") => workload::controller_revision,
        ("batch", "jobs") => workload::job,
        ("batch", "cronjobs") => workload::cron_job,
        ("policy", "poddisruptionbudgets") => scaling::disruption_budget,
        ("autoscaling", "horizontalpodautoscalers") => scaling::autoscaler,
        ("scheduling.k8s.io", "priorityclasses") => scaling::priority_class,
        ("", "resourcequotas") => scaling::resource_quota,
        ("resource.k8s.io", "resourceclaims") => scaling::resource_claim,
        ("resource.k8s.io", "resourceslices") => scaling::resource_slice,
        ("resource.k8s.io", "deviceclasses" | "resourceclaimtemplates")
        | ("", "serviceaccounts") => config::aged,
        ("", "configmaps") => config::config_map,
        ("", "secrets") => config::secret,
        ("coordination.k8s.io", "leases") => config::lease,
        ("rbac.authorization.k8s.io", "rolebindings" | "clusterrolebindings") => {
            config::role_binding
        }
        ("certificates.k8s.io", "certificatesigningrequests") => config::signing_request,
        ("" | "events.k8s.io", "events") => event::event,
        ("", "namespaces") => cluster::namespace,
        ("", "nodes") => cluster::node,
        ("", "componentstatuses") => cluster::component_status,
        ("apiregistration.k8s.io", "apiservices") => cluster::api_service,
        ("node.k8s.io", "runtimeclasses") => cluster::runtime_class,
        ("flowcontrol.apiserver.k8s.io", "flowschemas") => cluster::flow_schema,
        ("flowcontrol.apiserver.k8s.io", "prioritylevelconfigurations") => cluster::priority_level,
        ("", "services") => network::service,
        ("", "endpoints") => network::endpoints,
        ("discovery.k8s.io", "endpointslices") => network::endpoint_slice,
        ("networking.k8s.io", "ingresses") => network::ingress,
        ("networking.k8s.io", "ingressclasses") => network::ingress_class,
        ("networking.k8s.io", "networkpolicies") => network::network_policy,
        ("networking.k8s.io", "ipaddresses") => network::ip_address,
        ("networking.k8s.io", "servicecidrs") => network::service_cidr,
        ("", "persistentvolumes") => storage::volume,
        ("", "persistentvolumeclaims") => storage::claim,
        ("storage.k8s.io", "storageclasses") => storage::storage_class,
        ("storage.k8s.io", "volumeattributesclasses") => storage::attributes_class,
        ("storage.k8s.io", "volumeattachments") => storage::attachment,
        ("storage.k8s.io", "csidrivers") => storage::csi_driver,
        ("storage.k8s.io", "csinodes") => storage::csi_node,
        ("admissionregistration.k8s.io", plural) => match plural {
            "validatingwebhookconfigurations" | "mutatingwebhookconfigurations" => {
                admission::webhooks
            }
            "validatingadmissionpolicies" => admission::validating_policy,
            "mutatingadmissionpolicies" => admission::mutating_policy,
            _ => admission::binding,
        },
        _ => DEFAULT,
    }
}
