use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use http::{HeaderMap, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Limited};
use k8s_openapi::api::core::v1::Pod;
use kube_client::Client;
use kube_client::client::Body;

use crate::source::manifest::Manifests;

/// The longest body. No node has room for as many pods.
const MAX_LENGTH: usize = 10 << 20;

/// How long an answer may take, its body included.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Asks a URL for pods, again and again.
pub(super) struct Poll {
    url: String,
    uri: Uri,
    headers: HeaderMap,
    manifests: Manifests,
    /// Made when it is first needed, in the runtime that will use it.
    client: Option<Client>,
    /// The last body.
    last: Option<Vec<u8>>,
}

/// What came of asking.
pub(super) struct Polled {
    /// What is wanted, if that is known anew.
    pub(super) pods: Option<Vec<Arc<Pod>>>,
    /// What went wrong.
    pub(super) failure: Option<anyhow::Error>,
}

impl Poll {
    pub(super) fn new(url: String, uri: Uri, headers: HeaderMap, node_name: String) -> Self {
        Self {
            url,
            uri,
            headers,
            manifests: Manifests::new(node_name),
            client: None,
            last: None,
        }
    }

    /// Asks once.
    pub(super) async fn once(&mut self) -> Polled {
        let answer = match tokio::time::timeout(TIMEOUT, self.get()).await {
            Ok(answer) => answer,
            Err(_) => Err(anyhow!("no answer within {TIMEOUT:?}")),
        };
        match answer.with_context(|| self.url.clone()) {
            Ok(body) => self.interpret(body),
            Err(error) => Polled {
                pods: None,
                failure: Some(error),
            },
        }
    }

    fn interpret(&mut self, body: Vec<u8>) -> Polled {
        if body.is_empty() {
            self.last = None;
            return Polled {
                pods: Some(Vec::new()),
                failure: Some(anyhow!("zero-length data received from {}", self.url)),
            };
        }
        if self.last.as_ref() == Some(&body) {
            return Polled {
                pods: None,
                failure: None,
            };
        }
        let pods = self.manifests.from_url(&self.url, &body);
        self.last = Some(body);
        match pods {
            Ok(pods) => Polled {
                pods: Some(pods.into_iter().map(Arc::new).collect()),
                failure: None,
            },
            Err(error) => Polled {
                pods: None,
                failure: Some(anyhow::Error::new(error).context(self.url.clone())),
            },
        }
    }

    async fn get(&mut self) -> anyhow::Result<Vec<u8>> {
        let path = self.uri.path_and_query().map_or("/", |path| path.as_str());
        let mut request = Request::get(path).body(Body::empty())?;
        for (name, value) in &self.headers {
            request.headers_mut().append(name, value.clone());
        }
        let response = self.client()?.send(request).await?;
        let status = response.status();
        if let Some(elsewhere) = response.headers().get(header::LOCATION)
            && status.is_redirection()
        {
            let elsewhere = elsewhere.to_str().unwrap_or_default();
            bail!("{status} to {elsewhere:?}, which is not followed");
        }
        if status != StatusCode::OK {
            bail!("{status}");
        }
        let body = Limited::new(response.into_body(), MAX_LENGTH)
            .collect()
            .await;
        let body = body
            .map_err(|error| anyhow!(error))
            .context("the body cannot be read")?;
        Ok(body.to_bytes().to_vec())
    }

    fn client(&mut self) -> anyhow::Result<Client> {
        if let Some(client) = &self.client {
            return Ok(client.clone());
        }
        let mut base = self.uri.clone().into_parts();
        base.path_and_query = Some("/".parse()?);
        let mut config = kube_client::Config::new(Uri::from_parts(base)?);
        // The next period is soon enough.
        config.default_retry = false;
        let client = Client::try_from(config)?;
        Ok(self.client.insert(client).clone())
    }
}

/// Headers may hold secrets.
impl fmt::Debug for Poll {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<_> = self.headers.keys().collect();
        f.debug_struct("Poll")
            .field("url", &self.url)
            .field("headers", &headers)
            .finish_non_exhaustive()
    }
}
