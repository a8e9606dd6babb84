//! What other processes see of it.

use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube_client::api::{Api, ListParams, LogParams};
use kube_client::config::{KubeConfigOptions, Kubeconfig};
use kube_client::{Client, Config, ResourceExt as _};
use rustix::process::Signal;

use crate::process::{Program, assert_nothing_is_left, directory};

async fn client_by(path: &Path) -> Client {
    let kubeconfig = Kubeconfig::read_from(path).unwrap();
    let options = KubeConfigOptions::default();
    let config = Config::from_custom_kubeconfig(kubeconfig, &options).await;
    let mut config = config.unwrap();
    // The environment may name one, which is not for this machine.
    config.proxy_url = None;
    Client::try_from(config).unwrap()
}

/// An address that was free a moment ago.
fn free_address() -> SocketAddr {
    let any = TcpListener::bind("127.0.0.1:0").unwrap();
    any.local_addr().unwrap()
}

/// A playground that serves at addresses that it was told, of the API server and of the agent, and
/// the line that it begins with.
async fn serving(root_dir: &Path) -> (Program, String, [SocketAddr; 2]) {
    loop {
        let addresses = [free_address(), free_address()];
        let [listen, node_listen] = addresses.map(|it| it.to_string());
        let arguments = [
            "--serve",
            "--listen",
            &listen,
            "--node-listen",
            &node_listen,
        ];
        let mut program = Program::start(root_dir, &arguments);
        let first = program.line().await;
        if !first.starts_with("FAILED") {
            return (program, first, addresses);
        }
        // Somebody else may have come to have one of them since.
        assert!(first.contains("in use"), "{first}");
        program.end().await;
    }
}

#[tokio::test]
async fn it_serves_at_the_ports_it_is_told_until_it_is_told_to_stop() {
    let (_parent, root_dir) = directory();
    let (mut program, first, [listen, node_listen]) = serving(&root_dir).await;
    assert!(first.contains(&format!("https://{listen};")), "{first}");
    program.line_that_begins("OK").await;
    let kubeconfig = program.kubeconfig();
    let mode = std::fs::metadata(&kubeconfig).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    // As kubectl does, over HTTPS and by the kubeconfig.
    let client = client_by(&kubeconfig).await;
    let sets: Api<ReplicaSet> = Api::default_namespaced(client.clone());
    let set = sets.get("web").await.unwrap();
    assert_eq!(set.status.unwrap().ready_replicas, Some(2));
    let nodes: Api<Node> = Api::all(client.clone());
    let status = nodes.get("playground").await.unwrap().status.unwrap();
    let endpoint = status.daemon_endpoints.unwrap().kubelet_endpoint.unwrap();
    assert_eq!(endpoint.port, i32::from(node_listen.port()));

    let pods: Api<Pod> = Api::default_namespaced(client.clone());
    let listed = pods.list(&ListParams::default()).await.unwrap();
    assert_eq!(listed.items.len(), 2);
    for pod in &listed {
        let name = pod.name_any();
        let log = pods.logs(&name, &LogParams::default()).await.unwrap();
        assert!(
            log.starts_with(&format!("{name} listens at http://127.")),
            "{log}"
        );
    }
    let health = http::Request::get("/api/v1/nodes/playground/proxy/healthz");
    let health = health.body(Vec::new()).unwrap();
    assert_eq!(client.request_text(health).await.unwrap(), "ok");

    program.signal(Signal::TERM);
    let (lines, status) = program.end().await;
    assert!(status.success(), "{lines:#?}");
    assert_nothing_is_left(&root_dir).await;
}
