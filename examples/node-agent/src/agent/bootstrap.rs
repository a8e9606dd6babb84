use std::sync::Arc;

use kubewright_controller::EventWriter;
use kubewright_informer::InformerConfig;
use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

use super::cgroups::Cgroups;
use super::garbage::Deletions;
use super::handler::Handler;
use super::lifecycle::PodLifecycle;
use super::parts::Parts;
use super::pod_files::PodFiles;
use super::shutdown::ShuttingDown;
use super::told::Told;
use super::{AgentError, AgentOptions, Dependencies, NodeView};
use crate::client::Clients;
use crate::config::{Config, Gate};
use crate::event::{EventRecorder, event_writer, node_reference, pod_reference};
use crate::mirror::MirrorClient;
use crate::node::{
    FileSystem, NodeFacts, NodePressure, NodeWatch, Observation, RuntimeHealth, capacity,
    initial_node,
};
use crate::objects::{ObjectStore, ObjectStoreDriver, ObjectStoreOptions};
use crate::pleg::{Pleg, PlegDriver, PodCache};
use crate::pod::PodDirectory;
use crate::probe::{ProbeDriver, ProbeManager, ProbeOptions, ProbeUpdate, Prober, Targets};
use crate::runtime::{ContainerId, RuntimeDependencies, RuntimeManager, RuntimeSettings};
use crate::source::{ApiSource, FileSource, HttpSource, PodUpdate, Sources};
use crate::status::{StatusManager, StatusWriter};
use crate::sync_loop::{SyncLoop, SyncLoopChannels, SyncLoopHealth};
use crate::worker::{RetryDelays, WorkerDriver, WorkerOptions, WorkerParts, WorkerPool};

/// How many updates of the sources may wait for the sync loop.
const WAITING_UPDATES: usize = 50;
/// How many results of probes may wait for the sync loop.
const WAITING_RESULTS: usize = 20;

/// An agent that is put together and does nothing yet.
///
/// Answers to what kubelet's sources call `Bootstrap`. Whatever its methods start ends with the
/// future that they return.
#[must_use = "an agent does nothing unless it is run"]
pub struct Agent {
    pub(super) parts: Arc<Parts>,
    pub(super) handler: Arc<Handler>,
    pub(super) options: AgentOptions,
    pub(super) clients: Option<Clients>,
    pub(super) facts: NodeFacts,
    pub(super) watch: Option<NodeWatch>,
    pub(super) drivers: Drivers,
    pub(super) loop_health: SyncLoopHealth,
}

/// What runs the parts.
pub(super) struct Drivers {
    pub(super) sources: Sources,
    pub(super) updates: mpsc::Sender<PodUpdate>,
    pub(super) sync_loop: SyncLoop,
    pub(super) pleg: PlegDriver<RuntimeManager>,
    pub(super) probes: ProbeDriver<Targets>,
    pub(super) workers: WorkerDriver<PodLifecycle>,
    pub(super) objects: ObjectStoreDriver,
    pub(super) statuses: Option<StatusWriter>,
    pub(super) events: Option<EventWriter<kube_client::Client>>,
    pub(super) deletions: mpsc::Receiver<ContainerId>,
}

impl Agent {
    /// Puts an agent together. Nothing is written or started, and nobody is asked but the kernel how
    /// large the file system of the root directory is.
    ///
    /// # Errors
    ///
    /// If what is configured contradicts itself.
    pub fn new(
        config: Config,
        options: AgentOptions,
        dependencies: Dependencies,
    ) -> Result<Self, AgentError> {
        let Dependencies {
            clients,
            runtime,
            images,
            clock,
            machine,
            cgroups,
            mounter,
            node_ip,
            container_logs_dir,
        } = dependencies;
        let (events, event_driver) = match &clients {
            Some(clients) => {
                let sink = clients.events.clone();
                let (events, writer) =
                    event_writer(sink, &config.node_name, clock.clone(), options.seed);
                (events, Some(writer))
            }
            None => (EventRecorder::disabled(), None),
        };
        let watch = clients
            .as_ref()
            .map(|clients| {
                NodeWatch::new(
                    clients.main.clone(),
                    config.node_name.as_str(),
                    InformerConfig::default(),
                )
            })
            .transpose()?;
        let facts = NodeFacts::of(&config, machine, node_ip);
        let disk = FileSystem::of(&config.root_dir).or_else(|_| FileSystem::of("/".as_ref()));
        let observation = Observation {
            images: Vec::new(),
            runtime_version: None,
            storage: disk.ok().map(|disk| disk.capacity),
            pressures: Vec::new(),
            problems: Vec::new(),
        };
        let resources = capacity(&facts.machine, observation.storage, facts.max_pods);
        let excesses = facts.reservations.excesses(&resources);
        if !excesses.is_empty() {
            return Err(AgentError::NodeAllocatable(excesses));
        }
        let initial = initial_node(&facts, &observation, clock.now());
        let node = NodeView::new(
            initial,
            watch.clone(),
            &facts,
            node_ip.into_iter().collect(),
        );

        let pods: Arc<Mutex<PodDirectory>> = Arc::default();
        let statuses = StatusManager::new(pods.clone(), clock.clone());
        let mut settings = RuntimeSettings::from(&config);
        settings.container_logs_dir.clone_from(&container_logs_dir);
        settings.initial_restart_delay = options.initial_restart_delay;
        let node_of_runtime = node.clone();
        let runtime_manager = RuntimeManager::new(
            settings,
            RuntimeDependencies {
                runtime: runtime.clone(),
                images: images.clone(),
                clock: clock.clone(),
                events: events.clone(),
                node: Arc::new(move || node_of_runtime.facts()),
                mounter: mounter.clone(),
            },
        );
        let cache = PodCache::new();
        let mut pleg_options = options.pleg.clone();
        pleg_options.on_demand_relist &= config.gates.enabled(Gate::PlegOnDemandRelist);
        let (pleg, mut pleg_driver, lifecycle) = Pleg::new(
            Arc::new(runtime_manager.clone()),
            cache.clone(),
            pleg_options,
        );
        if config.gates.enabled(Gate::EventedPleg) {
            pleg_driver = pleg_driver.with_events(runtime.clone());
        }
        let health = RuntimeHealth::new();
        let pleg_of_health = pleg.clone();
        health.add_check("PLEG", move || {
            pleg_of_health.health().map_err(|why| why.to_string())
        });

        let (results, probe_updates) = mpsc::channel(WAITING_RESULTS);
        let (probes, probe_driver) =
            probes(&runtime, &events, &statuses, results, &clock, options.seed);
        let client = clients.as_ref().map(|clients| clients.main.clone());
        let object_options = ObjectStoreOptions {
            ttl: options.object_ttl,
            seed: options.seed,
            ..ObjectStoreOptions::default()
        };
        let (objects, object_driver) = ObjectStore::new(client, object_options)?;
        let mirrors = clients.as_ref().zip(watch.clone()).map(|(clients, watch)| {
            MirrorClient::new(clients.main.clone(), config.node_name.as_str(), move || {
                watch.node()
            })
        });
        let sources = sources(&config, &clients, watch.clone(), &clock, &events);
        let ready = sources.ready();
        let parts = Arc::new(Parts {
            clock: clock.clone(),
            events: events.clone(),
            runtime: runtime_manager,
            health,
            pods,
            ready: ready.clone(),
            cache: cache.clone(),
            pleg: pleg.clone(),
            statuses,
            probes,
            failures: Mutex::default(),
            objects,
            mirrors,
            images,
            container_logs_dir,
            mounter,
            files: PodFiles::default(),
            cgroups: Cgroups::new(cgroups, &config, &facts),
            node,
            config,
        });
        let (workers, worker_driver) = workers(&parts, &options);
        let (updates, update_receiver) = mpsc::channel(WAITING_UPDATES);
        let channels = SyncLoopChannels {
            updates: update_receiver,
            lifecycle,
            probes: probe_updates,
        };
        let sync_loop = SyncLoop::new(channels, ready, options.sync_loop.clone());
        let status_driver = clients.as_ref().map(|clients| {
            let workers = workers.clone();
            let could_run =
                move |uid: &crate::pod::PodUid| workers.could_have_running_containers(uid);
            parts.statuses.writer(clients.main.clone(), could_run)
        });
        let (deletions, deletion_receiver) = Deletions::channel();
        Ok(Self {
            loop_health: sync_loop.health(),
            handler: Arc::new(Handler {
                parts: parts.clone(),
                workers,
                pressure: NodePressure::default(),
                deletions,
                shutting_down: ShuttingDown::default(),
                cleaned_up: Notify::new(),
                stuck_files: Told::default(),
            }),
            drivers: Drivers {
                sources,
                updates,
                sync_loop,
                pleg: pleg_driver,
                probes: probe_driver,
                workers: worker_driver,
                objects: object_driver,
                statuses: status_driver,
                events: event_driver,
                deletions: deletion_receiver,
            },
            parts,
            options,
            clients,
            facts,
            watch,
        })
    }

    /// How the agent is configured.
    pub fn configuration(&self) -> &Config {
        &self.parts.config
    }

    /// Tells people that the agent is there.
    pub fn birth_cry(&self) {
        let node = node_reference(&self.parts.config.node_name);
        self.parts
            .events
            .normal(&node, "Starting", "Starting kubelet.");
    }
}

fn probes(
    runtime: &kubewright_cri::Runtime,
    events: &EventRecorder,
    statuses: &StatusManager,
    results: mpsc::Sender<ProbeUpdate>,
    clock: &kubewright_clock::Clock,
    seed: u64,
) -> (ProbeManager, ProbeDriver<Targets>) {
    let prober = Prober::new(Targets::new(runtime.clone()), events.clone());
    let statuses = statuses.clone();
    let statuses = Arc::new(move |uid: &crate::pod::PodUid| statuses.status(uid));
    let options = ProbeOptions {
        agent_started_at: Some(Instant::now()),
        seed,
    };
    ProbeManager::new(prober, statuses, results, clock.clone(), options)
}

fn workers(parts: &Arc<Parts>, options: &AgentOptions) -> (WorkerPool, WorkerDriver<PodLifecycle>) {
    let config = &parts.config;
    let worker_parts = WorkerParts {
        cache: parts.cache.clone(),
        pleg: parts.pleg.clone(),
        events: parts.events.clone(),
    };
    let delays = RetryDelays {
        resync: config.sync_frequency,
        backoff: options.retry_delay,
        ..RetryDelays::default()
    };
    let worker_options = WorkerOptions {
        delays,
        seed: options.seed,
        ..WorkerOptions::default()
    };
    let lifecycle = Arc::new(PodLifecycle {
        parts: parts.clone(),
    });
    WorkerPool::new(lifecycle, worker_parts, worker_options)
}

fn sources(
    config: &Config,
    clients: &Option<Clients>,
    watch: Option<NodeWatch>,
    clock: &kubewright_clock::Clock,
    events: &EventRecorder,
) -> Sources {
    let mut sources = Sources::new(clock.clone());
    let node = config.node_name.as_str();
    if let Some(path) = &config.static_pod_path {
        sources = sources.with(FileSource::new(path, node, config.file_check_frequency));
    }
    if let Some(url) = &config.static_pod_url {
        let headers = config.static_pod_url_headers.clone();
        let source = HttpSource::new(url, headers, node, config.http_check_frequency);
        sources = match source {
            Ok(source) => sources.with(source),
            Err(error) => {
                // Validation has let it through.
                tracing::error!(%error, "static pods of the web server are not read");
                sources
            }
        };
    }
    if let Some((clients, watch)) = clients.as_ref().zip(watch) {
        let node_known = async move {
            // One that has stopped says nothing more, and neither will the pods' own watch.
            let _ = watch.synced().await;
        };
        sources = sources.with(ApiSource::new(clients.main.clone(), node, node_known));
    }
    let events = events.clone();
    sources.on_duplicate(move |duplicate| {
        let pod = pod_reference(&duplicate.pod);
        events.warning(&pod, "FailedValidation", duplicate.to_string());
    })
}

impl std::fmt::Debug for Agent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Agent")
            .field("config", &self.parts.config)
            .finish_non_exhaustive()
    }
}
