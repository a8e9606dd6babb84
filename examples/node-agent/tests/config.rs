//! How flags and file make a configuration; answers to `pkg/kubelet/apis/config/validation` and to
//! `cmd/kubelet/app`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use clap::Parser;
use node_agent::config::{
    Authorization, CgroupDriver, Config, ConfigError, Flags, Gate, KubeletConfiguration, Rate,
    RuntimeKind, Threshold,
};

/// A program with these flags.
#[derive(Debug, Parser)]
struct Program {
    #[command(flatten)]
    flags: Flags,
}

/// The configuration of a file with these lines, and of these flags.
fn configure(lines: &str, flags: &[&str]) -> Result<Config, ConfigError> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("config.yaml");
    let head = "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n";
    std::fs::write(&path, format!("{head}{lines}")).unwrap();
    let path = path.to_str().unwrap();
    let all = ["agent", "--config", path, "--hostname-override", "Node-1"];
    let all = all.iter().chain(flags);
    Program::parse_from(all).flags.config()
}

/// What is said of a configuration that is none.
#[track_caller]
fn refusal(lines: &str, flags: &[&str]) -> String {
    let refused = configure(lines, flags).unwrap_err();
    format!("{:#}", anyhow::Error::new(refused))
}

#[test]
fn what_is_left_out_is_upstreams_default() {
    for config in [Config::default(), configure("", &[]).unwrap()] {
        assert_eq!(config.server.unwrap().to_string(), "0.0.0.0:10250");
        assert_eq!(config.healthz.unwrap().to_string(), "127.0.0.1:10248");
        assert_eq!(config.read_only_server, None);
        assert_eq!(
            config.runtime_endpoint,
            "unix:///run/containerd/containerd.sock"
        );
        assert_eq!(config.image_endpoint, config.runtime_endpoint);
        assert_eq!(
            config.api_rate,
            Rate {
                per_second: 50,
                burst: 100
            }
        );
        assert_eq!(
            config.event_rate,
            Rate {
                per_second: 50,
                burst: 100
            }
        );
        assert_eq!(
            config.pull_rate,
            Some(Rate {
                per_second: 5,
                burst: 10
            })
        );
        assert_eq!(config.sync_frequency, Duration::from_secs(60));
        assert_eq!(config.file_check_frequency, Duration::from_secs(20));
        assert_eq!(config.node_status_update_frequency, Duration::from_secs(10));
        assert_eq!(
            config.node_status_report_frequency,
            Duration::from_secs(300)
        );
        assert_eq!(config.node_lease_duration, Duration::from_secs(40));
        assert_eq!(config.max_pods, 110);
        assert_eq!(config.pod_pids_limit, None);
        assert_eq!(config.container_log_max_size, 10 << 20);
        assert_eq!(config.image_gc_thresholds, (85, 80));
        assert_eq!(config.image_maximum_age, None);
        assert_eq!(
            config.max_container_restart_period,
            Duration::from_secs(300)
        );
        assert_eq!(
            config.webhook_authentication,
            Some(Duration::from_secs(120))
        );
        assert!(!config.anonymous_auth && config.register_node && config.serialize_image_pulls);
        assert_eq!(
            config.authorization,
            Authorization::Webhook {
                allowed_for: Duration::from_secs(300),
                denied_for: Duration::from_secs(30),
            }
        );
        let thresholds = config.eviction_hard.iter();
        let thresholds: Vec<_> = thresholds
            .map(|(signal, it)| format!("{signal}<{it}"))
            .collect();
        assert_eq!(
            thresholds,
            [
                "imagefs.available<15%",
                "imagefs.inodesFree<5%",
                "memory.available<100Mi",
                "nodefs.available<10%",
                "nodefs.inodesFree<5%",
            ]
        );
        assert!(config.gates.enabled(Gate::PlegOnDemandRelist));
        assert!(!config.gates.enabled(Gate::EventedPleg));
    }
    assert_eq!(configure("", &[]).unwrap().node_name, "node-1");
}

#[test]
fn a_file_sets_what_it_names() {
    let config = configure(
        r#"
address: 127.0.0.1
port: 11250
readOnlyPort: 11255
healthzPort: 0
staticPodPath: /etc/kubernetes/manifests
staticPodURL: http://127.0.0.1/pods
staticPodURLHeader: {Metadata-Flavor: [Google, Other]}
authentication: {anonymous: {enabled: true}, webhook: {enabled: false}, x509: {clientCAFile: /ca.crt}}
authorization: {mode: AlwaysAllow}
tlsCertFile: /a.crt
tlsPrivateKeyFile: /a.key
clusterDNS: [10.0.0.10, "fd00::10"]
clusterDomain: cluster.local
resolvConf: ""
registryPullQPS: 0
maxParallelImagePulls: 3
nodeStatusUpdateFrequency: 4s
nodeStatusMaxImages: -1
cgroupDriver: systemd
podPidsLimit: 100
evictionHard: {memory.available: 5%, nodefs.available: 1Gi}
systemReserved: {cpu: 100m, memory: 1Gi}
registerWithTaints: [{key: a, value: b, effect: NoSchedule}]
crashLoopBackOff: {maxContainerRestartPeriod: 1m30s}
shutdownGracePeriod: 30s
featureGates: {EventedPLEG: true, AllBeta: false, KubeletCrashLoopBackOffMax: true, GracefulNodeShutdown: true}
"#,
        &[],
    )
    .unwrap();
    assert_eq!(config.server.unwrap().to_string(), "127.0.0.1:11250");
    assert_eq!(
        config.read_only_server.unwrap().to_string(),
        "127.0.0.1:11255"
    );
    assert_eq!(config.healthz, None);
    assert_eq!(
        config.static_pod_path.unwrap().to_str(),
        Some("/etc/kubernetes/manifests")
    );
    assert_eq!(
        config.static_pod_url.as_deref(),
        Some("http://127.0.0.1/pods")
    );
    assert_eq!(
        config
            .static_pod_url_headers
            .get_all("metadata-flavor")
            .iter()
            .count(),
        2
    );
    assert!(config.anonymous_auth && config.webhook_authentication.is_none());
    assert_eq!(config.client_ca_file.unwrap().to_str(), Some("/ca.crt"));
    assert_eq!(config.authorization, Authorization::AlwaysAllow);
    assert_eq!(config.tls.unwrap().private_key.to_str(), Some("/a.key"));
    assert_eq!(config.cluster_dns.len(), 2);
    assert_eq!(config.resolv_conf, None);
    assert_eq!(config.pull_rate, None);
    // Whoever allows many pulls at once need not say that they are not serial.
    assert_eq!(
        (config.serialize_image_pulls, config.max_parallel_pulls),
        (false, Some(3))
    );
    // Whoever sets only how often the status is computed means how often it is written, too.
    assert_eq!(config.node_status_report_frequency, Duration::from_secs(4));
    assert_eq!(config.node_status_max_images, None);
    assert_eq!(config.cgroup_driver, CgroupDriver::Systemd);
    assert_eq!(config.pod_pids_limit, Some(100));
    assert_eq!(
        config.eviction_hard.len(),
        2,
        "what is given stands for itself"
    );
    assert!(matches!(
        config.eviction_hard["memory.available"],
        Threshold::Percentage(5.0)
    ));
    assert!(matches!(
        config.eviction_hard["nodefs.available"],
        Threshold::Amount(_)
    ));
    assert_eq!(config.system_reserved["memory"].value(), 1 << 30);
    assert_eq!(config.taints[0].effect, "NoSchedule");
    assert_eq!(config.max_container_restart_period, Duration::from_secs(90));
    assert_eq!(config.shutdown_grace_period, Duration::from_secs(30));
    assert!(config.gates.enabled(Gate::EventedPleg));
    assert!(
        !config.gates.enabled(Gate::PlegOnDemandRelist),
        "AllBeta is false"
    );
}

#[test]
fn flags_win_over_the_file() {
    let file = "port: 11250\nmaxPods: 5\nsyncFrequency: 5s\nfeatureGates: {EventedPLEG: true, PLEGOnDemandRelist: false}";
    let flags = [
        "--port=12250",
        "--address=127.0.0.1",
        "--sync-frequency=1m",
        "--feature-gates=EventedPLEG=false",
        "--register-with-taints=a=b:NoSchedule,c:NoExecute",
        "--node-labels=zone=a,disk=ssd",
        "--cluster-dns=10.0.0.10,10.0.0.11",
        "--manifest-url-header=a:1,b:2",
        "--eviction-hard=memory.available<1Gi",
        "--kube-reserved=cpu=1",
        "--register-node=false",
        "--anonymous-auth",
        "--root-dir=/tmp/agent",
        "--runtime=process",
        "--run-once",
    ];
    let config = configure(file, &flags).unwrap();
    assert_eq!(config.server.unwrap().to_string(), "127.0.0.1:12250");
    assert_eq!(config.max_pods, 5);
    assert_eq!(config.sync_frequency, Duration::from_secs(60));
    assert!(!config.gates.enabled(Gate::EventedPleg));
    assert!(
        !config.gates.enabled(Gate::PlegOnDemandRelist),
        "flags set gates one by one"
    );
    assert_eq!(config.taints.len(), 2);
    assert_eq!(config.node_labels["zone"], "a");
    assert_eq!(config.cluster_dns.len(), 2);
    assert_eq!(config.static_pod_url_headers["b"], "2");
    assert_eq!(config.eviction_hard.len(), 1);
    assert_eq!(config.kube_reserved["cpu"].to_string(), "1");
    assert!(!config.register_node && config.anonymous_auth && config.run_once);
    assert_eq!(config.root_dir.to_str(), Some("/tmp/agent"));
    let here = std::env::current_dir().unwrap();
    let relative = configure("", &["--root-dir=agent"]).unwrap();
    assert_eq!(relative.root_dir, here.join("agent"));
    assert_eq!(config.runtime, RuntimeKind::Process);
}

#[test]
fn limits_of_all_pods_are_enforced_unless_said_otherwise() {
    let enforces = |lines: &str, flags: &[&str]| {
        let config = configure(lines, flags).unwrap();
        (config.cgroups_per_qos, config.enforce_node_allocatable)
    };
    assert_eq!(enforces("", &[]), (true, true));
    assert_eq!(enforces("enforceNodeAllocatable: []", &[]), (true, false));
    let file = "cgroupsPerQOS: false\nenforceNodeAllocatable: [none]";
    assert_eq!(enforces(file, &[]), (false, false));
    let flags = ["--cgroups-per-qos", "--enforce-node-allocatable=pods"];
    assert_eq!(enforces(file, &flags), (true, true));
    let flags = ["--cgroups-per-qos=false", "--enforce-node-allocatable="];
    assert_eq!(enforces("", &flags), (false, false));
}

#[test]
fn fields_that_nobody_knows_are_named() {
    assert_eq!(
        refusal(
            "prot: 1\nauthentication: {x509: {clientCa: a}}\nPort: 1",
            &[]
        ),
        "strict decoding error: unknown field \"Port\", unknown field \
         \"authentication.x509.clientCa\", unknown field \"prot\""
    );
    // What kubelet has and this agent has not is told apart, and refused only if it says something.
    assert_eq!(
        refusal(
            "rotateCertificates: true\nevictionSoft: {memory.available: 1Gi}",
            &[]
        ),
        r#"not supported by this agent: field "evictionSoft", field "rotateCertificates""#
    );
    // Of some fields that it has not, it does what they ask for when they are true.
    let fields = |on: bool| {
        format!("localStorageCapacityIsolation: {on}\nenableControllerAttachDetach: {on}")
    };
    assert!(configure(&fields(true), &[]).is_ok());
    assert_eq!(
        refusal(&fields(false), &[]),
        r#"not supported by this agent: field "enableControllerAttachDetach", field "localStorageCapacityIsolation""#
    );
}

/// As `kubeadm init phase kubelet-start` writes it, but for the rotation of certificates.
#[test]
fn the_file_of_kubeadm_is_accepted() {
    let config = configure(
        "
authentication:
  anonymous:
    enabled: false
  webhook:
    cacheTTL: 0s
    enabled: true
  x509:
    clientCAFile: /etc/kubernetes/pki/ca.crt
authorization:
  mode: Webhook
  webhook:
    cacheAuthorizedTTL: 0s
    cacheUnauthorizedTTL: 0s
cgroupDriver: systemd
clusterDNS:
- 10.96.0.10
clusterDomain: cluster.local
containerRuntimeEndpoint: \"\"
cpuManagerReconcilePeriod: 0s
crashLoopBackOff: {}
evictionPressureTransitionPeriod: 0s
fileCheckFrequency: 0s
healthzBindAddress: 127.0.0.1
healthzPort: 10248
httpCheckFrequency: 0s
imageMaximumGCAge: 0s
imageMinimumGCAge: 0s
logging:
  flushFrequency: 0
  options:
    json:
      infoBufferSize: \"0\"
    text:
      infoBufferSize: \"0\"
  verbosity: 0
memorySwap: {}
nodeStatusReportFrequency: 0s
nodeStatusUpdateFrequency: 0s
rotateCertificates: false
runtimeRequestTimeout: 0s
shutdownGracePeriod: 0s
shutdownGracePeriodCriticalPods: 0s
staticPodPath: /etc/kubernetes/manifests
streamingConnectionIdleTimeout: 0s
syncFrequency: 0s
volumeStatsAggPeriod: 0s
",
        &[],
    );
    let config = config.unwrap();
    assert_eq!(config.sync_frequency, Duration::from_secs(60));
    assert_eq!(
        config.runtime_endpoint,
        "unix:///run/containerd/containerd.sock"
    );
}

#[test]
fn other_documents_are_refused() {
    for (content, why) in [
        ("", "the kubelet config file cannot be read: empty"),
        (
            "a: [",
            "the kubelet config file cannot be read: neither YAML nor JSON",
        ),
        (
            "apiVersion: v1\nkind: Pod",
            r#"no kind "Pod" is registered for version "v1""#,
        ),
        (
            "apiVersion: kubelet.config.k8s.io/v1\nkind: KubeletConfiguration",
            r#"no kind "KubeletConfiguration" is registered for version "kubelet.config.k8s.io/v1""#,
        ),
        ("kind: KubeletConfiguration", r#"registered for version """#),
    ] {
        let refused = KubeletConfiguration::from_yaml(content.as_bytes()).unwrap_err();
        let refused = format!("{:#}", anyhow::Error::new(refused));
        assert!(
            refused.starts_with(why) || refused.contains(why),
            "{content}\n{refused}"
        );
    }
    let refused = refusal("port: ten", &[]);
    assert!(
        refused.contains("the kubelet config file is not valid: invalid type: string \"ten\""),
        "{refused}"
    );
    let refused = refusal("syncFrequency: 5 minutes", &[]);
    assert!(
        refused.contains("time: invalid duration \"5 minutes\""),
        "{refused}"
    );
    let missing = Program::parse_from(["agent", "--config=/nonexistent/config.yaml"]);
    let missing = missing.flags.config().unwrap_err();
    assert_eq!(
        missing.to_string(),
        r#"failed to load kubelet config file "/nonexistent/config.yaml""#
    );
}

/// Upstream's `TestValidateKubeletConfiguration`, case by case.
#[test]
fn validate_kubelet_configuration() {
    let invalid = "failed to validate kubelet configuration, error: invalid configuration: ";
    for (lines, problem) in [
        (
            "nodeLeaseDurationSeconds: -1",
            "nodeLeaseDurationSeconds must be greater than 0",
        ),
        (
            "eventBurst: -1",
            "eventBurst (--event-burst) -1 must not be a negative number",
        ),
        (
            "eventRecordQPS: -1",
            "eventRecordQPS (--event-qps) -1 must not be a negative number",
        ),
        (
            "healthzPort: 65536",
            "healthzPort (--healthz-port) 65536 must be between 1 and 65535, inclusive",
        ),
        (
            "cpuCFSQuotaPeriod: 200ms",
            "cpuCFSQuotaPeriod (--cpu-cfs-quota-period) 200ms requires feature gate CustomCPUCFSQuotaPeriod",
        ),
        (
            "cpuCFSQuotaPeriod: 2s\nfeatureGates: {CustomCPUCFSQuotaPeriod: true}",
            "cpuCFSQuotaPeriod (--cpu-cfs-quota-period) 2s must be between 1ms and 1sec, inclusive",
        ),
        (
            "imageGCHighThresholdPercent: 101",
            "imageGCHighThresholdPercent (--image-gc-high-threshold) 101 must be between 0 and 100, inclusive",
        ),
        (
            "imageGCLowThresholdPercent: -1",
            "imageGCLowThresholdPercent (--image-gc-low-threshold) -1 must be between 0 and 100, inclusive",
        ),
        (
            "imageGCLowThresholdPercent: 90",
            "imageGCLowThresholdPercent (--image-gc-low-threshold) 90 must be less than imageGCHighThresholdPercent (--image-gc-high-threshold) 85",
        ),
        (
            "imageMinimumGCAge: -1s",
            "imageMinimumGCAge -1s must not be negative",
        ),
        (
            "imageMaximumGCAge: -1s",
            "imageMaximumGCAge -1s must not be negative",
        ),
        (
            "imageMaximumGCAge: 1s",
            "imageMaximumGCAge 1s must be greater than imageMinimumGCAge 2m0s",
        ),
        (
            "kubeAPIBurst: -1",
            "kubeAPIBurst (--kube-api-burst) -1 must not be a negative number",
        ),
        (
            "kubeAPIQPS: -1",
            "kubeAPIQPS (--kube-api-qps) -1 must not be a negative number",
        ),
        (
            "nodeStatusMaxImages: -2",
            "nodeStatusMaxImages (--node-status-max-images) -2 must be -1 or greater",
        ),
        (
            "maxPods: -1",
            "maxPods (--max-pods) -1 must not be a negative number",
        ),
        (
            "port: 65536",
            "port (--port) 65536 must be between 1 and 65535, inclusive",
        ),
        (
            "readOnlyPort: -1",
            "readOnlyPort (--read-only-port) -1 must be between 0 and 65535, inclusive",
        ),
        (
            "registryBurst: -1",
            "registryBurst (--registry-burst) -1 must not be a negative number",
        ),
        (
            "registryPullQPS: -1",
            "registryPullQPS (--registry-qps) -1 must not be a negative number",
        ),
        (
            "maxParallelImagePulls: 0",
            "maxParallelImagePulls 0 must be a positive number",
        ),
        (
            "maxParallelImagePulls: 4\nserializeImagePulls: true",
            "maxParallelImagePulls cannot be larger than 1 unless SerializeImagePulls (--serialize-image-pulls) is set to false",
        ),
        (
            "shutdownGracePeriod: 30s\nfeatureGates: {GracefulNodeShutdown: false}",
            "specifying shutdownGracePeriod or shutdownGracePeriodCriticalPods requires feature gate GracefulNodeShutdown",
        ),
        (
            "shutdownGracePeriodCriticalPods: 30s",
            "shutdownGracePeriodCriticalPods 30s must be <= shutdownGracePeriod 0s",
        ),
        (
            "shutdownGracePeriod: 800ms",
            "shutdownGracePeriod 800ms must be either zero or otherwise >= 1 sec",
        ),
        (
            "crashLoopBackOff: {maxContainerRestartPeriod: 301s}",
            "CrashLoopBackOff.MaxContainerRestartPeriod (got: 5m1s) must be set between 1s and 300s",
        ),
        (
            "crashLoopBackOff: {maxContainerRestartPeriod: 1s}\nfeatureGates: {KubeletCrashLoopBackOffMax: false}",
            "FeatureGate KubeletCrashLoopBackOffMax not enabled, CrashLoopBackOff.MaxContainerRestartPeriod must not be set",
        ),
        (
            "registerWithTaints: [{key: a, effect: Sometimes}]",
            "invalid taint: a=:Sometimes",
        ),
        (
            "containerLogMonitorInterval: 2s",
            "containerLogMonitorInterval must be a positive time duration greater than or equal to 3s",
        ),
        (
            "containerLogMaxFiles: 1",
            "containerLogMaxFiles must be greater than 1",
        ),
        (
            "containerLogMaxWorkers: 0",
            "containerLogMaxWorkers must be greater than or equal to 1",
        ),
        (
            "podLogsDir: logs",
            "pod logs path \"logs\" must be absolute path",
        ),
        (
            "podLogsDir: /var/../log",
            "pod logs path \"/var/../log\" must be normalized",
        ),
        (
            "podLogsDir: /var/log/",
            "pod logs path \"/var/log/\" must be normalized",
        ),
        (
            "podLogsDir: /välkommen",
            "pod logs path \"/välkommen\" must contain ASCII characters only",
        ),
        (
            "syncFrequency: -1m",
            "syncFrequency -1m0s must not be negative",
        ),
        (
            "address: here",
            "address (--address) \"here\" must be an IP address",
        ),
        (
            "tlsCertFile: /a",
            "tlsCertFile (--tls-cert-file) and tlsPrivateKeyFile (--tls-private-key-file) must be given together",
        ),
        (
            "authorization: {mode: RBAC}",
            "option \"RBAC\" specified for authorization.mode (--authorization-mode). Valid options are \"AlwaysAllow\" or \"Webhook\"",
        ),
        (
            "cgroupDriver: docker",
            "option \"docker\" specified for cgroupDriver (--cgroup-driver). Valid options are \"cgroupfs\" or \"systemd\"",
        ),
        (
            "enforceNodeAllocatable: [pods, pods]",
            "duplicated enforcements \"pods\" in enforceNodeAllocatable (--enforce-node-allocatable)",
        ),
        (
            "enforceNodeAllocatable: [none, pods]",
            "enforceNodeAllocatable (--enforce-node-allocatable) may not contain additional enforcements when \"none\" is specified",
        ),
        (
            "enforceNodeAllocatable: [magic]",
            "option \"magic\" specified for enforceNodeAllocatable (--enforce-node-allocatable). Valid options are \"pods\" or \"none\"",
        ),
        (
            "enforceNodeAllocatable: [pods, system-reserved]",
            "option \"system-reserved\" specified for enforceNodeAllocatable (--enforce-node-allocatable) is not supported by this agent, which limits nothing but pods",
        ),
        (
            "cgroupsPerQOS: false",
            "cgroupsPerQOS (--cgroups-per-qos) must be set to true when \"pods\" contained in enforceNodeAllocatable (--enforce-node-allocatable)",
        ),
        (
            "clusterDNS: [x]",
            "clusterDNS (--cluster-dns) \"x\" is not an IP address",
        ),
        (
            "containerLogMaxSize: \"0\"",
            "containerLogMaxSize (--container-log-max-size) \"0\" must be positive",
        ),
        (
            "systemReserved: {gpu: \"1\"}",
            "cannot reserve \"gpu\" resource in systemReserved",
        ),
        (
            "kubeReserved: {cpu: \"-1\"}",
            "resource quantity for \"cpu\" in kubeReserved cannot be negative: -1",
        ),
        ("evictionHard: {cpu.available: 1}", ""),
        (
            "evictionHard: {cpu.available: \"1\"}",
            "unsupported eviction signal cpu.available in evictionHard",
        ),
        (
            "evictionHard: {memory.available: 101%}",
            "memory.available in evictionHard: eviction threshold \"101%\" must be between 0% and 100%",
        ),
    ] {
        let refusal = refusal(lines, &[]);
        if problem.is_empty() {
            assert!(refusal.contains("invalid type: integer `1`"), "{refusal}");
        } else {
            assert_eq!(refusal, format!("{invalid}{problem}"), "{lines}");
        }
    }
}

#[test]
fn all_that_is_wrong_is_told_at_once() {
    let refusal = refusal(
        "port: -1\nmaxPods: -1\nclusterDNS: [x]\nfeatureGates: {Magic: true}",
        &[],
    );
    for problem in [
        "[unrecognized feature gate: Magic, ",
        "maxPods (--max-pods) -1",
        "port (--port) -1",
        "\"x\" is not an IP address",
    ] {
        assert!(refusal.contains(problem), "{problem}\n{refusal}");
    }
}

#[test]
fn flags_that_cannot_be_read_are_named() {
    let flags = [
        "--feature-gates=EventedPLEG",
        "--eviction-hard=memory.available",
        "--register-with-taints=a",
    ];
    assert_eq!(
        refusal("", &flags),
        "failed to validate kubelet configuration, error: \
         [invalid argument for --register-with-taints: invalid taint spec: a, \
         invalid argument for --eviction-hard: \"memory.available\" is not of the form key<value, \
         invalid argument for --feature-gates: invalid feature gate \"EventedPLEG\": it must be a \
         name, '=', and true or false]"
    );
}

/// Answers to the labels of `TestValidateKubeletFlags`.
#[test]
fn validate_node_labels() {
    for (labels, refused) in [
        ("zone=a,example.com/Disk=", None),
        (
            "kubernetes.io/hostname=n,topology.kubernetes.io/zone=a",
            None,
        ),
        ("beta.kubernetes.io/arch=x,node.kubernetes.io/a=b", None),
        (
            "x.kubelet.kubernetes.io/a=b,foo.node.kubernetes.io/c=d",
            None,
        ),
        ("notkubernetes.io/a=b,k8s.io.example.com/a=b", None),
        (
            "kubernetes.io/a=b",
            Some("must begin with an allowed prefix"),
        ),
        ("foo.kubernetes.io/a=b", Some("\"foo.kubernetes.io/a\"")),
        (
            "node-role.kubernetes.io/worker=",
            Some("specifically allowed set"),
        ),
        ("foo.k8s.io/a=b", Some("must begin with an allowed prefix")),
        ("a b=c", Some("name part must consist of")),
        ("a=b c", Some("a valid label must be")),
        ("a=b=c", Some("a valid label must be")),
        ("/a=b", Some("a lowercase RFC 1123 subdomain")),
    ] {
        let flag = format!("--node-labels={labels}");
        match refused {
            None => assert!(configure("", &[&flag]).is_ok(), "{labels}"),
            Some(why) => {
                let refusal = refusal("", &[&flag]);
                assert!(refusal.contains(why), "{labels}: {refusal}");
            }
        }
    }
    let both = refusal("", &["--node-labels=a=-,k8s.io/b=c"]);
    assert!(
        both.contains("\"a\"") && both.contains("\"k8s.io/b\""),
        "{both}"
    );
}

#[test]
fn a_threshold_can_be_turned_off() {
    let file = "evictionHard: {memory.available: 100%, nodefs.available: 0%, pid.available: 99%}";
    let config = configure(file, &[]).unwrap();
    let signals: Vec<_> = config.eviction_hard.keys().collect();
    assert_eq!(signals, ["pid.available"]);
    let config = configure("", &["--eviction-hard=memory.available<100%"]).unwrap();
    assert!(config.eviction_hard.is_empty());
}

#[test]
fn a_node_has_a_name() {
    let flags = Program::parse_from(["agent", "--hostname-override", " "]).flags;
    let refused = flags.config().unwrap_err().to_string();
    assert!(refused.ends_with("empty hostname is invalid"), "{refused}");
}
