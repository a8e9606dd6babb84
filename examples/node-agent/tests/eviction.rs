//! Pods that are ended before the node runs out; answers to `eviction/eviction_manager_test.go`
//! and `eviction/helpers_test.go`.

#![expect(
    clippy::unwrap_used,
    reason = "tables are made of helpers that are no tests themselves"
)]

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use futures::FutureExt as _;
use k8s_openapi::api::core::v1::Pod;
use kubewright_cri::Runtime;
use kubewright_cri::testing::FakeRuntime;
use node_agent::admission::check_pressure;
use node_agent::config::Threshold;
use node_agent::event::{EventReceiver, EventRecorder, node_reference};
use node_agent::eviction::{
    ContainerUsage, EvictionEngine, EvictionError, EvictionHost, EvictionManager, EvictionOptions,
    EvictionParts, MetThreshold, NodeHost, Observation, Observations, PodUsage, Reclaim, Signal,
    Starved, eviction_message, local_storage_excess, rank,
};
use node_agent::node::{MachineInfo, NodePressure, Pressure};
use node_agent::pod::PodUid;
use node_agent::worker::{Kill, KillCause};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::time::{Instant, advance};

const MI: u64 = 1 << 20;

fn at(seconds: u64) -> Instant {
    static BEGIN: LazyLock<Instant> = LazyLock::new(Instant::now);
    *BEGIN + Duration::from_secs(seconds)
}

fn thresholds(list: &[(&str, &str)]) -> BTreeMap<String, Threshold> {
    list.iter()
        .map(|(signal, text)| ((*signal).to_owned(), text.parse().unwrap()))
        .collect()
}

fn seen(signal: Signal, available: u64) -> Observations {
    let capacity = 1000 * MI;
    [(
        signal,
        Observation {
            capacity,
            available,
        },
    )]
    .into()
}

fn pod(name: &str, resources: &Value, priority: i32) -> Arc<Pod> {
    Arc::new(
        serde_json::from_value(json!({
            "metadata": {"name": name, "namespace": "ns", "uid": name},
            "spec": {
                "priority": priority,
                "containers": [{"name": "c", "resources": resources}],
            },
        }))
        .unwrap(),
    )
}

fn requesting(name: &str, memory: &str, priority: i32) -> Arc<Pod> {
    pod(name, &json!({"requests": {"memory": memory}}), priority)
}

fn using(memory: u64, disk: u64) -> PodUsage {
    PodUsage {
        containers: vec![ContainerUsage {
            name: "c".into(),
            memory,
            disk,
            inodes: 0,
        }],
        volumes: BTreeMap::new(),
    }
}

/// Answers to `TestThresholdsMet`.
#[test]
fn thresholds_met() {
    let list = thresholds(&[("memory.available", "100Mi"), ("nodefs.available", "10%")]);
    let mut engine = EvictionEngine::new(&list, Duration::from_secs(60));
    let met = |signal, threshold, available| MetThreshold {
        signal,
        threshold,
        available,
    };
    for (observations, expected) in [
        (seen(Signal::MemoryAvailable, 100 * MI), vec![]),
        (
            seen(Signal::MemoryAvailable, 100 * MI - 1),
            vec![met(Signal::MemoryAvailable, 100 * MI, 100 * MI - 1)],
        ),
        (seen(Signal::NodefsAvailable, 100 * MI), vec![]),
        (
            seen(Signal::NodefsAvailable, 99 * MI),
            vec![met(Signal::NodefsAvailable, 100 * MI, 99 * MI)],
        ),
        // Without a threshold anything will do, and what is not seen is not met.
        (seen(Signal::PidAvailable, 0), vec![]),
        (Observations::new(), vec![]),
    ] {
        assert_eq!(engine.observe(&observations, at(0)), expected);
    }
    // Memory is answered first.
    let mut both = seen(Signal::NodefsAvailable, 0);
    both.extend(seen(Signal::MemoryAvailable, 0));
    let signals: Vec<_> = engine
        .observe(&both, at(0))
        .iter()
        .map(|it| it.signal)
        .collect();
    assert_eq!(signals, [Signal::MemoryAvailable, Signal::NodefsAvailable]);
}

/// Answers to `TestNodeConditionsObservedSince` and `..LastObservedAt`.
#[test]
fn node_conditions_observed_since() {
    let list = thresholds(&[("memory.available", "100Mi")]);
    let mut engine = EvictionEngine::new(&list, Duration::from_secs(300));
    assert!(engine.pressures(at(0)).is_empty());
    engine.observe(&seen(Signal::MemoryAvailable, 0), at(0));
    engine.observe(&seen(Signal::MemoryAvailable, 0), at(10));
    engine.observe(&seen(Signal::MemoryAvailable, 500 * MI), at(20));
    assert!(engine.pressures(at(309)).contains(&Pressure::Memory));
    assert!(engine.pressures(at(310)).is_empty());
}

/// Answers to `TestOrderedByExceedsRequestMemory`, `TestOrderedByPriority` and
/// `TestOrderedByPriorityMemory`.
#[test]
fn ordered_by_priority_memory() {
    let pods = [
        (requesting("unknown", "1Gi", 9), None),
        (requesting("below-high", "1Gi", 5), Some(900 * MI)),
        (requesting("below-low", "1Gi", 1), Some(10 * MI)),
        (requesting("above-high", "100Mi", 5), Some(300 * MI)),
        (requesting("above-low", "100Mi", 1), Some(200 * MI)),
        (requesting("above-low-more", "100Mi", 1), Some(300 * MI)),
    ];
    let usages: HashMap<_, _> = pods
        .iter()
        .filter_map(|(pod, used)| Some((PodUid::of(pod), using((*used)?, 0))))
        .collect();
    let mut ranked: Vec<_> = pods.into_iter().map(|(pod, _)| pod).collect();
    rank(&mut ranked, &usages, Starved::Memory);
    let names: Vec<_> = ranked
        .iter()
        .map(|pod| pod.metadata.name.as_deref().unwrap())
        .collect();
    let expected = [
        "unknown",
        "above-low-more",
        "above-low",
        "above-high",
        "below-low",
        "below-high",
    ];
    assert_eq!(names, expected);
}

/// Answers to `TestEvictonMessageWithResourceResize` without the resizing.
#[test]
fn eviction_messages() {
    let pod = requesting("p", "100Mi", 0);
    let met = MetThreshold {
        signal: Signal::MemoryAvailable,
        threshold: 100 * MI,
        available: 50 * MI,
    };
    let low = "The node was low on resource: memory. Threshold quantity: 100Mi, available: 50Mi. ";
    let above = "Container c was using 150Mi, request is 100Mi, has larger consumption of memory. ";
    let message = |used| eviction_message(&met, &pod, Some(&using(used, 0)));
    assert_eq!(message(100 * MI), low);
    assert_eq!(message(150 * MI), format!("{low}{above}"));
    assert_eq!(eviction_message(&met, &pod, None), low);
    let met = MetThreshold {
        signal: Signal::NodefsInodesFree,
        threshold: 5000,
        available: 7,
    };
    let expected = "The node was low on resource: inodes. Threshold quantity: 5k, available: 7. ";
    assert_eq!(eviction_message(&met, &pod, Some(&using(MI, MI))), expected);
}

/// Answers to `TestLocalStorageEviction`..: volumes, the pod, its containers.
#[test]
fn local_storage_limits() {
    let limited = pod("p", &json!({"limits": {"ephemeral-storage": "10Mi"}}), 0);
    assert_eq!(local_storage_excess(&limited, &using(0, 10 * MI)), None);
    let excess = local_storage_excess(&limited, &using(0, 11 * MI));
    let expected = "Pod ephemeral local storage usage exceeds the total limit of containers 10Mi. ";
    assert_eq!(excess.as_deref(), Some(expected));

    let mut two = Pod::clone(&limited);
    let containers = &mut two.spec.as_mut().unwrap().containers;
    containers.push(containers[0].clone());
    containers[1].name = "d".into();
    let excess = local_storage_excess(&two, &using(0, 11 * MI));
    let expected = "Container c exceeded its local ephemeral storage limit \"10Mi\". ";
    assert_eq!(excess.as_deref(), Some(expected));

    let mut with_volume = Pod::clone(&requesting("p", "1Mi", 0));
    with_volume.spec.as_mut().unwrap().volumes =
        serde_json::from_value(json!([{"name": "v", "emptyDir": {"sizeLimit": "1Mi"}}])).unwrap();
    let mut usage = using(0, 0);
    usage.volumes.insert("v".into(), MI);
    assert_eq!(local_storage_excess(&with_volume, &usage), None);
    usage.volumes.insert("v".into(), MI + 1);
    let excess = local_storage_excess(&with_volume, &usage);
    let expected = "Usage of EmptyDir volume \"v\" exceeds the limit \"1Mi\". ";
    assert_eq!(excess.as_deref(), Some(expected));
}

/// A node by a script.
#[derive(Clone, Default)]
struct Host {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    observations: Observations,
    usages: HashMap<PodUid, PodUsage>,
    /// Nobody knows what pods use.
    is_blind: bool,
    /// What there is after room was made.
    reclaimed: Option<Observations>,
    reclaims: usize,
    /// Of which pods it was asked what they use.
    asked: Vec<Vec<String>>,
}

impl EvictionHost for Host {
    async fn observe(&self) -> Result<Observations, EvictionError> {
        Ok(self.state.lock().observations.clone())
    }

    async fn usages(&self, pods: &[Arc<Pod>]) -> Result<HashMap<PodUid, PodUsage>, EvictionError> {
        let names = pods.iter().filter_map(|pod| pod.metadata.name.clone());
        let mut state = self.state.lock();
        if state.is_blind {
            return Err(EvictionError::GivenUp);
        }
        state.asked.push(names.collect());
        Ok(state.usages.clone())
    }

    async fn reclaim(&self, _: Signal) {
        let mut state = self.state.lock();
        state.reclaims += 1;
        if let Some(reclaimed) = state.reclaimed.take() {
            state.observations = reclaimed;
        }
    }
}

struct Rig {
    host: Host,
    manager: EvictionManager<Host>,
    pressure: NodePressure,
    killed: Arc<Mutex<Vec<(String, Kill)>>>,
    /// Pods that do not end.
    stubborn: Arc<Mutex<HashSet<String>>>,
    events: EventReceiver,
}

fn rig(pods: Vec<Arc<Pod>>) -> Rig {
    let host = Host::default();
    let killed: Arc<Mutex<Vec<(String, Kill)>>> = Arc::default();
    let kills = Arc::clone(&killed);
    let gone = Arc::clone(&killed);
    let stubborn: Arc<Mutex<HashSet<String>>> = Arc::default();
    let stay = Arc::clone(&stubborn);
    let active = move || {
        let gone: HashSet<_> = gone.lock().iter().map(|(name, _)| name.clone()).collect();
        let gone: HashSet<_> = gone.difference(&stay.lock()).cloned().collect();
        let pods = pods.iter();
        pods.filter(|pod| !gone.contains(pod.metadata.name.as_ref().unwrap()))
            .cloned()
            .collect()
    };
    let (recorder, events) = EventRecorder::channel(16);
    let mut options = EvictionOptions::default();
    options.thresholds = thresholds(&[
        ("memory.available", "100Mi"),
        ("nodefs.available", "10%"),
        ("pid.available", "10"),
    ]);
    let pressure = NodePressure::default();
    let parts = EvictionParts {
        host: host.clone(),
        active_pods: Arc::new(active),
        kill: Arc::new(move |pod, kill| {
            let name = pod.metadata.name.clone().unwrap();
            kills.lock().push((name, kill));
        }),
        pressure: pressure.clone(),
        events: recorder,
        node: node_reference("n"),
    };
    let manager = EvictionManager::new(parts, &options);
    Rig {
        host,
        manager,
        pressure,
        killed,
        stubborn,
        events,
    }
}

/// Why a pod is not taken now, if it is not.
fn refusal(rig: &Rig, pod: &Pod) -> Option<(String, String)> {
    let rejection = check_pressure(pod, &rig.pressure.now()).err()?;
    Some((rejection.reason, rejection.message))
}

impl Rig {
    async fn synchronize(&mut self) -> Vec<String> {
        let evicted = self.manager.synchronize().await.unwrap();
        evicted.iter().map(ToString::to_string).collect()
    }

    fn events(&mut self) -> Vec<(String, String)> {
        std::iter::from_fn(|| self.events.try_recv().ok())
            .map(|event| (event.reason, event.message))
            .collect()
    }
}

/// Answers to `TestMemoryPressure_VerifyPodStatus` and `TestMemoryPressure`: one pod at a time, and
/// the condition stays for a while.
#[tokio::test(start_paused = true)]
async fn memory_pressure() {
    let greedy = requesting("greedy", "1Mi", 0);
    let modest = requesting("modest", "100Mi", 0);
    let best_effort = pod("best-effort", &json!({}), 0);
    let mut critical = Pod::clone(&requesting("critical", "1Mi", 0));
    critical.spec.as_mut().unwrap().priority = Some(2_000_000_000);
    let critical = Arc::new(critical);
    let mut rig = rig(vec![modest.clone(), greedy.clone(), critical.clone()]);
    rig.host.state.lock().usages = HashMap::from([
        (PodUid::of(&greedy), using(500 * MI, 0)),
        (PodUid::of(&modest), using(50 * MI, 0)),
        (PodUid::of(&critical), using(900 * MI, 0)),
    ]);
    rig.host.state.lock().observations = seen(Signal::MemoryAvailable, 500 * MI);
    assert_eq!(rig.synchronize().await, <[&str; 0]>::default());
    assert_eq!(refusal(&rig, &best_effort), None);

    rig.host.state.lock().observations = seen(Signal::MemoryAvailable, 50 * MI);
    assert_eq!(rig.synchronize().await, ["greedy"]);
    assert!(rig.pressure.has(Pressure::Memory));
    let expected = (
        "Evicted".to_owned(),
        "The node had condition: [MemoryPressure]. ".to_owned(),
    );
    assert_eq!(refusal(&rig, &best_effort), Some(expected));
    assert_eq!(refusal(&rig, &modest), None);
    assert_eq!(refusal(&rig, &critical), None);
    let (_, kill) = rig.killed.lock()[0].clone();
    assert_eq!(kill.cause, KillCause::Evicted);
    assert_eq!(kill.grace, Some(Duration::from_secs(1)));
    let status = kill.status.unwrap();
    assert_eq!(status.reason, "Evicted");
    let message = "The node was low on resource: memory. Threshold quantity: 100Mi, available: 50Mi. Container c was using 500Mi, request is 1Mi, has larger consumption of memory. ";
    assert_eq!(status.message, message);
    assert_eq!(status.disruption.as_deref(), Some(message));
    let expected = [
        ("EvictionThresholdMet", "Attempting to reclaim memory"),
        ("Evicted", message),
    ];
    let expected = expected.map(|(reason, message)| (reason.to_owned(), message.to_owned()));
    assert_eq!(rig.events(), expected);

    // Then the next; critical ones never.
    assert_eq!(rig.synchronize().await, ["modest"]);
    assert_eq!(rig.synchronize().await, <[&str; 0]>::default());

    rig.host.state.lock().observations = seen(Signal::MemoryAvailable, 500 * MI);
    advance(Duration::from_secs(299)).await;
    rig.synchronize().await;
    assert!(rig.pressure.has(Pressure::Memory));
    advance(Duration::from_secs(1)).await;
    rig.synchronize().await;
    assert!(!rig.pressure.has(Pressure::Memory));
}

/// Answers to `TestNodeReclaimFuncs` and `TestDiskPressureNodeFs`: pods go only if it does not help
/// to remove what nobody uses.
#[tokio::test(start_paused = true)]
async fn disk_pressure_reclaims_first() {
    let small = pod("small", &json!({}), 0);
    let large = pod("large", &json!({}), 0);
    let mut rig = rig(vec![small.clone(), large.clone()]);
    {
        let mut state = rig.host.state.lock();
        state.usages = HashMap::from([
            (PodUid::of(&small), using(9 * MI, MI)),
            (PodUid::of(&large), using(MI, 9 * MI)),
        ]);
        state.observations = seen(Signal::NodefsAvailable, 50 * MI);
        state.reclaimed = Some(seen(Signal::NodefsAvailable, 200 * MI));
    }
    assert_eq!(rig.synchronize().await, <[&str; 0]>::default());
    assert_eq!(rig.host.state.lock().reclaims, 1);
    // Pods that come are refused for a while all the same, whatever they ask for.
    let refusal = refusal(&rig, &requesting("p", "1Mi", 0));
    assert!(refusal.is_some());

    rig.host.state.lock().observations = seen(Signal::NodefsAvailable, 50 * MI);
    assert_eq!(rig.synchronize().await, ["large"]);
    assert_eq!(rig.host.state.lock().reclaims, 2);
}

/// It might be the wrong one.
#[tokio::test(start_paused = true)]
async fn nobody_is_evicted_while_nobody_knows_who_uses_what() {
    let limited = json!({"limits": {"ephemeral-storage": "1Mi"}});
    for resources in [json!({}), limited] {
        let (modest, greedy) = (pod("modest", &resources, 0), pod("greedy", &resources, 1));
        let mut rig = rig(vec![modest, greedy.clone()]);
        {
            let mut state = rig.host.state.lock();
            state.observations = seen(Signal::MemoryAvailable, 50 * MI);
            state.usages = HashMap::from([(PodUid::of(&greedy), using(500 * MI, 0))]);
            state.is_blind = true;
        }
        let error = rig.manager.synchronize().await.unwrap_err();
        assert!(matches!(error, EvictionError::GivenUp), "{error}");
        assert!(rig.killed.lock().is_empty());
        assert!(rig.pressure.has(Pressure::Memory));
        rig.host.state.lock().is_blind = false;
        assert_eq!(rig.synchronize().await.len(), 1);
    }
}

/// Nobody else goes as long as that pod may make the room.
#[tokio::test(start_paused = true)]
async fn a_pod_that_does_not_end_is_evicted_once() {
    let (first, second) = (pod("first", &json!({}), 0), pod("second", &json!({}), 1));
    let mut rig = rig(vec![first, second]);
    rig.stubborn.lock().insert("first".to_owned());
    rig.host.state.lock().observations = seen(Signal::MemoryAvailable, 50 * MI);
    assert_eq!(rig.synchronize().await, ["first"]);
    advance(Duration::from_secs(29)).await;
    assert_eq!(rig.synchronize().await, <[&str; 0]>::default());
    advance(Duration::from_secs(1)).await;
    assert_eq!(rig.synchronize().await, ["second"]);
    assert_eq!(rig.synchronize().await, <[&str; 0]>::default());
    assert_eq!(rig.killed.lock().len(), 2);
}

/// To know what a pod uses, all of its files are looked through.
#[tokio::test(start_paused = true)]
async fn without_pressure_only_pods_with_limits_are_looked_at() {
    let free = pod("free", &json!({"limits": {"memory": "1Mi"}}), 0);
    let mut rig = rig(vec![free.clone()]);
    rig.synchronize().await;
    assert_eq!(rig.host.state.lock().asked, <[Vec<String>; 0]>::default());

    let limited = pod(
        "limited",
        &json!({"limits": {"ephemeral-storage": "1Mi"}}),
        0,
    );
    let mut sized = Pod::clone(&free);
    sized.metadata.name = Some("sized".into());
    let volume = json!([{"name": "v", "emptyDir": {"sizeLimit": "1Mi"}}]);
    sized.spec.as_mut().unwrap().volumes = serde_json::from_value(volume).unwrap();
    let mut rig = self::rig(vec![free.clone(), limited.clone(), Arc::new(sized)]);
    rig.synchronize().await;
    assert_eq!(rig.host.state.lock().asked, [["limited", "sized"]]);

    rig.host.state.lock().observations = seen(Signal::MemoryAvailable, 50 * MI);
    rig.synchronize().await;
    let asked = rig.host.state.lock().asked.last().cloned();
    assert_eq!(asked.unwrap(), ["free", "limited", "sized"]);
}

#[tokio::test(start_paused = true)]
async fn pods_over_their_limits_go_without_pressure() {
    let limited = pod("p", &json!({"limits": {"ephemeral-storage": "1Mi"}}), 0);
    let mut rig = rig(vec![limited.clone()]);
    rig.host.state.lock().usages = HashMap::from([(PodUid::of(&limited), using(0, 2 * MI))]);
    assert_eq!(rig.synchronize().await, ["p"]);
    // It is the pod's own fault.
    let (_, kill) = rig.killed.lock()[0].clone();
    assert_eq!(kill.status.unwrap().disruption, None);
    let events = rig.events();
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].0, "Evicted");
}

/// The node that the tests run on has some memory, disk and processes left.
#[tokio::test]
async fn this_node_can_be_observed() {
    let runtime = Runtime::in_process(FakeRuntime::default());
    let root = tempfile::tempdir().unwrap();
    let path = root.path().to_owned();
    let reclaim: Reclaim = Arc::new(|_| std::future::ready(()).boxed());
    let machine = MachineInfo::read(Path::new("/")).unwrap();
    let host = |machine: &MachineInfo| {
        let (runtime, path, reclaim) = (runtime.clone(), path.clone(), reclaim.clone());
        NodeHost::new(
            runtime.clone(),
            runtime,
            machine,
            path.clone(),
            path,
            reclaim,
        )
    };
    let observations = host(&machine).observe().await.unwrap();
    let capacity = |signal| observations[&signal].capacity;
    assert_eq!(capacity(Signal::MemoryAvailable), machine.memory);
    assert_eq!(Some(capacity(Signal::PidAvailable)), machine.max_pids);
    for signal in [
        Signal::MemoryAvailable,
        Signal::NodefsAvailable,
        Signal::PidAvailable,
    ] {
        let seen = observations[&signal];
        assert!(
            seen.available > 0 && seen.available <= seen.capacity,
            "{seen:?}"
        );
    }
    // A kernel that does not tell how many processes there can be is not judged by it.
    let mut silent = machine;
    silent.max_pids = None;
    let observations = host(&silent).observe().await.unwrap();
    assert!(!observations.contains_key(&Signal::PidAvailable));
}
