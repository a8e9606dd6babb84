//! Creating an object.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::core::{Core, Written, namespace};
use crate::error::{ApiError, Cause};
use crate::request::{DryRun, WriteOptions};
use crate::resource::Resource;
use crate::store::{Key, Stored};
use crate::{conversion, defaults, strategy, validation};

/// How often a generated name that is taken is replaced by another.
const NAME_ATTEMPTS: usize = 8;

impl Core {
    /// Creates an object in `namespace`, which is empty for cluster-scoped kinds.
    ///
    /// `object` is in the version of `resource`, its fields checked.
    ///
    /// # Errors
    ///
    /// What a real server answers: 400 for another namespace in the object, 403 and 404 for a
    /// namespace that takes no objects, 409 for a name that is taken, 422 for an object that
    /// breaks the rules of its kind.
    pub(crate) fn create(
        &self,
        resource: &Resource,
        namespace: &str,
        mut object: Value,
        options: WriteOptions,
    ) -> Result<Written, ApiError> {
        place(&mut object, namespace)?;
        defaults::apply(resource, &mut object);
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        let found = self
            .store
            .get(&namespace::storage(), &Self::namespace_key(namespace));
        self.check_namespace(resource, name, namespace, found.as_deref())?;

        let metadata = metadata(&mut object);
        let pinned = metadata
            .remove("resourceVersion")
            .is_some_and(|version| version.as_str().is_some_and(|version| !version.is_empty()));
        for field in [
            "deletionTimestamp",
            "deletionGracePeriodSeconds",
            "selfLink",
        ] {
            metadata.remove(field);
        }
        metadata.insert("uid".to_owned(), self.ids.uid().into());
        metadata.insert("creationTimestamp".to_owned(), self.timestamp());
        let base = metadata.get("generateName").and_then(Value::as_str);
        let generated = metadata
            .get("name")
            .and_then(Value::as_str)
            .is_none_or(str::is_empty);
        let base = base
            .filter(|base| generated && !base.is_empty())
            .map(str::to_owned);
        if generated && base.is_none() {
            let cause = Cause::required("metadata.name", "name or generateName is required");
            return Err(ApiError::invalid(resource, "", vec![cause]));
        }

        let mut attempt = 0;
        loop {
            attempt += 1;
            if let Some(base) = &base {
                object["metadata"]["name"] = self.ids.name(base).into();
            }
            let mut object = match base.is_some() && attempt < NAME_ATTEMPTS {
                true => object.clone(),
                false => std::mem::take(&mut object),
            };
            strategy::prepare_for_create(resource, &mut object, self.now());
            let name = object["metadata"]["name"].as_str().unwrap_or_default();
            let key = Key::new(namespace, name);
            let causes = validation::create(resource, &object);
            if !causes.is_empty() {
                return Err(ApiError::invalid(resource, name, causes));
            }
            if pinned {
                return Err(ApiError::unclassified(
                    "resourceVersion should not be set on objects to be created",
                ));
            }
            let object = conversion::to_storage(resource, object);
            match self.insert(resource, key, object, options) {
                Err(taken) if taken.reason() == Some("AlreadyExists") && base.is_some() => {
                    if attempt == NAME_ATTEMPTS {
                        return Err(taken.with_retry_after(1));
                    }
                }
                result => {
                    return result.map(|object| Written {
                        object,
                        warnings: Vec::new(),
                    });
                }
            }
        }
    }

    fn insert(
        &self,
        resource: &Resource,
        key: Key,
        object: Value,
        options: WriteOptions,
    ) -> Result<Arc<Stored>, ApiError> {
        self.store.commit(|transaction| {
            let place = Self::namespace_key(key.namespace());
            let found = transaction.get(&namespace::storage(), &place);
            self.check_namespace(resource, key.name(), key.namespace(), found.as_deref())?;
            if let Some(existing) = transaction.get(&resource.storage, &key) {
                let taken = ApiError::already_exists(resource, key.name());
                return Err(match existing.is_terminating() {
                    true => taken.with_message_prefix("object is being deleted: "),
                    false => taken,
                });
            }
            Ok(match options.dry_run {
                DryRun::No => transaction.put(&resource.storage, key, object),
                DryRun::All => Arc::new(Stored::new(key, 0, object)),
            })
        })
    }
}

/// Puts an object where its path says.
fn place(object: &mut Value, namespace: &str) -> Result<(), ApiError> {
    let metadata = metadata(object);
    match metadata.get("namespace").and_then(Value::as_str) {
        Some(said) if !said.is_empty() && said != namespace => {
            return Err(ApiError::bad_request(
                "the namespace of the provided object does not match the namespace sent on the request",
            ));
        }
        _ => {}
    }
    match namespace {
        "" => metadata.remove("namespace"),
        namespace => metadata.insert("namespace".to_owned(), namespace.into()),
    };
    Ok(())
}

/// The metadata of an object, made if it has none.
pub(super) fn metadata(object: &mut Value) -> &mut Map<String, Value> {
    let metadata = &mut object["metadata"];
    if !metadata.is_object() {
        *metadata = Value::Object(Map::new());
    }
    metadata
        .as_object_mut()
        .expect("metadata is an object by now")
}
