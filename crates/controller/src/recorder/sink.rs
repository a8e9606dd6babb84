//! Where events are written to.

use k8s_openapi::api::core::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube_client::api::{Patch, PatchParams, PostParams};
use kube_client::{Api, Client, Error};
use serde::Serialize;

/// Takes events for good: an API server, or a test.
///
/// A [`Client`] is one.
pub trait EventSink: Send + Sync + 'static {
    /// Creates an event and returns it as it was stored.
    ///
    /// # Errors
    ///
    /// [`Error::Api`] says that the event was refused; any other error, that it may be tried again.
    fn create(&self, event: &Event) -> impl Future<Output = Result<Event, Error>> + Send;

    /// Patches an event and returns it as it is stored.
    ///
    /// # Errors
    ///
    /// [`Error::Api`] with code 404 says that the event is gone; otherwise as of
    /// [`create`](Self::create).
    fn patch(
        &self,
        namespace: &str,
        name: &str,
        patch: &EventPatch,
    ) -> impl Future<Output = Result<Event, Error>> + Send;
}

/// What changes when an event happens again.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct EventPatch {
    /// How often it has happened.
    pub count: i32,
    /// When it happened last.
    pub last_timestamp: Option<Time>,
    /// What it said then; identical events differ in it only if they were combined.
    pub message: Option<String>,
}

impl EventPatch {
    pub(super) fn of(event: &Event) -> Self {
        Self {
            count: event.count.unwrap_or(1),
            last_timestamp: event.last_timestamp.clone(),
            message: event.message.clone(),
        }
    }
}

impl EventSink for Client {
    async fn create(&self, event: &Event) -> Result<Event, Error> {
        let namespace = event.metadata.namespace.as_deref().unwrap_or_default();
        let events = Api::namespaced(self.clone(), namespace);
        events.create(&PostParams::default(), event).await
    }

    async fn patch(&self, namespace: &str, name: &str, patch: &EventPatch) -> Result<Event, Error> {
        let events: Api<Event> = Api::namespaced(self.clone(), namespace);
        let patch = Patch::Strategic(patch);
        events.patch(name, &PatchParams::default(), &patch).await
    }
}
