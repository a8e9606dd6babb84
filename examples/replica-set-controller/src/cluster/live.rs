use std::fmt;
use std::time::Duration;

use k8s_openapi::api::apps::v1::{ReplicaSet, ReplicaSetStatus};
use k8s_openapi::api::core::v1::Pod;
use kube_client::core::params::{DeleteParams, GetParams, PostParams};
use kube_client::core::{Request, Resource, request};
use kube_client::{Client, Error};
use kubewright_cache::{Object, ObjectKey, ResourceVersion};
use kubewright_controller::{EventRecorder, EventType, reference};
use serde::de::{DeserializeOwned, Error as _, IgnoredAny};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::time::timeout;

use crate::cluster::{Cluster, Written};
use crate::event::SetEvent;
use crate::new_pod::NewPod;
use crate::owner::{API_VERSION, KIND, OwnerPatch};

/// A cluster behind an API server.
///
/// Bodies go out as the bytes they are, and of the answers only the name and the version are
/// read: neither pods nor sets are ever decoded.
pub struct LiveCluster {
    client: Client,
    recorder: EventRecorder,
    timeout: Duration,
}

impl LiveCluster {
    /// The cluster that `client` talks to, each call for at most `timeout`.
    pub const fn new(client: Client, recorder: EventRecorder, timeout: Duration) -> Self {
        Self {
            client,
            recorder,
            timeout,
        }
    }

    async fn send<T: DeserializeOwned>(
        &self,
        request: Result<http::Request<Vec<u8>>, request::Error>,
    ) -> Result<T, Error> {
        let request = request.map_err(Error::BuildRequest)?;
        self.in_time(self.client.request(request)).await
    }

    /// A connection that went silent costs a set one attempt, and not its worker for ever.
    async fn in_time<T>(&self, call: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let answered = timeout(self.timeout, call).await;
        answered.unwrap_or_else(|elapsed| Err(Error::Service(elapsed.into())))
    }
}

impl Cluster for LiveCluster {
    async fn create_pod(&self, namespace: &str, pod: &NewPod) -> Result<Written, Error> {
        let request = pods(Some(namespace)).create(&PostParams::default(), pod.body().to_vec());
        Ok(self.send::<Ack>(request).await?.into())
    }

    async fn delete_pod(&self, pod: &ObjectKey) -> Result<(), Error> {
        let request = pods(pod.namespace()).delete(pod.name(), &DeleteParams::default());
        self.send::<IgnoredAny>(request).await.map(drop)
    }

    async fn patch_pod(&self, pod: &ObjectKey, patch: &OwnerPatch) -> Result<Written, Error> {
        let path = format!("{}/{}?", pods(pod.namespace()).url_path, pod.name());
        let request = http::Request::patch(path)
            .header(
                http::header::CONTENT_TYPE,
                "application/strategic-merge-patch+json",
            )
            .body(patch.body().to_vec())
            .map_err(request::Error::BuildRequest);
        Ok(self.send::<Ack>(request).await?.into())
    }

    async fn get_replica_set(&self, set: &ObjectKey) -> Result<Object<ReplicaSet>, Error> {
        let request = sets(set.namespace())
            .get(set.name(), &GetParams::default())
            .map_err(Error::BuildRequest)?;
        let body = self.in_time(self.client.request_text(request)).await?;
        Object::from_json(body.as_bytes())
            .map_err(|error| Error::SerdeError(serde_json::Error::custom(error)))
    }

    async fn update_status(
        &self,
        current: &Object<ReplicaSet>,
        status: &ReplicaSetStatus,
    ) -> Result<Written, Error> {
        let body = with_status(&current.body(), status).map_err(Error::SerdeError)?;
        let key = current.key();
        let request = sets(key.namespace()).replace_subresource(
            "status",
            key.name(),
            &PostParams::default(),
            body,
        );
        Ok(self.send::<Ack>(request).await?.into())
    }

    fn record(&self, set: &Object<ReplicaSet>, event: &SetEvent<'_>) {
        let kind = match event.is_warning() {
            true => EventType::Warning,
            false => EventType::Normal,
        };
        let message = event.to_string();
        self.recorder
            .record(&reference(set), kind, event.reason(), message);
    }
}

impl fmt::Debug for LiveCluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LiveCluster").finish_non_exhaustive()
    }
}

fn pods(namespace: Option<&str>) -> Request {
    Request::new(Pod::url_path(&(), namespace))
}

fn sets(namespace: Option<&str>) -> Request {
    Request::new(ReplicaSet::url_path(&(), namespace))
}

/// The set whose JSON is `body`, unchanged but for its status.
fn with_status(body: &str, status: &ReplicaSetStatus) -> Result<Vec<u8>, serde_json::Error> {
    let kept: Kept<'_> = serde_json::from_str(body)?;
    serde_json::to_vec(&StatusUpdate {
        // Lists leave these out of their items.
        api_version: API_VERSION,
        kind: KIND,
        metadata: kept.metadata,
        spec: kept.spec,
        status,
    })
}

#[derive(Deserialize)]
struct Kept<'a> {
    #[serde(borrow)]
    metadata: &'a RawValue,
    #[serde(borrow)]
    spec: Option<&'a RawValue>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StatusUpdate<'a> {
    api_version: &'static str,
    kind: &'static str,
    metadata: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    spec: Option<&'a RawValue>,
    status: &'a ReplicaSetStatus,
}

/// What is read of the answer to a write.
#[derive(Deserialize)]
struct Ack {
    metadata: AckMetadata,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AckMetadata {
    name: String,
    resource_version: String,
}

impl From<Ack> for Written {
    fn from(Ack { metadata }: Ack) -> Self {
        Self {
            name: metadata.name,
            resource_version: ResourceVersion::from(metadata.resource_version.as_str()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_status_changes() {
        let body = r#"{"metadata":{"name":"web","labels":{"a":"b"}},
            "spec":{"replicas":2,"fromTheFuture":{"x":1}},"status":{"replicas":9}}"#;
        let status = ReplicaSetStatus {
            replicas: 1,
            ..ReplicaSetStatus::default()
        };
        let updated = with_status(body, &status).unwrap();
        let updated: serde_json::Value = serde_json::from_slice(&updated).unwrap();
        assert_eq!(
            updated,
            serde_json::json!({
                "apiVersion": "apps/v1",
                "kind": "ReplicaSet",
                "metadata": {"name": "web", "labels": {"a": "b"}},
                "spec": {"replicas": 2, "fromTheFuture": {"x": 1}},
                "status": {"replicas": 1},
            })
        );
    }
}
