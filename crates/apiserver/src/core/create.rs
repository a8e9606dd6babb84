//! Creating an object.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::core::{Core, namespace};
use crate::error::{ApiError, Cause};
use crate::request::{DryRun, WriteOptions};
use crate::resource::Resource;
use crate::store::{Key, Stored, Transaction};
use crate::{conversion, defaults, strategy, validation};

/// How many generated names are tried until one is free.
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
    ) -> Result<Arc<Stored>, ApiError> {
        place(&mut object, namespace)?;
        defaults::apply(resource, &mut object);
        let said = object["metadata"]["name"].as_str().unwrap_or_default();
        let place = Self::namespace_key(namespace);
        let found = self.store.get(namespace::storage(), &place);
        self.check_namespace(resource, said, namespace, found.as_deref())?;

        let metadata = metadata(&mut object);
        let version = metadata.remove("resourceVersion");
        let has_version = version.is_some_and(|v| v.as_str().is_some_and(|v| !v.is_empty()));
        for field in [
            "deletionTimestamp",
            "deletionGracePeriodSeconds",
            "selfLink",
        ] {
            metadata.remove(field);
        }
        metadata.insert("uid".to_owned(), self.ids.uid().into());
        metadata.insert("creationTimestamp".to_owned(), self.timestamp());
        let key = self.name(resource, namespace, metadata)?;
        strategy::prepare_for_create(resource, &mut object);
        let causes = validation::create(resource, &object);
        if !causes.is_empty() {
            return Err(ApiError::invalid(resource, key.name(), causes));
        }
        if has_version {
            return Err(ApiError::unclassified(
                "resourceVersion should not be set on objects to be created",
            ));
        }
        let object = conversion::to_storage(resource, object);
        let object = self.insert(resource, key, object, options)?;
        if options.dry_run == DryRun::No {
            self.after_write(resource, object.key());
        }
        Ok(object)
    }

    /// The key of a new object, whose name is generated if it has none.
    fn name(
        &self,
        resource: &Resource,
        namespace: &str,
        metadata: &mut Map<String, Value>,
    ) -> Result<Key, ApiError> {
        let text = |field: &str| metadata.get(field).and_then(Value::as_str);
        if let Some(name) = text("name").filter(|name| !name.is_empty()) {
            return Ok(Key::new(namespace, name));
        }
        let Some(base) = text("generateName").filter(|base| !base.is_empty()) else {
            let cause = Cause::required("metadata.name", "name or generateName is required");
            return Err(ApiError::invalid(resource, "", vec![cause]));
        };
        let mut names = std::iter::repeat_with(|| Key::new(namespace, &self.ids.name(base)));
        let key = names
            .by_ref()
            .take(NAME_ATTEMPTS)
            .find(|key| self.store.get(&resource.storage, key).is_none())
            .ok_or_else(|| {
                let name = names.next().expect("there is always another name");
                ApiError::already_exists(resource, name.name()).with_retry_after(1)
            })?;
        metadata.insert("name".to_owned(), key.name().into());
        Ok(key)
    }

    fn insert(
        &self,
        resource: &Resource,
        key: Key,
        mut object: Value,
        options: WriteOptions,
    ) -> Result<Arc<Stored>, ApiError> {
        self.store.commit(|transaction| {
            let place = Self::namespace_key(key.namespace());
            let found = transaction.get(namespace::storage(), &place);
            self.check_namespace(resource, key.name(), key.namespace(), found.as_deref())?;
            Self::check_definition(resource, transaction)?;
            if let Some(existing) = transaction.get(&resource.storage, &key) {
                let taken = ApiError::already_exists(resource, key.name());
                return Err(match existing.is_terminating() {
                    true => taken.with_message_prefix("object is being deleted: "),
                    false => taken,
                });
            }
            allocate(transaction, resource, &key, &mut object)?;
            Ok(match options.dry_run {
                DryRun::No => transaction.put(&resource.storage, key, object),
                DryRun::All => Arc::new(Stored::new(key, 0, object)),
            })
        })
    }
}

/// Gives an object what no other object may have, which only the writer can tell.
pub(super) fn allocate(
    transaction: &Transaction<'_>,
    resource: &Resource,
    key: &Key,
    object: &mut Value,
) -> Result<(), ApiError> {
    if resource.qualified() != "services" {
        return Ok(());
    }
    let services = transaction.snapshot(&resource.storage);
    let others: Vec<_> = services
        .range(None, None)
        .map(|service| service.value())
        .collect();
    strategy::allocate_addresses(object, others.iter().map(|other| &**other))
        .map_err(|causes| ApiError::invalid(resource, key.name(), causes))
}

/// Puts an object where its path says.
fn place(object: &mut Value, namespace: &str) -> Result<(), ApiError> {
    let metadata = metadata(object);
    match metadata.get("namespace").and_then(Value::as_str) {
        // Where there are no namespaces, one that is named does not matter.
        Some(said) if !said.is_empty() && said != namespace && !namespace.is_empty() => {
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
