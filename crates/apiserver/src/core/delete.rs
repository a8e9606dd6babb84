//! Deleting objects: at once, after a grace period, or once nothing holds them any more.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::core::create::metadata;
use crate::core::definitions::{CLEANUP, is_definition, mark_terminating};
use crate::core::{Core, timestamp};
use crate::error::ApiError;
use crate::request::{DeleteOptions, DryRun};
use crate::resource::Resource;
use crate::store::{Key, Stored, Transaction};
use crate::strategy::{self, Propagation};

/// The finalizers by which the garbage collector is asked to act before an object goes.
pub(crate) const ORPHAN: &str = "orphan";
pub(crate) const FOREGROUND: &str = "foregroundDeletion";

/// The namespaces that a cluster cannot be without.
const IMMORTAL_NAMESPACES: [&str; 3] = ["default", "kube-public", "kube-system"];

/// What a deletion has done.
#[derive(Clone, Debug)]
pub(crate) enum Deleted {
    /// The object is gone; this was its last state.
    Gone(Arc<Stored>),
    /// The object stays until its finalizers are taken or its grace period is over.
    Pending(Arc<Stored>),
}

impl Core {
    /// Deletes an object, or begins to.
    ///
    /// # Errors
    ///
    /// 403 for a namespace that every cluster has, 404 if there is no such object, 409 if it is not
    /// the one that the preconditions name.
    pub(crate) fn delete(
        &self,
        resource: &Resource,
        key: &Key,
        options: &DeleteOptions,
    ) -> Result<Deleted, ApiError> {
        if is_namespace(resource) && IMMORTAL_NAMESPACES.contains(&key.name()) {
            let why = "this namespace may not be deleted";
            return Err(ApiError::forbidden(resource, key.name(), why));
        }
        let deleted = self.delete_stored(resource, key, options)?;
        if options.dry_run == DryRun::No {
            match deleted {
                Deleted::Gone(_) => self.after_removal(resource, key),
                Deleted::Pending(_) => self.after_write(resource, key),
            }
        }
        Ok(deleted)
    }

    /// As [`Core::delete`], without what the deletion means for definitions.
    pub(super) fn delete_stored(
        &self,
        resource: &Resource,
        key: &Key,
        options: &DeleteOptions,
    ) -> Result<Deleted, ApiError> {
        let now = self.now();
        self.store.commit(|transaction| {
            let current = transaction
                .get(&resource.storage, key)
                .ok_or_else(|| ApiError::not_found(resource, key.name()))?;
            check_preconditions(resource, &current, options)?;
            let deleted = match Deletion::of(resource, &current.value(), options, now) {
                Deletion::Wait => Deleted::Pending(current),
                Deletion::Remove => {
                    let gone = remove(transaction, resource, current, options);
                    Deleted::Gone(gone)
                }
                Deletion::Mark(marked) => {
                    Deleted::Pending(mark(transaction, resource, &current, marked, options))
                }
                Deletion::MarkAndRemove(marked) => {
                    let marked = mark(transaction, resource, &current, marked, options);
                    if options.dry_run == DryRun::No {
                        transaction.remove(&resource.storage, key);
                    }
                    // A real server answers the object as it was marked.
                    Deleted::Gone(marked)
                }
            };
            Ok(deleted)
        })
    }
}

fn is_namespace(resource: &Resource) -> bool {
    resource.group.is_empty() && resource.kind == "Namespace"
}

/// What a deletion comes to.
enum Deletion {
    /// The object is being deleted already and this changes nothing.
    Wait,
    Remove,
    /// The object is marked as being deleted, and stays for now.
    Mark(Value),
    /// The object is marked, and goes: watchers see both.
    MarkAndRemove(Value),
}

impl Deletion {
    fn of(resource: &Resource, current: &Value, options: &DeleteOptions, now: Timestamp) -> Self {
        if is_namespace(resource) {
            return Self::of_namespace(current, now);
        }
        let grace = match Grace::of(resource, current, options) {
            Grace::Pending => return Self::Wait,
            Grace::Immediate => None,
            Grace::Period(seconds) => Some(seconds),
        };
        let mut finalizers = finalizers(resource, current, options.propagation);
        let definition =
            is_definition(resource) && current["metadata"]["deletionTimestamp"].is_null();
        if definition && !finalizers.iter().any(|finalizer| finalizer == CLEANUP) {
            finalizers.push(CLEANUP.into());
        }
        let held = !finalizers.is_empty();
        if !held && grace.is_none() {
            return Self::Remove;
        }
        let mut marked = current.clone();
        match held {
            true => metadata(&mut marked).insert("finalizers".to_owned(), finalizers.into()),
            false => metadata(&mut marked).remove("finalizers"),
        };
        mark_deleted(&mut marked, current, grace, now);
        if definition {
            mark_terminating(&mut marked, &timestamp(now));
        }
        match grace {
            Some(0) if !held => Self::MarkAndRemove(marked),
            _ => Self::Mark(marked),
        }
    }

    /// Namespaces stay until their content is gone, which `spec.finalizers` stands for.
    fn of_namespace(current: &Value, now: Timestamp) -> Self {
        let held = !current["spec"]["finalizers"]
            .as_array()
            .is_none_or(Vec::is_empty);
        if !held && !has_finalizers(current) {
            return Self::Remove;
        }
        if !current["metadata"]["deletionTimestamp"].is_null() {
            return Self::Wait;
        }
        let mut marked = current.clone();
        metadata(&mut marked).insert("deletionTimestamp".to_owned(), timestamp(now));
        marked["status"]["phase"] = "Terminating".into();
        Self::Mark(marked)
    }
}

/// How long an object is left to end by itself.
enum Grace {
    /// It is already on its way, and no later than this deletion asks for.
    Pending,
    /// Its kind knows no grace, or its time is up.
    Immediate,
    /// In seconds.
    Period(i64),
}

impl Grace {
    fn of(resource: &Resource, current: &Value, options: &DeleteOptions) -> Self {
        if !strategy::rules(resource).graceful_delete {
            return Self::Immediate;
        }
        // Less than nothing means as soon as possible, but gracefully.
        let asked = options
            .grace_period
            .map(|period| if period < 0 { 1 } else { period });
        let metadata = &current["metadata"];
        if !metadata["deletionTimestamp"].is_null() {
            return match (metadata["deletionGracePeriodSeconds"].as_i64(), asked) {
                (None | Some(0), _) => Self::Immediate,
                (Some(running), Some(asked)) if asked < running => Self::Period(asked),
                _ => Self::Pending,
            };
        }
        let spec = &current["spec"];
        let started = spec["nodeName"]
            .as_str()
            .is_some_and(|node| !node.is_empty());
        let ended = matches!(
            current["status"]["phase"].as_str(),
            Some("Succeeded" | "Failed")
        );
        if !started || ended {
            return Self::Period(0);
        }
        Self::Period(asked.unwrap_or_else(|| {
            spec["terminationGracePeriodSeconds"]
                .as_i64()
                .unwrap_or(30)
                .max(0)
        }))
    }
}

fn check_preconditions(
    resource: &Resource,
    current: &Stored,
    options: &DeleteOptions,
) -> Result<(), ApiError> {
    let name = current.key().name();
    // Unlike other conflicts, these name the kind.
    let refuse = |why: String| Err(ApiError::precondition_failed(resource, name, why));
    if let Some(uid) = options.uid.as_deref().filter(|uid| *uid != current.uid()) {
        return refuse(format!(
            "the UID in the precondition ({uid}) does not match the UID in record ({}). \
             The object might have been deleted and then recreated",
            current.uid()
        ));
    }
    let revision = current.revision().to_string();
    if let Some(asked) = options
        .resource_version
        .as_deref()
        .filter(|v| *v != revision)
    {
        return refuse(format!(
            "the ResourceVersion in the precondition ({asked}) does not match the \
             ResourceVersion in record ({revision}). The object might have been modified"
        ));
    }
    Ok(())
}

/// The finalizers of an object that is being deleted: by them the garbage collector is asked for
/// what becomes of the dependents.
fn finalizers(resource: &Resource, object: &Value, asked: Option<Propagation>) -> Vec<Value> {
    let present = object["metadata"]["finalizers"].as_array();
    let mut finalizers = present.cloned().unwrap_or_default();
    let has = |name: &str| finalizers.iter().any(|finalizer| finalizer == name);
    let propagation = match asked {
        Some(asked) => asked,
        None if has(FOREGROUND) => Propagation::Foreground,
        None if has(ORPHAN) => Propagation::Orphan,
        None => strategy::rules(resource).default_propagation,
    };
    let wanted = match propagation {
        Propagation::Background => "",
        Propagation::Foreground => FOREGROUND,
        Propagation::Orphan => ORPHAN,
    };
    finalizers.retain(|finalizer| {
        finalizer == wanted || !(finalizer == FOREGROUND || finalizer == ORPHAN)
    });
    if !wanted.is_empty() && !finalizers.iter().any(|finalizer| finalizer == wanted) {
        finalizers.push(wanted.into());
    }
    finalizers
}

fn has_finalizers(object: &Value) -> bool {
    !object["metadata"]["finalizers"]
        .as_array()
        .is_none_or(Vec::is_empty)
}

/// Sets when the object is to go: `grace` seconds after the deletion was first asked for.
///
/// Kinds without a grace period go as soon as their finalizers let them: marked once, they stay so.
fn mark_deleted(object: &mut Value, current: &Value, grace: Option<i64>, now: Timestamp) {
    let metadata = metadata(object);
    let old = &current["metadata"];
    let running = old["deletionTimestamp"]
        .as_str()
        .and_then(|time| time.parse::<Timestamp>().ok());
    let end = match (running, grace) {
        (None, grace) => {
            if let Some(generation) = old["generation"].as_i64().filter(|g| *g > 0) {
                metadata.insert("generation".to_owned(), (generation + 1).into());
            }
            now + SignedDuration::from_secs(grace.unwrap_or_default())
        }
        (Some(_), None) => return,
        (Some(end), Some(grace)) => {
            let was = old["deletionGracePeriodSeconds"]
                .as_i64()
                .unwrap_or_default();
            end - SignedDuration::from_secs(was - grace)
        }
    };
    let grace = grace.unwrap_or_default();
    metadata.insert("deletionTimestamp".to_owned(), timestamp(end));
    metadata.insert("deletionGracePeriodSeconds".to_owned(), grace.into());
}

/// Writes the marked object, if that changes anything.
fn mark(
    transaction: &mut Transaction<'_>,
    resource: &Resource,
    current: &Arc<Stored>,
    marked: Value,
    options: &DeleteOptions,
) -> Arc<Stored> {
    let key = current.key().clone();
    if marked == *current.value() {
        return Arc::clone(current);
    }
    match options.dry_run {
        DryRun::No => transaction.put(&resource.storage, key, marked),
        DryRun::All => Arc::new(Stored::new(key, current.revision(), marked)),
    }
}

/// Removes the object; its last state is answered with the resource version of its removal.
fn remove(
    transaction: &mut Transaction<'_>,
    resource: &Resource,
    current: Arc<Stored>,
    options: &DeleteOptions,
) -> Arc<Stored> {
    if options.dry_run == DryRun::All {
        return current;
    }
    let Some((last, revision)) = transaction.remove(&resource.storage, current.key()) else {
        return current;
    };
    let mut value = Value::clone(&last.value());
    metadata(&mut value).insert("resourceVersion".to_owned(), revision.to_string().into());
    Arc::new(Stored::new(last.key().clone(), revision, value))
}
