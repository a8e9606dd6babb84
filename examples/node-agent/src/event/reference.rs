use k8s_openapi::api::core::v1::{ObjectReference, Pod};

use crate::pod::ContainerKind;

/// A pod, as events name it.
pub fn pod_reference(pod: &Pod) -> ObjectReference {
    let metadata = &pod.metadata;
    ObjectReference {
        api_version: Some("v1".into()),
        kind: Some("Pod".into()),
        name: metadata.name.clone(),
        namespace: metadata.namespace.clone(),
        resource_version: metadata.resource_version.clone(),
        uid: metadata.uid.clone(),
        field_path: None,
    }
}

/// A container of a pod, as events name it.
pub fn container_reference(pod: &Pod, kind: ContainerKind, name: &str) -> ObjectReference {
    let list = match kind {
        ContainerKind::Init | ContainerKind::Sidecar => "initContainers",
        ContainerKind::Regular => "containers",
        ContainerKind::Ephemeral => "ephemeralContainers",
    };
    ObjectReference {
        field_path: Some(format!("spec.{list}{{{name}}}")),
        ..pod_reference(pod)
    }
}

/// The node, as events name it: its name stands for its uid, as kubelet has it.
pub fn node_reference(name: &str) -> ObjectReference {
    ObjectReference {
        kind: Some("Node".into()),
        name: Some(name.into()),
        uid: Some(name.into()),
        ..Default::default()
    }
}
