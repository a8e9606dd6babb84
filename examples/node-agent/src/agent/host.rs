use std::sync::Arc;

use k8s_openapi::api::core::v1::{Pod, PodStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kubewright_cri::v1::{AttachRequest, ExecRequest};
use serde_json::Value;

use super::metrics::Metrics;
use super::parts::Parts;
use crate::log::{LogChunks, LogOptions, container_log, container_to_read};
use crate::pod::{PodName, PodUid};
use crate::runtime::{ListedPod, PodRuntime as _, RuntimeState};
use crate::server::{HostError, HttpMetrics, ServerHost, Streams, Summary, summary};

/// How long a command may take that is run to its end for a client.
const RUN_LIMIT: std::time::Duration = std::time::Duration::from_secs(120);

/// What the servers of an agent ask of it.
pub(super) struct Host {
    parts: Arc<Parts>,
    metrics: Metrics,
}

impl Host {
    pub(super) fn new(parts: Arc<Parts>) -> Self {
        let metrics = Metrics::new(parts.clone());
        Self { parts, metrics }
    }

    pub(super) fn http_metrics(&self) -> HttpMetrics {
        self.metrics.http()
    }

    /// What the runtime calls the running container of a name.
    async fn running_container(&self, pod: &Pod, name: &str) -> Result<String, HostError> {
        let observed = self
            .parts
            .runtime
            .observe(&PodUid::of(pod), &PodName::of(pod))
            .await?;
        let mut found = observed.containers.iter();
        let found = found
            .find(|container| &*container.name == name && container.state == RuntimeState::Running);
        let found = found.ok_or_else(|| HostError::no_container(name))?;
        Ok(found.id.id.to_string())
    }
}

impl ServerHost for Host {
    fn pods(&self) -> Vec<Arc<Pod>> {
        let pods: Vec<_> = self.parts.pods.lock().pods().cloned().collect();
        let current = pods.into_iter().map(|pod| {
            let status = self.parts.statuses.status(&PodUid::of(&pod));
            match status {
                Some(status) => Arc::new(Pod {
                    status: Some(PodStatus::clone(&status)),
                    ..Pod::clone(&pod)
                }),
                None => pod,
            }
        });
        current.collect()
    }

    fn pod_named(&self, name: &PodName) -> Option<Arc<Pod>> {
        self.parts.pods.lock().pod_named(name).cloned()
    }

    fn resolve_uid(&self, uid: PodUid) -> PodUid {
        self.parts.pods.lock().resolve(&uid)
    }

    async fn running_pods(&self) -> Result<Vec<Pod>, HostError> {
        let listed = self.parts.runtime.list_pods().await?;
        let running = listed.into_iter().filter(ListedPod::is_running);
        let pods = running.map(|listed| {
            let running = listed.containers.iter();
            let running = running.filter(|container| container.state == RuntimeState::Running);
            let containers = running.map(|container| k8s_openapi::api::core::v1::Container {
                name: container.name.to_string(),
                image: Some(container.image_id.to_string()),
                ..Default::default()
            });
            let spec = k8s_openapi::api::core::v1::PodSpec {
                containers: containers.collect(),
                ..Default::default()
            };
            Pod {
                metadata: ObjectMeta {
                    name: Some(listed.name.name.to_string()),
                    namespace: Some(listed.name.namespace.to_string()),
                    uid: Some(listed.uid.to_string()),
                    ..ObjectMeta::default()
                },
                spec: Some(spec),
                status: None,
            }
        });
        Ok(pods.collect())
    }

    async fn container_log(
        &self,
        pod: &Arc<Pod>,
        container: &str,
        options: &LogOptions,
    ) -> Result<LogChunks, HostError> {
        let name = pod.metadata.name.as_deref().unwrap_or_default();
        let status = self.parts.last_status(pod);
        let id = container_to_read(name, &status, container, options.previous)?;
        // `containerd://0123…`
        let id = id.split_once("://").map_or(id, |(_, id)| id);
        Ok(container_log(self.parts.runtime.runtime(), id, options).await?)
    }

    async fn run_in_container(
        &self,
        pod: &Arc<Pod>,
        container: &str,
        command: Vec<String>,
    ) -> Result<Vec<u8>, HostError> {
        let id = self.running_container(pod, container).await?;
        let runtime = &self.parts.runtime;
        let ended = runtime
            .exec_in_container(&id, command, Some(RUN_LIMIT))
            .await?;
        let mut output = ended.stdout;
        output.extend(&ended.stderr);
        Ok(output)
    }

    async fn exec_url(
        &self,
        pod: &Arc<Pod>,
        container: &str,
        command: Vec<String>,
        streams: Streams,
    ) -> Result<String, HostError> {
        let request = ExecRequest {
            container_id: self.running_container(pod, container).await?,
            cmd: command,
            tty: streams.tty,
            stdin: streams.stdin,
            stdout: streams.stdout,
            stderr: streams.stderr,
        };
        Ok(self.parts.runtime.exec_url(request).await?)
    }

    async fn attach_url(
        &self,
        pod: &Arc<Pod>,
        container: &str,
        streams: Streams,
    ) -> Result<String, HostError> {
        let request = AttachRequest {
            container_id: self.running_container(pod, container).await?,
            tty: streams.tty,
            stdin: streams.stdin,
            stdout: streams.stdout,
            stderr: streams.stderr,
        };
        Ok(self.parts.runtime.attach_url(request).await?)
    }

    async fn port_forward_url(&self, pod: &Arc<Pod>, ports: Vec<u16>) -> Result<String, HostError> {
        let observed = self
            .parts
            .runtime
            .observe(&PodUid::of(pod), &PodName::of(pod))
            .await?;
        let sandbox = observed.sandboxes.iter().find(|sandbox| sandbox.is_ready);
        let sandbox = sandbox.ok_or_else(|| {
            HostError::NotFound(format!("no running sandbox of pod {}", PodName::of(pod)))
        })?;
        let ports = ports.into_iter().map(i32::from).collect();
        Ok(self
            .parts
            .runtime
            .port_forward_url(&sandbox.id, ports)
            .await?)
    }

    async fn stats(&self) -> Result<Summary, HostError> {
        let node = &self.parts.config.node_name;
        Ok(summary(self.parts.runtime.runtime(), node).await?)
    }

    fn metrics(&self) -> String {
        self.metrics.text()
    }

    fn probe_metrics(&self) -> String {
        self.metrics.probes()
    }

    fn configuration(&self) -> Value {
        super::metrics::configuration(&self.parts.config)
    }
}
