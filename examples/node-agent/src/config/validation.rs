use std::net::IpAddr;
use std::path::{Component, Path};

use crate::config::{FeatureGates, Gate, GoDuration, KubeletConfiguration};

/// What of the reservations of a node is enforced: that all pods keep to the rest.
pub(super) const PODS: &str = "pods";
/// What says that nothing of them is.
const NONE: &str = "none";
/// What kubelet enforces besides, on cgroups that this agent knows nothing of.
const ENFORCED_ON_OTHERS: [&str; 4] = [
    "system-reserved",
    "system-reserved-compressible",
    "kube-reserved",
    "kube-reserved-compressible",
];

/// What is wrong with a configuration whose defaults have been filled in, as kubelet says it.
///
/// What is wrong with a text, such as a quantity, is found where it is read.
pub(super) fn check(file: &KubeletConfiguration, gates: &FeatureGates) -> Vec<String> {
    let mut problems = Vec::new();
    let mut say = |problem: String| problems.push(format!("invalid configuration: {problem}"));
    not_negative(file, &mut say);
    ranges(file, &mut say);
    images(file, &mut say);
    shutdown(file, gates, &mut say);
    logs(file, &mut say);
    enforcement(file, &mut say);
    let period = file.cpu_cfs_quota_period.unwrap_or_default();
    if !gates.enabled(Gate::CustomCpuCfsQuotaPeriod) && period != GoDuration::from_millis(100) {
        say(format!(
            "cpuCFSQuotaPeriod (--cpu-cfs-quota-period) {period} requires feature gate \
             CustomCPUCFSQuotaPeriod"
        ));
    } else if !(GoDuration::from_millis(1)..=GoDuration::from_secs(1)).contains(&period) {
        say(format!(
            "cpuCFSQuotaPeriod (--cpu-cfs-quota-period) {period} must be between 1ms and 1sec, \
             inclusive"
        ));
    }
    let restart = file.crash_loop_back_off.max_container_restart_period;
    match restart {
        Some(_) if !gates.enabled(Gate::KubeletCrashLoopBackOffMax) => {
            say("FeatureGate KubeletCrashLoopBackOffMax not enabled, \
             CrashLoopBackOff.MaxContainerRestartPeriod must not be set"
                .to_owned());
        }
        Some(period)
            if !(GoDuration::from_secs(1)..=GoDuration::from_secs(300)).contains(&period) =>
        {
            say(format!(
                "CrashLoopBackOff.MaxContainerRestartPeriod (got: {period}) must be set between 1s \
                 and 300s"
            ));
        }
        _ => {}
    }
    for taint in &file.register_with_taints {
        let known = ["NoSchedule", "PreferNoSchedule", "NoExecute"];
        if taint.key.is_empty() || !known.contains(&taint.effect.as_str()) {
            let value = taint.value.as_deref().unwrap_or_default();
            say(format!(
                "invalid taint: {}={value}:{}",
                taint.key, taint.effect
            ));
        }
        if taint.time_added.is_some() {
            say("taint.TimeAdded is not nil".to_owned());
        }
    }
    if file
        .container_runtime_endpoint
        .as_deref()
        .unwrap_or_default()
        .is_empty()
    {
        say("the containerRuntimeEndpoint was not specified or empty".to_owned());
    }
    let certificate = file.tls_cert_file.as_deref().unwrap_or_default();
    let key = file.tls_private_key_file.as_deref().unwrap_or_default();
    if certificate.is_empty() != key.is_empty() {
        say(
            "tlsCertFile (--tls-cert-file) and tlsPrivateKeyFile (--tls-private-key-file) must be \
             given together"
                .to_owned(),
        );
    }
    problems
}

fn not_negative(file: &KubeletConfiguration, say: &mut impl FnMut(String)) {
    for (field, flag, value) in [
        ("eventBurst", "--event-burst", file.event_burst),
        ("eventRecordQPS", "--event-qps", file.event_record_qps),
        ("kubeAPIBurst", "--kube-api-burst", file.kube_api_burst),
        ("kubeAPIQPS", "--kube-api-qps", file.kube_api_qps),
        ("maxPods", "--max-pods", file.max_pods),
        ("registryBurst", "--registry-burst", file.registry_burst),
        ("registryPullQPS", "--registry-qps", file.registry_pull_qps),
    ] {
        if let Some(value) = value.filter(|value| *value < 0) {
            say(format!(
                "{field} ({flag}) {value} must not be a negative number"
            ));
        }
    }
    let authentication = &file.authentication.webhook;
    let authorization = &file.authorization.webhook;
    for (field, time) in [
        ("syncFrequency", file.sync_frequency),
        ("fileCheckFrequency", file.file_check_frequency),
        ("httpCheckFrequency", file.http_check_frequency),
        ("runtimeRequestTimeout", file.runtime_request_timeout),
        (
            "streamingConnectionIdleTimeout",
            file.streaming_connection_idle_timeout,
        ),
        (
            "nodeStatusUpdateFrequency",
            file.node_status_update_frequency,
        ),
        (
            "nodeStatusReportFrequency",
            file.node_status_report_frequency,
        ),
        (
            "evictionPressureTransitionPeriod",
            file.eviction_pressure_transition_period,
        ),
        ("authentication.webhook.cacheTTL", authentication.cache_ttl),
        (
            "authorization.webhook.cacheAuthorizedTTL",
            authorization.cache_authorized_ttl,
        ),
        (
            "authorization.webhook.cacheUnauthorizedTTL",
            authorization.cache_unauthorized_ttl,
        ),
    ] {
        // Upstream accepts these, and misbehaves.
        if let Some(time) = time.filter(|time| time.get().is_none()) {
            say(format!("{field} {time} must not be negative"));
        }
    }
}

fn ranges(file: &KubeletConfiguration, say: &mut impl FnMut(String)) {
    let is_port = |number: i32| (1..=65535).contains(&number);
    let port = file.port.unwrap_or_default();
    if !is_port(port) {
        say(format!(
            "port (--port) {port} must be between 1 and 65535, inclusive"
        ));
    }
    let port = file.read_only_port.unwrap_or_default();
    if port != 0 && !is_port(port) {
        say(format!(
            "readOnlyPort (--read-only-port) {port} must be between 0 and 65535, inclusive"
        ));
    }
    let port = file.healthz_port.unwrap_or_default();
    if port != 0 && !is_port(port) {
        say(format!(
            "healthzPort (--healthz-port) {port} must be between 1 and 65535, inclusive"
        ));
    }
    for (field, address) in [
        ("address (--address)", &file.address),
        (
            "healthzBindAddress (--healthz-bind-address)",
            &file.healthz_bind_address,
        ),
    ] {
        let address = address.as_deref().unwrap_or_default();
        if address.parse::<IpAddr>().is_err() {
            say(format!("{field} {address:?} must be an IP address"));
        }
    }
    if file.node_lease_duration_seconds.unwrap_or_default() <= 0 {
        say("nodeLeaseDurationSeconds must be greater than 0".to_owned());
    }
    let images = file.node_status_max_images.unwrap_or_default();
    if images < -1 {
        say(format!(
            "nodeStatusMaxImages (--node-status-max-images) {images} must be -1 or greater"
        ));
    }
}

fn images(file: &KubeletConfiguration, say: &mut impl FnMut(String)) {
    let high = file.image_gc_high_threshold_percent.unwrap_or_default();
    let low = file.image_gc_low_threshold_percent.unwrap_or_default();
    for (field, flag, value) in [
        (
            "imageGCHighThresholdPercent",
            "--image-gc-high-threshold",
            high,
        ),
        (
            "imageGCLowThresholdPercent",
            "--image-gc-low-threshold",
            low,
        ),
    ] {
        if !(0..=100).contains(&value) {
            say(format!(
                "{field} ({flag}) {value} must be between 0 and 100, inclusive"
            ));
        }
    }
    if low >= high {
        say(format!(
            "imageGCLowThresholdPercent (--image-gc-low-threshold) {low} must be less than \
             imageGCHighThresholdPercent (--image-gc-high-threshold) {high}"
        ));
    }
    let minimum = file.image_minimum_gc_age.unwrap_or_default();
    let maximum = file.image_maximum_gc_age.unwrap_or_default();
    if minimum.get().is_none() {
        say(format!("imageMinimumGCAge {minimum} must not be negative"));
    }
    if maximum.get().is_none() {
        say(format!("imageMaximumGCAge {maximum} must not be negative"));
    } else if !maximum.is_zero() && maximum <= minimum {
        say(format!(
            "imageMaximumGCAge {maximum} must be greater than imageMinimumGCAge {minimum}"
        ));
    }
    let parallel = file.max_parallel_image_pulls;
    if let Some(parallel) = parallel.filter(|parallel| *parallel < 1) {
        say(format!(
            "maxParallelImagePulls {parallel} must be a positive number"
        ));
    }
    if file.serialize_image_pulls == Some(true) && parallel.is_some_and(|parallel| parallel > 1) {
        say(
            "maxParallelImagePulls cannot be larger than 1 unless SerializeImagePulls \
             (--serialize-image-pulls) is set to false"
                .to_owned(),
        );
    }
}

fn shutdown(file: &KubeletConfiguration, gates: &FeatureGates, say: &mut impl FnMut(String)) {
    let all = file.shutdown_grace_period.unwrap_or_default();
    let critical = file.shutdown_grace_period_critical_pods.unwrap_or_default();
    if !gates.enabled(Gate::GracefulNodeShutdown) {
        if all > GoDuration::default() || critical > GoDuration::default() {
            say("specifying shutdownGracePeriod or shutdownGracePeriodCriticalPods requires feature \
                 gate GracefulNodeShutdown"
                .to_owned());
        }
        return;
    }
    if critical > all {
        say(format!(
            "shutdownGracePeriodCriticalPods {critical} must be <= shutdownGracePeriod {all}"
        ));
    }
    for (field, time) in [
        ("shutdownGracePeriod", all),
        ("shutdownGracePeriodCriticalPods", critical),
    ] {
        if !time.is_zero() && time < GoDuration::from_secs(1) {
            say(format!(
                "{field} {time} must be either zero or otherwise >= 1 sec"
            ));
        }
    }
}

fn enforcement(file: &KubeletConfiguration, say: &mut impl FnMut(String)) {
    const FIELD: &str = "enforceNodeAllocatable (--enforce-node-allocatable)";
    let all = file.enforce_node_allocatable.as_deref().unwrap_or_default();
    for (index, value) in all.iter().enumerate() {
        if all[..index].contains(value) {
            say(format!("duplicated enforcements {value:?} in {FIELD}"));
            continue;
        }
        match value.as_str() {
            NONE => {
                if all.len() > 1 {
                    say(format!(
                        "{FIELD} may not contain additional enforcements when {NONE:?} is specified"
                    ));
                }
                continue;
            }
            PODS => {}
            other if ENFORCED_ON_OTHERS.contains(&other) => {
                say(format!(
                    "option {other:?} specified for {FIELD} is not supported by this agent, which \
                     limits nothing but pods"
                ));
                continue;
            }
            other => {
                say(format!(
                    "option {other:?} specified for {FIELD}. Valid options are {PODS:?} or {NONE:?}"
                ));
                continue;
            }
        }
        if file.cgroups_per_qos == Some(false) {
            say(format!(
                "cgroupsPerQOS (--cgroups-per-qos) must be set to true when {value:?} contained in {FIELD}"
            ));
        }
    }
}

fn logs(file: &KubeletConfiguration, say: &mut impl FnMut(String)) {
    if file.container_log_monitor_interval.unwrap_or_default() < GoDuration::from_secs(3) {
        say("containerLogMonitorInterval must be a positive time duration greater than or equal to 3s"
            .to_owned());
    }
    if file.container_log_max_files.unwrap_or_default() <= 1 {
        say("containerLogMaxFiles must be greater than 1".to_owned());
    }
    if file.container_log_max_workers.unwrap_or_default() < 1 {
        say("containerLogMaxWorkers must be greater than or equal to 1".to_owned());
    }
    let directory = file.pod_logs_dir.as_deref().unwrap_or_default();
    if !directory.starts_with('/') {
        say(format!("pod logs path {directory:?} must be absolute path"));
    }
    let clean = directory.len() == 1 || !directory.ends_with('/');
    let plain = |part: Component<'_>| matches!(part, Component::RootDir | Component::Normal(_));
    let path = Path::new(directory);
    if !clean
        || !path.components().all(plain)
        || directory.contains("//")
        || directory.contains("/./")
    {
        say(format!("pod logs path {directory:?} must be normalized"));
    }
    if !directory.is_ascii() {
        say(format!(
            "pod logs path {directory:?} must contain ASCII characters only"
        ));
    }
}
