use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream;
use k8s_openapi::api::core::v1::Pod;
use node_agent::log::{LogChunks, LogOptions};
use node_agent::pod::{PodName, PodUid};
use node_agent::server::{HostError, ServerHost, Streams, Summary, summary};
use parking_lot::Mutex;
use serde_json::{Value, json};

/// The uid of the pod that there is.
pub(crate) const UID: &str = "9b01b80f-8fb4-11e4-95ab-4200af06647";

/// What a host was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    Log(String, String, LogOptions),
    Run(String, String, Vec<String>),
    Exec(String, String, Vec<String>, Streams),
    Attach(String, String, Streams),
    PortForward(String, Vec<u16>),
}

/// A host of one pod, `foo` in `other` with a container `baz`, that notes what it is asked for.
pub(crate) struct FakeHost {
    pub(crate) asked: Mutex<Vec<Asked>>,
    /// Where the runtime streams.
    pub(crate) url: Mutex<Result<String, String>>,
    pub(crate) log: Mutex<Box<dyn Fn() -> Result<LogChunks, HostError> + Send>>,
    pub(crate) output: Result<&'static str, &'static str>,
}

impl Default for FakeHost {
    fn default() -> Self {
        let log = || Ok(stream::iter([Ok(Bytes::from("foo bar"))]).boxed());
        Self {
            asked: Mutex::default(),
            url: Mutex::new(Err("nobody streams".to_owned())),
            log: Mutex::new(Box::new(log)),
            output: Ok("foo bar"),
        }
    }
}

impl FakeHost {
    pub(crate) fn streaming_at(url: impl Into<String>) -> Self {
        Self {
            url: Mutex::new(Ok(url.into())),
            ..Self::default()
        }
    }

    fn note(&self, asked: Asked) {
        self.asked.lock().push(asked);
    }

    fn url(&self) -> Result<String, HostError> {
        self.url.lock().clone().map_err(HostError::Failed)
    }
}

impl ServerHost for FakeHost {
    fn pods(&self) -> Vec<Arc<Pod>> {
        vec![pod()]
    }

    fn pod_named(&self, name: &PodName) -> Option<Arc<Pod>> {
        (PodName::of(&pod()) == *name).then(pod)
    }

    fn resolve_uid(&self, uid: PodUid) -> PodUid {
        match uid.as_str() {
            "of-the-mirror" => PodUid::new(UID),
            _ => uid,
        }
    }

    async fn running_pods(&self) -> Result<Vec<Pod>, HostError> {
        Ok(vec![Pod::clone(&pod())])
    }

    async fn container_log(
        &self,
        pod: &Arc<Pod>,
        container: &str,
        options: &LogOptions,
    ) -> Result<LogChunks, HostError> {
        self.note(Asked::Log(name(pod), container.to_owned(), options.clone()));
        (self.log.lock())()
    }

    async fn run_in_container(
        &self,
        pod: &Arc<Pod>,
        container: &str,
        command: Vec<String>,
    ) -> Result<Vec<u8>, HostError> {
        self.note(Asked::Run(name(pod), container.to_owned(), command));
        let output = self.output.map(|output| output.as_bytes().to_vec());
        output.map_err(|why| HostError::Failed(why.to_owned()))
    }

    async fn exec_url(
        &self,
        pod: &Arc<Pod>,
        container: &str,
        command: Vec<String>,
        streams: Streams,
    ) -> Result<String, HostError> {
        let container = container.to_owned();
        self.note(Asked::Exec(name(pod), container.clone(), command, streams));
        match container.as_str() {
            "baz" => self.url(),
            other => Err(HostError::no_container(other)),
        }
    }

    async fn attach_url(
        &self,
        pod: &Arc<Pod>,
        container: &str,
        streams: Streams,
    ) -> Result<String, HostError> {
        self.note(Asked::Attach(name(pod), container.to_owned(), streams));
        self.url()
    }

    async fn port_forward_url(&self, pod: &Arc<Pod>, ports: Vec<u16>) -> Result<String, HostError> {
        self.note(Asked::PortForward(name(pod), ports));
        self.url()
    }

    async fn stats(&self) -> Result<Summary, HostError> {
        let fake = kubewright_cri::testing::FakeRuntime::default();
        let runtime = kubewright_cri::Runtime::in_process(fake);
        Ok(summary(&runtime, "test").await?)
    }

    fn metrics(&self) -> String {
        "# the agent's\n# EOF\n".to_owned()
    }

    fn probe_metrics(&self) -> String {
        "# the probes'\n# EOF\n".to_owned()
    }

    fn configuration(&self) -> Value {
        json!({"maxPods": 110})
    }
}

pub(crate) fn pod() -> Arc<Pod> {
    let pod = json!({
        "metadata": {"namespace": "other", "name": "foo", "uid": UID},
        "spec": {"containers": [{"name": "baz"}]},
    });
    serde_json::from_value(pod).unwrap()
}

fn name(pod: &Pod) -> String {
    PodName::of(pod).to_string()
}
