//! What pods refer to, from the embedded API server, in process and under paused time.
//!
//! Answers to upstream's `cache_based_manager_test.go` and `token_manager_test.go`.

#![expect(
    clippy::unwrap_used,
    reason = "tables are made of helpers that are no tests themselves"
)]

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret, Service, ServiceAccount};
use kube_client::Client;
use kube_client::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use kubewright_apiserver::faults::{Fault, Recording, Rule, Verb};
use kubewright_apiserver::{ApiServer, Config};
use kubewright_clock::Clock;
use node_agent::objects::{
    ConfigMaps as _, LookupError, ObjectStore, ObjectStoreDriver, ObjectStoreOptions, References,
    Secrets as _, Services as _, Snapshot, Tokens as _, pull_secrets,
};
use node_agent::pod::PodUid;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{advance, sleep};
use tokio_util::sync::CancellationToken;

/// A server with a config map, a secret and a service account, and a store of its objects.
struct Rig {
    server: ApiServer,
    client: Client,
    store: ObjectStore,
    driver: Option<ObjectStoreDriver>,
    calls: Recording,
}

fn from<K: serde::de::DeserializeOwned>(value: Value) -> K {
    serde_json::from_value(value).unwrap()
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A pod that refers to config map `c`, secret `s` and a token.
fn pod(uid: &str) -> Pod {
    from(json!({
        "metadata": {"name": "web", "namespace": "default", "uid": uid},
        "spec": {
            "serviceAccountName": "robot",
            "imagePullSecrets": [{"name": "s"}, {"name": ""}],
            "containers": [{"name": "a", "envFrom": [{"configMapRef": {"name": "c"}}]}],
        },
    }))
}

fn with_token(mut pod: Pod) -> Pod {
    pod.spec.as_mut().unwrap().volumes = from(json!([{
        "name": "t",
        "projected": {"sources": [{"serviceAccountToken": {"path": "t", "expirationSeconds": 3600}}]},
    }]));
    pod
}

impl Rig {
    async fn new() -> Self {
        let mut config = Config::default();
        // Nobody looks at it.
        config.clock = Clock::starting_at("2016-01-01T00:00:00Z".parse().unwrap());
        let server = ApiServer::new(config).unwrap();
        let client = Client::new(server.service(), "default");
        let options = ObjectStoreOptions::default();
        let (store, driver) = ObjectStore::new(Some(client.clone()), options).unwrap();
        let calls = server.record();
        let rig = Self {
            server,
            client,
            store,
            driver: Some(driver),
            calls,
        };
        rig.create::<ConfigMap>(json!({"metadata": {"name": "c"}, "data": {"k": "1"}}))
            .await;
        rig.create::<Secret>(json!({"metadata": {"name": "s"}}))
            .await;
        rig.create::<ServiceAccount>(json!({"metadata": {"name": "robot"}}))
            .await;
        rig
    }

    async fn create<K>(&self, object: Value)
    where
        K: kube_client::Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
            + serde::de::DeserializeOwned
            + serde::Serialize
            + Clone
            + std::fmt::Debug,
    {
        let api = Api::<K>::default_namespaced(self.client.clone());
        api.create(&PostParams::default(), &from(object))
            .await
            .unwrap();
    }

    async fn set(&self, value: &str) {
        let api = Api::<ConfigMap>::default_namespaced(self.client.clone());
        let patch = Patch::Merge(json!({"data": {"k": value}}));
        api.patch("c", &PatchParams::default(), &patch)
            .await
            .unwrap();
    }

    async fn snapshot(&self, pod: &Pod) -> Snapshot {
        self.store.snapshot(pod, &References::of(pod)).await
    }

    /// What the config map is, as a pod sees it.
    async fn value(&self, pod: &Pod) -> Result<String, LookupError> {
        let found = self.snapshot(pod).await.config_map("default", "c")?;
        Ok(found.data.as_ref().unwrap()["k"].clone())
    }

    async fn token(&self, pod: &Pod) -> Result<String, String> {
        let references = References::of(pod);
        let reference = references.tokens.first().unwrap();
        let token = self.snapshot(pod).await.token(reference);
        token.map_err(|error| error.to_string())
    }

    /// How often config maps were read since this was last asked.
    fn reads(&self) -> usize {
        let calls = self.calls.take();
        let reads = calls
            .iter()
            .filter(|call| call.verb == Verb::Get && call.resource == "configmaps");
        reads.count()
    }

    fn tokens_asked(&self) -> usize {
        let calls = self.calls.take();
        let asked = calls
            .iter()
            .filter(|call| call.subresource.as_deref() == Some("token"));
        asked.count()
    }
}

/// Answers to `TestCacheInvalidation` and `TestCacheRefcounts`.
#[tokio::test(start_paused = true)]
async fn cache_invalidation() {
    let rig = Rig::new().await;
    let pod_1 = pod("1");
    rig.store.register_pod(&pod_1);
    assert_eq!(rig.value(&pod_1).await.unwrap(), "1");
    rig.set("2").await;
    rig.reads();
    advance(seconds(59)).await;
    assert_eq!(rig.value(&pod_1).await.unwrap(), "1");
    assert_eq!(rig.reads(), 0);
    advance(seconds(1)).await;
    assert_eq!(rig.value(&pod_1).await.unwrap(), "2");
    assert_eq!(rig.reads(), 1);

    // A pod that is new has it as it is now; the same pod again changes nothing.
    rig.set("3").await;
    rig.store.register_pod(&pod_1);
    assert_eq!(rig.value(&pod_1).await.unwrap(), "2");
    let pod_2 = pod("2");
    rig.store.register_pod(&pod_2);
    assert_eq!(rig.value(&pod_2).await.unwrap(), "3");
    assert_eq!(rig.value(&pod_1).await.unwrap(), "3");
    assert_eq!(rig.reads(), 1);

    // It is kept as long as any pod refers to it.
    rig.store.unregister_pod(&PodUid::new("1"));
    assert_eq!(rig.value(&pod_2).await.unwrap(), "3");
    assert_eq!(rig.reads(), 0);
    rig.store.unregister_pod(&PodUid::new("2"));
    for _ in 0..2 {
        assert_eq!(rig.value(&pod_2).await.unwrap(), "3");
        assert_eq!(rig.reads(), 1);
    }
}

/// Answers to `TestRegisterPodWithUpdates`..: what a pod does not refer to any more is not kept.
#[tokio::test(start_paused = true)]
async fn a_pod_that_refers_to_something_else_leaves_the_first() {
    let rig = Rig::new().await;
    let mut pod = pod("1");
    rig.store.register_pod(&pod);
    rig.value(&pod).await.unwrap();
    pod.spec.as_mut().unwrap().containers[0].env_from = None;
    rig.store.register_pod(&pod);
    rig.set("2").await;
    pod.spec.as_mut().unwrap().containers[0].env_from =
        from(json!([{"configMapRef": {"name": "c"}}]));
    rig.store.register_pod(&pod);
    assert_eq!(rig.value(&pod).await.unwrap(), "2");
}

#[tokio::test(start_paused = true)]
async fn those_who_ask_at_one_time_share_the_answer() {
    let rig = Rig::new().await;
    let pod = pod("1");
    rig.store.register_pod(&pod);
    let faults = rig.server.faults();
    faults.add(Rule::new(Fault::Delay(seconds(5))).resource("configmaps"));
    rig.reads();
    let asked = (0..10).map(|_| rig.value(&pod));
    let answers = futures::future::join_all(asked).await;
    assert!(answers.iter().all(|answer| answer.as_deref() == Ok("1")));
    assert_eq!(rig.reads(), 1);

    // One who gives up takes nobody along.
    advance(seconds(60)).await;
    let hasty = tokio::time::timeout(seconds(1), rig.value(&pod));
    let (hasty, patient) = tokio::join!(hasty, rig.value(&pod));
    assert!(hasty.is_err());
    assert_eq!(patient.unwrap(), "1");
    assert_eq!(rig.reads(), 1);
    // A request that nobody waits for any more is not the one that a later one gets.
    advance(seconds(60)).await;
    let hasty = tokio::time::timeout(seconds(1), rig.value(&pod)).await;
    assert!(hasty.is_err());
    faults.clear();
    rig.set("2").await;
    assert_eq!(rig.value(&pod).await.unwrap(), "2");
}

#[tokio::test(start_paused = true)]
async fn failures_are_not_kept_and_what_was_last_known_stands() {
    let rig = Rig::new().await;
    let pod = pod("1");
    rig.store.register_pod(&pod);
    let faults = rig.server.faults();
    let away = || {
        let rule = Rule::new(Fault::unavailable());
        rule.resource("configmaps").verb(Verb::Get)
    };
    faults.add(away());
    let error = rig.value(&pod).await.unwrap_err();
    let LookupError::Unavailable { kind, name, .. } = &error else {
        panic!("{error}");
    };
    assert_eq!((*kind, name.as_str()), ("configmap", "c"));
    faults.clear();
    assert_eq!(rig.value(&pod).await.unwrap(), "1");

    // Ten minutes without a server.
    faults.add(away());
    for _ in 0..10 {
        advance(seconds(60)).await;
        assert_eq!(rig.value(&pod).await.unwrap(), "1");
    }
    rig.set("2").await;
    faults.clear();
    assert_eq!(rig.value(&pod).await.unwrap(), "2");

    // A server that hangs is as good as away.
    let hang = Rule::new(Fault::Delay(seconds(3600))).verb(Verb::Get);
    faults.add(hang.resource("configmaps"));
    advance(seconds(60)).await;
    let began = tokio::time::Instant::now();
    assert_eq!(rig.value(&pod).await.unwrap(), "2");
    assert_eq!(began.elapsed().as_secs(), 30);
    faults.clear();

    // What is gone is gone, and seen again as soon as it is there again.
    let api = Api::<ConfigMap>::default_namespaced(rig.client.clone());
    api.delete("c", &DeleteParams::default()).await.unwrap();
    advance(seconds(60)).await;
    let expected = "configmap \"c\" not found";
    assert_eq!(rig.value(&pod).await.unwrap_err().to_string(), expected);
    rig.create::<ConfigMap>(json!({"metadata": {"name": "c"}, "data": {"k": "3"}}))
        .await;
    assert_eq!(rig.value(&pod).await.unwrap(), "3");
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_stands_alone_has_no_objects() {
    let (store, driver) = ObjectStore::new(None, ObjectStoreOptions::default()).unwrap();
    let pod = with_token(pod("1"));
    store.register_pod(&pod);
    let references = References::of(&pod);
    let snapshot = store.snapshot(&pod, &references).await;
    let config_map = snapshot.config_map("default", "c").unwrap_err();
    let expected = "configmap \"c\": couldn't get configmap default/c, no kubeClient defined";
    assert_eq!(config_map.to_string(), expected);
    assert!(snapshot.secret("default", "s").is_err());
    let token = snapshot.token(references.tokens.first().unwrap());
    let expected = "token \"robot\": failed to fetch token: cannot use TokenManager when kubelet is in standalone mode";
    assert_eq!(token.unwrap_err().to_string(), expected);
    assert_eq!(snapshot.services().map(|all| all.len()), Some(0));
    let token = CancellationToken::new();
    token.cancel();
    driver.run(token).await;
}

/// Answers to `TestTokenCachingAndExpiration` and `TestRequiresRefresh`.
#[tokio::test(start_paused = true)]
async fn token_caching_and_expiration() {
    let rig = Rig::new().await;
    let api = Api::<Pod>::default_namespaced(rig.client.clone());
    let manifest = json!({
        "metadata": {"name": "web"},
        "spec": {"serviceAccountName": "robot", "nodeName": "n", "containers": [{"name": "a", "image": "i"}]},
    });
    let made = api.create(&PostParams::default(), &from(manifest)).await;
    let uid = made.unwrap().metadata.uid.unwrap();
    let pod = with_token(pod(&uid));
    rig.store.register_pod(&pod);
    rig.tokens_asked();
    let both = tokio::join!(rig.token(&pod), rig.token(&pod));
    let first = both.0.unwrap();
    assert_eq!(Ok(&first), both.1.as_ref());
    assert_eq!(rig.tokens_asked(), 1);

    // Not before four fifths of an hour, give or take the jitter.
    advance(seconds(47 * 60)).await;
    assert_eq!(rig.token(&pod).await.as_ref(), Ok(&first));
    assert_eq!(rig.tokens_asked(), 0);
    advance(seconds(61)).await;
    let second = rig.token(&pod).await.unwrap();
    assert_ne!(second, first);
    assert_eq!(rig.tokens_asked(), 1);

    // A refresh that fails is no harm as long as the token is good.
    let faults = rig.server.faults();
    faults.add(Rule::new(Fault::unavailable()).resource("serviceaccounts/token"));
    advance(seconds(59 * 60)).await;
    assert_eq!(rig.token(&pod).await.as_ref(), Ok(&second));
    assert_eq!(rig.tokens_asked(), 1);
    advance(seconds(60)).await;
    let error = rig.token(&pod).await.unwrap_err();
    assert!(
        error.starts_with("token \"robot\": token expired and refresh failed: "),
        "{error}"
    );
    faults.clear();
    assert!(rig.token(&pod).await.is_ok());

    assert_eq!(rig.store.tokens(), 1);
    rig.store.unregister_pod(&PodUid::new(uid));
    assert_eq!(rig.store.tokens(), 0);
}

/// Answers to `TestCleanup` of tokens.
#[tokio::test(start_paused = true)]
async fn expired_tokens_are_forgotten() {
    let mut rig = Rig::new().await;
    let driver = rig.driver.take().unwrap();
    let token = CancellationToken::new();
    let mut tasks = JoinSet::new();
    tasks.spawn(driver.run(token.clone()));
    // A pod that the server does not know has no token, and the failure is not kept for long.
    let pod = with_token(pod("unknown"));
    assert!(rig.token(&pod).await.is_err());
    assert_eq!(rig.store.tokens(), 1);
    sleep(seconds(61)).await;
    assert_eq!(rig.store.tokens(), 0);
    token.cancel();
    tasks.join_next().await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn services_are_those_of_the_namespace_and_the_api_servers_own() {
    let mut rig = Rig::new().await;
    let services = Api::<Service>::default_namespaced(rig.client.clone());
    // A server may have its own already.
    let _ = services
        .delete("kubernetes", &DeleteParams::default())
        .await;
    for name in ["kubernetes", "other"] {
        let spec = json!({"ports": [{"port": 80}], "clusterIP": "None"});
        rig.create::<Service>(json!({"metadata": {"name": name}, "spec": spec}))
            .await;
    }
    let mut elsewhere = pod("1");
    elsewhere.metadata.namespace = Some("kube-system".into());
    elsewhere.spec.as_mut().unwrap().image_pull_secrets = None;
    let names = |snapshot: Snapshot| {
        let services: Option<Vec<Arc<Service>>> = snapshot.services();
        services.map(|services| {
            let mut names: Vec<_> = services
                .iter()
                .map(|service| service.metadata.name.clone().unwrap())
                .collect();
            names.sort();
            names
        })
    };
    assert_eq!(names(rig.snapshot(&pod("1")).await), None);

    let token = CancellationToken::new();
    let mut tasks = JoinSet::new();
    tasks.spawn(rig.driver.take().unwrap().run(token.clone()));
    while names(rig.snapshot(&pod("1")).await).is_none() {
        sleep(Duration::from_millis(10)).await;
    }
    let local = names(rig.snapshot(&pod("1")).await).unwrap();
    assert_eq!(local, ["kubernetes", "other"]);
    assert_eq!(
        names(rig.snapshot(&elsewhere).await).unwrap(),
        ["kubernetes"]
    );
    token.cancel();
    tasks.join_next().await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn pull_secrets_that_are_missing_are_told_of_and_done_without() {
    let rig = Rig::new().await;
    let mut pod = pod("1");
    let (found, warning) = pull_secrets(&pod, &rig.snapshot(&pod).await);
    assert_eq!(found.len(), 1);
    assert_eq!(warning, None);

    let spec = pod.spec.as_mut().unwrap();
    spec.image_pull_secrets = from(json!([{"name": "x"}, {"name": "s"}, {"name": "y"}]));
    let (found, warning) = pull_secrets(&pod, &rig.snapshot(&pod).await);
    assert_eq!(found[0].metadata.name.as_deref(), Some("s"));
    let warning = warning.unwrap();
    assert_eq!(warning.reason, "FailedToRetrieveImagePullSecret");
    assert_eq!(
        warning.message,
        "Unable to retrieve some image pull secrets (x, y); attempting to pull the image may not succeed."
    );
}
