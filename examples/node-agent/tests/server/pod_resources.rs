//! What pods were given, over the unix socket.

use std::os::unix::net::UnixListener as StdUnixListener;
use std::path::PathBuf;
use std::sync::Arc;

use futures::future::join_all;
use hyper_util::rt::TokioIo;
use node_agent::server::pod_resources_v1::pod_resources_lister_client::PodResourcesListerClient;
use node_agent::server::pod_resources_v1::{
    AllocatableResourcesRequest, GetPodResourcesRequest, ListPodResourcesRequest,
};
use node_agent::server::{PodResourcesServer, ServerError};
use tokio::net::UnixStream;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tonic::Code;
use tonic::transport::{Channel, Endpoint, Uri};

use crate::DEADLINE;
use crate::host::FakeHost;

async fn client(path: PathBuf) -> PodResourcesListerClient<Channel> {
    let connect = tower::service_fn(move |_: Uri| {
        let path = path.clone();
        async move { UnixStream::connect(path).await.map(TokioIo::new) }
    });
    let endpoint = Endpoint::from_static("http://pod-resources");
    let channel = endpoint.connect_with_connector(connect).await.unwrap();
    PodResourcesListerClient::new(channel)
}

#[tokio::test]
async fn pods_and_their_containers_are_told_over_a_socket_that_a_killed_agent_left() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("pod-resources/kubelet.sock");
    std::fs::create_dir(path.parent().unwrap()).unwrap();
    drop(StdUnixListener::bind(&path).unwrap());

    let host = Arc::new(FakeHost::default());
    let server = PodResourcesServer::bind(root.path(), Arc::clone(&host))
        .await
        .unwrap();
    assert_eq!(server.path(), path);
    let error = PodResourcesServer::bind(root.path(), host)
        .await
        .unwrap_err();
    assert!(
        matches!(error, ServerError::Socket { .. }),
        "one agent at a time: {error}"
    );
    let token = CancellationToken::new();
    let mut running = JoinSet::new();
    running.spawn(server.run(token.clone()));

    let mut client = client(path.clone()).await;
    let list = client
        .list(ListPodResourcesRequest {})
        .await
        .unwrap()
        .into_inner();
    let pod = &list.pod_resources[0];
    assert_eq!(
        (pod.namespace.as_str(), pod.name.as_str()),
        ("other", "foo")
    );
    assert_eq!(pod.containers[0].name, "baz");
    let request = AllocatableResourcesRequest {};
    client.get_allocatable_resources(request).await.unwrap();
    let get = async |name: &str| {
        let request = GetPodResourcesRequest {
            pod_name: name.to_owned(),
            pod_namespace: "other".to_owned(),
        };
        client.clone().get(request).await
    };
    let found = get("foo")
        .await
        .unwrap()
        .into_inner()
        .pod_resources
        .unwrap();
    assert_eq!(found, *pod);
    let missing = get("bar").await.unwrap_err();
    assert_eq!(missing.code(), Code::NotFound);
    assert_eq!(missing.message(), "pod bar in namespace other not found");
    // There are 10 calls at once, and 100 a second: so many at once are more than all that there are
    // while they are answered.
    let burst = timeout(DEADLINE, join_all((0..2000).map(|_| get("foo")))).await;
    let mut answers = burst.unwrap().into_iter();
    let limited = answers.find_map(Result::err);
    let limited = limited.expect("the limit is reached");
    assert_eq!(limited.code(), Code::ResourceExhausted);
    assert_eq!(limited.message(), "rejected by rate limit");

    token.cancel();
    timeout(DEADLINE, running.join_next())
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert!(!path.exists());
}
