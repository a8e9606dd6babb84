//! A node in memory: the whole agent, a runtime and an API server, under paused time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use http::header::{HeaderValue, USER_AGENT};
use k8s_openapi::api::core::v1::{Event, Node, Pod};
use kube_client::api::{Api, DeleteParams, ListParams, PostParams};
use kube_client::client::ClientBuilder;
use kube_client::{Client, client::Body};
use kubewright_apiserver::ApiServer;
use kubewright_apiserver::faults::{Call, Fault, Injected, Rule};
use kubewright_clock::{Clock, ClockSetter};
use kubewright_cri::Runtime;
use kubewright_cri::testing::{FakeOptions, FakeRuntime};
use kubewright_cri::v1;
use node_agent::agent::{Agent, AgentError, AgentOptions, Census, Dependencies};
use node_agent::client::{ClientLimits, Clients};
use node_agent::config::{Config, RuntimeKind};
use node_agent::node::{Loopback, MachineInfo};
use node_agent::volume::{DirectMounter, Mounter};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;
use tracing_subscriber::EnvFilter;

use crate::invariants::Watchdog;

/// How the test's own requests say who they are: faults spare them.
const OBSERVER: &str = "observer";
pub(crate) const NODE: &str = "node";
/// How often the invariants are looked at.
const STEP: Duration = Duration::from_millis(500);

/// A node, and what is around it.
pub(crate) struct World {
    pub(crate) runtime: FakeRuntime,
    pub(crate) server: ApiServer,
    /// The agent's.
    pub(crate) clock: Clock,
    /// Sets the clock of the machine, which is the runtime's and, until it is given another, the
    /// agent's.
    pub(crate) machine: ClockSetter,
    pub(crate) config: Config,
    pub(crate) options: AgentOptions,
    pub(crate) mounter: Arc<dyn Mounter + Send + Sync>,
    /// The pods that files or web servers have, by name: these are wanted though the API server
    /// does not know them.
    pub(crate) statics: BTreeSet<String>,
    pub(crate) watchdog: Watchdog,
    pub(crate) root: TempDir,
    pub(crate) client: Client,
    /// Whether the agent has an API server.
    pub(crate) is_alone: bool,
    agent: Option<Running>,
    is_runtime_away: bool,
    outage: Option<Injected>,
}

/// An agent that runs.
struct Running {
    token: CancellationToken,
    task: JoinSet<Result<(), AgentError>>,
    census: Box<dyn Fn() -> Census>,
}

/// All there is at one time.
pub(crate) struct View {
    pub(crate) pods: Vec<Pod>,
    pub(crate) containers: Vec<v1::ContainerStatus>,
    pub(crate) sandboxes: Vec<v1::PodSandboxStatus>,
}

impl World {
    /// A node whose agent does not run yet.
    pub(crate) async fn idle(seed: u64) -> Self {
        // With RUST_LOG a test tells what the agent does.
        let told = tracing_subscriber::fmt().with_test_writer();
        let _ = told
            .with_env_filter(EnvFilter::from_default_env())
            .try_init();
        let epoch = "2026-05-01T12:00:00Z".parse().unwrap();
        let (clock, machine) = Clock::settable(epoch);
        let mut server = kubewright_apiserver::Config::default();
        server.clock = Clock::starting_at(epoch);
        server.seed = seed;
        let server = ApiServer::new(server).unwrap();
        let mut options = FakeOptions::default();
        options.seed = seed;
        options.clock = clock.clone();
        let runtime = FakeRuntime::new(options);

        let root = TempDir::new().unwrap();
        let mut config = Config::default();
        config.node_name = NODE.into();
        // Its runtime has no processes that cgroups could be for.
        config.runtime = RuntimeKind::Process;
        config.root_dir = root.path().join("kubelet");
        config.pod_logs_dir = root.path().join("logs");
        config.resolv_conf = None;
        config.node_ip = Some([127, 0, 0, 1].into());
        // The disk and the memory of the machine that runs the test are none of the node's.
        config.eviction_hard.clear();
        config.image_gc_thresholds = (100, 99);
        let mut options = AgentOptions::default();
        options.loopback = Loopback::Allowed;
        options.seed = seed;

        let observer = server
            .service()
            .map_request(|mut request: http::Request<Body>| {
                let headers = request.headers_mut();
                headers.insert(USER_AGENT, HeaderValue::from_static(OBSERVER));
                request
            });
        Self {
            client: ClientBuilder::new(observer, "default").build(),
            runtime,
            server,
            clock,
            machine,
            config,
            options,
            mounter: Arc::new(DirectMounter),
            statics: BTreeSet::new(),
            watchdog: Watchdog::new(seed),
            root,
            is_alone: false,
            agent: None,
            is_runtime_away: false,
            outage: None,
        }
    }

    /// A node whose agent runs and is registered.
    pub(crate) async fn new(seed: u64) -> Self {
        let mut world = Self::idle(seed).await;
        world.start().await;
        world.until_ready().await;
        world
    }

    pub(crate) async fn until_ready(&mut self) {
        for _ in 0..120 {
            let _ = self.step().await;
            if self.is_node_ready().await {
                return;
            }
        }
        panic!("the node does not become ready");
    }

    pub(crate) async fn is_node_ready(&self) -> bool {
        let node = self.nodes().get_opt(NODE).await.unwrap();
        let status = node.and_then(|node| node.status).unwrap_or_default();
        let mut conditions = status.conditions.into_iter().flatten();
        conditions.any(|it| it.type_ == "Ready" && it.status == "True")
    }

    /// An agent of this node.
    pub(crate) async fn agent(&self) -> Agent {
        let runtime = Runtime::in_process(self.runtime.clone());
        let (config, options) = (self.config.clone(), self.options.clone());
        let gathered = Dependencies::gather(&config, &options, runtime.clone(), runtime).await;
        let mut dependencies = gathered.unwrap();
        let limits = ClientLimits::of(&config);
        if !self.is_alone {
            dependencies.clients = Some(Clients::in_process(self.server.service(), &limits));
        }
        dependencies.clock = self.clock.clone();
        dependencies.mounter = self.mounter.clone();
        dependencies.machine = MachineInfo {
            cpus: 64,
            // More than any machine has, so that a test can be short of it.
            memory: 1 << 50,
            boot_id: "boot".into(),
            machine_id: "machine".into(),
            architecture: "amd64".into(),
            ..MachineInfo::default()
        };
        Agent::new(config, options, dependencies).unwrap()
    }

    /// Starts an agent.
    pub(crate) async fn start(&mut self) {
        assert!(self.agent.is_none());
        let agent = self.agent().await;
        agent.birth_cry();
        let census = Box::new(agent.census());
        let token = CancellationToken::new();
        let mut task = JoinSet::new();
        task.spawn(agent.run(token.clone()));
        self.agent = Some(Running {
            token,
            task,
            census,
        });
        self.disturb();
    }

    /// Ends the agent as a crash does.
    pub(crate) async fn kill(&mut self) {
        let mut agent = self.agent.take().unwrap();
        agent.task.shutdown().await;
        self.disturb();
    }

    /// Ends the agent as it is asked to.
    pub(crate) async fn stop(&mut self) {
        let mut agent = self.agent.take().unwrap();
        agent.token.cancel();
        agent.task.join_next().await.unwrap().unwrap().unwrap();
        self.disturb();
    }

    pub(crate) fn has_agent(&self) -> bool {
        self.agent.is_some()
    }

    /// How much the agent remembers.
    pub(crate) fn census(&self) -> Census {
        (self.agent.as_ref().unwrap().census)()
    }

    /// Something happens that statuses may not show at once.
    pub(crate) fn disturb(&mut self) {
        self.watchdog.disturb();
    }

    pub(crate) fn runtime_goes(&mut self) {
        self.is_runtime_away = true;
        self.runtime.go_away();
    }

    pub(crate) fn runtime_comes(&mut self) {
        self.is_runtime_away = false;
        self.runtime.come_back();
        self.disturb();
    }

    pub(crate) fn is_runtime_away(&self) -> bool {
        self.is_runtime_away
    }

    /// The API server goes away, for all but the test.
    pub(crate) fn api_goes(&mut self) {
        self.outage = Some(self.api_fault(Fault::LoseRequest, |_| true));
        self.server.drop_watches();
    }

    pub(crate) fn api_comes(&mut self) {
        if let Some(outage) = self.outage.take() {
            outage.remove();
        }
        self.disturb();
    }

    pub(crate) fn is_api_away(&self) -> bool {
        self.outage.is_some()
    }

    /// Requests of the agent meet this.
    pub(crate) fn api_fault(
        &mut self,
        fault: Fault,
        when: impl Fn(&Call) -> bool + Send + Sync + 'static,
    ) -> Injected {
        self.server.faults().add(agents(Rule::new(fault), when))
    }

    /// Lets time go by, and looks whether all is well.
    pub(crate) async fn step(&mut self) -> View {
        self.step_by(STEP).await
    }

    pub(crate) async fn step_by(&mut self, step: Duration) -> View {
        sleep(step).await;
        if let Some(agent) = &mut self.agent
            && let Some(ended) = agent.task.try_join_next()
        {
            panic!("the agent has ended: {ended:?}");
        }
        if self.is_runtime_away || self.outage.is_some() || self.agent.is_none() {
            self.watchdog.disturb();
        }
        let view = self.view().await;
        self.watchdog.check(&view, &self.statics);
        view
    }

    pub(crate) async fn pass(&mut self, seconds: u64) {
        let end = Instant::now() + Duration::from_secs(seconds);
        while Instant::now() < end {
            self.step().await;
        }
    }

    /// The same, and looks less often.
    pub(crate) async fn pass_by(&mut self, seconds: u64, step: u64) {
        let end = Instant::now() + Duration::from_secs(seconds);
        while Instant::now() < end {
            self.step_by(Duration::from_secs(step)).await;
        }
    }

    /// Lets time go by until this holds.
    pub(crate) async fn until(&mut self, seconds: u64, what: &str, holds: impl Fn(&View) -> bool) {
        let end = Instant::now() + Duration::from_secs(seconds);
        let mut view = self.view().await;
        loop {
            if holds(&view) {
                return;
            }
            if Instant::now() >= end {
                let seed = self.watchdog.seed;
                panic!(
                    "seed {seed}: not within {seconds} s: {what}\n{}",
                    view.told()
                );
            }
            view = self.step().await;
        }
    }

    /// The containers that run, by pod and name.
    pub(crate) fn running(&self) -> BTreeMap<(String, String), String> {
        let all = self.runtime.containers().into_iter();
        let running = all.filter(|it| it.state() == v1::ContainerState::ContainerRunning);
        let named = running.map(|it| {
            let key = (of_pod(&it).to_owned(), name_of(&it).to_owned());
            (key, it.id)
        });
        named.collect()
    }

    pub(crate) async fn view(&self) -> View {
        let listed = self.all_pods().list(&ListParams::default()).await.unwrap();
        View {
            pods: listed.items,
            containers: self.runtime.containers(),
            sandboxes: self.runtime.sandboxes(),
        }
    }

    pub(crate) fn pods(&self) -> Api<Pod> {
        Api::default_namespaced(self.client.clone())
    }

    pub(crate) fn nodes(&self) -> Api<Node> {
        Api::all(self.client.clone())
    }

    fn all_pods(&self) -> Api<Pod> {
        Api::all(self.client.clone())
    }

    /// Makes a pod of this spec.
    pub(crate) async fn create(&mut self, name: &str, spec: Value) -> Pod {
        let pod = pod(name, spec);
        let created = self.pods().create(&PostParams::default(), &pod).await;
        created.unwrap()
    }

    /// Makes a pod and waits until it runs.
    pub(crate) async fn run(&mut self, name: &str, spec: Value) -> Pod {
        self.create(name, spec).await;
        self.until(20, &format!("{name} is ready"), |view| view.is_ready(name))
            .await;
        self.pods().get(name).await.unwrap()
    }

    pub(crate) async fn delete(&self, name: &str) {
        self.delete_within(name, None).await;
    }

    pub(crate) async fn delete_within(&self, name: &str, grace: Option<u32>) {
        let is_there = self.delete_if_there(name, grace).await;
        assert!(is_there, "there is no pod {name} to delete");
    }

    /// Deletes a pod that may be on its way out, and gone by the time that it is asked for; whether
    /// it was there.
    pub(crate) async fn delete_if_there(&self, name: &str, grace: Option<u32>) -> bool {
        let params = DeleteParams {
            grace_period_seconds: grace,
            ..DeleteParams::default()
        };
        match self.pods().delete(name, &params).await {
            Err(kube_client::Error::Api(status)) if status.is_not_found() => false,
            deleted => {
                deleted.unwrap();
                true
            }
        }
    }

    /// Waits until nothing of a pod is left, but what a garbage collection has yet to find.
    pub(crate) async fn until_gone(&mut self, seconds: u64, name: &str) {
        self.until(seconds, &format!("{name} is gone"), |view| {
            view.pod(name).is_none() && view.running(name).is_empty()
        })
        .await;
    }

    /// The events of an object, as `Reason: message`.
    pub(crate) async fn events(&self, name: &str) -> Vec<String> {
        let api: Api<Event> = Api::default_namespaced(self.client.clone());
        let all = api.list(&ListParams::default()).await.unwrap();
        let of = all.items.into_iter();
        let of = of.filter(|event| event.involved_object.name.as_deref() == Some(name));
        let told = of.map(|event| {
            let (reason, message) = (event.reason, event.message);
            format!(
                "{}: {}",
                reason.unwrap_or_default(),
                message.unwrap_or_default()
            )
        });
        told.collect()
    }

    pub(crate) async fn has_event(&self, name: &str, reason: &str) -> bool {
        let events = self.events(name).await;
        events
            .iter()
            .any(|event| event.split(':').next() == Some(reason))
    }

    /// When calls of a method about something came, in seconds since the first of them.
    pub(crate) fn seconds_of(&self, method: &str, subject: &str) -> Vec<u64> {
        let calls = self.runtime.calls();
        let calls = calls.into_iter();
        let calls = calls.filter(|call| call.method == method && call.subject == subject);
        let times: Vec<_> = calls.map(|call| call.at).collect();
        let first = times.first().copied();
        let since = |at: Instant| first.map_or(0, |first| (at - first).as_secs());
        times.into_iter().map(since).collect()
    }

    /// The id of the container of this name that runs.
    pub(crate) fn container_id(&self, pod: &str, container: &str) -> String {
        let view = self.runtime.containers();
        let found = view
            .iter()
            .find(|it| of_pod(it) == pod && name_of(it) == container && it.state() == RUNNING);
        found.unwrap().id.clone()
    }
}

const RUNNING: v1::ContainerState = v1::ContainerState::ContainerRunning;

/// A rule that strikes the agent alone.
pub(crate) fn agents(rule: Rule, when: impl Fn(&Call) -> bool + Send + Sync + 'static) -> Rule {
    rule.when(move |call| call.user_agent.as_deref() != Some(OBSERVER) && when(call))
}

/// A pod that was bound to the node.
pub(crate) fn pod(name: &str, mut spec: Value) -> Pod {
    spec["nodeName"] = NODE.into();
    let pod = json!({"metadata": {"name": name, "namespace": "default"}, "spec": spec});
    serde_json::from_value(pod).unwrap()
}

/// A spec of one container that is called `app`.
pub(crate) fn app() -> Value {
    json!({"containers": [{"name": "app", "image": "app:1"}], "terminationGracePeriodSeconds": 5})
}

pub(crate) fn of_pod(container: &v1::ContainerStatus) -> &str {
    &container.labels["io.kubernetes.pod.name"]
}

pub(crate) fn name_of(container: &v1::ContainerStatus) -> &str {
    &container.labels["io.kubernetes.container.name"]
}

impl View {
    pub(crate) fn pod(&self, name: &str) -> Option<&Pod> {
        let mut pods = self.pods.iter();
        pods.find(|pod| pod.metadata.name.as_deref() == Some(name))
    }

    pub(crate) fn phase(&self, name: &str) -> Option<&str> {
        self.pod(name)?.status.as_ref()?.phase.as_deref()
    }

    pub(crate) fn reason(&self, name: &str) -> Option<&str> {
        self.pod(name)?.status.as_ref()?.reason.as_deref()
    }

    pub(crate) fn condition(&self, name: &str, type_: &str) -> Option<&str> {
        let status = self.pod(name)?.status.as_ref()?;
        let mut conditions = status.conditions.iter().flatten();
        let found = conditions.find(|it| it.type_ == type_)?;
        Some(&found.status)
    }

    /// Why a pod is said to have been ended by the node.
    pub(crate) fn disruption(&self, name: &str) -> Option<String> {
        let status = self.pod(name)?.status.as_ref()?;
        let mut conditions = status.conditions.iter().flatten();
        let target = conditions.find(|it| it.type_ == "DisruptionTarget")?;
        assert_eq!(target.status, "True");
        assert_eq!(target.reason.as_deref(), Some("TerminationByKubelet"));
        assert!(target.last_transition_time.is_some());
        target.message.clone()
    }

    pub(crate) fn is_ready(&self, name: &str) -> bool {
        self.condition(name, "Ready") == Some("True")
    }

    /// What the status of a pod says of a container.
    pub(crate) fn container(
        &self,
        pod: &str,
        name: &str,
    ) -> Option<&k8s_openapi::api::core::v1::ContainerStatus> {
        let status = self.pod(pod)?.status.as_ref()?;
        let regular = status.container_statuses.iter().flatten();
        let init = status.init_container_statuses.iter().flatten();
        regular.chain(init).find(|it| it.name == name)
    }

    pub(crate) fn waiting(&self, pod: &str, name: &str) -> Option<&str> {
        let state = self.container(pod, name)?.state.as_ref()?;
        state.waiting.as_ref()?.reason.as_deref()
    }

    pub(crate) fn restarts(&self, pod: &str, name: &str) -> i32 {
        self.container(pod, name).map_or(-1, |it| it.restart_count)
    }

    /// The containers of a pod that the runtime runs.
    pub(crate) fn running(&self, pod: &str) -> Vec<&str> {
        let all = self.containers.iter();
        let running = all.filter(|it| of_pod(it) == pod && it.state() == RUNNING);
        running.map(name_of).collect()
    }

    /// For people.
    pub(crate) fn told(&self) -> String {
        let pods = self.pods.iter().map(|pod| {
            let status = serde_json::to_string(&pod.status).unwrap();
            let deleting = pod.metadata.deletion_timestamp.is_some();
            format!("{:?} deleting={deleting} {status}", pod.metadata.name)
        });
        let containers = self
            .containers
            .iter()
            .map(|it| format!("{}/{} {:?} {}", of_pod(it), name_of(it), it.state(), it.id));
        let sandboxes = self.sandboxes.iter().map(|it| {
            format!(
                "sandbox {:?} {:?}",
                it.metadata.as_ref().map(|it| &it.name),
                it.state()
            )
        });
        pods.chain(containers)
            .chain(sandboxes)
            .collect::<Vec<_>>()
            .join("\n")
    }
}
