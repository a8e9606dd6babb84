use std::sync::Arc;

use prometheus_client::encoding::{EncodeLabelSet, text::encode};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use serde_json::{Value, json};

use super::parts::Parts;
use crate::config::{Authorization, CgroupDriver, Config};
use crate::pod::{PodName, PodUid, containers};
use crate::probe::{ProbeKind, ProbeOutcome, ProbeResults as _};
use crate::runtime::ContainerId;
use crate::server::HttpMetrics;

/// What the agent tells of itself in numbers. Gauges are read when they are asked for.
pub(super) struct Metrics {
    parts: Arc<Parts>,
    http: HttpMetrics,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabels {
    container_state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct NodeLabels {
    node: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ProbeLabels {
    probe_type: &'static str,
    result: &'static str,
    container: String,
    pod: String,
    namespace: String,
    pod_uid: String,
}

impl Metrics {
    pub(super) fn new(parts: Arc<Parts>) -> Self {
        Self {
            parts,
            http: HttpMetrics::default(),
        }
    }

    pub(super) fn http(&self) -> HttpMetrics {
        self.http.clone()
    }

    /// All of them, as `OpenMetrics` text.
    pub(super) fn text(&self) -> String {
        let mut registry = Registry::default();
        self.http.register(&mut registry);
        let parts = &self.parts;

        let desired: Gauge = Gauge::default();
        desired.set(whole(parts.pods.lock().pods().len()));
        let counts = parts.pleg.counts();
        let running: Gauge = Gauge::default();
        running.set(whole(counts.pods));
        let states = Family::<StateLabels, Gauge>::default();
        for (container_state, count) in [
            ("created", counts.created),
            ("running", counts.running),
            ("exited", counts.exited),
            ("unknown", counts.unknown),
        ] {
            let labels = StateLabels { container_state };
            states.get_or_create(&labels).set(whole(count));
        }
        let relisted: Gauge<f64, std::sync::atomic::AtomicU64> = Gauge::default();
        let age = parts.pleg.last_relist_age();
        relisted.set(age.map_or(f64::INFINITY, |age| age.as_secs_f64()));
        let dropped: Gauge<u64, std::sync::atomic::AtomicU64> = Gauge::default();
        dropped.set(parts.pleg.dropped());
        let name = Family::<NodeLabels, Gauge>::default();
        let node = parts.config.node_name.clone();
        name.get_or_create(&NodeLabels { node }).set(1);
        let probes: Gauge = Gauge::default();
        probes.set(whole(parts.probes.len()));

        registry.register(
            "kubelet_node_name",
            "The node's name. The count is always 1",
            name,
        );
        registry.register(
            "kubelet_desired_pods",
            "The number of pods the agent is being asked to run",
            desired,
        );
        registry.register(
            "kubelet_running_pods",
            "Number of pods that have a running pod sandbox",
            running,
        );
        registry.register(
            "kubelet_running_containers",
            "Number of containers by their state",
            states,
        );
        registry.register(
            "kubelet_pleg_relist_age_seconds",
            "How long ago containers were listed",
            relisted,
        );
        registry.register(
            "kubelet_pleg_discard_events",
            "The number of discard events in PLEG",
            dropped,
        );
        registry.register(
            "kubelet_probe_workers",
            "Number of probes that are made",
            probes,
        );
        encoded(&registry)
    }

    /// What probes came to, as `OpenMetrics` text.
    pub(super) fn probes(&self) -> String {
        let results = Family::<ProbeLabels, Gauge>::default();
        let pods: Vec<_> = self.parts.pods.lock().pods().cloned().collect();
        for pod in &pods {
            let uid = PodUid::of(pod);
            let Some(Ok(observed)) = self.parts.cache.get(&uid) else {
                continue;
            };
            let PodName { namespace, name } = PodName::of(pod);
            for container in containers(pod) {
                let Some(found) = observed.container(&container.spec.name) else {
                    continue;
                };
                for (kind, outcome) in self.outcomes(&found.id) {
                    let labels = ProbeLabels {
                        probe_type: kind,
                        result: outcome,
                        container: container.spec.name.clone(),
                        pod: name.to_string(),
                        namespace: namespace.to_string(),
                        pod_uid: uid.to_string(),
                    };
                    results.get_or_create(&labels).set(1);
                }
            }
        }
        let mut registry = Registry::default();
        registry.register(
            "prober_probe_result",
            "What the probes of containers came to",
            results,
        );
        encoded(&registry)
    }

    fn outcomes(&self, id: &ContainerId) -> Vec<(&'static str, &'static str)> {
        let kinds = [
            (ProbeKind::Liveness, "Liveness"),
            (ProbeKind::Readiness, "Readiness"),
            (ProbeKind::Startup, "Startup"),
        ];
        let outcomes = kinds.into_iter().filter_map(|(kind, name)| {
            let outcome = self.parts.probes.result(kind, id)?;
            Some((
                name,
                match outcome {
                    ProbeOutcome::Success => "successful",
                    ProbeOutcome::Failure => "failed",
                    ProbeOutcome::Unknown => "unknown",
                },
            ))
        });
        outcomes.collect()
    }
}

fn encoded(registry: &Registry) -> String {
    let mut text = String::new();
    if let Err(error) = encode(&mut text, registry) {
        tracing::error!(%error, "metrics cannot be written");
    }
    text
}

fn whole(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// The configuration in force, in the words of a `KubeletConfiguration`.
pub(super) fn configuration(config: &Config) -> Value {
    let seconds = |time: std::time::Duration| format!("{}s", time.as_secs_f64());
    let path =
        |path: &Option<std::path::PathBuf>| path.as_ref().map(|path| path.display().to_string());
    let authorization = match config.authorization {
        Authorization::AlwaysAllow => "AlwaysAllow",
        Authorization::Webhook { .. } => "Webhook",
    };
    let cgroup_driver = match config.cgroup_driver {
        CgroupDriver::Cgroupfs => "cgroupfs",
        CgroupDriver::Systemd => "systemd",
    };
    let fields = [
        ("apiVersion", json!("kubelet.config.k8s.io/v1beta1")),
        ("kind", json!("KubeletConfiguration")),
        (
            "address",
            json!(config.server.map(|address| address.ip().to_string())),
        ),
        ("port", json!(config.server.map(|address| address.port()))),
        (
            "readOnlyPort",
            json!(config.read_only_server.map(|address| address.port())),
        ),
        (
            "healthzPort",
            json!(config.healthz.map(|address| address.port())),
        ),
        (
            "authentication",
            json!({"anonymous": {"enabled": config.anonymous_auth}}),
        ),
        ("authorization", json!({"mode": authorization})),
        (
            "enableDebuggingHandlers",
            json!(config.enable_debugging_handlers),
        ),
        ("containerRuntimeEndpoint", json!(config.runtime_endpoint)),
        ("imageServiceEndpoint", json!(config.image_endpoint)),
        (
            "runtimeRequestTimeout",
            json!(seconds(config.runtime_request_timeout)),
        ),
        (
            "podLogsDir",
            json!(config.pod_logs_dir.display().to_string()),
        ),
        ("staticPodPath", json!(path(&config.static_pod_path))),
        ("staticPodURL", json!(config.static_pod_url)),
        ("syncFrequency", json!(seconds(config.sync_frequency))),
        (
            "fileCheckFrequency",
            json!(seconds(config.file_check_frequency)),
        ),
        (
            "httpCheckFrequency",
            json!(seconds(config.http_check_frequency)),
        ),
        (
            "nodeStatusUpdateFrequency",
            json!(seconds(config.node_status_update_frequency)),
        ),
        (
            "nodeStatusReportFrequency",
            json!(seconds(config.node_status_report_frequency)),
        ),
        (
            "nodeLeaseDurationSeconds",
            json!(config.node_lease_duration.as_secs()),
        ),
        ("kubeAPIQPS", json!(config.api_rate.per_second)),
        ("kubeAPIBurst", json!(config.api_rate.burst)),
        ("eventRecordQPS", json!(config.event_rate.per_second)),
        ("eventBurst", json!(config.event_rate.burst)),
        ("maxPods", json!(config.max_pods)),
        ("cgroupRoot", json!(config.cgroup_root)),
        ("cgroupsPerQOS", json!(config.cgroups_per_qos)),
        ("cgroupDriver", json!(cgroup_driver)),
        (
            "enforceNodeAllocatable",
            match config.enforce_node_allocatable {
                true => json!(["pods"]),
                false => json!(["none"]),
            },
        ),
        ("cpuCFSQuota", json!(config.cpu_cfs_quota)),
        (
            "cpuCFSQuotaPeriod",
            json!(seconds(config.cpu_cfs_quota_period)),
        ),
        ("seccompDefault", json!(config.seccomp_default)),
        ("clusterDomain", json!(config.cluster_domain)),
        ("clusterDNS", json!(config.cluster_dns)),
        ("resolvConf", json!(path(&config.resolv_conf))),
        ("serializeImagePulls", json!(config.serialize_image_pulls)),
        ("maxParallelImagePulls", json!(config.max_parallel_pulls)),
        (
            "imageGCHighThresholdPercent",
            json!(config.image_gc_thresholds.0),
        ),
        (
            "imageGCLowThresholdPercent",
            json!(config.image_gc_thresholds.1),
        ),
        (
            "imageMinimumGCAge",
            json!(seconds(config.image_minimum_age)),
        ),
        (
            "containerLogMaxFiles",
            json!(config.container_log_max_files),
        ),
        (
            "containerLogMaxWorkers",
            json!(config.container_log_max_workers),
        ),
        (
            "containerLogMonitorInterval",
            json!(seconds(config.container_log_monitor_interval)),
        ),
        (
            "crashLoopBackOff",
            json!({"maxContainerRestartPeriod": seconds(config.max_container_restart_period)}),
        ),
        (
            "shutdownGracePeriod",
            json!(seconds(config.shutdown_grace_period)),
        ),
    ];
    Value::Object(
        fields
            .map(|(name, value)| (name.to_owned(), value))
            .into_iter()
            .collect(),
    )
}
