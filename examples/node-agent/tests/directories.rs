//! The directories that an agent has before it does anything else.

use kubewright_cri::Runtime;
use kubewright_cri::testing::FakeRuntime;
use node_agent::agent::{Agent, AgentOptions, Dependencies};
use node_agent::config::Config;
use node_agent::node::Loopback;
use tokio_util::sync::CancellationToken;

#[tokio::test]
async fn they_are_made_where_they_are_not_there() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let mut config = Config::default();
    config.root_dir = at("root");
    config.pod_logs_dir = at("logs/pods");
    let mut options = AgentOptions::default();
    options.loopback = Loopback::Allowed;
    let runtime = Runtime::in_process(FakeRuntime::default());
    let dependencies = Dependencies::gather(&config, &options, runtime.clone(), runtime).await;
    let mut dependencies = dependencies.unwrap();
    dependencies.container_logs_dir = Some(at("logs/containers"));
    let agent = Agent::new(config, options, dependencies).unwrap();
    assert!(!at("root").exists(), "an agent that is made does nothing");
    let stop = CancellationToken::new();
    stop.cancel();
    agent.run(stop).await.unwrap();
    for name in [
        "root/pods",
        "root/pod-resources",
        "logs/pods",
        "logs/containers",
    ] {
        assert!(at(name).is_dir(), "{name}");
    }
}
