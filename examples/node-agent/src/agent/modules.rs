use std::fs;
use std::path::PathBuf;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::shutdown::is_graceful;
use super::{Agent, AgentError, mirrors};
use crate::node::{CriObserver, LeaseConfig, NodeLease, NodeReporter, ReporterConfig};

impl Agent {
    /// Runs pods until the token is cancelled, or a part that nothing goes on without has died.
    ///
    /// Containers run on when it ends: the next agent finds them. But if the configuration has a
    /// `shutdownGracePeriod`, all pods are ended first, within that time. Turns of pods that are under way
    /// are cancelled, and the last events are written. All tasks are joined.
    ///
    /// Answers to kubelet's `Run`.
    ///
    /// # Errors
    ///
    /// The directories of the agent or the cgroups of pods cannot be made, the policy of image garbage
    /// collection contradicts itself, or a part of the agent has died.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future stops everything at once, as a crash would: the next agent finds what is
    /// there.
    pub async fn run(self, token: CancellationToken) -> Result<(), AgentError> {
        self.make_directories()?;
        self.parts.cgroups.set_up().await?;
        // Without a graceful shutdown it is told at once.
        let stop = match is_graceful(&self.parts.config) {
            true => CancellationToken::new(),
            false => token.child_token(),
        };
        // What is told in the end is written after all else has stopped.
        let rest = CancellationToken::new();
        let (mut tasks, mut last) = (JoinSet::new(), JoinSet::new());
        if let Some(events) = self.drivers.events {
            let rest = rest.clone();
            last.spawn(async move { events.run(rest).await });
        }
        let mirrored = self.watch.clone();
        if let Some(clients) = &self.clients {
            if let Some(watch) = self.watch.clone() {
                let stop = stop.clone();
                tasks.spawn(async move {
                    if let Err(error) = watch.run(stop).await {
                        tracing::error!(%error, "the watch of the node ended");
                    }
                });
            }
            let pressure = self.handler.pressure.clone();
            let parts = &self.parts;
            let observer = CriObserver::new(
                parts.runtime.runtime().clone(),
                parts.health.clone(),
                parts.config.root_dir.clone(),
            );
            let shutting_down = self.handler.shutting_down.clone();
            let observer = observer
                .with_pressure(pressure)
                .with_shutdown(move || shutting_down.problem());
            let config = ReporterConfig::of(&parts.config, parts.clock.clone(), self.options.seed);
            let mut reporter = NodeReporter::new(
                clients.main.clone(),
                clients.heartbeat.clone(),
                self.facts.clone(),
                observer,
                parts.events.clone(),
                config,
            );
            if let Some(watch) = self.watch {
                reporter = reporter.with_watch(watch);
            }
            let runtime = parts.runtime.clone();
            reporter = reporter.with_pod_cidrs(Box::new(move |cidrs| {
                let runtime = runtime.clone();
                Box::pin(async move { runtime.update_pod_cidr(&cidrs).await })
            }));
            tasks.spawn(reporter.run(stop.clone()));
            let mut lease = LeaseConfig::of(parts.config.node_name.as_str());
            lease.duration = parts.config.node_lease_duration;
            lease.clock = parts.clock.clone();
            lease.seed = self.options.seed;
            tasks.spawn(NodeLease::new(clients.heartbeat.clone(), lease).run(stop.clone()));
        }
        if let Some(statuses) = self.drivers.statuses {
            tasks.spawn(statuses.run(stop.clone()));
        }
        tasks.spawn(self.drivers.objects.run(stop.clone()));
        tasks.spawn(self.drivers.pleg.run(stop.clone()));
        tasks.spawn(self.drivers.probes.run(stop.clone()));
        tasks.spawn(self.drivers.workers.run(stop.clone()));
        tasks.spawn(self.drivers.sources.run(self.drivers.updates, stop.clone()));
        tasks.spawn(super::garbage::update_runtime_up(
            self.parts.clone(),
            self.options.runtime_period,
            stop.clone(),
        ));
        super::garbage::start(
            &mut tasks,
            &self.handler,
            &self.facts.machine,
            self.drivers.deletions,
            &self.options,
            &stop,
        )?;
        tasks.spawn(super::cgroups::keep(
            self.handler.clone(),
            self.options.cgroup_period,
            stop.clone(),
        ));
        if let Some(watch) = mirrored {
            let handler = self.handler.clone();
            tasks.spawn(mirrors::make_first(handler.clone(), watch, stop.clone()));
            tasks.spawn(mirrors::remove_orphans(handler, stop.clone()));
        }
        let (handler, sync_loop) = (self.handler, self.drivers.sync_loop);
        if is_graceful(&handler.parts.config) {
            let (handler, stop, token) = (handler.clone(), stop.clone(), token.clone());
            tasks.spawn(async move {
                // It is of no use without the other parts.
                let asked = stop.run_until_cancelled(token.cancelled()).await;
                if asked.is_some() {
                    stop.run_until_cancelled(handler.shut_down()).await;
                    stop.cancel();
                }
            });
        }
        let stop_of_loop = stop.clone();
        tasks.spawn(async move { sync_loop.run(&*handler, stop_of_loop).await });

        let mut died = None;
        while let Some(ended) = tasks.join_next().await {
            match ended {
                Ok(()) if !stop.is_cancelled() => tracing::debug!("a part of the agent has ended"),
                Ok(()) => {}
                Err(error) => {
                    tracing::error!(%error, "a part of the agent has died");
                    stop.cancel();
                    died.get_or_insert(error);
                }
            }
        }
        rest.cancel();
        while last.join_next().await.is_some() {}
        died.map_or(Ok(()), |error| Err(AgentError::Died(error)))
    }

    pub(super) fn make_directories(&self) -> Result<(), AgentError> {
        let config = &self.parts.config;
        let root = &config.root_dir;
        let mut directories: Vec<PathBuf> =
            vec![root.clone(), root.join("pods"), root.join("pod-resources")];
        directories.push(config.pod_logs_dir.clone());
        directories.extend(self.parts.container_logs_dir.clone());
        for path in directories {
            fs::create_dir_all(&path).map_err(|source| AgentError::Directory { path, source })?;
        }
        Ok(())
    }
}
