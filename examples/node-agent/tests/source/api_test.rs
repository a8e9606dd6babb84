//! Pods of the API server, which is the embedded one, in process and under paused time.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube_client::Client;
use kube_client::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use kubewright_apiserver::{ApiServer, Config};
use node_agent::pod::PodSource;
use node_agent::source::{ApiSource, PodSets, SetSource as _};
use serde_json::json;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::pods::{manifest, names, next, next_with};

fn pod(name: &str, node: &str) -> Pod {
    let mut pod = manifest(name);
    pod["spec"]["nodeName"] = node.into();
    serde_json::from_value(pod).unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_pods_of_the_node_are_delivered_whenever_they_change() {
    let server = ApiServer::new(Config::default()).unwrap();
    let client = Client::new(server.service(), "default");
    let pods: Api<Pod> = Api::default_namespaced(client.clone());
    for (name, node) in [("a", "here"), ("b", "there"), ("c", "here")] {
        pods.create(&PostParams::default(), &pod(name, node))
            .await
            .unwrap();
    }

    let (know, known) = oneshot::channel::<()>();
    let source = ApiSource::new(client, "here", async {
        let _ = known.await;
    });
    let (sender, mut sets) = PodSets::channel(PodSource::Api);
    let token = CancellationToken::new();
    let mut tasks = JoinSet::new();
    tasks.spawn(source.run(sender, token.clone()));

    // Not before the node is known.
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(sets.try_recv().is_err());
    know.send(()).unwrap();
    let first = next(&mut sets).await;
    assert_eq!(names(&first), ["a", "c"]);

    let patch = Patch::Merge(json!({"metadata": {"labels": {"k": "v"}}}));
    pods.patch("c", &PatchParams::default(), &patch)
        .await
        .unwrap();
    let second = loop {
        let set = next(&mut sets).await;
        if set[1].metadata.labels.is_some() {
            break set;
        }
    };
    // What did not change is the same.
    assert!(Arc::ptr_eq(&first[0], &second[0]));
    pods.create(&PostParams::default(), &pod("d", "here"))
        .await
        .unwrap();
    next_with(&mut sets, &["a", "c", "d"]).await;
    pods.delete("a", &DeleteParams::default().grace_period(0))
        .await
        .unwrap();
    next_with(&mut sets, &["c", "d"]).await;

    token.cancel();
    tasks.join_next().await.unwrap().unwrap();
    assert_eq!(sets.recv().await, None);
}

#[tokio::test(start_paused = true)]
async fn it_stops_while_the_node_is_not_known() {
    let server = ApiServer::new(Config::default()).unwrap();
    let client = Client::new(server.service(), "default");
    let source = ApiSource::new(client, "here", std::future::pending());
    let (sender, _sets) = PodSets::channel(PodSource::Api);
    let token = CancellationToken::new();
    let stop = async { token.cancel() };
    tokio::join!(source.run(sender, token.clone()), stop);
}

#[tokio::test(start_paused = true)]
async fn it_ends_when_nobody_listens() {
    let server = ApiServer::new(Config::default()).unwrap();
    let client = Client::new(server.service(), "default");
    let source = ApiSource::new(client, "here", std::future::ready(()));
    let (sender, sets) = PodSets::channel(PodSource::Api);
    drop(sets);
    source.run(sender, CancellationToken::new()).await;
}
