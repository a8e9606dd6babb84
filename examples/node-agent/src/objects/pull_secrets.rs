use std::sync::Arc;

use k8s_openapi::api::core::v1::{Pod, Secret};

use super::Secrets;
use crate::warning::Warning;

/// The secrets that a pod's images are pulled with, and what is to be told if some are missing: a
/// pull may do without them.
///
/// Answers to kubelet's `getPullSecretsForPod`.
pub fn pull_secrets(pod: &Pod, secrets: &impl Secrets) -> (Vec<Arc<Secret>>, Option<Warning>) {
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let spec = pod.spec.as_ref();
    let references = spec.and_then(|spec| spec.image_pull_secrets.as_deref());
    let mut found = Vec::new();
    let mut missing = Vec::new();
    for reference in references.unwrap_or_default() {
        let name = reference.name.as_str();
        if name.is_empty() {
            continue;
        }
        match secrets.secret(namespace, name) {
            Ok(secret) => found.push(secret),
            Err(_) => missing.push(name),
        }
    }
    let warning = (!missing.is_empty()).then(|| {
        let missing = missing.join(", ");
        Warning::new(
            "FailedToRetrieveImagePullSecret",
            format!(
                "Unable to retrieve some image pull secrets ({missing}); attempting to pull the image may not succeed."
            ),
        )
    });
    (found, warning)
}
