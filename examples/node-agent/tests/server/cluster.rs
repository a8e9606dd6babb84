//! What the API server says of clients.

use k8s_openapi::api::authentication::v1::TokenRequest;
use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding};
use kube_client::api::PostParams;
use kube_client::{Api, Client};
use kubewright_apiserver::{ApiServer, Config};
use node_agent::config;
use node_agent::server::{Access, AccessReviewer, ClusterReviews, TokenReviewer};
use serde_json::json;

use crate::Served;
use crate::host::FakeHost;

async fn create<K>(api: Api<K>, object: serde_json::Value)
where
    K: Clone + std::fmt::Debug + serde::de::DeserializeOwned + serde::Serialize,
{
    let object = serde_json::from_value(object).unwrap();
    api.create(&PostParams::default(), &object).await.unwrap();
}

/// A cluster with a service account that may read the metrics of nodes, and its token.
async fn cluster() -> (Client, String) {
    let server = ApiServer::new(Config::default()).unwrap();
    let client = Client::new(server.service(), "default");
    let accounts: Api<ServiceAccount> = Api::default_namespaced(client.clone());
    create(accounts.clone(), json!({"metadata": {"name": "robot"}})).await;
    create::<ClusterRole>(
        Api::all(client.clone()),
        json!({
            "metadata": {"name": "reader"},
            "rules": [{"apiGroups": [""], "resources": ["nodes/metrics"], "verbs": ["get"]}],
        }),
    )
    .await;
    create::<ClusterRoleBinding>(
        Api::all(client.clone()),
        json!({
            "metadata": {"name": "robot"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "reader"},
            "subjects": [{"kind": "ServiceAccount", "name": "robot", "namespace": "default"}],
        }),
    )
    .await;
    let request: TokenRequest = serde_json::from_value(json!({"spec": {"audiences": []}})).unwrap();
    let parameters = PostParams::default();
    let token = accounts.create_token_request("robot", &parameters, &request);
    let token = token.await.unwrap().status.unwrap().token.unwrap();
    (client, token)
}

#[tokio::test]
async fn tokens_are_reviewed_by_the_api_server() {
    let (client, token) = cluster().await;
    let reviews = ClusterReviews::new(client);
    let user = TokenReviewer::review(&reviews, &token)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(user.name, "system:serviceaccount:default:robot");
    assert!(
        user.groups
            .contains(&"system:serviceaccounts:default".to_owned())
    );
    assert_eq!(
        TokenReviewer::review(&reviews, "nonsense").await.unwrap(),
        None
    );

    for (verb, subresource, allowed) in [
        ("get", "metrics", true),
        ("create", "metrics", false),
        ("get", "proxy", false),
    ] {
        let answer = AccessReviewer::review(&reviews, "test", &user, verb, subresource).await;
        assert_eq!(answer.unwrap(), allowed, "{verb} {subresource}");
    }
}

#[tokio::test]
async fn the_configuration_says_who_is_asked() {
    let (client, token) = cluster().await;
    let config = config::Config::default();
    let error = Access::from_config(&config, None).unwrap_err();
    assert_eq!(
        error.to_string(),
        "no client provided, cannot use webhook authentication"
    );

    let access = Access::from_config(&config, Some(&ClusterReviews::new(client))).unwrap();
    let server = Served::with(FakeHost::default(), access, |_| {}).await;
    let bearer = format!("Bearer {token}");
    let robot = [("authorization", bearer.as_str())];
    assert_eq!(server.send("GET", "/metrics", &robot).await.code, 200);
    assert_eq!(server.send("GET", "/pods", &robot).await.code, 403);
    assert_eq!(server.get("/metrics").await.code, 401);
}
