//! Changing an object.

use std::sync::Arc;

use http::StatusCode;
use serde_json::{Value, json};

use crate::core::Core;
use crate::core::create::{allocate, metadata};
use crate::error::{ApiError, Cause};
use crate::request::{DryRun, WriteOptions};
use crate::resource::{Origin, Resource};
use crate::store::{Key, Stored, Transaction};
use crate::{conversion, defaults, strategy, validation};

/// How often a change is computed without the lock before it is computed with it.
const OPTIMISTIC_ATTEMPTS: usize = 5;

/// What a change comes to.
enum Outcome {
    Unchanged,
    Changed(Value),
    /// The object is being deleted and nothing holds it any more.
    Released(Value),
}

/// What a replacement has done.
#[derive(Clone, Debug)]
pub(crate) enum Replaced {
    Created(Arc<Stored>),
    Updated(Arc<Stored>),
}

/// What a change did to the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    None,
    Written,
    Removed,
}

impl Core {
    /// Replaces an object, or the part of it that `subresource` stands for, by `object`.
    ///
    /// Some kinds are created where there is nothing to replace.
    ///
    /// # Errors
    ///
    /// As [`Core::update`] and [`Core::create`]; also 409 if `object` has the uid of another object.
    pub(crate) fn replace(
        &self,
        resource: &Resource,
        key: &Key,
        subresource: Option<&str>,
        options: WriteOptions,
        mut object: Value,
    ) -> Result<Replaced, ApiError> {
        check_identity(&object, key)?;
        let updated = self.update(resource, key, subresource, options, |current| {
            check_uid(resource, key, &object, current)?;
            Ok(object.clone())
        });
        let creates = subresource.is_none() && strategy::rules(resource).create_on_update;
        match updated {
            Err(missing) if creates && missing.code() == StatusCode::NOT_FOUND => {
                check_uid(resource, key, &object, &Value::Null)?;
                metadata(&mut object).remove("resourceVersion");
                self.create(resource, key.namespace(), object, options)
                    .map(Replaced::Created)
            }
            updated => updated.map(Replaced::Updated),
        }
    }

    /// Changes an object into what `change` makes of it, by the rules of its kind.
    ///
    /// `change` sees the object in the version of `resource` and may be called several times: if
    /// another write comes between, it is asked again for a change of the newer object. What it
    /// returns carries the `resourceVersion` that it must be based on, or none.
    ///
    /// # Errors
    ///
    /// What `change` fails with; 404 if there is no such object, 409 if it is not at the version
    /// that the change is based on, 422 if the result breaks the rules of its kind.
    pub(crate) fn update(
        &self,
        resource: &Resource,
        key: &Key,
        subresource: Option<&str>,
        options: WriteOptions,
        mut change: impl FnMut(&Value) -> Result<Value, ApiError>,
    ) -> Result<Arc<Stored>, ApiError> {
        let (object, effect) = self.change(resource, key, options.dry_run, |current| {
            let old = current.value();
            let shown = conversion::from_storage(resource, &old);
            let mut new = change(&shown)?;
            check_identity(&new, key)?;
            check_version(resource, key, &new, current)?;
            defaults::apply(resource, &mut new);
            let mut new = conversion::to_storage(resource, new);
            keep(&mut new, &old);
            strategy::prepare_for_update(resource, &mut new, &old, subresource);
            let causes = validation::update(resource, &new, &old, subresource);
            match causes.is_empty() {
                true => Ok(new),
                false => Err(ApiError::invalid(resource, key.name(), causes)),
            }
        })?;
        self.follow(resource, key, effect);
        Ok(object)
    }

    /// Changes a stored object as the server itself does, past the rules for clients.
    ///
    /// # Errors
    ///
    /// What `change` fails with, and 404 if there is no such object.
    pub(crate) fn amend(
        &self,
        resource: &Resource,
        key: &Key,
        dry_run: DryRun,
        change: impl FnMut(&mut Value) -> Result<(), ApiError>,
    ) -> Result<Arc<Stored>, ApiError> {
        let (object, effect) = self.amend_stored(resource, key, dry_run, change)?;
        self.follow(resource, key, effect);
        Ok(object)
    }

    /// As [`Core::amend`], without what the change means for definitions.
    pub(super) fn amend_stored(
        &self,
        resource: &Resource,
        key: &Key,
        dry_run: DryRun,
        mut change: impl FnMut(&mut Value) -> Result<(), ApiError>,
    ) -> Result<(Arc<Stored>, Effect), ApiError> {
        self.change(resource, key, dry_run, |current| {
            let mut new = Value::clone(&current.value());
            change(&mut new)?;
            Ok(new)
        })
    }

    fn follow(&self, resource: &Resource, key: &Key, effect: Effect) {
        match effect {
            Effect::None => {}
            Effect::Written => self.after_write(resource, key),
            Effect::Removed => self.after_removal(resource, key),
        }
    }

    /// Reads, computes and commits, again and again while others write in between; at last with
    /// the writer's lock held, so that it comes to an end.
    fn change(
        &self,
        resource: &Resource,
        key: &Key,
        dry_run: DryRun,
        mut compute: impl FnMut(&Arc<Stored>) -> Result<Value, ApiError>,
    ) -> Result<(Arc<Stored>, Effect), ApiError> {
        let mut outcome = |current: &Arc<Stored>| {
            let new = compute(current)?;
            Ok::<_, ApiError>(if new == *current.value() {
                Outcome::Unchanged
            } else if is_released(resource, &new) {
                Outcome::Released(new)
            } else {
                Outcome::Changed(new)
            })
        };
        for _ in 0..OPTIMISTIC_ATTEMPTS {
            let current = self.get(resource, key)?;
            let outcome = outcome(&current)?;
            let written = self.store.commit(|transaction| {
                transaction
                    .get(&resource.storage, key)
                    .is_some_and(|newest| Arc::ptr_eq(&newest, &current))
                    .then(|| apply(transaction, resource, &current, outcome, dry_run))
            });
            if let Some(written) = written {
                return written;
            }
        }
        self.store.commit(|transaction| {
            let current = transaction
                .get(&resource.storage, key)
                .ok_or_else(|| ApiError::not_found(resource, key.name()))?;
            let outcome = outcome(&current)?;
            apply(transaction, resource, &current, outcome, dry_run)
        })
    }
}

/// Writes what a change comes to.
fn apply(
    transaction: &mut Transaction<'_>,
    resource: &Resource,
    current: &Arc<Stored>,
    mut outcome: Outcome,
    dry_run: DryRun,
) -> Result<(Arc<Stored>, Effect), ApiError> {
    let key = current.key();
    let as_current = |value| Arc::new(Stored::new(key.clone(), current.revision(), value));
    if let Outcome::Changed(new) = &mut outcome {
        allocate(transaction, resource, key, new)?;
    }
    Ok(match (outcome, dry_run) {
        (Outcome::Unchanged, _) => (Arc::clone(current), Effect::None),
        (Outcome::Changed(new), DryRun::No) => {
            let object = transaction.put(&resource.storage, key.clone(), new);
            (object, Effect::Written)
        }
        (Outcome::Released(new), DryRun::No) => {
            transaction.remove(&resource.storage, key);
            (as_current(new), Effect::Removed)
        }
        (Outcome::Changed(new) | Outcome::Released(new), DryRun::All) => {
            (as_current(new), Effect::None)
        }
    })
}

/// Whether an object that is being deleted has nothing left to wait for.
fn is_released(resource: &Resource, object: &Value) -> bool {
    let metadata = &object["metadata"];
    let empty = |list: &Value| list.as_array().is_none_or(Vec::is_empty);
    let held = match resource.kind.as_str() {
        "Namespace" if resource.group.is_empty() => !empty(&object["spec"]["finalizers"]),
        _ => metadata["deletionGracePeriodSeconds"] != json!(0),
    };
    !metadata["deletionTimestamp"].is_null() && empty(&metadata["finalizers"]) && !held
}

/// Refuses an object that is not the one its path names.
fn check_identity(new: &Value, key: &Key) -> Result<(), ApiError> {
    let metadata = &new["metadata"];
    let url = key.name();
    match metadata["name"].as_str() {
        None | Some("") => {
            return Err(ApiError::bad_request(format!(
                "the name of the object ({url} based on URL) was undeterminable: name must be provided"
            )));
        }
        Some(name) if name != url => {
            return Err(ApiError::bad_request(format!(
                "the name of the object ({name}) does not match the name on the URL ({url})"
            )));
        }
        Some(_) => {}
    }
    match metadata["namespace"].as_str() {
        Some(said)
            if !said.is_empty() && said != key.namespace() && !key.namespace().is_empty() =>
        {
            Err(ApiError::bad_request(
                "the namespace of the provided object does not match the namespace sent on the request",
            ))
        }
        _ => Ok(()),
    }
}

/// Refuses an object that has the name of the current one, but is another.
fn check_uid(resource: &Resource, key: &Key, new: &Value, current: &Value) -> Result<(), ApiError> {
    let uid = |object: &Value| {
        let uid = object["metadata"]["uid"].as_str();
        uid.unwrap_or_default().to_owned()
    };
    let (new, current) = (uid(new), uid(current));
    if new.is_empty() || new == current {
        return Ok(());
    }
    Err(invalid_object(resource, key, "UID", &new, &current))
}

/// What a precondition of the storage that does not hold is told by: 409.
pub(crate) fn invalid_object(
    resource: &Resource,
    key: &Key,
    field: &str,
    wanted: &str,
    current: &str,
) -> ApiError {
    let group = match resource.origin {
        Origin::BuiltIn { .. } => "",
        Origin::Custom(_) => &resource.group,
    };
    let path = ["/registry", group, &resource.plural, key.as_str()]
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join("/");
    let why = format!(
        "StorageError: invalid object, Code: 4, Key: {path}, ResourceVersion: 0, \
         AdditionalErrorMsg: Precondition failed: {field} in precondition: {wanted}, \
         {field} in object meta: {current}"
    );
    ApiError::conflict(resource, key.name(), why)
}

/// Refuses a change that is based on another version of the object.
fn check_version(
    resource: &Resource,
    key: &Key,
    new: &Value,
    current: &Stored,
) -> Result<(), ApiError> {
    match new["metadata"]["resourceVersion"]
        .as_str()
        .unwrap_or_default()
    {
        "" | "0" if strategy::rules(resource).allow_unconditional_update => Ok(()),
        "" | "0" => {
            let cause = Cause::invalid(
                "metadata.resourceVersion",
                &Value::from(0),
                "must be specified for an update",
            );
            Err(ApiError::invalid_kind(
                &resource.group,
                &resource.plural,
                key.name(),
                vec![cause],
            ))
        }
        version => match version.parse::<u64>() {
            Err(_) => Err(ApiError::unclassified(format!(
                "strconv.ParseUint: parsing {version:?}: invalid syntax"
            ))),
            Ok(version) if version != current.revision() => {
                Err(ApiError::stale(resource, key.name()))
            }
            Ok(_) => Ok(()),
        },
    }
}

/// Gives `new` the parts of `old` that the server owns.
fn keep(new: &mut Value, old: &Value) {
    let old = &old["metadata"];
    let metadata = metadata(new);
    metadata.remove("selfLink");
    for field in ["creationTimestamp", "namespace", "resourceVersion"] {
        match old.get(field) {
            Some(value) => metadata.insert(field.to_owned(), value.clone()),
            None => metadata.remove(field),
        };
    }
    // Whether these may change is for validation to say; they cannot be taken away.
    for field in ["uid", "deletionTimestamp", "deletionGracePeriodSeconds"] {
        if metadata.get(field).is_none_or(Value::is_null) {
            match old.get(field) {
                Some(value) => metadata.insert(field.to_owned(), value.clone()),
                None => metadata.remove(field),
            };
        }
    }
}
