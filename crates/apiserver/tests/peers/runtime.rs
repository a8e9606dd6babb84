//! kube-runtime 5.0: its watcher, reflector, controller, finalizer and waits.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::{Stream, StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret};
use kube_client::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube_client::{Api, Error, ResourceExt};
use kube_runtime::controller::Action;
use kube_runtime::finalizer::{Event as Finalizer, finalizer};
use kube_runtime::wait::{await_condition, conditions};
use kube_runtime::watcher::{Config, Event};
use kube_runtime::{Controller, WatchStreamExt as _, reflector, watcher};
use kubewright_apiserver::Config as ServerConfig;
use kubewright_apiserver::faults::{Fault, Rule, Verb, WatchEnd};
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::Cluster;

const DEADLINE: Duration = Duration::from_secs(120);

fn config_map(name: &str, value: &str) -> ConfigMap {
    serde_json::from_value(json!({
        "metadata": { "name": name, "labels": { "test": "yes" } }, "data": { "k": value },
    }))
    .unwrap()
}

async fn set(api: &Api<ConfigMap>, name: &str, value: &str) {
    match api
        .create(&PostParams::default(), &config_map(name, value))
        .await
    {
        Ok(_) => {}
        Err(Error::Api(status)) if status.is_already_exists() => {
            let change = Patch::Merge(json!({ "data": { "k": value } }));
            api.patch(name, &PatchParams::default(), &change)
                .await
                .unwrap();
        }
        Err(error) => panic!("{error}"),
    }
}

/// What a watcher's consumer holds, kept up to date until it is as expected.
async fn follows<S>(events: &mut S, known: &mut BTreeMap<String, String>, expected: &[(&str, &str)])
where
    S: Stream<Item = Result<Event<ConfigMap>, watcher::Error>> + Unpin,
{
    let expected: BTreeMap<String, String> = expected
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let follow = async {
        let mut buffer = BTreeMap::new();
        while *known != expected {
            let value = |object: &ConfigMap| object.data.as_ref().unwrap()["k"].clone();
            match events.next().await.expect("a watcher goes on") {
                Ok(Event::Init) => buffer.clear(),
                Ok(Event::InitApply(object)) => {
                    buffer.insert(object.name_any(), value(&object));
                }
                Ok(Event::InitDone) => *known = std::mem::take(&mut buffer),
                Ok(Event::Apply(object)) => {
                    known.insert(object.name_any(), value(&object));
                }
                Ok(Event::Delete(object)) => {
                    known.remove(&object.name_any());
                }
                // Told, and recovered from.
                Err(_) => {}
            }
        }
    };
    if timeout(DEADLINE, follow).await.is_err() {
        panic!("it stays at {known:?} and never gets to {expected:?}");
    }
}

fn configurations() -> [Config; 3] {
    let labels = || Config::default().labels("test=yes");
    [labels(), labels().page_size(2), labels().streaming_lists()]
}

#[tokio::test(start_paused = true)]
async fn the_watcher_follows_through_everything_that_can_happen_to_a_watch() {
    for config in configurations() {
        let cluster = Cluster::new();
        let api: Api<ConfigMap> = Api::default_namespaced(cluster.client.clone());
        for name in ["a", "b", "c", "d", "e"] {
            set(&api, name, "1").await;
        }
        let mut events = pin!(watcher(api.clone(), config).default_backoff());
        let mut known = BTreeMap::new();
        let all = [("a", "1"), ("b", "1"), ("c", "1"), ("d", "1"), ("e", "1")];
        follows(&mut events, &mut known, &all).await;

        set(&api, "a", "2").await;
        api.delete("b", &DeleteParams::default()).await.unwrap();
        let few = [("a", "2"), ("c", "1"), ("d", "1"), ("e", "1")];
        follows(&mut events, &mut known, &few).await;

        // All watches end; what happens meanwhile is not missed.
        cluster.server.drop_watches();
        set(&api, "a", "3").await;
        api.delete("c", &DeleteParams::default()).await.unwrap();
        let fewer = [("a", "3"), ("d", "1"), ("e", "1")];
        follows(&mut events, &mut known, &fewer).await;

        // The version that it would go on from is forgotten.
        let faults = cluster.server.faults();
        faults.add(Rule::new(Fault::Compact).verb(Verb::Watch).nth(1));
        cluster.server.drop_watches();
        api.delete("d", &DeleteParams::default()).await.unwrap();
        set(&api, "e", "2").await;
        follows(&mut events, &mut known, &[("a", "3"), ("e", "2")]).await;

        // Answers and watches are lost, and the server is down for a while.
        faults.clear();
        faults.add(
            Rule::new(Fault::EndWatch {
                after: 1,
                end: WatchEnd::Broken,
            })
            .verb(Verb::Watch)
            .times(3),
        );
        faults.add(
            Rule::new(Fault::unavailable())
                .verb(Verb::Watch)
                .verb(Verb::List)
                .skip(1)
                .times(4),
        );
        faults.add(Rule::new(Fault::LoseAnswer).verb(Verb::List).times(2));
        cluster.server.drop_watches();
        for value in ["4", "5", "6", "7"] {
            set(&api, "a", value).await;
        }
        follows(&mut events, &mut known, &[("a", "7"), ("e", "2")]).await;
        faults.clear();
        set(&api, "e", "3").await;
        follows(&mut events, &mut known, &[("a", "7"), ("e", "3")]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_watcher_lives_on_bookmarks_and_timeouts() {
    let mut config = ServerConfig::default();
    config.history = 4;
    let cluster = Cluster::with(config);
    let api: Api<ConfigMap> = Api::default_namespaced(cluster.client.clone());
    let calls = cluster.server.record();
    set(&api, "a", "1").await;
    let mut events = pin!(watcher(
        api.clone(),
        Config::default().labels("test=yes").timeout(10)
    ));
    let mut known = BTreeMap::new();
    follows(&mut events, &mut known, &[("a", "1")]).await;
    // Each watch lasts ten seconds, and more happens to others than is remembered.
    for round in 0..10 {
        for number in 0..10 {
            let mut other = config_map("other", &format!("{round}{number}"));
            other.metadata.labels = None;
            let replace = Patch::Merge(json!({ "data": other.data }));
            let name = format!("other-{number}");
            other.metadata.name = Some(name.clone());
            if round == 0 {
                api.create(&PostParams::default(), &other).await.unwrap();
            } else {
                api.patch(&name, &PatchParams::default(), &replace)
                    .await
                    .unwrap();
            }
            // The watcher reads what there is.
            let quiet = timeout(Duration::from_secs(1), events.next()).await;
            assert!(quiet.is_err(), "{quiet:?}");
        }
    }
    set(&api, "a", "2").await;
    follows(&mut events, &mut known, &[("a", "2")]).await;
    let recorded = calls.take();
    let lists = recorded
        .iter()
        .filter(|call| call.verb == Verb::List)
        .count();
    let watches = recorded
        .iter()
        .filter(|call| call.verb == Verb::Watch)
        .count();
    assert_eq!(lists, 1, "bookmarks carry it over");
    assert!((9..=12).contains(&watches), "{watches}");
}

#[tokio::test(start_paused = true)]
async fn a_reflector_mirrors_the_objects() {
    let cluster = Cluster::new();
    let api: Api<Pod> = Api::default_namespaced(cluster.client.clone());
    let (store, writer) = reflector::store();
    let mut tasks = JoinSet::new();
    let events = watcher(api.clone(), Config::default()).default_backoff();
    tasks.spawn(reflector(writer, events).for_each(|_| async {}));
    store.wait_until_ready().await.unwrap();
    for number in 0..50 {
        let pod: Pod = serde_json::from_value(json!({
            "metadata": { "name": format!("p{number}") },
            "spec": { "containers": [{ "name": "c", "image": "i" }] },
        }))
        .unwrap();
        api.create(&PostParams::default(), &pod).await.unwrap();
    }
    for number in 0..25 {
        api.delete(&format!("p{number}"), &DeleteParams::default())
            .await
            .unwrap();
    }
    tokio::time::sleep(Duration::from_secs(60)).await;
    let mirrored: BTreeMap<_, _> = store
        .state()
        .iter()
        .map(|pod| (pod.name_any(), pod.resource_version()))
        .collect();
    let list = api.list(&ListParams::default()).await.unwrap();
    let real: BTreeMap<_, _> = list
        .items
        .iter()
        .map(|pod| (pod.name_any(), pod.resource_version()))
        .collect();
    assert_eq!(real.len(), 25);
    assert_eq!(mirrored, real);
    assert!(store.state().iter().all(|pod| {
        pod.status
            .as_ref()
            .and_then(|status| status.phase.as_deref())
            == Some("Running")
    }));
}

/// For every config map that it owns a secret of the same name.
async fn reconcile(owner: Arc<ConfigMap>, context: Arc<Context>) -> Result<Action, Error> {
    context.reconciled.fetch_add(1, Ordering::Relaxed);
    let api: Api<Secret> = Api::default_namespaced(context.client.clone());
    let name = owner.name_any();
    if api.get_opt(&name).await?.is_some() || owner.metadata.deletion_timestamp.is_some() {
        return Ok(Action::await_change());
    }
    let secret: Secret =
        serde_json::from_value(json!({ "metadata": { "name": name, "ownerReferences": [{
        "apiVersion": "v1", "kind": "ConfigMap", "name": name, "uid": owner.uid(),
        "controller": true, "blockOwnerDeletion": true,
    }] } }))
        .unwrap();
    api.create(&PostParams::default(), &secret).await?;
    Ok(Action::await_change())
}

struct Context {
    client: kube_client::Client,
    reconciled: AtomicUsize,
}

#[tokio::test(start_paused = true)]
async fn a_controller_keeps_what_it_owns_through_faults() {
    let cluster = Cluster::new();
    let owners: Api<ConfigMap> = Api::default_namespaced(cluster.client.clone());
    let owned: Api<Secret> = Api::default_namespaced(cluster.client.clone());
    let context = Arc::new(Context {
        client: cluster.client.clone(),
        reconciled: AtomicUsize::new(0),
    });
    let faults = cluster.server.faults();
    faults.add(
        Rule::new(Fault::too_many_requests(1))
            .verb(Verb::Create)
            .resource("secrets")
            .nth(3),
    );
    faults.add(
        Rule::new(Fault::LoseAnswer)
            .verb(Verb::Create)
            .resource("secrets")
            .nth(6),
    );
    faults.add(
        Rule::new(Fault::LoseRequest)
            .verb(Verb::Get)
            .resource("secrets")
            .chance(0.2),
    );
    faults.add(
        Rule::new(Fault::DropWatches)
            .verb(Verb::Create)
            .resource("secrets")
            .nth(9),
    );

    let mut tasks = JoinSet::new();
    let controller = Controller::new(owners.clone(), Config::default().labels("test=yes"))
        .owns(owned.clone(), Config::default())
        .run(
            reconcile,
            |_, _, _| Action::requeue(Duration::from_secs(1)),
            Arc::clone(&context),
        );
    tasks.spawn(controller.for_each(|_| async {}));

    let wanted: BTreeSet<String> = (0..20).map(|number| format!("c{number:02}")).collect();
    for name in &wanted {
        set(&owners, name, "1").await;
    }
    let names = async || -> BTreeSet<String> {
        let list = owned.list(&ListParams::default()).await.unwrap();
        list.items.iter().map(ResourceExt::name_any).collect()
    };
    tokio::time::sleep(DEADLINE).await;
    faults.clear();
    assert_eq!(names().await, wanted);

    // What is taken away comes back, because the controller owns it.
    owned.delete("c07", &DeleteParams::default()).await.unwrap();
    tokio::time::sleep(DEADLINE).await;
    assert_eq!(names().await, wanted);

    // And goes with its owner, because the garbage collector sees to it.
    owners
        .delete("c07", &DeleteParams::default())
        .await
        .unwrap();
    owners
        .delete("c08", &DeleteParams::foreground())
        .await
        .unwrap();
    tokio::time::sleep(DEADLINE).await;
    assert_eq!(names().await.len(), 18);
    assert_eq!(owners.get_opt("c08").await.unwrap(), None);
    let settled = context.reconciled.load(Ordering::Relaxed);
    tokio::time::sleep(DEADLINE).await;
    assert_eq!(
        context.reconciled.load(Ordering::Relaxed),
        settled,
        "it comes to rest"
    );
}

#[tokio::test(start_paused = true)]
async fn a_finalizer_sees_the_end_before_it_comes() {
    const NAME: &str = "example.com/cleanup";
    let cluster = Cluster::new();
    let api: Api<ConfigMap> = Api::default_namespaced(cluster.client.clone());
    set(&api, "a", "1").await;
    let seen = parking_lot::Mutex::new(Vec::new());
    let act = async |object: ConfigMap| {
        let step = |event: Finalizer<ConfigMap>| {
            let name = match event {
                Finalizer::Apply(_) => "apply",
                Finalizer::Cleanup(_) => "cleanup",
            };
            seen.lock().push(name);
            async { Ok::<_, Error>(Action::await_change()) }
        };
        finalizer(&api, NAME, Arc::new(object), step).await.unwrap();
    };
    act(api.get("a").await.unwrap()).await;
    let held = api.get("a").await.unwrap();
    assert_eq!(held.finalizers(), [NAME]);
    act(held).await;
    let deleted = api.delete("a", &DeleteParams::default()).await.unwrap();
    assert!(
        deleted
            .left()
            .unwrap()
            .metadata
            .deletion_timestamp
            .is_some()
    );
    act(api.get("a").await.unwrap()).await;
    assert_eq!(*seen.lock(), ["apply", "cleanup"]);
    assert_eq!(api.get_opt("a").await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn conditions_are_waited_for() {
    let cluster = Cluster::new();
    let api: Api<Pod> = Api::default_namespaced(cluster.client.clone());
    let pod: Pod = serde_json::from_value(json!({
        "metadata": { "name": "p" }, "spec": { "containers": [{ "name": "c", "image": "i" }] },
    }))
    .unwrap();
    let pod = api.create(&PostParams::default(), &pod).await.unwrap();
    let running = await_condition(api.clone(), "p", conditions::is_pod_running());
    timeout(DEADLINE, running).await.unwrap().unwrap();
    api.delete("p", &DeleteParams::default()).await.unwrap();
    let uid = pod.uid().unwrap();
    let gone = await_condition(api.clone(), "p", conditions::is_deleted(&uid));
    timeout(DEADLINE, gone).await.unwrap().unwrap();
    assert_eq!(api.get_opt("p").await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn touched_objects_arrive_in_order() {
    let cluster = Cluster::new();
    let api: Api<ConfigMap> = Api::default_namespaced(cluster.client.clone());
    let touched = watcher(api.clone(), Config::default().labels("test=yes")).touched_objects();
    let writes = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        for number in 0..300 {
            set(&api, "a", &number.to_string()).await;
        }
    };
    let reads = async {
        let values = touched.map_ok(|object| object.data.unwrap()["k"].clone());
        values.take(300).try_collect::<Vec<_>>().await.unwrap()
    };
    let ((), values) = tokio::join!(writes, reads);
    let expected: Vec<String> = (0..300).map(|number| number.to_string()).collect();
    assert_eq!(values, expected);
}
