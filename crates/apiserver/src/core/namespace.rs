//! Namespaces as the place of other objects.

use std::sync::LazyLock;

use serde_json::json;

use crate::core::Core;
use crate::error::{ApiError, Cause};
use crate::resource::{Resource, StorageId};
use crate::store::{Key, Stored};

static STORAGE: LazyLock<StorageId> = LazyLock::new(|| StorageId {
    group: String::new(),
    plural: "namespaces".to_owned(),
});

/// Where namespaces are kept.
pub(crate) fn storage() -> &'static StorageId {
    &STORAGE
}

impl Core {
    /// Refuses to create an object in a namespace that does not exist or is being deleted.
    pub(super) fn check_namespace(
        &self,
        resource: &Resource,
        name: &str,
        namespace: &str,
        found: Option<&Stored>,
    ) -> Result<(), ApiError> {
        if !resource.namespaced {
            return Ok(());
        }
        let Some(found) = found else {
            let resources = self.registry.resources();
            let namespaces = resources
                .get("", "v1", "namespaces")
                .expect("namespaces are built in");
            return Err(ApiError::not_found(namespaces, namespace));
        };
        if found.is_terminating() || found.value()["status"]["phase"] == json!("Terminating") {
            let why = format!(
                "unable to create new content in namespace {namespace} because it is being terminated"
            );
            let cause = Cause {
                reason: "NamespaceTerminating",
                field: "metadata.namespace".to_owned(),
                message: format!("namespace {namespace} is being terminated"),
            };
            return Err(ApiError::forbidden(resource, name, why).with_cause(cause));
        }
        Ok(())
    }

    /// The key of a namespace.
    pub(super) fn namespace_key(namespace: &str) -> Key {
        Key::new("", namespace)
    }
}
