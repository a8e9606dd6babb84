//! The end of namespaces, and what every namespace has, with the controllers stepped by hand.

use std::time::Duration;

use kubewright_apiserver::controllers::{Controller, Controllers, ControllersConfig};
use serde_json::{Value, json};

use crate::seam::{Answer, Server};

const NAMESPACES: &str = "/api/v1/namespaces";
const TEAM: &str = "/api/v1/namespaces/team";

struct Cluster {
    server: Server,
    controllers: Controllers,
}

impl Cluster {
    /// A server with the namespace `team`, and the controller of namespaces alone.
    async fn new() -> Self {
        let server = Server::new();
        let mut config = ControllersConfig::default();
        config.enabled = [Controller::Namespaces].into();
        "AUTHORITY".clone_into(&mut config.certificate_authority);
        let controllers = server.0.controllers(config);
        let team = json!({ "metadata": { "name": "team" } });
        server.post(NAMESPACES, team).await.is(201);
        let mut cluster = Self {
            server,
            controllers,
        };
        cluster.settle().await;
        cluster
    }

    async fn settle(&mut self) {
        self.controllers.settle().await;
    }

    async fn post(&self, resource: &str, body: Value) -> Answer {
        self.server.post(&format!("{TEAM}/{resource}"), body).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.server.get(&format!("{TEAM}/{path}")).await
    }

    async fn condition(&self, kind: &str) -> String {
        let team = self.server.get(TEAM).await.is(200);
        let conditions = team.at("status.conditions").as_array().unwrap();
        let condition = conditions
            .iter()
            .find(|condition| condition["type"] == kind)
            .unwrap();
        let text = |field: &str| condition[field].as_str().unwrap();
        format!("{} {}: {}", text("status"), text("reason"), text("message"))
    }
}

fn named(name: &str) -> Value {
    json!({ "metadata": { "name": name } })
}

fn held(name: &str, finalizers: &[&str]) -> Value {
    json!({ "metadata": { "name": name, "finalizers": finalizers } })
}

/// D14
#[tokio::test(start_paused = true)]
async fn a_namespace_goes_with_everything_in_it() {
    let mut cluster = Cluster::new().await;
    for number in 0..20 {
        cluster
            .post("configmaps", named(&format!("c{number}")))
            .await
            .is(201);
        cluster
            .post("secrets", named(&format!("s{number}")))
            .await
            .is(201);
    }
    let role = "/apis/rbac.authorization.k8s.io/v1/namespaces/team/roles";
    cluster.server.post(role, named("r")).await.is(201);
    cluster
        .server
        .post("/api/v1/namespaces/default/configmaps", named("kept"))
        .await
        .is(201);

    cluster.server.delete(TEAM).await.is(200).shows(json!({
        "kind": "Namespace", "status": { "phase": "Terminating" },
    }));
    cluster.post("configmaps", named("late")).await.is(403);
    cluster.settle().await;
    cluster.server.get(TEAM).await.is(404);
    for resource in ["configmaps", "secrets", "serviceaccounts"] {
        assert!(cluster.get(resource).await.names().is_empty(), "{resource}");
    }
    assert!(cluster.server.get(role).await.names().is_empty());
    cluster
        .server
        .get("/api/v1/namespaces/default/configmaps/kept")
        .await
        .is(200);

    cluster.server.post(NAMESPACES, named("team")).await.is(201);
    cluster.settle().await;
    cluster.get("serviceaccounts/default").await.is(200);
}

#[tokio::test(start_paused = true)]
async fn pods_go_before_everything_else() {
    let mut cluster = Cluster::new().await;
    cluster.post("configmaps", named("c")).await.is(201);
    let pod = json!({
        "metadata": { "name": "p" },
        "spec": { "nodeName": "n", "containers": [{ "name": "c", "image": "i" }] },
    });
    cluster.post("pods", pod).await.is(201);
    cluster.server.delete(TEAM).await.is(200);
    cluster.settle().await;
    let pod = cluster.get("pods/p").await.is(200);
    assert!(
        pod.at("metadata.deletionTimestamp").is_string(),
        "it has its grace period"
    );
    let config_map = cluster.get("configmaps/c").await.is(200);
    assert!(config_map.at("metadata.deletionTimestamp").is_null());

    let now = json!({ "gracePeriodSeconds": 0 });
    cluster
        .server
        .delete_with(&format!("{TEAM}/pods/p"), now)
        .await
        .is(200);
    cluster.settle().await;
    cluster.server.get(TEAM).await.is(404);
}

#[tokio::test(start_paused = true)]
async fn what_holds_a_namespace_is_told_in_its_conditions() {
    let mut cluster = Cluster::new().await;
    cluster
        .post("configmaps", held("c1", &["example.com/f"]))
        .await
        .is(201);
    cluster
        .post(
            "configmaps",
            held("c2", &["example.com/f", "example.com/g"]),
        )
        .await
        .is(201);
    cluster
        .post("secrets", held("s", &["example.com/g"]))
        .await
        .is(201);
    cluster.server.delete(TEAM).await.is(200);
    cluster.settle().await;
    assert_eq!(
        cluster.condition("NamespaceContentRemaining").await,
        "True SomeResourcesRemain: Some resources are remaining: \
         configmaps has 2 resource instances, secrets has 1 resource instances"
    );
    assert_eq!(
        cluster.condition("NamespaceFinalizersRemaining").await,
        "True SomeFinalizersRemain: Some content in the namespace has finalizers remaining: \
         example.com/f in 2 resource instances, example.com/g in 2 resource instances"
    );
    assert_eq!(
        cluster.condition("NamespaceDeletionContentFailure").await,
        "False ContentDeleted: All content successfully deleted, may be waiting on finalization"
    );

    let release = json!({ "metadata": { "finalizers": null } });
    let path = format!("{TEAM}/configmaps/c1");
    cluster.server.merge(&path, release.clone()).await.is(200);
    let at = cluster.controllers.settle().await.expect("a report is due");
    tokio::time::sleep_until(at).await;
    assert_eq!(
        cluster.controllers.settle().await,
        None,
        "and no more after it"
    );
    assert_eq!(
        cluster.condition("NamespaceContentRemaining").await,
        "True SomeResourcesRemain: Some resources are remaining: \
         configmaps has 1 resource instances, secrets has 1 resource instances"
    );

    for path in ["configmaps/c2", "secrets/s"] {
        let path = format!("{TEAM}/{path}");
        cluster.server.merge(&path, release.clone()).await.is(200);
    }
    cluster.settle().await;
    cluster.server.get(TEAM).await.is(404);
}

#[tokio::test(start_paused = true)]
async fn reports_do_not_follow_every_object() {
    let mut cluster = Cluster::new().await;
    for number in 0..50 {
        let body = held(&format!("c{number:02}"), &["example.com/f"]);
        cluster.post("configmaps", body).await.is(201);
    }
    cluster.server.delete(TEAM).await.is(200);
    cluster.settle().await;
    let before = cluster.server.0.resource_version();
    let release = json!({ "metadata": { "finalizers": null } });
    for number in 0..49 {
        let path = format!("{TEAM}/configmaps/c{number:02}");
        cluster.server.merge(&path, release.clone()).await.is(200);
        cluster.settle().await;
    }
    let changes = cluster.server.0.resource_version() - before;
    assert_eq!(changes, 49, "the removals and nothing else");
    tokio::time::sleep(Duration::from_secs(5)).await;
    cluster.settle().await;
    let changes = cluster.server.0.resource_version() - before;
    assert_eq!(changes, 50, "one report");
}

#[tokio::test(start_paused = true)]
async fn others_may_hold_a_namespace_too() {
    let mut cluster = Cluster::new().await;
    let hold = json!({ "metadata": { "finalizers": ["example.com/f"] } });
    cluster.server.merge(TEAM, hold).await.is(200);
    cluster.server.delete(TEAM).await.is(200);
    cluster.settle().await;
    let waits = cluster.server.get(TEAM).await.is(200);
    assert!(
        waits
            .at("spec.finalizers")
            .as_array()
            .is_none_or(Vec::is_empty)
    );
    let release = json!({ "metadata": { "finalizers": null } });
    cluster.server.merge(TEAM, release).await.is(200);
    cluster.server.get(TEAM).await.is(404);
}

/// D19
#[tokio::test(start_paused = true)]
async fn every_namespace_has_an_account_and_the_authority() {
    let cluster = Cluster::new().await;
    for namespace in [
        "default",
        "kube-system",
        "kube-public",
        "kube-node-lease",
        "team",
    ] {
        let path = format!("{NAMESPACES}/{namespace}");
        let account = cluster
            .server
            .get(&format!("{path}/serviceaccounts/default"))
            .await;
        account.is(200);
        let root_ca = cluster
            .server
            .get(&format!("{path}/configmaps/kube-root-ca.crt"))
            .await;
        root_ca
            .is(200)
            .shows(json!({ "data": { "ca.crt": "AUTHORITY" } }));
    }
}

#[tokio::test(start_paused = true)]
async fn what_every_namespace_has_comes_back() {
    let mut cluster = Cluster::new().await;
    let account = format!("{TEAM}/serviceaccounts/default");
    let root_ca = format!("{TEAM}/configmaps/kube-root-ca.crt");
    cluster.server.delete(&account).await.is(200);
    cluster.server.delete(&root_ca).await.is(200);
    cluster.settle().await;
    cluster.server.get(&account).await.is(200);
    cluster.server.get(&root_ca).await.is(200);
    let other = json!({ "data": { "ca.crt": "OTHER", "more": "x" }, "metadata": { "labels": { "a": "b" } } });
    cluster.server.merge(&root_ca, other).await.is(200);
    cluster.settle().await;
    let restored = cluster.server.get(&root_ca).await;
    assert_eq!(*restored.at("data"), json!({ "ca.crt": "AUTHORITY" }));
    assert_eq!(*restored.at("metadata.labels"), json!({ "a": "b" }));
    let mine = cluster.get("serviceaccounts").await;
    assert_eq!(mine.names(), ["default"]);
}
