#![expect(
    missing_docs,
    reason = "the fields are upstream's, and explained at `Config`"
)]

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Taint;
use serde::Deserialize;
use serde_json::Value;

use crate::config::{ConfigError, GoDuration};
use crate::yaml;

/// A `KubeletConfiguration` of `kubelet.config.k8s.io/v1beta1`, as it was given: what is `None` was
/// left out.
///
/// What each field means is said of [`Config`](crate::config::Config), whose fields have plainer names
/// in places. Fields of kubelet's that this agent has no use for are refused, unless they say
/// nothing: zero, empty or false, as in the files that kubeadm writes.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct KubeletConfiguration {
    pub enable_server: Option<bool>,
    pub static_pod_path: Option<String>,
    pub pod_logs_dir: Option<String>,
    pub sync_frequency: Option<GoDuration>,
    pub file_check_frequency: Option<GoDuration>,
    pub http_check_frequency: Option<GoDuration>,
    #[serde(rename = "staticPodURL")]
    pub static_pod_url: Option<String>,
    #[serde(rename = "staticPodURLHeader")]
    pub static_pod_url_header: Option<BTreeMap<String, Vec<String>>>,
    pub address: Option<String>,
    pub port: Option<i32>,
    pub read_only_port: Option<i32>,
    pub tls_cert_file: Option<String>,
    pub tls_private_key_file: Option<String>,
    pub authentication: AuthenticationConfig,
    pub authorization: AuthorizationConfig,
    #[serde(rename = "registryPullQPS")]
    pub registry_pull_qps: Option<i32>,
    pub registry_burst: Option<i32>,
    #[serde(rename = "eventRecordQPS")]
    pub event_record_qps: Option<i32>,
    pub event_burst: Option<i32>,
    pub enable_debugging_handlers: Option<bool>,
    pub healthz_port: Option<i32>,
    pub healthz_bind_address: Option<String>,
    pub cluster_domain: Option<String>,
    #[serde(rename = "clusterDNS")]
    pub cluster_dns: Option<Vec<String>>,
    pub streaming_connection_idle_timeout: Option<GoDuration>,
    pub node_status_update_frequency: Option<GoDuration>,
    pub node_status_report_frequency: Option<GoDuration>,
    pub node_lease_duration_seconds: Option<i32>,
    #[serde(rename = "imageMinimumGCAge")]
    pub image_minimum_gc_age: Option<GoDuration>,
    #[serde(rename = "imageMaximumGCAge")]
    pub image_maximum_gc_age: Option<GoDuration>,
    #[serde(rename = "imageGCHighThresholdPercent")]
    pub image_gc_high_threshold_percent: Option<i32>,
    #[serde(rename = "imageGCLowThresholdPercent")]
    pub image_gc_low_threshold_percent: Option<i32>,
    pub cgroup_root: Option<String>,
    #[serde(rename = "cgroupsPerQOS")]
    pub cgroups_per_qos: Option<bool>,
    pub cgroup_driver: Option<String>,
    pub enforce_node_allocatable: Option<Vec<String>>,
    #[serde(rename = "failCgroupV1")]
    pub fail_cgroup_v1: Option<bool>,
    pub runtime_request_timeout: Option<GoDuration>,
    pub max_pods: Option<i32>,
    pub pod_pids_limit: Option<i64>,
    #[serde(rename = "resolvConf")]
    pub resolver_config: Option<String>,
    #[serde(rename = "cpuCFSQuota")]
    pub cpu_cfs_quota: Option<bool>,
    #[serde(rename = "cpuCFSQuotaPeriod")]
    pub cpu_cfs_quota_period: Option<GoDuration>,
    pub node_status_max_images: Option<i32>,
    #[serde(rename = "kubeAPIQPS")]
    pub kube_api_qps: Option<i32>,
    #[serde(rename = "kubeAPIBurst")]
    pub kube_api_burst: Option<i32>,
    pub serialize_image_pulls: Option<bool>,
    pub max_parallel_image_pulls: Option<i32>,
    pub eviction_hard: Option<BTreeMap<String, String>>,
    pub eviction_pressure_transition_period: Option<GoDuration>,
    pub feature_gates: BTreeMap<String, bool>,
    pub container_log_max_size: Option<String>,
    pub container_log_max_files: Option<i32>,
    pub container_log_max_workers: Option<i32>,
    pub container_log_monitor_interval: Option<GoDuration>,
    pub crash_loop_back_off: CrashLoopBackOffConfig,
    pub system_reserved: Option<BTreeMap<String, String>>,
    pub kube_reserved: Option<BTreeMap<String, String>>,
    pub shutdown_grace_period: Option<GoDuration>,
    pub shutdown_grace_period_critical_pods: Option<GoDuration>,
    pub seccomp_default: Option<bool>,
    pub register_with_taints: Vec<Taint>,
    pub register_node: Option<bool>,
    pub container_runtime_endpoint: Option<String>,
    pub image_service_endpoint: Option<String>,
}

/// How it is found out who a client is.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct AuthenticationConfig {
    pub x509: X509Config,
    pub webhook: WebhookAuthenticationConfig,
    pub anonymous: AnonymousConfig,
}

/// Clients by certificate.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct X509Config {
    #[serde(rename = "clientCAFile")]
    pub client_ca_file: Option<String>,
}

/// Clients by token.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct WebhookAuthenticationConfig {
    pub enabled: Option<bool>,
    #[serde(rename = "cacheTTL")]
    pub cache_ttl: Option<GoDuration>,
}

/// Clients that do not say who they are.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct AnonymousConfig {
    pub enabled: Option<bool>,
}

/// How it is found out what a client may do.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct AuthorizationConfig {
    pub mode: Option<String>,
    pub webhook: WebhookAuthorizationConfig,
}

/// How long answers of the API server hold.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct WebhookAuthorizationConfig {
    #[serde(rename = "cacheAuthorizedTTL")]
    pub cache_authorized_ttl: Option<GoDuration>,
    #[serde(rename = "cacheUnauthorizedTTL")]
    pub cache_unauthorized_ttl: Option<GoDuration>,
}

/// How long crashing containers have to wait.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct CrashLoopBackOffConfig {
    pub max_container_restart_period: Option<GoDuration>,
}

/// Fields that kubelet has and this agent has not.
const UNSUPPORTED: [&str; 58] = [
    "allowedUnsafeSysctls",
    "configMapAndSecretChangeDetectionStrategy",
    "contentType",
    "cpuManagerPolicy",
    "cpuManagerPolicyOptions",
    "cpuManagerReconcilePeriod",
    "draManagerReconcilePeriod",
    "enableContentionProfiling",
    "enableControllerAttachDetach",
    "enableDebugFlagsHandler",
    "enableProfilingHandler",
    "enableSystemLogHandler",
    "enableSystemLogQuery",
    "evictionMaxPodGracePeriod",
    "evictionMinimumReclaim",
    "evictionSoft",
    "evictionSoftGracePeriod",
    "failSwapOn",
    "hairpinMode",
    "imagePullCredentialsVerificationPolicy",
    "iptablesDropBit",
    "iptablesMasqueradeBit",
    "kernelMemcgNotification",
    "kubeletCgroups",
    "kubeReservedCgroup",
    "localStorageCapacityIsolation",
    "logging",
    "makeIPTablesUtilChains",
    "maxOpenFiles",
    "memoryManagerPolicy",
    "memoryReservationPolicy",
    "memorySwap",
    "memoryThrottlingFactor",
    "mergeDefaultEvictionSettings",
    "oomScoreAdj",
    "podCIDR",
    "podsPerCore",
    "preloadedImagesVerificationAllowlist",
    "protectKernelDefaults",
    "providerID",
    "reservedMemory",
    "reservedSystemCPUs",
    "rotateCertificates",
    "runOnce",
    "serverTLSBootstrap",
    "showHiddenMetricsForVersion",
    "shutdownGracePeriodByPodPriority",
    "singleProcessOOMKill",
    "systemCgroups",
    "systemReservedCgroup",
    "tlsCipherSuites",
    "tlsMinVersion",
    "topologyManagerPolicy",
    "topologyManagerPolicyOptions",
    "topologyManagerScope",
    "tracing",
    "volumePluginDir",
    "volumeStatsAggPeriod",
];

/// Those of which this agent does what kubelet does by default, when they are true, and nothing else.
const ALWAYS_ON: [&str; 2] = [
    "enableControllerAttachDetach",
    "localStorageCapacityIsolation",
];

impl KubeletConfiguration {
    /// Reads a configuration file.
    ///
    /// # Errors
    ///
    /// When it is no `KubeletConfiguration` of `kubelet.config.k8s.io/v1beta1`, or has fields that
    /// nobody knows or this agent does not support: these are told all at once.
    pub fn from_yaml(content: &[u8]) -> Result<Self, ConfigError> {
        let mut document = yaml::read(content)?;
        let text = |field: &str| document[field].as_str().unwrap_or_default().to_owned();
        let (api_version, kind) = (text("apiVersion"), text("kind"));
        if api_version != "kubelet.config.k8s.io/v1beta1" || kind != "KubeletConfiguration" {
            return Err(ConfigError::WrongKind { api_version, kind });
        }
        let mut unsupported = Vec::new();
        if let Some(fields) = document.as_object_mut() {
            fields.remove("apiVersion");
            fields.remove("kind");
            fields.retain(|name, value| {
                let foreign = UNSUPPORTED.contains(&name.as_str());
                let means_nothing = match value.as_bool() {
                    Some(on) if ALWAYS_ON.contains(&name.as_str()) => on,
                    _ => says_nothing(value),
                };
                if foreign && !means_nothing {
                    unsupported.push(name.clone());
                }
                // To leave a field empty is to leave it out.
                !foreign && !value.is_null()
            });
        }
        let mut unknown = Vec::new();
        let note = |path: serde_ignored::Path<'_>| unknown.push(path.to_string());
        let configuration =
            serde_ignored::deserialize(document, note).map_err(ConfigError::NotOfItsType)?;
        if !unknown.is_empty() {
            return Err(ConfigError::UnknownFields(unknown));
        }
        if !unsupported.is_empty() {
            return Err(ConfigError::UnsupportedFields(unsupported));
        }
        Ok(configuration)
    }
}

/// Whether a value is what Go has when nobody set anything.
fn says_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(on) => !on,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => matches!(text.as_str(), "" | "0" | "0s"),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.values().all(says_nothing),
    }
}
