use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::config::{
    Config, ConfigError, GoDuration, KubeletConfiguration, gates, labels, resolve,
};

/// The flags of the agent. They have kubelet's names; where there is a field of the configuration
/// file for the same thing, the flag wins.
#[derive(Args, Clone, Debug, Default)]
#[non_exhaustive]
pub struct Flags {
    /// A configuration file, as kubelet has it (kubelet.config.k8s.io/v1beta1).
    #[arg(long, value_name = "PATH")]
    pub config: Option<PathBuf>,

    /// The kubeconfig of the API server; without one the agent stands alone.
    #[arg(long, value_name = "PATH")]
    pub kubeconfig: Option<PathBuf>,

    /// What the node is called [default: the host's name].
    #[arg(long, value_name = "NAME")]
    pub hostname_override: Option<String>,

    /// The address that the node is reached at [default: found out].
    #[arg(long, value_name = "IP")]
    pub node_ip: Option<std::net::IpAddr>,

    /// Labels of the node, such as zone=a,disk=ssd.
    #[arg(long, value_name = "LABELS", value_parser = labels_flag)]
    pub node_labels: Option<Pairs>,

    /// Where the agent keeps the files of pods [default: /var/lib/kubelet].
    #[arg(long, value_name = "PATH")]
    pub root_dir: Option<PathBuf>,

    /// What kind of container runtime the agent works with.
    #[arg(long, value_enum, default_value_t)]
    pub runtime: RuntimeKind,

    /// Run the static pods once, and end.
    #[arg(long)]
    pub run_once: bool,

    /// Where the container runtime listens.
    #[arg(long, value_name = "URL")]
    pub container_runtime_endpoint: Option<String>,

    /// Where the image service listens [default: where the runtime does].
    #[arg(long, value_name = "URL")]
    pub image_service_endpoint: Option<String>,

    /// Static pods: a directory of manifests, or one manifest.
    #[arg(long, value_name = "PATH")]
    pub pod_manifest_path: Option<String>,

    /// Static pods that a web server has.
    #[arg(long, value_name = "URL")]
    pub manifest_url: Option<String>,

    /// Headers for that server, such as a:1,b:2.
    #[arg(long, value_name = "HEADERS")]
    pub manifest_url_header: Vec<String>,

    /// Where the agent's API listens.
    #[arg(long, value_name = "IP")]
    pub address: Option<String>,

    /// The port of the agent's API.
    #[arg(long, value_name = "PORT")]
    pub port: Option<i32>,

    /// The port where anybody can read /pods; 0 for none.
    #[arg(long, value_name = "PORT")]
    pub read_only_port: Option<i32>,

    /// Where /healthz is served.
    #[arg(long, value_name = "IP")]
    pub healthz_bind_address: Option<String>,

    /// The port of /healthz; 0 for none.
    #[arg(long, value_name = "PORT")]
    pub healthz_port: Option<i32>,

    /// The certificate of the agent's API.
    #[arg(long, value_name = "PATH")]
    pub tls_cert_file: Option<String>,

    /// The key of that certificate.
    #[arg(long, value_name = "PATH")]
    pub tls_private_key_file: Option<String>,

    /// Certificates of this authority say who a client is.
    #[arg(long, value_name = "PATH")]
    pub client_ca_file: Option<String>,

    /// Whether clients need not say who they are.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub anonymous_auth: Option<bool>,

    /// Who may use the agent's API: whoever is known, or those of whom the API server says so.
    #[arg(long, value_name = "AlwaysAllow|Webhook")]
    pub authorization_mode: Option<String>,

    /// The cluster's name servers, such as 10.0.0.10.
    #[arg(long, value_name = "IPS", value_delimiter = ',')]
    pub cluster_dns: Vec<String>,

    /// The domain of the cluster's names.
    #[arg(long, value_name = "DOMAIN")]
    pub cluster_domain: Option<String>,

    /// What the node's own name servers are in; empty for none.
    #[arg(long, value_name = "PATH")]
    pub resolv_conf: Option<String>,

    /// How many pods the node takes.
    #[arg(long, value_name = "N")]
    pub max_pods: Option<i32>,

    /// Whether the node is registered.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub register_node: Option<bool>,

    /// Taints of the node, such as key=value:NoSchedule.
    #[arg(long, value_name = "TAINTS")]
    pub register_with_taints: Option<String>,

    /// Who manages cgroups: cgroupfs or systemd.
    #[arg(long, value_name = "DRIVER")]
    pub cgroup_driver: Option<String>,

    /// The cgroup that all pods are below.
    #[arg(long, value_name = "NAME")]
    pub cgroup_root: Option<String>,

    /// Whether pods have cgroups by quality of service.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub cgroups_per_qos: Option<bool>,

    /// What is held to what is not reserved of the node: pods or none.
    #[arg(long, value_name = "pods|none")]
    pub enforce_node_allocatable: Option<String>,

    /// When pods are evicted, such as memory.available<100Mi,nodefs.available<10%.
    #[arg(long, value_name = "THRESHOLDS")]
    pub eviction_hard: Option<String>,

    /// Resources kept for the system, such as cpu=100m,memory=1Gi.
    #[arg(long, value_name = "RESOURCES")]
    pub system_reserved: Option<String>,

    /// Resources kept for the agent and the runtime.
    #[arg(long, value_name = "RESOURCES")]
    pub kube_reserved: Option<String>,

    /// How often a pod is synced though nothing changed.
    #[arg(long, value_name = "TIME")]
    pub sync_frequency: Option<GoDuration>,

    /// How often the files of static pods are read.
    #[arg(long, value_name = "TIME")]
    pub file_check_frequency: Option<GoDuration>,

    /// How often the server of static pods is asked.
    #[arg(long, value_name = "TIME")]
    pub http_check_frequency: Option<GoDuration>,

    /// How often the node's status is computed.
    #[arg(long, value_name = "TIME")]
    pub node_status_update_frequency: Option<GoDuration>,

    /// How long a call of the runtime may take.
    #[arg(long, value_name = "TIME")]
    pub runtime_request_timeout: Option<GoDuration>,

    /// Feature gates, such as EventedPLEG=true.
    #[arg(long, value_name = "GATES")]
    pub feature_gates: Option<String>,
}

/// What is behind the runtime's endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum RuntimeKind {
    /// A runtime that is there already, by CRI.
    #[default]
    Cri,
    /// Host processes without isolation, for development: the agent starts that runtime itself.
    Process,
}

/// Keys and values of one flag.
pub type Pairs = BTreeMap<String, String>;

impl Flags {
    /// The configuration that flags and file make.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or is not one; when values are wrong, of which all are told.
    pub fn config(&self) -> Result<Config, ConfigError> {
        let mut file = match &self.config {
            None => KubeletConfiguration::default(),
            Some(path) => {
                let content = std::fs::read(path).map_err(|source| ConfigError::File {
                    path: path.clone(),
                    source,
                })?;
                KubeletConfiguration::from_yaml(&content)?
            }
        };
        self.override_in(&mut file).map_err(ConfigError::Invalid)?;
        let name = match &self.hostname_override {
            Some(name) => name.clone(),
            None => host_name().map_err(ConfigError::Nameless)?,
        };
        let name = name.trim().to_lowercase();
        if name.is_empty() {
            return Err(ConfigError::Invalid(vec![
                "empty hostname is invalid".to_owned(),
            ]));
        }
        let mut config = resolve::resolve(file, name)?;
        config.kubeconfig.clone_from(&self.kubeconfig);
        config.node_ip = self.node_ip;
        config.runtime = self.runtime;
        config.run_once = self.run_once;
        if let Some(root) = &self.root_dir {
            // What is mounted into containers, and told the runtime, must not depend on where the
            // agent was started.
            config.root_dir = std::path::absolute(root).map_err(|error| {
                ConfigError::Invalid(vec![format!(
                    "invalid argument for --root-dir: {root:?}: {error}"
                )])
            })?;
        }
        if let Some(labels) = &self.node_labels {
            labels::check_node_labels(labels).map_err(ConfigError::Invalid)?;
            config.node_labels.clone_from(labels);
        }
        Ok(config)
    }

    /// Sets the fields of the file that flags speak of.
    ///
    /// # Errors
    ///
    /// The flags that cannot be read.
    fn override_in(&self, file: &mut KubeletConfiguration) -> Result<(), Vec<String>> {
        let flags = self;
        macro_rules! set {
            ($($field:ident = $flag:ident),* $(,)?) => {
                $(if flags.$flag.is_some() { file.$field.clone_from(&flags.$flag); })*
            };
        }
        set!(
            container_runtime_endpoint = container_runtime_endpoint,
            image_service_endpoint = image_service_endpoint,
            static_pod_path = pod_manifest_path,
            static_pod_url = manifest_url,
            address = address,
            port = port,
            read_only_port = read_only_port,
            healthz_bind_address = healthz_bind_address,
            healthz_port = healthz_port,
            tls_cert_file = tls_cert_file,
            tls_private_key_file = tls_private_key_file,
            cluster_domain = cluster_domain,
            resolver_config = resolv_conf,
            max_pods = max_pods,
            register_node = register_node,
            cgroup_driver = cgroup_driver,
            cgroup_root = cgroup_root,
            cgroups_per_qos = cgroups_per_qos,
            sync_frequency = sync_frequency,
            file_check_frequency = file_check_frequency,
            http_check_frequency = http_check_frequency,
            node_status_update_frequency = node_status_update_frequency,
            runtime_request_timeout = runtime_request_timeout,
        );
        let authentication = &mut file.authentication;
        if let Some(path) = &flags.client_ca_file {
            authentication.x509.client_ca_file = Some(path.clone());
        }
        if let Some(on) = flags.anonymous_auth {
            authentication.anonymous.enabled = Some(on);
        }
        if let Some(mode) = &flags.authorization_mode {
            file.authorization.mode = Some(mode.clone());
        }
        if !flags.cluster_dns.is_empty() {
            file.cluster_dns = Some(flags.cluster_dns.clone());
        }
        if let Some(list) = &flags.enforce_node_allocatable {
            let enforced = list.split(',').filter(|enforced| !enforced.is_empty());
            file.enforce_node_allocatable = Some(enforced.map(str::to_owned).collect());
        }
        let mut refused = Vec::new();
        let mut read = |flag: &str, error: String| {
            refused.push(format!("invalid argument for --{flag}: {error}"));
        };
        if !flags.manifest_url_header.is_empty() {
            match labels::headers(&flags.manifest_url_header) {
                Ok(headers) => file.static_pod_url_header = Some(headers),
                Err(error) => read("manifest-url-header", error),
            }
        }
        if let Some(text) = &flags.register_with_taints {
            match labels::taints(text) {
                Ok(taints) => file.register_with_taints = taints,
                Err(error) => read("register-with-taints", error),
            }
        }
        for (flag, text, separator, field) in [
            (
                "eviction-hard",
                &flags.eviction_hard,
                '<',
                &mut file.eviction_hard,
            ),
            (
                "system-reserved",
                &flags.system_reserved,
                '=',
                &mut file.system_reserved,
            ),
            (
                "kube-reserved",
                &flags.kube_reserved,
                '=',
                &mut file.kube_reserved,
            ),
        ] {
            match text.as_ref().map(|text| labels::pairs(text, separator)) {
                None => {}
                Some(Ok(pairs)) => *field = Some(pairs),
                Some(Err(error)) => read(flag, error),
            }
        }
        if let Some(text) = &flags.feature_gates {
            match gates::settings(text) {
                // Gates are set one by one: those of the file that no flag names stay.
                Ok(settings) => file.feature_gates.extend(settings),
                Err(error) => read("feature-gates", error.to_string()),
            }
        }
        if refused.is_empty() {
            Ok(())
        } else {
            Err(refused)
        }
    }
}

fn labels_flag(text: &str) -> Result<Pairs, String> {
    labels::pairs(text, '=')
}

fn host_name() -> io::Result<String> {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
}
