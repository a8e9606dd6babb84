//! A controller and a recorder against a whole API server, in process and under paused time.

use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Event, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube_client::api::{DeleteParams, ListParams, PostParams};
use kube_client::{Api, Client, ResourceExt};
use kubewright_apiserver::faults::{Fault, Recording, Rule, Verb, WatchEnd};
use kubewright_apiserver::{ApiServer, Config};
use kubewright_cache::{KubeListerWatcher, ResourceVersion};
use kubewright_clock::Clock;
use kubewright_controller::{
    Action, Controller, ControllerConfig, EventRecorder, EventType, OwnWrites, Owner, Predicate,
    Reconciler, RecorderConfig, Request, Source, TrackedStore,
};
use kubewright_informer::{InformerConfig, SharedInformer};
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

fn server() -> (ApiServer, Client) {
    let mut config = Config::default();
    config.clock = Clock::starting_at("2024-05-01T12:00:00Z".parse().expect("it is a time"));
    let server = ApiServer::new(config).expect("the configuration is sound");
    let client = Client::new(server.service(), "default");
    (server, client)
}

fn told(calls: &Recording) -> Vec<String> {
    let writes = calls.take_writes();
    let without_names = |call: &kubewright_apiserver::faults::Call| {
        let code = call
            .code
            .map_or_else(|| "lost".to_owned(), |code| code.as_u16().to_string());
        format!("{:?} {}: {code}", call.verb, call.resource)
    };
    writes.iter().map(without_names).collect()
}

#[tokio::test(start_paused = true)]
async fn events_are_created_patched_and_created_again() {
    let (server, client) = server();
    let events: Api<Event> = Api::namespaced(client.clone(), "default");
    let calls = server.record();
    let mut config = RecorderConfig::of("tester");
    config.clock = Clock::starting_at("2024-05-01T12:00:00Z".parse().unwrap());
    let (recorder, writer) = EventRecorder::new(client, &config);
    let token = CancellationToken::new();
    let mut tasks = JoinSet::new();
    tasks.spawn(writer.run(token.clone()));

    let about = ObjectReference {
        api_version: Some("v1".into()),
        kind: Some("Pod".into()),
        namespace: Some("default".into()),
        name: Some("web-0".into()),
        uid: Some("u".into()),
        ..ObjectReference::default()
    };
    let record = || recorder.record(&about, EventType::Warning, "Unhappy", "it is unhappy");
    record();
    sleep(Duration::from_secs(30)).await;
    record();
    sleep(Duration::from_secs(30)).await;
    assert_eq!(told(&calls), ["Create events: 201", "Patch events: 200"]);

    let stored = events.list(&ListParams::default()).await.unwrap().items;
    let [event] = &stored[..] else {
        panic!("one event: {stored:?}");
    };
    assert!(event.name_any().starts_with("web-0."));
    assert_eq!(
        (event.count, event.type_.as_deref()),
        (Some(2), Some("Warning"))
    );
    assert_eq!(event.involved_object, about);
    let times = [&event.first_timestamp, &event.last_timestamp];
    let times = times.map(|time| time.as_ref().map(|time| time.0.to_string()));
    let expected = ["2024-05-01T12:00:00Z", "2024-05-01T12:00:30Z"];
    assert_eq!(times, expected.map(|time| Some(time.to_owned())));

    events
        .delete(&event.name_any(), &DeleteParams::default())
        .await
        .unwrap();
    record();
    sleep(Duration::from_secs(30)).await;
    let expected = [
        "Delete events: 200",
        "Patch events: 404",
        "Create events: 201",
    ];
    assert_eq!(told(&calls), expected);
    let again = events.get(&event.name_any()).await.unwrap();
    assert_eq!(again.count, Some(3));

    // An event for a namespace that is not there is refused, and that is that.
    let elsewhere = ObjectReference {
        namespace: Some("nowhere".into()),
        ..about
    };
    recorder.record(&elsewhere, EventType::Normal, "Lost", "nobody will know");
    sleep(Duration::from_secs(600)).await;
    assert_eq!(told(&calls), ["Create events: 404"]);
    token.cancel();
    tasks.join_all().await;
}

/// Keeps as many config maps around as a config map with the label `role: set` asks for.
struct Sets {
    client: Client,
    maps: SharedInformer<ConfigMap>,
    own_maps: Option<TrackedStore>,
}

impl Reconciler for Sets {
    type Error = kube_client::Error;

    async fn reconcile(&self, request: Request) -> Result<Action, Self::Error> {
        let Some(set) = self.maps.store().get(request.key()) else {
            return Ok(Action::done());
        };
        let wanted = set.get().ok().and_then(|set| {
            let replicas = set.data.as_ref()?.get("replicas")?;
            replicas.parse::<usize>().ok()
        });
        let meta = set.meta();
        let there = self.maps.store().owned_by(meta.uid()).len();
        let api: Api<ConfigMap> = Api::namespaced(self.client.clone(), "default");
        for _ in there..wanted.unwrap_or_default() {
            let mut child = ConfigMap::default();
            child.metadata.generate_name = Some(format!("{}-", meta.name()));
            child.metadata.owner_references = Some(vec![OwnerReference {
                api_version: "v1".into(),
                kind: "ConfigMap".into(),
                name: meta.name().into(),
                uid: meta.uid().to_string(),
                controller: Some(true),
                block_owner_deletion: None,
            }]);
            let created = api.create(&PostParams::default(), &child).await?;
            if let Some(own_maps) = &self.own_maps {
                let version = created.resource_version().unwrap_or_default();
                let version = ResourceVersion::from(version.as_str());
                own_maps.wrote(request.key(), meta.uid(), &version);
            }
        }
        Ok(Action::done())
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Memory {
    OwnWrites,
    None,
}

/// The controller of sets, and the informer it lives on, while they run.
struct Running {
    maps: SharedInformer<ConfigMap>,
    own_writes: OwnWrites,
    token: CancellationToken,
    tasks: JoinSet<()>,
}

impl Running {
    fn new(client: &Client, memory: Memory) -> Self {
        let source = KubeListerWatcher::<ConfigMap>::all(client.clone());
        let maps = SharedInformer::new("configmaps", source, InformerConfig::default());
        let maps: SharedInformer<ConfigMap> = maps.expect("the configuration is sound");
        let own_writes = OwnWrites::new();
        let own_maps = own_writes.track("configmaps", maps.store());
        let mut config = ControllerConfig::default();
        config.own_writes = (memory == Memory::OwnWrites).then(|| own_writes.clone());
        let is_set = Predicate::matching(|map| map.label("role") == Some("set"));
        let controller = Controller::new("sets", config)
            .for_(Source::new(&maps).when(is_set))
            .owns(Source::new(&maps), Owner::controller::<ConfigMap>());
        let reconciler = Sets {
            client: client.clone(),
            maps: maps.clone(),
            own_maps: (memory == Memory::OwnWrites).then_some(own_maps),
        };
        let token = CancellationToken::new();
        let mut tasks = JoinSet::new();
        let (informer, stop) = (maps.clone(), token.clone());
        tasks.spawn(async move { informer.run(stop).await.expect("it is started once") });
        let run = controller.run(reconciler, token.clone());
        tasks.spawn(async move { run.await.expect("it stops cleanly") });
        Self {
            maps,
            own_writes,
            token,
            tasks,
        }
    }

    async fn stop(self) {
        self.token.cancel();
        self.tasks.join_all().await;
    }
}

/// A set that asks for so many children.
fn set(name: &str, replicas: usize) -> ConfigMap {
    let set = json!({
        "metadata": {"name": name, "labels": {"role": "set"}},
        "data": {"replicas": replicas.to_string()},
    });
    serde_json::from_value(set).expect("it is a config map")
}

/// How many maps a controller creates that is asked for ten, on a cache that is fed by a watch which
/// tells two events at a time and then pauses.
async fn created(memory: Memory) -> usize {
    let (server, client) = server();
    let calls = server.record();
    let pause = Fault::Delay(Duration::from_millis(300));
    let trickle = Fault::EndWatch {
        after: 2,
        end: WatchEnd::Clean,
    };
    server.faults().add(Rule::new(pause).verb(Verb::Watch));
    server.faults().add(Rule::new(trickle).verb(Verb::Watch));
    let running = Running::new(&client, memory);
    let api: Api<ConfigMap> = Api::namespaced(client, "default");
    let asked = api.create(&PostParams::default(), &set("set", 10)).await;
    asked.expect("it is new");
    sleep(Duration::from_secs(120)).await;
    let there = running.maps.store().len() - 1;
    running.stop().await;
    let created = calls.take_writes().len() - 1;
    assert_eq!(there, created, "the cache has caught up");
    created
}

/// The demonstration of kubernetes issue 129795, in small: a controller that does not see its own
/// writes repeats them.
#[tokio::test(start_paused = true)]
async fn own_writes_keep_a_controller_from_doing_its_work_twice() {
    assert_eq!(created(Memory::OwnWrites).await, 10);
    assert!(
        created(Memory::None).await > 10,
        "or this test shows nothing"
    );
}

/// Conflicts, lost answers, dropped watches and forgotten history: the controller converges, and
/// what was created twice was created because an answer was lost.
#[tokio::test(start_paused = true)]
async fn a_controller_converges_on_bad_days() {
    let (server, client) = server();
    let faults = server.faults();
    faults.add(
        Rule::new(Fault::unavailable())
            .verb(Verb::Create)
            .chance(0.3),
    );
    let lost = faults.add(Rule::new(Fault::LoseAnswer).verb(Verb::Create).chance(0.1));
    faults.add(Rule::new(Fault::DropWatches).verb(Verb::Create).chance(0.1));
    faults.add(Rule::new(Fault::Compact).verb(Verb::Watch).chance(0.3));
    faults.add(Rule::new(Fault::internal()).verb(Verb::List).chance(0.3));

    let running = Running::new(&client, Memory::OwnWrites);

    // The sets are made by somebody whose days are good.
    let api: Api<ConfigMap> = Api::namespaced(client, "default");
    let mut names = Vec::new();
    for nth in 0..20 {
        let name = format!("set-{nth}");
        let set = set(&name, 5);
        while api.get_opt(&name).await.unwrap_or_default().is_none() {
            let _ = api.create(&PostParams::default(), &set).await;
            sleep(Duration::from_secs(1)).await;
        }
        names.push(name);
    }
    sleep(Duration::from_secs(1800)).await;
    faults.clear();
    sleep(Duration::from_secs(120)).await;

    let all = api.list(&ListParams::default()).await.unwrap().items;
    let mut surplus = 0;
    for name in names {
        let owned = |map: &&ConfigMap| {
            map.owner_references()
                .iter()
                .any(|owner| owner.name == name)
        };
        let children = all.iter().filter(owned).count();
        assert!(children >= 5, "{name} has {children}");
        surplus += children - 5;
    }
    let lost = usize::try_from(lost.strikes()).unwrap();
    assert!(
        surplus <= lost,
        "{surplus} too many, {lost} answers were lost"
    );
    assert_eq!(
        running.maps.store().len(),
        all.len(),
        "the cache has caught up"
    );
    assert!(
        running.own_writes.is_empty(),
        "what the cache shows is forgotten"
    );
    running.stop().await;
}
