use std::time::Duration;

use k8s_openapi::api::core::v1::Node;
use kube_client::Error;
use kube_client::api::{Api, Patch, PatchParams, PostParams};
use serde_json::json;
use tokio::time::timeout;

use crate::patch::{canonical, strategic};

const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(7);
/// How long one try may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// The labels that an agent keeps as they are at its start.
pub(crate) const DEFAULT_LABELS: [&str; 11] = [
    "kubernetes.io/hostname",
    "topology.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/zone",
    "topology.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/region",
    "node.kubernetes.io/instance-type",
    "beta.kubernetes.io/instance-type",
    "kubernetes.io/os",
    "kubernetes.io/arch",
    "beta.kubernetes.io/os",
    "beta.kubernetes.io/arch",
];

/// A node could not be registered; the same may succeed later.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegistrationError {
    /// It could not be made.
    #[error("the node cannot be registered")]
    Create(#[source] Error),
    /// It is there, and cannot be looked at.
    #[error("the node is registered, and cannot be read")]
    Get(#[source] Error),
    /// It is there, and cannot be brought up to date.
    #[error("the node is registered, and cannot be updated")]
    Patch(#[source] Error),
    /// The API server does not answer.
    #[error("the node is not registered within {0:?}")]
    Late(Duration),
}

/// How long to wait before each try to register a node: 100 ms, then twice as long, up to 7 s.
pub(super) fn waits() -> impl Iterator<Item = Duration> {
    let next = |wait: &Duration| Some((*wait * 2).min(LONGEST_WAIT));
    std::iter::successors(Some(FIRST_WAIT), next)
}

/// As [`try_register`], but for 10 s at most: a connection into nowhere is given up, and the next try
/// may have a better one.
pub(super) async fn register_in_time(
    api: &Api<Node>,
    node: &Node,
) -> Result<(), RegistrationError> {
    let tried = timeout(PATIENCE, try_register(api, node)).await;
    tried.unwrap_or(Err(RegistrationError::Late(PATIENCE)))
}

/// Registers a node, or brings up to date the one that is there.
///
/// Answers to kubelet's `tryRegisterWithAPIServer`.
///
/// # Errors
///
/// The API server could not be asked, or said no.
///
/// # Cancel safety
///
/// The node may be registered all the same; it does no harm to register it again.
pub async fn try_register(api: &Api<Node>, node: &Node) -> Result<(), RegistrationError> {
    let name = node.metadata.name.as_deref().unwrap_or_default();
    match api.create(&PostParams::default(), node).await {
        Ok(_) => return Ok(()),
        Err(Error::Api(status)) if status.is_already_exists() => {}
        Err(error) => return Err(RegistrationError::Create(error)),
    }
    let existing = api.get(name).await.map_err(RegistrationError::Get)?;
    tracing::info!(node = name, "the node was registered before");
    let mut wanted = existing.clone();
    if !reconcile_node(node, &mut wanted) {
        return Ok(());
    }
    let params = PatchParams::default();
    // A status is patched apart: that leaves the rest as it is.
    if wanted.metadata.labels != existing.metadata.labels {
        let labels = json!({"metadata": {"labels": wanted.metadata.labels}});
        let patched = api.patch(name, &params, &Patch::Strategic(labels)).await;
        patched.map_err(RegistrationError::Patch)?;
    }
    let (old, new) = (canonical(&existing.status), canonical(&wanted.status));
    if let Some(status) = strategic(&old, &new) {
        let patch = Patch::Strategic(json!({"status": status}));
        let patched = api.patch_status(name, &params, &patch).await;
        patched.map_err(RegistrationError::Patch)?;
    }
    Ok(())
}

/// Brings up to date a node that was registered before, and says whether that changes it: default
/// labels, sizes of huge pages, and resources where it has none.
///
/// Resources of others stay as they are: nothing here hands out devices.
/// Answers to kubelet's `updateDefaultLabels`, `updateDefaultResources` and
/// `reconcileHugePageResource`.
pub fn reconcile_node(initial: &Node, existing: &mut Node) -> bool {
    let before = existing.clone();
    let own = initial.metadata.labels.clone().unwrap_or_default();
    let labels = existing.metadata.labels.get_or_insert_default();
    for label in DEFAULT_LABELS {
        match own.get(label) {
            Some(value) if value.is_empty() => {
                labels.remove(label);
            }
            Some(value) => {
                labels.insert(label.to_owned(), value.clone());
            }
            None => {}
        }
    }
    if labels.is_empty() {
        existing.metadata.labels.clone_from(&before.metadata.labels);
    }
    if let Some(initial) = &initial.status {
        let status = existing.status.get_or_insert_default();
        for (own, list) in [
            (&initial.capacity, &mut status.capacity),
            (&initial.allocatable, &mut status.allocatable),
        ] {
            let Some(list) = list else {
                list.clone_from(own);
                continue;
            };
            let own = own.clone().unwrap_or_default();
            let is_huge = |resource: &str| resource.starts_with("hugepages-");
            list.retain(|resource, _| !is_huge(resource) || own.contains_key(resource));
            list.extend(own.into_iter().filter(|(resource, _)| is_huge(resource)));
        }
    }
    *existing != before
}
