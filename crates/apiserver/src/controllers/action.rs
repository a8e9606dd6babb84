use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use crate::core::Core;
use crate::error::ApiError;
use crate::request::{DeleteOptions, DryRun, WriteOptions};
use crate::resource::Resource;
use crate::store::Key;
use crate::strategy::Propagation;

/// One write that an engine has decided on.
pub(super) struct Action {
    pub(super) resource: Arc<Resource>,
    pub(super) key: Key,
    pub(super) operation: Operation,
}

pub(super) enum Operation {
    Create(Value),
    /// Deletes the object with this uid, at this resource version if there is one.
    Delete {
        uid: Arc<str>,
        revision: Option<u64>,
        propagation: Option<Propagation>,
        grace_period: Option<i64>,
    },
    /// Changes the object with this uid, whatever version it has by then.
    Amend {
        uid: Arc<str>,
        change: Change,
    },
}

/// A change of an object at some time, which may be computed more than once.
pub(super) type Change = Box<dyn Fn(&mut Value, Timestamp) + Send>;

impl Operation {
    pub(super) fn amend(
        uid: &Arc<str>,
        change: impl Fn(&mut Value, Timestamp) + Send + 'static,
    ) -> Self {
        Self::Amend {
            uid: Arc::clone(uid),
            change: Box::new(change),
        }
    }
}

impl Action {
    pub(super) fn perform(&self, core: &Core) -> Result<(), ApiError> {
        let Self { resource, key, .. } = self;
        match &self.operation {
            Operation::Create(object) => {
                let options = WriteOptions::default();
                core.create(resource, key.namespace(), object.clone(), options)?;
            }
            Operation::Delete {
                uid,
                revision,
                propagation,
                grace_period,
            } => {
                let options = DeleteOptions {
                    uid: Some(uid.to_string()),
                    resource_version: revision.map(|revision| revision.to_string()),
                    propagation: *propagation,
                    grace_period: *grace_period,
                    ..DeleteOptions::default()
                };
                core.delete(resource, key, &options)?;
            }
            Operation::Amend { uid, change } => {
                let now = core.now();
                core.amend(resource, key, DryRun::No, |object| {
                    if object["metadata"]["uid"] != **uid {
                        return Err(ApiError::not_found(resource, key.name()));
                    }
                    change(object, now);
                    Ok(())
                })?;
            }
        }
        Ok(())
    }
}
