//! A cluster that does nothing but remember, and fail where it is told to.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use k8s_openapi::api::apps::v1::{ReplicaSet, ReplicaSetStatus};
use kube_client::Error;
use kube_client::core::Status;
use kube_client::core::response::{StatusCause, StatusDetails};
use kubewright_cache::{Object, ObjectKey, ResourceVersion};
use replica_set_controller::{Cluster, NewPod, OwnerPatch, SetEvent, Written};
use serde_json::Value;
use tokio::time::sleep;

use crate::fixtures::object;

/// An API call, in the order in which they are made.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Call {
    /// POST of a pod, by its namespace.
    Create(String, Value),
    /// DELETE of a pod.
    Delete(String),
    /// PATCH of a pod.
    Patch(String, Value),
    /// GET of a set.
    Get(String),
    /// PUT of a set's status: the set, the version it builds on, and the status.
    UpdateStatus(String, String, ReplicaSetStatus),
}

/// Which calls fail, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failing {
    Creates(Failure),
    /// All creates after so many.
    CreatesAfter(usize),
    Deletes(Failure),
    /// The delete of one pod.
    DeleteOf(&'static str, Failure),
    Patches(Failure),
    StatusUpdates(Failure),
}

/// An answer of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// 500, `fake Error`.
    Internal,
    NotFound,
    Invalid,
    Conflict,
    /// 403 because the namespace goes away.
    NamespaceTerminating,
}

impl Failure {
    pub(crate) fn error(self) -> Error {
        let (code, reason, message) = match self {
            Self::Internal => (500, "InternalError", "fake Error"),
            Self::NotFound => (404, "NotFound", "not found"),
            Self::Invalid => (422, "Invalid", "the uid does not match"),
            Self::Conflict => (409, "Conflict", "the object has been modified"),
            Self::NamespaceTerminating => (403, "Forbidden", "the namespace is being terminated"),
        };
        let mut status = Status::failure(message, reason).with_code(code);
        if self == Self::NamespaceTerminating {
            status.details = Some(StatusDetails {
                causes: vec![StatusCause {
                    reason: "NamespaceTerminating".into(),
                    message: String::new(),
                    field: String::new(),
                }],
                name: String::new(),
                group: String::new(),
                kind: "namespaces".into(),
                uid: String::new(),
                retry_after_seconds: 0,
            });
        }
        Error::Api(status.boxed())
    }
}

#[derive(Default)]
struct State {
    calls: Vec<Call>,
    events: Vec<String>,
    failing: Vec<Failing>,
    live: HashMap<String, Object<ReplicaSet>>,
    status_takes: Duration,
    version: u64,
    created: usize,
}

/// The cluster; clones are the same.
#[derive(Clone, Default)]
pub(crate) struct Recorded {
    state: Arc<Mutex<State>>,
}

impl Recorded {
    /// What was called since the last [`Recorded::clear`].
    pub(crate) fn calls(&self) -> Vec<Call> {
        self.state.lock().unwrap().calls.clone()
    }

    /// The events recorded since then, as `Type Reason message`.
    pub(crate) fn events(&self) -> Vec<String> {
        self.state.lock().unwrap().events.clone()
    }

    /// Forgets what was called, and lets everything succeed.
    pub(crate) fn clear(&self) {
        let mut state = self.state.lock().unwrap();
        state.calls.clear();
        state.events.clear();
        state.failing.clear();
        state.created = 0;
    }

    /// Lets calls fail from now on.
    pub(crate) fn fail(&self, failing: Failing) {
        self.state.lock().unwrap().failing.push(failing);
    }

    /// What a GET of the set answers from now on.
    pub(crate) fn serve(&self, set: &ReplicaSet) {
        let set = object(set);
        let key = set.key().to_string();
        self.state.lock().unwrap().live.insert(key, set);
    }

    /// How long an update of a status takes from now on.
    pub(crate) fn let_status_take(&self, how_long: Duration) {
        self.state.lock().unwrap().status_takes = how_long;
    }

    /// The last writes go on from this version.
    pub(crate) fn set_version(&self, version: u64) {
        self.state.lock().unwrap().version = version;
    }

    fn call(
        &self,
        call: Call,
        failure: impl Fn(&State, Failing) -> Option<Failure>,
        name: &str,
    ) -> Result<Written, Error> {
        let mut state = self.state.lock().unwrap();
        state.calls.push(call);
        let failing = state.failing.iter();
        if let Some(failure) = failing.filter_map(|it| failure(&state, *it)).next() {
            return Err(failure.error());
        }
        state.version += 1;
        Ok(Written {
            name: name.to_owned(),
            resource_version: ResourceVersion::from(state.version),
        })
    }
}

impl Cluster for Recorded {
    async fn create_pod(&self, namespace: &str, pod: &NewPod) -> Result<Written, Error> {
        let pod: Value = serde_json::from_slice(pod.body()).unwrap();
        let number = {
            let mut state = self.state.lock().unwrap();
            state.created += 1;
            state.created
        };
        let prefix = pod["metadata"]["generateName"].as_str().unwrap().to_owned();
        self.call(
            Call::Create(namespace.to_owned(), pod),
            |_, failing| match failing {
                Failing::Creates(failure) => Some(failure),
                Failing::CreatesAfter(limit) if number > limit => Some(Failure::Internal),
                _ => None,
            },
            &format!("{prefix}{number}"),
        )
    }

    async fn delete_pod(&self, pod: &ObjectKey) -> Result<(), Error> {
        let fails = |_: &State, failing| match failing {
            Failing::Deletes(failure) => Some(failure),
            Failing::DeleteOf(name, failure) if name == pod.name() => Some(failure),
            _ => None,
        };
        self.call(Call::Delete(pod.to_string()), fails, "")
            .map(drop)
    }

    async fn patch_pod(&self, pod: &ObjectKey, patch: &OwnerPatch) -> Result<Written, Error> {
        let patch = serde_json::from_slice(patch.body()).unwrap();
        let fails = |_: &State, failing| match failing {
            Failing::Patches(failure) => Some(failure),
            _ => None,
        };
        self.call(Call::Patch(pod.to_string(), patch), fails, pod.name())
    }

    async fn get_replica_set(&self, set: &ObjectKey) -> Result<Object<ReplicaSet>, Error> {
        let mut state = self.state.lock().unwrap();
        state.calls.push(Call::Get(set.to_string()));
        let live = state.live.get(set.as_str()).cloned();
        live.ok_or_else(|| Failure::NotFound.error())
    }

    async fn update_status(
        &self,
        current: &Object<ReplicaSet>,
        status: &ReplicaSetStatus,
    ) -> Result<Written, Error> {
        let meta = current.meta();
        let call = Call::UpdateStatus(
            meta.key().to_string(),
            meta.resource_version().to_string(),
            status.clone(),
        );
        let fails = |_: &State, failing| match failing {
            Failing::StatusUpdates(failure) => Some(failure),
            _ => None,
        };
        let outcome = self.call(call, fails, meta.name());
        let takes = self.state.lock().unwrap().status_takes;
        sleep(takes).await;
        outcome
    }

    fn record(&self, _set: &Object<ReplicaSet>, event: &SetEvent<'_>) {
        let kind = if event.is_warning() {
            "Warning"
        } else {
            "Normal"
        };
        let event = format!("{kind} {} {event}", event.reason());
        self.state.lock().unwrap().events.push(event);
    }
}
