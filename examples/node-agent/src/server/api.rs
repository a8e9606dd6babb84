use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Incoming;
use k8s_openapi::api::core::v1::Pod;
use kubewright_clock::Clock;
use serde::Serialize;
use serde_json::json;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::causes::with_causes;
use crate::pod::{PodName, PodUid, containers};
use crate::server::answer::{self, Answer};
use crate::server::listener::Service;
use crate::server::log_query::log_options;
use crate::server::metrics::Labels;
use crate::server::query::Query;
use crate::server::route::{Endpoint, Parameters, Reach, Route, is_said_to_be_disabled};
use crate::server::streaming::Streaming;
use crate::server::{Access, HealthChecks, HostError, HttpMetrics, Refusal, ServerHost, User};

/// How long an answer waits for the first of a log.
const SILENCE: Duration = Duration::from_secs(1);

/// The API of the agent: who is let in gets what the host has.
pub(super) struct Api<H> {
    pub(super) host: Arc<H>,
    /// Who is let in; none for everybody, who then may read what is open.
    pub(super) access: Option<Access>,
    pub(super) debugging: bool,
    pub(super) health: HealthChecks,
    pub(super) metrics: HttpMetrics,
    pub(super) streaming: Streaming,
    pub(super) clock: Clock,
    /// Ends what would not end by itself.
    pub(super) stop: CancellationToken,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PodList<'p, P> {
    kind: &'static str,
    api_version: &'static str,
    metadata: serde_json::Value,
    items: &'p [P],
}

impl<H: ServerHost> Service for Api<H> {
    async fn answer(&self, request: Request<Incoming>, client: Option<&User>) -> Answer {
        let path = request.uri().path();
        let labels = Labels::of(request.method(), path, self.access.is_none());
        let _in_flight = self.metrics.begin(labels);
        match self.admit(request, client).await {
            Ok(request) => self.route(request).await,
            Err(refusal) => answer::text(status_of(&refusal), refusal.to_string()),
        }
    }
}

impl<H: ServerHost> Api<H> {
    async fn admit(
        &self,
        request: Request<Incoming>,
        client: Option<&User>,
    ) -> Result<Request<Incoming>, Refusal> {
        let Some(access) = &self.access else {
            return Ok(request);
        };
        let (head, body) = request.into_parts();
        access.admit(&head, client).await?;
        Ok(Request::from_parts(head, body))
    }

    async fn route(&self, request: Request<Incoming>) -> Answer {
        let path = request.uri().path();
        if !self.debugging && is_said_to_be_disabled(path) {
            let text = "Debug endpoints are disabled.\n";
            return answer::text(StatusCode::METHOD_NOT_ALLOWED, text);
        }
        let Some(route) = Route::of(path) else {
            return answer::not_found();
        };
        if !self.debugging && route.reach != Reach::Everywhere {
            return answer::not_found();
        }
        let method = request.method().as_str();
        if !route.methods.is_empty() && !route.methods.contains(&method) {
            return answer::method_not_allowed(route.methods);
        }
        let query = Query::of(request.uri().query());
        let parameters = route.parameters;
        let is_head = request.method() == Method::HEAD;
        let answer = match route.endpoint {
            Endpoint::Healthz => {
                let check = parameters.rest.as_deref();
                self.health.answer("healthz", check, &query)
            }
            Endpoint::Pods => pod_list(&self.host.pods()),
            Endpoint::RunningPods => match self.host.running_pods().await {
                Ok(pods) => pod_list(&pods),
                Err(error) => answer::failed(StatusCode::INTERNAL_SERVER_ERROR, &error),
            },
            Endpoint::StatsSummary => match self.host.stats().await {
                Ok(summary) => answer::json(&summary),
                Err(error) => answer::failed(StatusCode::INTERNAL_SERVER_ERROR, &error),
            },
            Endpoint::Metrics => answer::metrics(self.host.metrics()),
            Endpoint::ProbeMetrics => answer::metrics(self.host.probe_metrics()),
            Endpoint::ResourceMetrics => {
                let stats = self.host.stats().await;
                if let Err(error) = &stats {
                    tracing::warn!(error = with_causes(error), "no statistics");
                }
                answer::metrics(crate::server::stats::metrics(stats.ok().as_ref()))
            }
            Endpoint::Configz => answer::json(&json!({"kubeletconfig": self.host.configuration()})),
            Endpoint::ContainerLogs => self.container_logs(&parameters, &query).await,
            Endpoint::Run => self.run(&parameters, &query).await,
            Endpoint::Exec => self.exec(request, &parameters, &query).await,
            Endpoint::Attach => self.attach(request, &parameters, &query).await,
            Endpoint::PortForward => self.port_forward(request, &parameters, &query).await,
            Endpoint::Unsupported(what) => {
                let text = format!("{what} are not supported by this agent\n");
                answer::text(StatusCode::NOT_IMPLEMENTED, text)
            }
        };
        if is_head {
            return answer.map(|_| answer::body(""));
        }
        answer
    }

    async fn container_logs(&self, parameters: &Parameters, query: &Query) -> Answer {
        let options = match log_options(query, self.clock.now()) {
            Ok(options) => options,
            Err((status, text)) => return answer::text(status, text),
        };
        let (name, container) = (&parameters.pod, &parameters.container);
        let Some(pod) = self.host.pod_named(&parameters.pod_name()) else {
            let text = format!("pod {name:?} does not exist");
            return answer::text(StatusCode::NOT_FOUND, text);
        };
        if !containers(&pod).any(|known| known.spec.name == *container) {
            let text = format!("container {container:?} not found in pod {name:?}");
            return answer::text(StatusCode::NOT_FOUND, text);
        }
        let mut chunks = match self.host.container_log(&pod, container, &options).await {
            Ok(chunks) => chunks,
            Err(error) => return answer::failed(StatusCode::BAD_REQUEST, &error),
        };
        // What is wrong from the start is told in words. A container that is silent has time, but its
        // client learns that it is followed.
        let first = match timeout(SILENCE, chunks.next()).await {
            Ok(Some(Err(error))) => {
                return answer::failed(StatusCode::BAD_REQUEST, &HostError::Log(error));
            }
            Ok(first) => first,
            Err(_) => None,
        };
        let frames = stream::iter(first)
            .chain(chunks)
            .inspect_err(|error| tracing::warn!(error = with_causes(error), "a log ends early"))
            .take_until(self.stop.clone().cancelled_owned())
            .map(|chunk| chunk.map(Frame::data).map_err(Into::into));
        let mut answer = Response::new(StreamBody::new(frames).boxed_unsync());
        let content_type = HeaderValue::from_static("text/plain; charset=utf-8");
        answer.headers_mut().insert(CONTENT_TYPE, content_type);
        answer
    }

    async fn run(&self, parameters: &Parameters, query: &Query) -> Answer {
        let pod = match self.pod(parameters) {
            Ok(pod) => pod,
            Err(why) => return answer::text(StatusCode::NOT_FOUND, why),
        };
        // Unlike exec's, the command is one parameter.
        let command = query.first("cmd").unwrap_or_default();
        let command = command.split(' ').map(str::to_owned).collect();
        let container = &parameters.container;
        match self.host.run_in_container(&pod, container, command).await {
            Ok(output) => answer::typed(StatusCode::OK, "application/json", output),
            Err(error) => answer::failed(StatusCode::INTERNAL_SERVER_ERROR, &error),
        }
    }

    async fn exec(
        &self,
        request: Request<Incoming>,
        parameters: &Parameters,
        query: &Query,
    ) -> Answer {
        let streams = match query.streams() {
            Ok(streams) => streams,
            Err(why) => return answer::text(StatusCode::BAD_REQUEST, why),
        };
        let pod = match self.pod(parameters) {
            Ok(pod) => pod,
            Err(why) => return answer::text(StatusCode::NOT_FOUND, why),
        };
        let command = query.all("command").map(str::to_owned).collect();
        let container = &parameters.container;
        let url = self.host.exec_url(&pod, container, command, streams).await;
        self.stream(request, url).await
    }

    async fn attach(
        &self,
        request: Request<Incoming>,
        parameters: &Parameters,
        query: &Query,
    ) -> Answer {
        let streams = match query.streams() {
            Ok(streams) => streams,
            Err(why) => return answer::text(StatusCode::BAD_REQUEST, why),
        };
        let pod = match self.pod(parameters) {
            Ok(pod) => pod,
            Err(why) => return answer::text(StatusCode::NOT_FOUND, why),
        };
        let url = self
            .host
            .attach_url(&pod, &parameters.container, streams)
            .await;
        self.stream(request, url).await
    }

    async fn port_forward(
        &self,
        request: Request<Incoming>,
        parameters: &Parameters,
        query: &Query,
    ) -> Answer {
        let ports = match query.ports(request.headers()) {
            Ok(ports) => ports,
            Err(why) => return answer::text(StatusCode::BAD_REQUEST, why),
        };
        let pod = match self.pod(parameters) {
            Ok(pod) => pod,
            Err(why) => return answer::text(StatusCode::NOT_FOUND, why),
        };
        let url = self.host.port_forward_url(&pod, ports).await;
        self.stream(request, url).await
    }

    async fn stream(&self, request: Request<Incoming>, url: Result<String, HostError>) -> Answer {
        match url {
            Ok(url) => self.streaming.proxy(request, &url).await,
            Err(error) => answer::failed(error.status(), &error),
        }
    }

    /// The pod that a path names, if its uid is that of the path.
    fn pod(&self, parameters: &Parameters) -> Result<Arc<Pod>, &'static str> {
        let pod = self.host.pod_named(&parameters.pod_name());
        let pod = pod.ok_or("pod does not exist")?;
        match &parameters.uid {
            Some(uid) if self.host.resolve_uid(PodUid::new(uid.as_str())) != PodUid::of(&pod) => {
                Err("pod not found")
            }
            _ => Ok(pod),
        }
    }
}

impl Parameters {
    fn pod_name(&self) -> PodName {
        PodName::new(self.namespace.as_str(), self.pod.as_str())
    }
}

fn pod_list<P: Serialize>(items: &[P]) -> Answer {
    answer::json(&PodList {
        kind: "PodList",
        api_version: "v1",
        metadata: json!({}),
        items,
    })
}

fn status_of(refusal: &Refusal) -> StatusCode {
    match refusal {
        Refusal::Unauthorized => StatusCode::UNAUTHORIZED,
        Refusal::Forbidden { .. } => StatusCode::FORBIDDEN,
        Refusal::Unknown { .. } => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
