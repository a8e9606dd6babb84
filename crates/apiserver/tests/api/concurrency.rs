//! Writers at the same time, on real threads.

use std::sync::Arc;

use serde_json::json;
use tokio::task::JoinSet;

use crate::seam::{CONFIG_MAPS, Server};

const A: &str = "/api/v1/namespaces/default/configmaps/a";

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn patches_without_a_version_all_succeed() {
    let server = Arc::new(Server::new());
    let first = server.config_map("a", "1").await.version();
    let mut tasks = JoinSet::new();
    for task in 0..8 {
        let server = Arc::clone(&server);
        tasks.spawn(async move {
            for round in 0..25 {
                let key = format!("t{task}-{round}");
                server
                    .merge(A, json!({ "data": { key: "x" } }))
                    .await
                    .is(200);
            }
        });
    }
    while let Some(task) = tasks.join_next().await {
        task.unwrap();
    }
    let end = server.get(A).await.is(200);
    assert_eq!(end.body["data"].as_object().unwrap().len(), 1 + 8 * 25);
    assert_eq!(end.version(), first + 8 * 25);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_changes_based_on_one_version_one_succeeds() {
    let server = Arc::new(Server::new());
    for round in 0..20 {
        let name = format!("c{round}");
        let path = format!("{CONFIG_MAPS}/{name}");
        let base = server.config_map(&name, "0").await.body;
        let mut tasks = JoinSet::new();
        for task in 0..4 {
            let (server, path, mut body) = (Arc::clone(&server), path.clone(), base.clone());
            body["data"]["k"] = format!("by {task}").into();
            tasks.spawn(async move { server.put(&path, body).await.code });
        }
        let mut codes = tasks.join_all().await;
        codes.sort_unstable();
        assert_eq!(codes, [200, 409, 409, 409]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_creators_of_one_name_one_succeeds() {
    let server = Arc::new(Server::new());
    let mut tasks = JoinSet::new();
    for task in 0..8 {
        let server = Arc::clone(&server);
        tasks.spawn(async move {
            let mut created = 0;
            for round in 0..20 {
                let body = json!({ "metadata": { "name": format!("c{round}") }, "data": { "by": task.to_string() } });
                created += usize::from(server.post(CONFIG_MAPS, body).await.code == 201);
            }
            created
        });
    }
    assert_eq!(tasks.join_all().await.into_iter().sum::<usize>(), 20);
    let list = server.get(CONFIG_MAPS).await;
    assert_eq!(list.names().len(), 20);
}
