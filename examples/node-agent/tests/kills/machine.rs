use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::core::v1::{Namespace, Node, Pod};
use kube_client::api::PostParams;
use kube_client::{Api, Client};
use kubewright_apiserver::ApiServer;
use kubewright_apiserver::serve::{Listener, ListenerConfig};
use kubewright_cri::{Endpoint, Server, bind, serve};
use kubewright_process_runtime::testing::{kill_processes_of, processes_left_in};
use kubewright_process_runtime::{Options, ProcessRuntime};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::assembly::{self, eventually};
use crate::containers::Containers;
use crate::program::Program;
use crate::roles;

/// How long anything may take that has no bound of its own.
pub(crate) const DEADLINE: Duration = Duration::from_secs(100);

/// The namespace of all pods here.
pub(crate) const NAMESPACE: &str = "kills";

/// A node with its agent in a process of its own, and the API server that it is a node of.
pub(crate) struct Machine {
    /// The node's name.
    pub(crate) name: &'static str,
    /// The API server, as an administrator sees it.
    pub(crate) client: Client,
    directory: Arc<TempDir>,
    files: PathBuf,
    stop: CancellationToken,
    cluster: JoinSet<()>,
    served: Option<(ProcessRuntime, JoinSet<()>)>,
}

impl Machine {
    /// An API server, and a place for the rest.
    pub(crate) async fn new(name: &'static str) -> Result<Self> {
        let directory = tempfile::Builder::new().prefix("kills-").tempdir()?;
        let files = directory.path().to_owned();
        Self::with_files(name, Arc::new(directory), files).await
    }

    /// A machine whose agent and runtime have their files elsewhere in the directory.
    pub(crate) async fn with_files(
        name: &'static str,
        directory: Arc<TempDir>,
        files: PathBuf,
    ) -> Result<Self> {
        let root = directory.path();
        let server = ApiServer::new(kubewright_apiserver::Config::default())?;
        let listener = Listener::bind(ListenerConfig::default()).await?;
        let kubeconfig = root.join("kubeconfig");
        listener.kubeconfig().write(&kubeconfig)?;
        let certificate = rcgen::generate_simple_self_signed([
            name.to_owned(),
            "localhost".to_owned(),
            "127.0.0.1".to_owned(),
        ])?;
        let authority = certificate.cert.pem();
        std::fs::write(root.join("agent.crt"), &authority)?;
        std::fs::write(
            root.join("agent.key"),
            certificate.signing_key.serialize_pem(),
        )?;
        std::fs::create_dir(root.join("manifests"))?;

        let (service, controllers) = assembly::control_plane(&server, authority, roles::TOKEN)?;
        let stop = CancellationToken::new();
        let mut cluster = JoinSet::new();
        let (one, other) = (stop.clone(), stop.clone());
        cluster.spawn(async move { controllers.run(one).await });
        cluster.spawn(async move { listener.serve(service, other).await });
        let machine = Self {
            name,
            client: Client::try_from(assembly::client_config(&kubeconfig).await?)?,
            directory,
            files,
            stop,
            cluster,
            served: None,
        };
        let namespace = serde_json::from_value(json!({"metadata": {"name": NAMESPACE}}))?;
        let namespaces = Api::<Namespace>::all(machine.client.clone());
        namespaces
            .create(&PostParams::default(), &namespace)
            .await?;
        machine.configure(&json!({}))?;
        Ok(machine)
    }

    /// Writes the agent's configuration file: usual times are too long for tests.
    pub(crate) fn configure(&self, more: &Value) -> Result<()> {
        let mut file = json!({
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "staticPodPath": self.manifests(),
            "podLogsDir": self.logs_dir(),
            "address": "127.0.0.1",
            "maxPods": 250,
            "syncFrequency": "1s",
            "fileCheckFrequency": "1s",
            "nodeStatusUpdateFrequency": "1s",
            "nodeLeaseDurationSeconds": 8,
            "imageGCHighThresholdPercent": 100,
            "imageGCLowThresholdPercent": 99,
            // Whatever disk the tests run on is not their affair.
            "evictionHard": {"memory.available": "0%"},
        });
        for (field, value) in more.as_object().into_iter().flatten() {
            file[field] = value.clone();
        }
        // What is JSON is YAML.
        std::fs::write(self.configuration(), serde_json::to_vec(&file)?)?;
        Ok(())
    }

    /// Serves a process runtime in this very process, at the socket of the machine.
    pub(crate) async fn serve_runtime(&mut self) -> Result<()> {
        let runtime = ProcessRuntime::open(Options::new(self.runtime_dir())).await?;
        let listener = bind(&self.endpoint()?).await?;
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(listener, Server::new(runtime.clone())));
        self.served = Some((runtime, tasks));
        Ok(())
    }

    /// Starts a runtime that is a process of its own.
    pub(crate) fn start_runtime(&self) -> Result<Program> {
        let arguments = [
            roles::RUNTIME.to_owned(),
            format!("--root-dir={}", self.runtime_dir().display()),
            format!("--listen={}", self.endpoint()?),
        ];
        let log = self.directory.path().join("runtime.log");
        Program::start(&std::env::current_exe()?, arguments, &log)
    }

    /// Waits until a runtime listens at the socket of the machine: an agent is not started without one.
    pub(crate) async fn until_served(&self) -> Result<()> {
        let socket = self.socket();
        let listens = async || {
            let connected = tokio::net::UnixStream::connect(&socket).await;
            Ok(connected.ok().map(drop))
        };
        eventually("the runtime listens", DEADLINE, listens).await
    }

    /// What the runtime of the machine has on disk.
    pub(crate) fn containers(&self) -> Containers {
        Containers::new(self.runtime_dir())
    }

    /// Starts an agent, with short times.
    pub(crate) fn start_agent(&self) -> Result<Program> {
        let root = self.directory.path();
        let mut arguments = vec![roles::AGENT.to_owned()];
        arguments.extend(self.flags());
        arguments.extend([
            format!("--container-runtime-endpoint={}", self.endpoint()?),
            format!("--tls-cert-file={}", root.join("agent.crt").display()),
            format!(
                "--tls-private-key-file={}",
                root.join("agent.key").display()
            ),
        ]);
        let log = root.join("agent.log");
        Program::start(&std::env::current_exe()?, arguments, &log)
    }

    /// Starts the very program `node-agent`, which is its own runtime.
    pub(crate) fn start_program(&self) -> Result<Program> {
        let mut arguments = self.flags();
        arguments.push("--runtime=process".to_owned());
        let program = PathBuf::from(env!("CARGO_BIN_EXE_node-agent"));
        let log = self.directory.path().join("agent.log");
        Program::start(&program, arguments, &log)
    }

    fn flags(&self) -> Vec<String> {
        let kubeconfig = self.directory.path().join("kubeconfig");
        vec![
            format!("--config={}", self.configuration().display()),
            format!("--kubeconfig={}", kubeconfig.display()),
            format!("--hostname-override={}", self.name),
            format!("--root-dir={}", self.agent_dir().display()),
            "--node-ip=127.0.0.1".to_owned(),
        ]
    }

    /// The end of what an agent said, for those who look for a cause.
    pub(crate) fn agent_log(&self) -> String {
        let log = std::fs::read_to_string(self.directory.path().join("agent.log"));
        let log = log.unwrap_or_default();
        let lines: Vec<_> = log.lines().rev().take(60).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }

    /// The pods.
    pub(crate) fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.client.clone(), NAMESPACE)
    }

    /// Whether the node is ready; `None` without a node.
    pub(crate) async fn is_ready(&self) -> Result<Option<bool>> {
        let node = Api::<Node>::all(self.client.clone())
            .get_opt(self.name)
            .await?;
        let conditions = node
            .and_then(|node| node.status?.conditions)
            .unwrap_or_default();
        let ready = conditions.iter().find(|it| it.type_ == "Ready");
        Ok(ready.map(|it| it.status == "True"))
    }

    /// When the agent last said that the node is ready, or is not.
    pub(crate) async fn heartbeat(&self) -> Result<String> {
        let node = Api::<Node>::all(self.client.clone()).get(self.name).await?;
        let conditions = node.status.and_then(|it| it.conditions).unwrap_or_default();
        let ready = conditions.iter().find(|it| it.type_ == "Ready");
        let beat = ready.and_then(|it| it.last_heartbeat_time.as_ref());
        Ok(beat.map(|it| it.0.to_string()).unwrap_or_default())
    }

    /// Waits until the node is ready, or is not.
    pub(crate) async fn until_ready(&self, is_ready: bool) -> Result<()> {
        let what = format!("the node's readiness is {is_ready}");
        eventually(&what, DEADLINE, async || {
            Ok((self.is_ready().await? == Some(is_ready)).then_some(()))
        })
        .await
        .with_context(|| self.agent_log())
    }

    /// Waits until a pod passes a check.
    pub(crate) async fn until(&self, name: &str, check: impl Fn(&Pod) -> Result<()>) -> Result<()> {
        let last = parking_lot::Mutex::new(None);
        let look = async || match check(&self.pods().get(name).await?) {
            Ok(()) => Ok(Some(())),
            Err(error) => {
                *last.lock() = Some(format!("{error:#}"));
                Ok(None)
            }
        };
        let waited = eventually(&format!("{name} is as wanted"), DEADLINE, look).await;
        waited.with_context(|| format!("{:?}\n{}", last.lock(), self.agent_log()))
    }

    /// Where the agent keeps the files of pods.
    pub(crate) fn agent_dir(&self) -> PathBuf {
        self.files.join("agent")
    }

    /// Where the runtime keeps its files: where it does if it is part of the agent.
    pub(crate) fn runtime_dir(&self) -> PathBuf {
        self.agent_dir().join("process-runtime")
    }

    /// Where logs are.
    pub(crate) fn logs_dir(&self) -> PathBuf {
        self.files.join("logs")
    }

    /// Where static pods are.
    pub(crate) fn manifests(&self) -> PathBuf {
        self.directory.path().join("manifests")
    }

    fn configuration(&self) -> PathBuf {
        self.directory.path().join("kubelet.yaml")
    }

    fn socket(&self) -> PathBuf {
        self.directory.path().join("runtime.sock")
    }

    fn endpoint(&self) -> Result<Endpoint> {
        Ok(Endpoint::unix(self.socket())?)
    }

    /// Ends the API server and the runtime that is served here; sees that nothing is left.
    pub(crate) async fn stop(mut self) -> Result<()> {
        self.stop.cancel();
        while self.cluster.join_next().await.is_some() {}
        if let Some((runtime, mut tasks)) = self.served.take() {
            tasks.shutdown().await;
            runtime.shutdown().await?;
        }
        ensure!(
            !self.runtime_dir().exists(),
            "files of the runtime are left"
        );
        let processes = processes_left_in(self.directory.path(), DEADLINE).await;
        ensure!(processes.is_empty(), "processes are left: {processes:?}");
        Ok(())
    }
}

/// A test that fails leaves no processes behind.
impl Drop for Machine {
    fn drop(&mut self) {
        kill_processes_of(self.directory.path());
    }
}
