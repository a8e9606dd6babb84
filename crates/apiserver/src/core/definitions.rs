//! Definitions of custom resources: accepted, served, and taken back with all their objects.
//!
//! Everything happens with the write that causes it: a definition is served when the answer to its
//! creation is there, and a deleted one is gone as soon as its last object is.

mod names;

use std::sync::{Arc, LazyLock};

use serde_json::{Value, json};

use crate::core::Core;
use crate::crd;
use crate::error::ApiError;
use crate::request::{DeleteOptions, DryRun};
use crate::resource::{Origin, Resource, StorageId};
use crate::store::{Key, Transaction};

/// What holds a definition until its objects are gone.
pub(super) const CLEANUP: &str = "customresourcecleanup.apiextensions.k8s.io";

static STORAGE: LazyLock<StorageId> = LazyLock::new(|| StorageId {
    group: "apiextensions.k8s.io".to_owned(),
    plural: "customresourcedefinitions".to_owned(),
});

/// A definition whose resource is served.
#[derive(Debug)]
pub(super) struct Served {
    storage: StorageId,
    generation: Option<i64>,
    /// The revision at which it was first served in this generation.
    since: u64,
}

/// Whether `resource` is that of definitions.
pub(super) fn is_definition(resource: &Resource) -> bool {
    resource.storage == *STORAGE
}

/// Where the objects of a definition are kept.
fn storage_of(definition: &Value) -> StorageId {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    StorageId {
        group: text(&definition["spec"]["group"]),
        plural: text(&definition["spec"]["names"]["plural"]),
    }
}

/// Sets a condition; its time is that of its last change of status.
fn set_condition(
    object: &mut Value,
    now: &Value,
    kind: &str,
    status: &str,
    reason: &str,
    message: &str,
) {
    let conditions = &mut object["status"]["conditions"];
    if !conditions.is_array() {
        *conditions = json!([]);
    }
    let conditions = conditions.as_array_mut().expect("an array by now");
    let position = conditions.iter().position(|known| known["type"] == kind);
    let since = position
        .filter(|position| conditions[*position]["status"] == status)
        .map(|position| conditions[position]["lastTransitionTime"].clone());
    let condition = json!({
        "type": kind,
        "status": status,
        "lastTransitionTime": since.unwrap_or_else(|| now.clone()),
        "reason": reason,
        "message": message,
    });
    match position {
        Some(position) => conditions[position] = condition,
        None => conditions.push(condition),
    }
}

/// Says that the objects of a definition that is being deleted are about to go.
pub(super) fn mark_terminating(definition: &mut Value, now: &Value) {
    set_condition(
        definition,
        now,
        "Terminating",
        "True",
        "InstanceDeletionPending",
        "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon",
    );
}

impl Core {
    /// Follows a write of an object with what it means for definitions.
    pub(super) fn after_write(&self, resource: &Resource, key: &Key) {
        if is_definition(resource) {
            self.reconcile_definition(key);
        }
    }

    /// Follows the removal of an object with what it means for definitions.
    pub(super) fn after_removal(&self, resource: &Resource, key: &Key) {
        if is_definition(resource) {
            self.reconcile_definition(key);
        } else if let Origin::Custom(_) = resource.origin {
            let definition = Key::new("", &resource.storage_name());
            if self.is_terminating_definition(&definition) {
                self.reconcile_definition(&definition);
            }
        }
    }

    /// Refuses new objects of a definition that is being deleted.
    pub(super) fn check_definition(
        resource: &Resource,
        transaction: &Transaction<'_>,
    ) -> Result<(), ApiError> {
        if let Origin::Custom(_) = resource.origin {
            let key = Key::new("", &resource.storage_name());
            let definition = transaction.get(&STORAGE, &key);
            if definition.is_none_or(|definition| definition.is_terminating()) {
                return Err(ApiError::definition_terminating());
            }
        }
        Ok(())
    }

    fn is_terminating_definition(&self, key: &Key) -> bool {
        let definition = self.store.get(&STORAGE, key);
        definition.is_some_and(|definition| definition.is_terminating())
    }

    /// Brings what is served, and the status of a definition, in line with the definition as it is now.
    fn reconcile_definition(&self, key: &Key) {
        // One at a time, so that the last state is the one that stays.
        let mut served = self.definitions.lock();
        let Some(definition) = self.store.get(&STORAGE, key) else {
            if let Some(known) = served.remove(key) {
                self.retire(&known.storage);
            }
            return;
        };
        let definitions = self.definition_resource();
        if definition.is_terminating() {
            if let Some(known) = served.get(key) {
                if self.delete_all(&known.storage) > 0 {
                    return;
                }
                self.retire(&known.storage);
                served.remove(key);
            }
            // Without its finalizer the definition goes, unless others hold it too.
            let released = self.amend_stored(&definitions, key, DryRun::No, |definition| {
                if let Some(finalizers) = definition["metadata"]["finalizers"].as_array_mut() {
                    finalizers.retain(|finalizer| finalizer != CLEANUP);
                }
                Ok(())
            });
            tracing::debug!(
                definition = key.name(),
                ok = released.is_ok(),
                "definition released"
            );
            return;
        }
        let value = definition.value();
        let storage = storage_of(&value);
        let resources = match crd::resources_of(&value) {
            Ok(resources) => resources,
            Err(causes) => {
                // Validation let it through: what is served stays as it is.
                tracing::warn!(
                    definition = key.name(),
                    ?causes,
                    "definition cannot be served"
                );
                return;
            }
        };
        let now = self.timestamp();
        let problem = names::conflict(&self.registry.resources(), &storage, &value);
        let accepted = problem.is_none();
        let _ = self.amend_stored(&definitions, key, DryRun::No, |definition| {
            names::set_status(definition, problem.as_ref(), &now);
            Ok(())
        });
        if accepted {
            let generation = value["metadata"]["generation"].as_i64();
            let since = match served.get(key) {
                Some(known) if known.generation == generation => known.since,
                _ => self.store.revision(),
            };
            self.registry.update(|registry| {
                registry.remove(&storage);
                for resource in resources {
                    registry.insert(Resource { since, ..resource });
                }
            });
            let known = Served {
                storage,
                generation,
                since,
            };
            served.insert(key.clone(), known);
        }
    }

    /// Serves a resource no more.
    fn retire(&self, storage: &StorageId) {
        self.registry.update(|resources| resources.remove(storage));
        self.store.retire(storage);
    }

    /// Deletes the objects of a definition; how many are left.
    fn delete_all(&self, storage: &StorageId) -> usize {
        let resources = self.registry.resources();
        let Some(resource) = resources.iter().find(|known| known.storage == *storage) else {
            return 0;
        };
        for object in self.store.snapshot(storage).range(None, None) {
            // Gone already, or held by finalizers: both are looked at again below.
            let _ = self.delete_stored(resource, object.key(), &DeleteOptions::default());
        }
        self.store.snapshot(storage).range(None, None).count()
    }

    fn definition_resource(&self) -> Arc<Resource> {
        let resources = self.registry.resources();
        let definitions = resources.get("apiextensions.k8s.io", "v1", "customresourcedefinitions");
        Arc::clone(definitions.expect("definitions are built in"))
    }
}
