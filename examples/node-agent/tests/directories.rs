//! What an agent makes before it does anything else.

use kubewright_cri::Runtime;
use kubewright_cri::testing::FakeRuntime;
use node_agent::agent::{Agent, AgentError, AgentOptions, Dependencies};
use node_agent::config::{Config, RuntimeKind};
use node_agent::node::Loopback;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

fn config(directory: &TempDir) -> Config {
    let mut config = Config::default();
    config.root_dir = directory.path().join("root");
    config.pod_logs_dir = directory.path().join("logs/pods");
    config
}

async fn agent(directory: &TempDir, config: Config) -> Result<Agent, AgentError> {
    let mut options = AgentOptions::default();
    options.loopback = Loopback::Allowed;
    let runtime = Runtime::in_process(FakeRuntime::default());
    let mut dependencies =
        Dependencies::gather(&config, &options, runtime.clone(), runtime).await?;
    dependencies.container_logs_dir = Some(directory.path().join("logs/containers"));
    Agent::new(config, options, dependencies)
}

/// How an agent ends that is told to at once.
async fn run(agent: Agent) -> Result<(), AgentError> {
    let stop = CancellationToken::new();
    stop.cancel();
    agent.run(stop).await
}

#[tokio::test]
async fn directories_are_made_where_they_are_not_there() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let mut config = config(&directory);
    config.runtime = RuntimeKind::Process;
    let agent = agent(&directory, config).await.unwrap();
    assert!(!at("root").exists(), "an agent that is made does nothing");
    run(agent).await.unwrap();
    for name in [
        "root/pods",
        "root/pod-resources",
        "logs/pods",
        "logs/containers",
    ] {
        assert!(at(name).is_dir(), "{name}");
    }
}

#[tokio::test]
async fn an_agent_whose_pods_cannot_have_cgroups_says_why() {
    let directory = tempfile::tempdir().unwrap();
    let mut config = config(&directory);
    // As where they may not be written, but also for those who may.
    config.cgroup_root = Some("/kubewright/is/not/there".to_owned());
    let error = run(agent(&directory, config.clone()).await.unwrap()).await;
    let error = format!("{:#}", anyhow::Error::new(error.unwrap_err()));
    assert!(
        error.starts_with("the cgroups of pods cannot be had; with cgroupsPerQOS: false"),
        "{error}"
    );
    assert!(error.contains("kubewright/is/not/there"), "{error}");

    // They are nothing to one that leaves them to the runtime.
    config.cgroups_per_qos = false;
    config.enforce_node_allocatable = false;
    run(agent(&directory, config).await.unwrap()).await.unwrap();
}

/// Upstream's `TestValidateNodeAllocatable`.
#[tokio::test]
async fn an_agent_refuses_to_reserve_more_than_there_is() {
    let directory = tempfile::tempdir().unwrap();
    let mut config = config(&directory);
    config.runtime = RuntimeKind::Process;
    let much = "100Ti".parse().unwrap();
    config.kube_reserved.insert("memory".to_owned(), much);
    let error = agent(&directory, config).await.unwrap_err().to_string();
    let begin = "invalid Node Allocatable configuration. Resource \"memory\" has a reservation of ";
    assert!(error.starts_with(begin), "{error}");
    assert!(
        error.ends_with(". Expected capacity >= reservation."),
        "{error}"
    );
}
