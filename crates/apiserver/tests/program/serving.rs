//! The program as its clients see it.

use futures::TryStreamExt as _;
use http::{Request, StatusCode};
use k8s_openapi::api::authentication::v1::TokenRequest;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod, ServiceAccount};
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding};
use kube_client::api::{DeleteParams, ListParams, PostParams, WatchEvent, WatchParams};
use kube_client::{Api, Client, Error, ResourceExt as _};
use kube_runtime::wait::{Condition, await_condition, conditions};
use rustix::process::Signal;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::process::{DEADLINE, Program};

fn typed<K: DeserializeOwned>(value: Value) -> K {
    serde_json::from_value(value).unwrap()
}

fn pod(name: &str) -> Pod {
    typed(json!({
        "metadata": { "name": name }, "spec": { "containers": [{ "name": "c", "image": "i" }] },
    }))
}

fn node_of(pod: Option<&Pod>) -> Option<&str> {
    pod?.spec.as_ref()?.node_name.as_deref()
}

/// Sends a request over plain HTTP and gives the code and the body of its answer.
async fn plain(authority: &str, method: &str, path: &str, headers: &str) -> (u16, String) {
    let mut socket = TcpStream::connect(authority).await.unwrap();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\nContent-Length: 0\r\n{headers}\r\n"
    );
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    timeout(DEADLINE, socket.read_to_string(&mut answer))
        .await
        .unwrap()
        .unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let code = head.split(' ').nth(1).unwrap();
    (code.parse().unwrap(), body.to_owned())
}

async fn becomes<K>(api: &Api<K>, name: &str, condition: impl Condition<K>)
where
    K: kube_client::Resource + Clone + std::fmt::Debug + Send + DeserializeOwned + 'static,
{
    let wait = await_condition(api.clone(), name, condition);
    timeout(DEADLINE, wait)
        .await
        .expect("it happens in time")
        .unwrap();
}

fn is_there<K>(object: Option<&K>) -> bool {
    object.is_some()
}

fn is_gone<K>(object: Option<&K>) -> bool {
    object.is_none()
}

#[tokio::test]
async fn signals_end_it_with_open_watches_closed_and_status_0() {
    for signal in [Signal::TERM, Signal::INT] {
        let program = Program::start(&[]).await;
        let api: Api<ConfigMap> = Api::default_namespaced(program.client().await);
        let watch = api.watch(&WatchParams::default(), "0").await.unwrap();
        let mut watch = std::pin::pin!(watch);
        // Its root certificate; a bookmark comes first if that is not there yet.
        let added = async {
            while !matches!(
                watch.try_next().await.unwrap().expect("it goes on"),
                WatchEvent::Added(_)
            ) {}
        };
        timeout(DEADLINE, added).await.expect("the watch is open");
        // A connection that asks nothing does not hold it up either.
        let idle = TcpStream::connect(program.authority()).await.unwrap();
        program.signal(signal);
        while let Some(event) = timeout(DEADLINE, watch.try_next()).await.unwrap().unwrap() {
            assert!(!matches!(event, WatchEvent::Error(_)), "{event:?}");
        }
        let ended = program.ended().await;
        assert_eq!(ended.status.code(), Some(0), "{signal:?}: {ended:?}");
        assert_eq!(ended.stdout, "", "the URL was all");
        drop(idle);
    }
}

#[tokio::test]
async fn it_is_a_cluster_that_lives() {
    let program = Program::start(&["--pod-nodes", "one,two", "--pod-ready-after", "1ms"]).await;
    let client = program.client().await;
    let pods: Api<Pod> = Api::default_namespaced(client.clone());
    pods.create(&PostParams::default(), &pod("p"))
        .await
        .unwrap();
    becomes(&pods, "p", |pod: Option<&Pod>| {
        let status = pod.and_then(|pod| pod.status.clone()).unwrap_or_default();
        let conditions = status.conditions.into_iter().flatten();
        conditions
            .into_iter()
            .any(|held| held.type_ == "Ready" && held.status == "True")
    })
    .await;
    let assigned = pods.get("p").await.unwrap();
    assert_eq!(node_of(Some(&assigned)), Some("one"));

    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), "kube-system");
    becomes(&accounts, "default", is_there).await;
    let maps: Api<ConfigMap> = Api::default_namespaced(client.clone());
    becomes(&maps, "kube-root-ca.crt", is_there).await;
    let root_ca = maps.get("kube-root-ca.crt").await.unwrap();
    let root_ca = &root_ca.data.unwrap()["ca.crt"];
    assert!(
        root_ca.starts_with("-----BEGIN CERTIFICATE-----"),
        "{root_ca}"
    );

    let uid = pods.get("p").await.unwrap().uid().unwrap();
    pods.delete("p", &DeleteParams::default()).await.unwrap();
    becomes(&pods, "p", conditions::is_deleted(&uid)).await;
    program.stop().await;
}

/// Makes what controllers act upon: a pod `p`, the config map `orphan` whose owner never was, and
/// the namespace `team`, which is deleted.
async fn make_work(client: &Client) {
    let pods: Api<Pod> = Api::default_namespaced(client.clone());
    pods.create(&PostParams::default(), &pod("p"))
        .await
        .unwrap();
    let maps: Api<ConfigMap> = Api::default_namespaced(client.clone());
    let orphan: ConfigMap = typed(json!({ "metadata": { "name": "orphan", "ownerReferences": [
        { "apiVersion": "v1", "kind": "ConfigMap", "name": "never", "uid": "never" },
    ] } }));
    maps.create(&PostParams::default(), &orphan).await.unwrap();
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let team = typed(json!({ "metadata": { "name": "team" } }));
    namespaces
        .create(&PostParams::default(), &team)
        .await
        .unwrap();
    namespaces
        .delete("team", &DeleteParams::default())
        .await
        .unwrap();
}

#[tokio::test]
async fn controllers_that_are_disabled_do_nothing() {
    let program = Program::start(&["--disable", "gc,namespaces,pods"]).await;
    let client = program.client().await;
    make_work(&client).await;

    // Nothing happens, which takes a while to see: as long as all of it takes where they run.
    let other = Program::start(&[]).await;
    let busy = other.client().await;
    make_work(&busy).await;
    let pods: Api<Pod> = Api::default_namespaced(busy.clone());
    becomes(&pods, "p", |pod: Option<&Pod>| node_of(pod).is_some()).await;
    let maps: Api<ConfigMap> = Api::default_namespaced(busy.clone());
    becomes(&maps, "orphan", is_gone).await;
    let namespaces: Api<Namespace> = Api::all(busy.clone());
    becomes(&namespaces, "team", is_gone).await;
    let accounts: Api<ServiceAccount> = Api::default_namespaced(busy);
    becomes(&accounts, "default", is_there).await;
    other.stop().await;

    let pods: Api<Pod> = Api::default_namespaced(client.clone());
    assert_eq!(node_of(Some(&pods.get("p").await.unwrap())), None);
    let maps: Api<ConfigMap> = Api::default_namespaced(client.clone());
    maps.get("orphan").await.unwrap();
    let namespaces: Api<Namespace> = Api::all(client.clone());
    namespaces.get("team").await.unwrap();
    let accounts: Api<ServiceAccount> = Api::all(client.clone());
    let accounts = accounts.list(&ListParams::default()).await.unwrap();
    assert!(accounts.items.is_empty(), "{accounts:?}");
    program.stop().await;
}

#[tokio::test]
async fn the_token_is_asked_for() {
    let program = Program::start(&["--http", "--token", "t0ken"]).await;
    assert!(
        program.url.starts_with("http://127.0.0.1:"),
        "{}",
        program.url
    );
    let at = program.authority();
    let (code, body) = plain(at, "GET", "/api/v1/namespaces", "").await;
    assert_eq!(code, 401);
    assert!(body.contains("\"reason\":\"Unauthorized\""), "{body}");
    for (token, expected) in [
        ("t0ken", 200),
        ("other", 401),
        ("t0ke", 401),
        ("t0kenn", 401),
    ] {
        let header = format!("Authorization: Bearer {token}\r\n");
        let (code, _) = plain(at, "GET", "/api/v1/namespaces", &header).await;
        assert_eq!(code, expected, "{token}");
    }
    assert_eq!(
        plain(at, "GET", "/readyz", "").await,
        (200, "ok".to_owned())
    );
    let ended = program.stop().await;
    assert!(!ended.stderr.contains("t0ken"), "{}", ended.stderr);
}

#[tokio::test]
async fn plain_http_without_a_token_is_for_this_machine() {
    let program = Program::start(&["--http"]).await;
    let at = program.authority();
    assert_eq!(plain(at, "GET", "/api/v1/namespaces", "").await.0, 200);
    let client = program.client().await;
    client.apiserver_version().await.unwrap();
    // What a web page can make a browser send, under a name that its author controls.
    let rebound =
        "GET /api/v1/namespaces HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n";
    let mut socket = TcpStream::connect(at).await.unwrap();
    socket.write_all(rebound.as_bytes()).await.unwrap();
    let mut answer = String::new();
    timeout(DEADLINE, socket.read_to_string(&mut answer))
        .await
        .unwrap()
        .unwrap();
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    program.stop().await;
}

async fn order(client: &Client, method: &str, order: &str) -> StatusCode {
    let request = Request::builder()
        .method(method)
        .uri(format!("/debug/{order}"));
    let request = request.body(kube_client::client::Body::empty()).unwrap();
    client.send(request).await.unwrap().status()
}

#[tokio::test]
async fn an_administrator_compacts_and_cuts_watches() {
    let program = Program::start(&["--disable", "gc,namespaces,pods"]).await;
    let client = program.client().await;
    let api: Api<ConfigMap> = Api::default_namespaced(client.clone());
    let mut versions = Vec::new();
    for name in ["a", "b", "c"] {
        let map = typed(json!({ "metadata": { "name": name } }));
        let created = api.create(&PostParams::default(), &map).await.unwrap();
        versions.push(created.resource_version().unwrap());
    }
    let watch = async |version: &str| {
        let parameters = WatchParams::default().timeout(1);
        let watch = api.watch(&parameters, version).await.unwrap();
        let events: Vec<WatchEvent<ConfigMap>> = watch.try_collect().await.unwrap();
        let first = events.into_iter().next();
        match first {
            Some(WatchEvent::Error(status)) => status.code.to_string(),
            Some(WatchEvent::Added(object)) => object.name_any(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(watch(&versions[0]).await, "b");
    let compact = format!("compact?revision={}", versions[1]);
    assert_eq!(order(&client, "POST", &compact).await, 200);
    assert_eq!(watch(&versions[0]).await, "410");
    assert_eq!(watch(&versions[1]).await, "c");

    assert_eq!(order(&client, "GET", "compact").await, 405);
    assert_eq!(order(&client, "POST", "compact?revision=x").await, 400);
    assert_eq!(order(&client, "POST", "nothing").await, 404);
    assert_eq!(order(&client, "POST", "compact").await, 200);
    assert_eq!(watch(&versions[1]).await, "410");

    let open = api
        .watch(&WatchParams::default(), &versions[2])
        .await
        .unwrap();
    let mut open = std::pin::pin!(open);
    assert_eq!(order(&client, "POST", "bookmarks").await, 200);
    let bookmark = timeout(DEADLINE, open.try_next()).await.unwrap().unwrap();
    assert!(
        matches!(bookmark, Some(WatchEvent::Bookmark(_))),
        "{bookmark:?}"
    );
    assert_eq!(order(&client, "POST", "drop-watches").await, 200);
    // Bookmarks come from time to time besides.
    let end = async {
        loop {
            match open.try_next().await.unwrap() {
                Some(WatchEvent::Bookmark(_)) => {}
                end => return end,
            }
        }
    };
    let end = timeout(DEADLINE, end).await.unwrap();
    assert!(end.is_none(), "{end:?}");
    program.stop().await;

    let program = Program::start(&["--http", "--token", "t0ken"]).await;
    let (code, _) = plain(program.authority(), "POST", "/debug/compact", "").await;
    assert_eq!(code, 401, "strangers give no orders");
    program.stop().await;
}

#[tokio::test]
async fn many_clients_over_one_and_over_many_connections() {
    let program = Program::start(&["--disable", "gc,namespaces,pods"]).await;
    let shared = program.client().await;
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..8 {
        let client = match writer % 2 {
            0 => shared.clone(),
            _ => program.client().await,
        };
        writers.spawn(async move {
            let api: Api<ConfigMap> = Api::default_namespaced(client);
            for number in 0..25 {
                let name = format!("c-{writer}-{number}");
                let map = typed(json!({ "metadata": { "name": name } }));
                api.create(&PostParams::default(), &map).await?;
            }
            Ok::<_, Error>(())
        });
    }
    // Many watches of one client, in one connection.
    let api: Api<ConfigMap> = Api::default_namespaced(shared);
    let mut watchers = tokio::task::JoinSet::new();
    for _ in 0..150 {
        let api = api.clone();
        watchers.spawn(async move {
            let watch = api.watch(&WatchParams::default(), "0").await?;
            let mut watch = std::pin::pin!(watch);
            let mut added = 0;
            while added < 200
                && let Some(event) = watch.try_next().await?
            {
                added += usize::from(matches!(event, WatchEvent::Added(_)));
            }
            Ok::<_, Error>(added)
        });
    }
    while let Some(written) = timeout(DEADLINE, writers.join_next()).await.unwrap() {
        written.unwrap().unwrap();
    }
    while let Some(added) = timeout(DEADLINE, watchers.join_next()).await.unwrap() {
        assert_eq!(added.unwrap().unwrap(), 200);
    }
    program.stop().await;
}

#[tokio::test]
async fn a_service_account_is_let_in_with_its_token_and_may_what_it_is_granted() {
    let program = Program::start(&["--http", "--token", "t0ken"]).await;
    let at = program.authority();
    let client = program.client().await;
    let accounts: Api<ServiceAccount> = Api::default_namespaced(client.clone());
    let robot = typed(json!({ "metadata": { "name": "robot" } }));
    accounts
        .create(&PostParams::default(), &robot)
        .await
        .unwrap();
    let roles: Api<ClusterRole> = Api::all(client.clone());
    let reader = typed(json!({
        "metadata": { "name": "reader" },
        "rules": [{ "apiGroups": [""], "resources": ["namespaces"], "verbs": ["list"] }],
    }));
    roles.create(&PostParams::default(), &reader).await.unwrap();
    let bindings: Api<ClusterRoleBinding> = Api::all(client);
    let grant = typed(json!({
        "metadata": { "name": "robot" },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "reader" },
        "subjects": [{ "kind": "ServiceAccount", "namespace": "default", "name": "robot" }],
    }));
    bindings
        .create(&PostParams::default(), &grant)
        .await
        .unwrap();
    let asked = TokenRequest::default();
    let answer = accounts
        .create_token_request("robot", &PostParams::default(), &asked)
        .await
        .unwrap();
    let token = answer.status.and_then(|status| status.token).unwrap();

    let bearer = format!("Authorization: Bearer {token}\r\n");
    let namespaces = "/api/v1/namespaces";
    assert_eq!(plain(at, "GET", namespaces, &bearer).await.0, 200);
    let (code, body) = plain(at, "GET", "/api/v1/secrets", &bearer).await;
    assert_eq!(code, 403);
    assert!(
        body.contains("system:serviceaccount:default:robot"),
        "{body}"
    );
    // Neither the administrator's orders, nor the part of someone else.
    assert_eq!(plain(at, "POST", "/debug/compact", &bearer).await.0, 403);
    let other = format!("{bearer}Impersonate-User: kubernetes-admin\r\n");
    assert_eq!(plain(at, "GET", namespaces, &other).await.0, 501);

    accounts
        .delete("robot", &DeleteParams::default())
        .await
        .unwrap();
    assert_eq!(plain(at, "GET", namespaces, &bearer).await.0, 401);
}
