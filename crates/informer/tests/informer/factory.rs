//! Informers that are shared, started and stopped as needed.

use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response, StatusCode};
use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret};
use kube_client::Client;
use kube_client::client::Body;
use kubewright_cache::SourceError;
use kubewright_cache::testing::{Answer, FakeSource};
use kubewright_informer::{Error, HandlerConfig, InformerFactory, Scope, SharedInformer};
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::rig::{Record, Thing, settle, thing};

/// A client whose server forbids everything, and the requests it got.
fn forbidding() -> (Client, Arc<Mutex<Vec<String>>>) {
    let requests = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&requests);
    let service = tower::service_fn(move |request: Request<Body>| {
        seen.lock().push(request.uri().to_string());
        let status = serde_json::json!({
            "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 403,
            "reason": "Forbidden", "message": "no pods for you",
        });
        let response = Response::builder()
            .status(StatusCode::FORBIDDEN)
            .body(Body::from(status.to_string().into_bytes()));
        std::future::ready(response)
    });
    (Client::new(service, "default"), requests)
}

/// A factory that runs.
struct Plant {
    factory: InformerFactory,
    token: CancellationToken,
    tasks: JoinSet<Result<(), Error>>,
}

impl Plant {
    fn new() -> Self {
        Self {
            factory: InformerFactory::new(forbidding().0),
            token: CancellationToken::new(),
            tasks: JoinSet::new(),
        }
    }

    fn started() -> Self {
        let mut plant = Self::new();
        plant.start();
        plant
    }

    fn start(&mut self) {
        let (factory, token) = (self.factory.clone(), self.token.clone());
        self.tasks.spawn(async move { factory.run(token).await });
    }

    fn things(&self, name: &str, source: &FakeSource) -> SharedInformer<Thing> {
        let source = || source.clone();
        self.factory.informer_from(name, source).unwrap()
    }

    async fn stop(&mut self) {
        self.token.cancel();
        while let Some(ended) = self.tasks.join_next().await {
            ended.unwrap().unwrap();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn one_informer_per_type_and_scope() {
    let factory = InformerFactory::new(forbidding().0);
    let pods = factory.informer::<Pod>().unwrap();
    let system = factory
        .informer_in(Scope::<Pod>::namespace("kube-system"))
        .unwrap();
    let sets = factory.informer::<ReplicaSet>().unwrap();
    assert_eq!(pods.name(), "pods");
    assert_eq!(system.name(), "pods in kube-system");
    assert_eq!(sets.name(), "replicasets.apps");
    pods.store()
        .add_index("mark", kubewright_cache::Index::on_meta(|_| vec![]))
        .unwrap();
    let again = factory.informer_in(Scope::<Pod>::all()).unwrap();
    assert!(again.store().by_index("mark", "").is_ok(), "the same store");
    assert!(
        system.store().by_index("mark", "").is_err(),
        "another store"
    );
    let names: Vec<_> = factory
        .status()
        .iter()
        .map(|status| status.name.to_string())
        .collect();
    assert_eq!(names, ["pods", "pods in kube-system", "replicasets.apps"]);
}

/// A name of one's own does not bring types together.
#[tokio::test(start_paused = true)]
async fn types_are_told_apart_under_one_name() {
    let factory = InformerFactory::new(forbidding().0);
    let maps = factory
        .informer_from::<ConfigMap, _>("things", FakeSource::new)
        .unwrap();
    let secrets = factory
        .informer_from::<Secret, _>("things", FakeSource::new)
        .unwrap();
    assert_eq!(maps.name(), secrets.name());
    assert_eq!(factory.status().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn one_watch_serves_all_who_ask() {
    let mut plant = Plant::started();
    let source = FakeSource::new();
    source.apply(thing("a"));
    let records = [Record::default(), Record::default()];
    for record in &records {
        let things = plant.things("things", &source);
        things
            .add_handler(record.handler(), HandlerConfig::default())
            .unwrap();
    }
    plant.factory.wait_for_sync().await.unwrap();
    source.apply(thing("b"));
    settle().await;
    for record in &records {
        assert_eq!(record.take(), ["*a@1", "+b@2"]);
    }
    assert_eq!((source.lists().len(), source.open_watches()), (1, 1));
    plant.stop().await;
}

/// client-go starts an informer that was made late only when told to start once more.
#[tokio::test(start_paused = true)]
async fn informers_made_while_running_start_at_once() {
    let mut plant = Plant::new();
    let (early, late) = (FakeSource::new(), FakeSource::new());
    let one = plant.things("early", &early);
    settle().await;
    assert!(early.seen().is_empty(), "nothing runs yet");
    plant.start();
    one.synced().await.unwrap();
    let two = plant.things("late", &late);
    two.synced().await.unwrap();
    plant.stop().await;
    assert_eq!((early.open_watches(), late.open_watches()), (0, 0));
}

/// An informer stops with its last user, and the next gets a new one.
#[tokio::test(start_paused = true)]
async fn an_informer_nobody_uses_stops() {
    let mut plant = Plant::started();
    let source = FakeSource::new();
    source.apply(thing("a"));
    let things = plant.things("things", &source);
    let lister = things.lister();
    let registration = things
        .add_handler(Record::default().handler(), HandlerConfig::default())
        .unwrap();
    registration.synced().await.unwrap();
    let before = Handle::current().metrics().num_alive_tasks();

    drop(things);
    settle().await;
    assert_eq!(source.open_watches(), 1, "a lister and a handler use it");
    registration.remove().await;
    settle().await;
    assert_eq!(source.open_watches(), 1, "a lister uses it");
    assert_eq!(lister.all().len(), 1);
    drop(lister);
    settle().await;
    assert_eq!(source.open_watches(), 0);
    assert!(plant.factory.status().is_empty());
    // Those of the informer, its watch and its handler are gone.
    assert_eq!(Handle::current().metrics().num_alive_tasks(), before - 3);

    source.apply(thing("b"));
    let again = plant.things("things", &source);
    again.synced().await.unwrap();
    assert_eq!(again.store().len(), 2);
    plant.stop().await;
}

/// A handler alone keeps its informer; it is removed by its registration.
#[tokio::test(start_paused = true)]
async fn a_handler_keeps_its_informer() {
    let mut plant = Plant::started();
    let source = FakeSource::new();
    let record = Record::default();
    let registration = plant
        .things("things", &source)
        .add_handler(record.handler(), HandlerConfig::default())
        .unwrap();
    settle().await;
    source.apply(thing("a"));
    settle().await;
    assert_eq!(record.take(), ["+a@1"]);
    registration.remove().await;
    settle().await;
    assert_eq!(source.open_watches(), 0);
    plant.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_informer_dropped_before_the_start_is_not_started() {
    let mut plant = Plant::new();
    let source = FakeSource::new();
    drop(plant.things("things", &source));
    plant.start();
    settle().await;
    assert!(source.seen().is_empty());
    // Dropped and asked for again before the start, it is the same.
    plant.stop().await;
}

#[tokio::test(start_paused = true)]
async fn asking_again_brings_an_unused_informer_back() {
    let mut plant = Plant::new();
    let source = FakeSource::new();
    let things = plant.things("things", &source);
    things
        .store()
        .add_index("mark", kubewright_cache::Index::on_meta(|_| vec![]))
        .unwrap();
    drop(things);
    let things = plant.things("things", &source);
    assert!(things.store().by_index("mark", "").is_ok());
    plant.start();
    things.synced().await.unwrap();
    drop(things);
    settle().await;
    assert_eq!(source.open_watches(), 0, "users are counted as before");
    plant.stop().await;
}

/// Users come and go while informers start and stop: nobody is left with one that is stopping.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_race_with_the_stop() {
    let mut plant = Plant::started();
    let source = FakeSource::new();
    source.apply(thing("a"));
    let mut users = JoinSet::new();
    for _ in 0..8 {
        let (factory, source) = (plant.factory.clone(), source.clone());
        users.spawn(async move {
            for _ in 0..200 {
                let things = factory
                    .informer_from::<Thing, _>("things", || source.clone())
                    .unwrap();
                things.synced().await.unwrap();
                assert_eq!(things.store().len(), 1);
                drop(things);
                tokio::task::yield_now().await;
            }
        });
    }
    while let Some(ended) = users.join_next().await {
        ended.unwrap();
    }
    plant.stop().await;
    assert_eq!(source.open_watches(), 0);
}

/// Answers to client-go's `TestWaitFor` and `TestSyncResult`: no polling, and the cause is named.
#[tokio::test(start_paused = true)]
async fn waiting_for_sync_names_who_failed_and_why() {
    let mut plant = Plant::started();
    let (good, bad, silent) = (FakeSource::new(), FakeSource::new(), FakeSource::new());
    for _ in 0..100 {
        let message = "things is forbidden".into();
        bad.answer_list(Answer::Fail(SourceError::Forbidden { message }));
    }
    silent.answer_list(Answer::Hang);
    let _users = [
        plant.things("good", &good),
        plant.things("bad", &bad),
        plant.things("silent", &silent),
    ];
    settle().await;
    let names: Vec<_> = plant
        .factory
        .unsynced()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(names, ["bad (not allowed: things is forbidden)", "silent"]);
    let waited = tokio::join!(plant.factory.wait_for_sync(), async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        plant.token.cancel();
    })
    .0;
    assert_eq!(
        waited.unwrap_err().to_string(),
        "not in sync: bad (not allowed: things is forbidden), silent"
    );
    plant.stop().await;
}

#[tokio::test(start_paused = true)]
async fn waiting_for_sync_waits_for_the_last() {
    let mut plant = Plant::new();
    let (quick, slow) = (FakeSource::new(), FakeSource::new());
    let message = "not yet".into();
    slow.answer_list(Answer::Fail(SourceError::Internal { message }));
    let users = [plant.things("quick", &quick), plant.things("slow", &slow)];
    let factory = plant.factory.clone();
    let mut waiting = std::pin::pin!(factory.wait_for_sync());
    assert!(
        futures::poll!(waiting.as_mut()).is_pending(),
        "nothing runs yet"
    );
    plant.start();
    settle().await;
    assert!(users[0].has_synced() && !users[1].has_synced());
    assert!(futures::poll!(waiting.as_mut()).is_pending());
    waiting.await.unwrap();
    assert!(users[1].has_synced());
    plant.stop().await;
}

#[tokio::test(start_paused = true)]
async fn shutdown_waits_and_is_final() {
    let mut plant = Plant::new();
    // The client has a task of its own.
    let before = Handle::current().metrics().num_alive_tasks();
    plant.start();
    let source = FakeSource::new();
    let things = plant.things("things", &source);
    things.synced().await.unwrap();
    plant.factory.shutdown().await;
    assert_eq!(source.open_watches(), 0);
    assert!(matches!(
        plant.factory.informer::<Pod>(),
        Err(Error::Stopped { .. })
    ));
    assert!(
        things
            .add_handler(Record::default().handler(), HandlerConfig::default())
            .is_err()
    );
    assert!(matches!(
        plant.factory.run(CancellationToken::new()).await,
        Err(Error::Stopped { .. })
    ));
    plant.factory.shutdown().await;
    plant.stop().await;
    assert_eq!(Handle::current().metrics().num_alive_tasks(), before);
}

#[tokio::test(start_paused = true)]
async fn shutdown_before_the_start_ends_the_informers() {
    let plant = Plant::new();
    let things = plant.things("things", &FakeSource::new());
    plant.factory.shutdown().await;
    assert!(matches!(things.synced().await, Err(Error::Stopped { .. })));
    assert!(matches!(
        plant.factory.wait_for_sync().await,
        Err(Error::NotSynced { .. })
    ));
}

#[tokio::test(start_paused = true)]
async fn a_factory_runs_once() {
    let mut plant = Plant::started();
    settle().await;
    assert!(matches!(
        plant.factory.run(CancellationToken::new()).await,
        Err(Error::AlreadyStarted { .. })
    ));
    plant.stop().await;
}

#[tokio::test(start_paused = true)]
async fn dropping_run_stops_all_informers() {
    let mut plant = Plant::started();
    let source = FakeSource::new();
    let things = plant.things("things", &source);
    things.synced().await.unwrap();
    plant.tasks.shutdown().await;
    settle().await;
    assert_eq!(source.open_watches(), 0);
    assert!(plant.factory.informer::<Pod>().is_err());
    plant.factory.shutdown().await;
}

/// The scope is what the server is asked for, and its refusal is the cause that is named.
#[tokio::test(start_paused = true)]
async fn a_scope_is_asked_of_the_server() {
    let (client, requests) = forbidding();
    let factory = InformerFactory::new(client);
    let scope = Scope::<Pod>::namespace("kube-system")
        .labels("app in (dns,proxy)")
        .fields("spec.nodeName=n1");
    let pods = factory.informer_in(scope).unwrap();
    let token = CancellationToken::new();
    let look = async {
        settle().await;
        token.cancel();
    };
    let (ran, ()) = tokio::join!(factory.run(token.clone()), look);
    ran.unwrap();
    let requests = requests.lock();
    let (path, query) = requests[0].split_once('?').unwrap();
    assert!(
        path.ends_with("/api/v1/namespaces/kube-system/pods"),
        "{path}"
    );
    assert!(
        query.contains("labelSelector=app+in+%28dns%2Cproxy%29"),
        "{query}"
    );
    assert!(
        query.contains("fieldSelector=spec.nodeName%3Dn1"),
        "{query}"
    );
    let failure = pods.status().failure.unwrap();
    assert!(
        failure.fatal && failure.to_string().contains("no pods for you"),
        "{failure}"
    );
}
