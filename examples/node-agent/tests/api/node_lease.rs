//! The lease of a node, by the tests of the lease controller.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Node;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube_client::api::{Api, Patch, PatchParams, PostParams};
use kubewright_apiserver::ApiServer;
use kubewright_apiserver::faults::{Fault, Recording, Rule, Verb};
use node_agent::client::{ClientLimits, Clients};
use node_agent::node::{LEASE_NAMESPACE, LeaseConfig, NodeLease, renewed};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::node_status::at;
use crate::world::{a_moment, clock, seconds, server, told};

struct Scene {
    server: ApiServer,
    clients: Clients,
    calls: Recording,
    failures: Arc<AtomicUsize>,
    token: CancellationToken,
    tasks: JoinSet<()>,
}

impl Scene {
    async fn new() -> Self {
        let clock = clock();
        let server = server(&clock);
        let clients = Clients::in_process(server.service(), &ClientLimits::default());
        let mut scene = Self {
            calls: server.record(),
            server,
            clients,
            failures: Arc::default(),
            token: CancellationToken::new(),
            tasks: JoinSet::new(),
        };
        scene.register().await;
        let mut config = LeaseConfig::of("n");
        config.clock = clock;
        let failures = Arc::clone(&scene.failures);
        let lease = NodeLease::new(scene.clients.heartbeat.clone(), config)
            .on_failure(move || _ = failures.fetch_add(1, Ordering::Relaxed));
        scene.tasks.spawn(lease.run(scene.token.clone()));
        scene
    }

    async fn register(&self) {
        let nodes: Api<Node> = Api::all(self.clients.main.clone());
        let node = serde_json::from_value(json!({"metadata": {"name": "n"}})).unwrap();
        nodes.create(&PostParams::default(), &node).await.unwrap();
        self.calls.take();
    }

    fn api(&self) -> Api<Lease> {
        Api::namespaced(self.clients.main.clone(), LEASE_NAMESPACE)
    }

    async fn lease(&self) -> Value {
        let lease = self.api().get("n").await.unwrap();
        self.calls.take();
        serde_json::to_value(lease).unwrap()
    }

    async fn stop(mut self) {
        self.token.cancel();
        while let Some(ended) = self.tasks.join_next().await {
            ended.unwrap();
        }
    }
}

const RENEWED: &str = "update leases kube-node-lease/n: 200";
const READ: &str = "get leases kube-node-lease/n: 200";

#[test]
fn new_node_lease() {
    let config = LeaseConfig::of("n");
    let owner = OwnerReference {
        api_version: "v1".into(),
        kind: "Node".into(),
        name: "n".into(),
        uid: "foo-uid".into(),
        ..Default::default()
    };
    let wire = |lease: &Lease| serde_json::to_value(lease).unwrap();
    let first = wire(&renewed(None, &config, Some(owner.clone()), at(0)));
    assert_eq!(first["metadata"]["name"], "n");
    assert_eq!(first["metadata"]["namespace"], "kube-node-lease");
    assert_eq!(first["metadata"]["ownerReferences"][0]["uid"], "foo-uid");
    assert_eq!(first["spec"]["holderIdentity"], "n");
    assert_eq!(first["spec"]["leaseDurationSeconds"], 40);
    assert_eq!(first["spec"]["renewTime"], "2023-11-14T22:13:20.000000Z");

    let unowned = renewed(None, &config, None, at(0));
    assert_eq!(unowned.metadata.owner_references, None);

    // The next one differs in nothing but its time, and in the owner it lacked.
    let mut base = unowned;
    base.metadata.resource_version = Some("7".into());
    base.spec.as_mut().unwrap().lease_duration_seconds = Some(10);
    let next = renewed(Some(&base), &config, Some(owner), at(1));
    assert_eq!(next.metadata.resource_version.as_deref(), Some("7"));
    assert_eq!(next.metadata.owner_references.as_ref().unwrap().len(), 1);
    let (spec, before) = (next.spec.clone().unwrap(), base.spec.unwrap());
    assert_eq!(spec.lease_duration_seconds, Some(10));
    assert!(spec.renew_time > before.renew_time);

    // The clock was set back: it is later all the same.
    let late = renewed(Some(&next), &config, None, at(-7200));
    let later = renewed(Some(&late), &config, None, at(-7190));
    let times = [&next, &late, &later].map(|it| it.spec.clone().unwrap().renew_time);
    assert!(times.is_sorted_by(|a, b| a < b), "{times:?}");
    let caught_up = renewed(Some(&later), &config, None, at(2)).spec.unwrap();
    assert_eq!(caught_up.renew_time.unwrap().0, at(2));
}

#[tokio::test(start_paused = true)]
async fn update_using_latest_lease() {
    let scene = Scene::new().await;
    a_moment().await;
    // It is made, and not renewed at once.
    let calls = told(&scene.calls);
    let made = [
        "get leases kube-node-lease/n: 404",
        "get nodes n: 200",
        "create leases kube-node-lease/n: 201",
    ];
    assert_eq!(calls, made);
    // From then on nobody is asked.
    seconds(100).await;
    let calls = told(&scene.calls);
    assert_eq!(calls, [RENEWED; 9]);
    let before = scene.lease().await;

    // Somebody else writes it: it is read anew.
    let patch = Patch::Merge(json!({"metadata": {"labels": {"a": "b"}}}));
    scene
        .api()
        .patch("n", &PatchParams::default(), &patch)
        .await
        .unwrap();
    scene.calls.take();
    seconds(10).await;
    let calls = told(&scene.calls);
    assert_eq!(
        calls,
        ["update leases kube-node-lease/n: 409", READ, RENEWED]
    );
    let after = scene.lease().await;
    assert_eq!(after["metadata"]["labels"], json!({"a": "b"}));
    assert_ne!(after["spec"]["renewTime"], before["spec"]["renewTime"]);

    // It is deleted: it is made anew.
    scene.api().delete("n", &Default::default()).await.unwrap();
    scene.calls.take();
    seconds(11).await;
    assert_eq!(scene.lease().await["spec"]["holderIdentity"], "n");
    scene.stop().await;
}

#[tokio::test(start_paused = true)]
async fn retry_update_node_lease() {
    for (case, fault, strikes, calls, failures) in [
        ("no failure", Fault::internal(), 0, 1, 0),
        ("one failure", Fault::internal(), 1, 2, 0),
        ("some failures", Fault::internal(), 4, 5, 3),
        ("a conflict", Fault::Conflict, 1, 3, 0),
        ("more conflicts", Fault::Conflict, 4, 9, 0),
    ] {
        let scene = Scene::new().await;
        a_moment().await;
        scene.calls.take();
        let rule = Rule::new(fault).verb(Verb::Update).resource("leases");
        let rule = scene.server.faults().add(rule.times(strikes));
        seconds(10).await;
        let made = told(&scene.calls);
        assert_eq!(made.len(), calls, "{case}: {made:?}");
        assert_eq!(made.last().unwrap(), RENEWED, "{case}");
        assert_eq!(scene.failures.load(Ordering::Relaxed), failures, "{case}");
        rule.remove();
        scene.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_lease_outlives_an_outage() {
    let scene = Scene::new().await;
    a_moment().await;
    let outage = scene.server.faults().add(Rule::new(Fault::LoseRequest));
    seconds(600).await;
    assert!(scene.failures.load(Ordering::Relaxed) > 0);
    outage.remove();
    seconds(18).await;
    let renewed = scene.lease().await["spec"]["renewTime"].clone();
    seconds(11).await;
    assert_ne!(scene.lease().await["spec"]["renewTime"], renewed);
    scene.stop().await;
}

#[tokio::test(start_paused = true)]
async fn set_node_owner_func() {
    let scene = Scene::new().await;
    a_moment().await;
    let lease = scene.lease().await;
    let nodes: Api<Node> = Api::all(scene.clients.main.clone());
    let uid = nodes.get("n").await.unwrap().metadata.uid;
    let owners = &lease["metadata"]["ownerReferences"];
    assert_eq!(
        *owners,
        json!([{"apiVersion": "v1", "kind": "Node", "name": "n", "uid": uid}])
    );

    // Without its node a lease is not made, but renewed.
    nodes.delete("n", &Default::default()).await.unwrap();
    let unowned = Patch::Merge(json!({"metadata": {"ownerReferences": null}}));
    scene
        .api()
        .patch("n", &PatchParams::default(), &unowned)
        .await
        .unwrap();
    seconds(20).await;
    assert_eq!(
        scene.lease().await["metadata"]["ownerReferences"],
        Value::Null
    );
    scene.api().delete("n", &Default::default()).await.unwrap();
    seconds(30).await;
    assert!(scene.api().get_opt("n").await.unwrap().is_none());
    // The node comes back, and owns it.
    scene.register().await;
    seconds(11).await;
    let owners = scene.lease().await["metadata"]["ownerReferences"].clone();
    assert_eq!(owners[0]["name"], "n");
    scene.stop().await;
}

#[tokio::test(start_paused = true)]
async fn it_is_renewed_after_a_quarter_of_its_time() {
    let scene = Scene::new().await;
    a_moment().await;
    let count = |calls: &Recording| told(calls).iter().filter(|call| *call == RENEWED).count();
    count(&scene.calls);
    tokio::time::sleep(Duration::from_secs(1000)).await;
    // Every 10 to 10.4 s.
    let renewals = count(&scene.calls);
    assert!((96..=100).contains(&renewals), "{renewals}");
    scene.stop().await;
}
