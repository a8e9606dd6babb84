use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use kubewright_quantity::Quantity;

use crate::config::{
    Authorization, CgroupDriver, Config, ConfigError, FeatureGates, GoDuration,
    KubeletConfiguration, Rate, RuntimeKind, Threshold, TlsFiles, eviction, validation,
};
use crate::eviction::Signal;

/// Collects what is wrong with texts while they are read.
#[derive(Default)]
struct Reader {
    problems: Vec<String>,
}

/// The configuration that a file makes, for a node of this name; of the flags, the defaults.
///
/// Fails with all that is wrong.
pub(super) fn resolve(
    mut file: KubeletConfiguration,
    node_name: String,
) -> Result<Config, ConfigError> {
    let mut reader = Reader::default();
    let gates = FeatureGates::from_map(&file.feature_gates).unwrap_or_else(|unknown| {
        let unknown = unknown.iter().map(ToString::to_string);
        reader.problems.extend(unknown);
        FeatureGates::default()
    });
    fill(&mut file);
    reader.problems.extend(validation::check(&file, &gates));
    let config = reader.config(&file, node_name, gates);
    if reader.problems.is_empty() {
        Ok(config)
    } else {
        Err(ConfigError::Invalid(reader.problems))
    }
}

/// Fills in what was left out, as upstream does: a time of zero, and a number of zero where that
/// makes no sense, are left out too.
fn fill(file: &mut KubeletConfiguration) {
    let seconds = GoDuration::from_secs;
    let report = match file.node_status_update_frequency {
        // Whoever sets only how often it is computed means how often it is written, too.
        Some(update) if !update.is_zero() => update,
        _ => seconds(300),
    };
    let webhook = &mut file.authorization.webhook;
    for (time, default) in [
        (&mut file.sync_frequency, seconds(60)),
        (&mut file.file_check_frequency, seconds(20)),
        (&mut file.http_check_frequency, seconds(20)),
        (
            &mut file.streaming_connection_idle_timeout,
            seconds(4 * 3600),
        ),
        (&mut file.node_status_report_frequency, report),
        (&mut file.node_status_update_frequency, seconds(10)),
        (&mut file.image_minimum_gc_age, seconds(120)),
        (&mut file.runtime_request_timeout, seconds(120)),
        (&mut file.eviction_pressure_transition_period, seconds(300)),
        (&mut file.authentication.webhook.cache_ttl, seconds(120)),
        (&mut webhook.cache_authorized_ttl, seconds(300)),
        (&mut webhook.cache_unauthorized_ttl, seconds(30)),
    ] {
        if time.unwrap_or_default().is_zero() {
            *time = Some(default);
        }
    }
    for (number, default) in [
        (&mut file.port, 10250),
        (&mut file.registry_burst, 10),
        (&mut file.event_burst, 100),
        (&mut file.kube_api_burst, 100),
        (&mut file.node_lease_duration_seconds, 40),
        (&mut file.max_pods, 110),
    ] {
        if number.unwrap_or_default() == 0 {
            *number = Some(default);
        }
    }
    for (number, default) in [
        (&mut file.healthz_port, 10248),
        (&mut file.registry_pull_qps, 5),
        (&mut file.event_record_qps, 50),
        (&mut file.kube_api_qps, 50),
        (&mut file.image_gc_high_threshold_percent, 85),
        (&mut file.image_gc_low_threshold_percent, 80),
        (&mut file.node_status_max_images, 50),
        (&mut file.container_log_max_files, 5),
        (&mut file.container_log_max_workers, 1),
    ] {
        number.get_or_insert(default);
    }
    for (text, default) in [
        (&mut file.address, "0.0.0.0"),
        (&mut file.healthz_bind_address, "127.0.0.1"),
        (&mut file.authorization.mode, "Webhook"),
        (&mut file.cgroup_driver, "cgroupfs"),
        (&mut file.container_log_max_size, "10Mi"),
        (&mut file.pod_logs_dir, "/var/log/pods"),
        (
            &mut file.container_runtime_endpoint,
            "unix:///run/containerd/containerd.sock",
        ),
    ] {
        if text.as_deref().unwrap_or_default().is_empty() {
            *text = Some(default.to_owned());
        }
    }
    file.resolver_config
        .get_or_insert("/etc/resolv.conf".to_owned());
    file.enforce_node_allocatable
        .get_or_insert_with(|| vec![validation::PODS.to_owned()]);
    file.cpu_cfs_quota_period
        .get_or_insert(GoDuration::from_millis(100));
    file.container_log_monitor_interval
        .get_or_insert(seconds(10));
    let serial = file
        .max_parallel_image_pulls
        .is_none_or(|parallel| parallel < 2);
    file.serialize_image_pulls.get_or_insert(serial);
}

impl Reader {
    /// Reads everything; where something cannot be read, the problem is noted.
    fn config(
        &mut self,
        file: &KubeletConfiguration,
        node_name: String,
        gates: FeatureGates,
    ) -> Config {
        let text = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let authorization = self.authorization(file);
        let tls = text(&file.tls_cert_file).zip(text(&file.tls_private_key_file));
        let endpoint = text(&file.container_runtime_endpoint).unwrap_or_default();
        let webhook = &file.authentication.webhook;
        Config {
            node_name,
            kubeconfig: None,
            root_dir: "/var/lib/kubelet".into(),
            pod_logs_dir: text(&file.pod_logs_dir).unwrap_or_default().into(),
            node_ip: None,
            node_labels: BTreeMap::new(),
            taints: file.register_with_taints.clone(),
            register_node: file.register_node.unwrap_or(true),
            runtime: RuntimeKind::default(),
            image_endpoint: text(&file.image_service_endpoint).unwrap_or_else(|| endpoint.clone()),
            runtime_endpoint: endpoint,
            runtime_request_timeout: time(file.runtime_request_timeout),
            static_pod_path: text(&file.static_pod_path).map(PathBuf::from),
            file_check_frequency: time(file.file_check_frequency),
            static_pod_url: text(&file.static_pod_url),
            static_pod_url_headers: self.headers(file),
            http_check_frequency: time(file.http_check_frequency),
            sync_frequency: time(file.sync_frequency),
            run_once: false,
            server: (file.enable_server != Some(false))
                .then(|| address(&file.address, file.port))
                .flatten(),
            read_only_server: listens(&file.address, file.read_only_port),
            healthz: listens(&file.healthz_bind_address, file.healthz_port),
            tls: tls.map(|(certificate, private_key)| TlsFiles {
                certificate: certificate.into(),
                private_key: private_key.into(),
            }),
            client_ca_file: text(&file.authentication.x509.client_ca_file).map(PathBuf::from),
            anonymous_auth: file.authentication.anonymous.enabled.unwrap_or(false),
            webhook_authentication: (webhook.enabled != Some(false))
                .then(|| time(webhook.cache_ttl)),
            authorization,
            enable_debugging_handlers: file.enable_debugging_handlers.unwrap_or(true),
            streaming_idle_timeout: time(file.streaming_connection_idle_timeout),
            api_rate: rate(file.kube_api_qps, file.kube_api_burst),
            event_rate: rate(file.event_record_qps, file.event_burst),
            node_status_update_frequency: time(file.node_status_update_frequency),
            node_status_report_frequency: time(file.node_status_report_frequency),
            node_lease_duration: Duration::from_secs(
                count(file.node_lease_duration_seconds).into(),
            ),
            // -1 is all of them.
            node_status_max_images: file
                .node_status_max_images
                .and_then(|images| usize::try_from(images).ok()),
            max_pods: count(file.max_pods),
            // Anything below zero is as many as the node has.
            pod_pids_limit: file
                .pod_pids_limit
                .and_then(|limit| u64::try_from(limit).ok()),
            system_reserved: self.reserved("systemReserved", file.system_reserved.as_ref()),
            kube_reserved: self.reserved("kubeReserved", file.kube_reserved.as_ref()),
            eviction_hard: self.eviction(file.eviction_hard.as_ref()),
            eviction_pressure_transition_period: time(file.eviction_pressure_transition_period),
            cgroup_root: text(&file.cgroup_root),
            cgroups_per_qos: file.cgroups_per_qos.unwrap_or(true),
            cgroup_driver: self.cgroup_driver(file),
            enforce_node_allocatable: file
                .enforce_node_allocatable
                .iter()
                .flatten()
                .any(|enforced| enforced == validation::PODS),
            fail_cgroup_v1: file.fail_cgroup_v1.unwrap_or(false),
            cpu_cfs_quota: file.cpu_cfs_quota.unwrap_or(true),
            cpu_cfs_quota_period: time(file.cpu_cfs_quota_period),
            seccomp_default: file.seccomp_default.unwrap_or(false),
            cluster_domain: file.cluster_domain.clone().unwrap_or_default(),
            cluster_dns: self.name_servers(file),
            resolv_conf: text(&file.resolver_config).map(PathBuf::from),
            serialize_image_pulls: file.serialize_image_pulls.unwrap_or(true),
            max_parallel_pulls: file
                .max_parallel_image_pulls
                .map(|pulls| count(Some(pulls))),
            pull_rate: Some(rate(file.registry_pull_qps, file.registry_burst))
                .filter(|rate| rate.per_second > 0),
            image_minimum_age: time(file.image_minimum_gc_age),
            image_maximum_age: Some(time(file.image_maximum_gc_age)).filter(|age| !age.is_zero()),
            image_gc_thresholds: (
                percent(file.image_gc_high_threshold_percent),
                percent(file.image_gc_low_threshold_percent),
            ),
            container_log_max_size: self.log_size(file),
            container_log_max_files: count(file.container_log_max_files),
            container_log_max_workers: count(file.container_log_max_workers),
            container_log_monitor_interval: time(file.container_log_monitor_interval),
            max_container_restart_period: file
                .crash_loop_back_off
                .max_container_restart_period
                .and_then(GoDuration::get)
                .unwrap_or(Duration::from_secs(300)),
            shutdown_grace_period: time(file.shutdown_grace_period),
            shutdown_grace_period_critical_pods: time(file.shutdown_grace_period_critical_pods),
            gates,
        }
    }

    fn say(&mut self, problem: impl std::fmt::Display) {
        self.problems
            .push(format!("invalid configuration: {problem}"));
    }

    fn authorization(&mut self, file: &KubeletConfiguration) -> Authorization {
        let webhook = &file.authorization.webhook;
        match file.authorization.mode.as_deref().unwrap_or_default() {
            "AlwaysAllow" => return Authorization::AlwaysAllow,
            "Webhook" => {}
            mode => self.say(format!(
                "option {mode:?} specified for authorization.mode (--authorization-mode). Valid \
                 options are \"AlwaysAllow\" or \"Webhook\""
            )),
        }
        Authorization::Webhook {
            allowed_for: time(webhook.cache_authorized_ttl),
            denied_for: time(webhook.cache_unauthorized_ttl),
        }
    }

    fn cgroup_driver(&mut self, file: &KubeletConfiguration) -> CgroupDriver {
        match file.cgroup_driver.as_deref().unwrap_or_default() {
            "systemd" => return CgroupDriver::Systemd,
            "cgroupfs" => {}
            driver => self.say(format!(
                "option {driver:?} specified for cgroupDriver (--cgroup-driver). Valid options are \
                 \"cgroupfs\" or \"systemd\""
            )),
        }
        CgroupDriver::Cgroupfs
    }

    fn headers(&mut self, file: &KubeletConfiguration) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, values) in file.static_pod_url_header.iter().flatten() {
            for value in values {
                let pair = HeaderName::from_str(name)
                    .ok()
                    .zip(HeaderValue::from_str(value).ok());
                match pair {
                    Some((name, value)) => {
                        headers.append(name, value);
                    }
                    // Not its value, which may be a secret.
                    None => self.say(format!(
                        "staticPodURLHeader (--manifest-url-header) {name:?} is not a header"
                    )),
                }
            }
        }
        headers
    }

    fn name_servers(&mut self, file: &KubeletConfiguration) -> Vec<IpAddr> {
        let mut servers = Vec::new();
        for text in file.cluster_dns.iter().flatten() {
            match text.trim().parse() {
                Ok(address) => servers.push(address),
                Err(_) => self.say(format!(
                    "clusterDNS (--cluster-dns) {text:?} is not an IP address"
                )),
            }
        }
        servers
    }

    fn log_size(&mut self, file: &KubeletConfiguration) -> u64 {
        let text = file.container_log_max_size.as_deref().unwrap_or_default();
        match Quantity::parse(text).map(|size| u64::try_from(size.value())) {
            Ok(Ok(size)) if size > 0 => return size,
            Ok(_) => self.say(format!(
                "containerLogMaxSize (--container-log-max-size) {text:?} must be positive"
            )),
            Err(error) => self.say(format!(
                "failed to parse containerLogMaxSize (--container-log-max-size) {text:?}: {error}"
            )),
        }
        0
    }

    fn reserved(
        &mut self,
        field: &str,
        given: Option<&BTreeMap<String, String>>,
    ) -> BTreeMap<String, Quantity> {
        let mut reserved = BTreeMap::new();
        for (resource, text) in given.into_iter().flatten() {
            let known = ["cpu", "memory", "ephemeral-storage", "pid"];
            if !known.contains(&resource.as_str()) {
                self.say(format!("cannot reserve {resource:?} resource in {field}"));
                continue;
            }
            match Quantity::parse(text) {
                Ok(quantity) if quantity.is_negative() => self.say(format!(
                    "resource quantity for {resource:?} in {field} cannot be negative: {text}"
                )),
                Ok(quantity) => {
                    reserved.insert(resource.clone(), quantity);
                }
                Err(error) => self.say(format!(
                    "failed to parse quantity {text:?} for {resource:?} resource in {field}: {error}"
                )),
            }
        }
        reserved
    }

    /// What is given stands for itself: none of the defaults is added to it. A signal that is turned
    /// off is left out, as by upstream's `parseThresholdStatement`.
    fn eviction(
        &mut self,
        given: Option<&BTreeMap<String, String>>,
    ) -> BTreeMap<String, Threshold> {
        let defaults =
            eviction::DEFAULTS.map(|(signal, text)| (signal.to_owned(), text.to_owned()));
        let defaults = BTreeMap::from(defaults);
        let mut thresholds = BTreeMap::new();
        for (signal, text) in given.unwrap_or(&defaults) {
            if Signal::named(signal).is_none() {
                self.say(format!(
                    "unsupported eviction signal {signal} in evictionHard"
                ));
                continue;
            }
            match text.parse::<Threshold>() {
                Ok(threshold) if threshold.is_off() => {}
                Ok(threshold) => {
                    thresholds.insert(signal.clone(), threshold);
                }
                Err(error) => self.say(format!("{signal} in evictionHard: {error}")),
            }
        }
        thresholds
    }
}

// What follows is only looked at if validation found nothing wrong.

fn time(time: Option<GoDuration>) -> Duration {
    time.and_then(GoDuration::get).unwrap_or_default()
}

fn count(number: Option<i32>) -> u32 {
    number
        .and_then(|number| u32::try_from(number).ok())
        .unwrap_or_default()
}

fn percent(number: Option<i32>) -> u8 {
    number
        .and_then(|number| u8::try_from(number).ok())
        .unwrap_or_default()
}

fn rate(per_second: Option<i32>, burst: Option<i32>) -> Rate {
    Rate {
        per_second: count(per_second),
        burst: count(burst),
    }
}

fn address(ip: &Option<String>, port: Option<i32>) -> Option<SocketAddr> {
    let ip: IpAddr = ip.as_deref()?.parse().ok()?;
    Some(SocketAddr::new(ip, u16::try_from(port?).ok()?))
}

/// An address, unless the port is zero.
fn listens(ip: &Option<String>, port: Option<i32>) -> Option<SocketAddr> {
    address(ip, port).filter(|address| address.port() != 0)
}
