use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube_client::api::{Api, PostParams};
use kube_client::{Client, Resource};
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use super::cache::Fetch;
use super::tokens::{Issue, IssuedToken};
use super::{LookupError, TokenReference};

/// How long an API server has to answer. A pod must not wait for one that hangs.
const LIMIT: Duration = Duration::from_secs(30);

/// Gets objects of a kind from an API server, as they are now.
pub(super) fn objects<K>(client: Option<Client>, kind: &'static str) -> Fetch<K>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + DeserializeOwned
        + Clone
        + std::fmt::Debug
        + Send
        + Sync
        + 'static,
{
    Box::new(move |namespace, name| {
        let client = client.clone();
        let get = async move {
            let unavailable =
                |name: String, reason: String| LookupError::Unavailable { kind, name, reason };
            let Some(client) = client else {
                let reason =
                    format!("couldn't get {kind} {namespace}/{name}, no kubeClient defined");
                return Err(unavailable(name, reason));
            };
            let api = Api::<K>::namespaced(client, &namespace);
            match in_time(api.get_opt(&name)).await {
                Ok(Some(object)) => Ok(Arc::new(object)),
                Ok(None) => Err(LookupError::NotFound { kind, name }),
                Err(reason) => Err(unavailable(name, reason)),
            }
        };
        get.boxed()
    })
}

/// Asks an API server for tokens.
pub(super) fn tokens(client: Option<Client>) -> Issue {
    Box::new(move |reference| {
        let client = client.clone();
        let issue = async move {
            let client = client
                .ok_or("cannot use TokenManager when kubelet is in standalone mode".to_owned())?;
            let accounts = Api::<ServiceAccount>::namespaced(client, &reference.namespace);
            let (name, request) = (&reference.service_account, request(&reference));
            let parameters = PostParams::default();
            let asked_at = Instant::now();
            let issue = accounts.create_token_request(name, &parameters, &request);
            let issued = in_time(issue).await?;
            let status = issued.status.unwrap_or_default();
            let Some(token) = status.token else {
                return Err("the answer has no token".to_owned());
            };
            let seconds = issued.spec.and_then(|spec| spec.expiration_seconds);
            let seconds = seconds.unwrap_or(reference.expiration_seconds);
            Ok(IssuedToken {
                token,
                asked_at,
                lifetime: Duration::from_secs(seconds.max(0).cast_unsigned()),
            })
        };
        issue.boxed()
    })
}

fn request(reference: &TokenReference) -> TokenRequest {
    let audience = Some(reference.audience.clone()).filter(|audience| !audience.is_empty());
    let spec = TokenRequestSpec {
        audiences: audience.map(|audience| vec![audience]),
        expiration_seconds: Some(reference.expiration_seconds),
        bound_object_ref: Some(BoundObjectReference {
            api_version: Some("v1".into()),
            kind: Some("Pod".into()),
            name: Some(reference.pod_name.clone()),
            uid: Some(reference.pod_uid.clone()),
        }),
    };
    TokenRequest {
        metadata: ObjectMeta::default(),
        spec: Some(spec),
        status: None,
    }
}

async fn in_time<T>(
    call: impl Future<Output = Result<T, kube_client::Error>>,
) -> Result<T, String> {
    match tokio::time::timeout(LIMIT, call).await {
        Ok(answer) => answer.map_err(|error| reason_of(&error)),
        Err(_) => Err(format!("no answer within {LIMIT:?}")),
    }
}

/// What an API server says, or why it does not.
fn reason_of(error: &kube_client::Error) -> String {
    match error {
        kube_client::Error::Api(status) => status.message.clone(),
        other => other.to_string(),
    }
}
