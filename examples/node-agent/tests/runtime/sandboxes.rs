//! How sandboxes are made.

use kubewright_cri::testing::Fault;
use kubewright_cri::v1::{NamespaceMode, Protocol, security_profile::ProfileType};
use kubewright_cri::{Code, Status};
use node_agent::resources::{CgroupDriver, CgroupName};
use node_agent::worker::{Failure, Outcome};
use serde_json::json;

use crate::fixtures::{Harness, app, pod};

#[tokio::test(start_paused = true)]
async fn generate_pod_sandbox_config() {
    let harness = Harness::with(|settings| settings.cgroup_root = CgroupName::root("/agent"));
    let mut pod = pod(json!({
        "hostname": "host",
        "subdomain": "sub",
        "dnsConfig": {"options": [{"name": "ndots", "value": "1"}]},
        "securityContext": {
            "fsGroup": 7,
            "runAsUser": 1000,
            "runAsGroup": 1001,
            "sysctls": [{"name": "net/ipv4/tcp_syncookies", "value": "1"}],
        },
        "containers": [
            {"name": "a", "image": "i", "ports": [{"containerPort": 80, "hostPort": 8080, "protocol": "UDP"}]},
            {"name": "b", "image": "i", "securityContext": {"privileged": true}},
        ],
    }));
    pod.metadata.labels = Some([("app".to_owned(), "web".to_owned())].into());
    pod.metadata.annotations = Some([("note".to_owned(), "x".to_owned())].into());
    harness.sync_well(&pod).await;

    let config = harness.sandbox_config();
    let metadata = config.metadata.unwrap();
    assert_eq!(
        (
            &*metadata.name,
            &*metadata.namespace,
            &*metadata.uid,
            metadata.attempt
        ),
        ("web", "new", "12345678", 0)
    );
    assert_eq!(config.hostname, "host");
    let logs = harness.root.path().join("pods/new_web_12345678");
    assert_eq!(config.log_directory, logs.to_str().unwrap());
    assert!(logs.is_dir());
    let dns = config.dns_config.unwrap();
    assert_eq!(dns.servers, ["10.0.0.10"]);
    assert_eq!(
        dns.searches,
        [
            "new.svc.cluster.local",
            "svc.cluster.local",
            "cluster.local"
        ]
    );
    assert_eq!(dns.options, ["ndots:1"]);
    let [mapping] = &config.port_mappings[..] else {
        panic!("one port has a host port");
    };
    assert_eq!(mapping.protocol(), Protocol::Udp);
    assert_eq!((mapping.container_port, mapping.host_port), (80, 8080));
    let labels = [
        ("app", "web"),
        ("io.kubernetes.pod.name", "web"),
        ("io.kubernetes.pod.namespace", "new"),
        ("io.kubernetes.pod.uid", "12345678"),
    ];
    let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned()));
    assert_eq!(config.labels, labels.into());
    assert_eq!(
        config.annotations,
        [("note".to_owned(), "x".to_owned())].into()
    );

    let linux = config.linux.unwrap();
    assert_eq!(
        linux.cgroup_parent,
        "/agent/kubepods/besteffort/pod12345678"
    );
    assert_eq!(linux.sysctls["net.ipv4.tcp_syncookies"], "1");
    let security = linux.security_context.unwrap();
    assert!(security.privileged);
    assert_eq!(security.run_as_user.unwrap().value, 1000);
    assert_eq!(security.run_as_group.unwrap().value, 1001);
    assert_eq!(security.supplemental_groups, [7]);
    assert_eq!(
        security.seccomp.unwrap().profile_type(),
        ProfileType::RuntimeDefault
    );
    let namespaces = security.namespace_options.unwrap();
    assert_eq!(namespaces.network(), NamespaceMode::Pod);
    assert_eq!(namespaces.pid(), NamespaceMode::Container);
}

#[tokio::test(start_paused = true)]
async fn a_pod_in_the_network_of_the_host_has_no_name_of_its_own() {
    let harness = Harness::new();
    let pod = pod(json!({"hostNetwork": true, "containers": [{"name": "a", "image": "i"}]}));
    harness.sync_well(&pod).await;
    let config = harness.sandbox_config();
    assert_eq!(config.hostname, "");
    let security = config.linux.unwrap().security_context.unwrap();
    let namespaces = security.namespace_options.unwrap();
    assert_eq!(namespaces.network(), NamespaceMode::Node);
    // It has no address either, and is not made anew for that.
    assert!(!harness.sync(&pod).await.has_acted);
}

#[tokio::test(start_paused = true)]
async fn a_runtime_that_does_not_say_who_manages_cgroups_goes_by_the_settings() {
    let harness = Harness::with(|settings| settings.cgroup_driver = CgroupDriver::Systemd);
    let unknown = Status::new(Code::Unimplemented, "unknown method");
    harness.fake.fault("RuntimeConfig", Fault::Refused(unknown));
    assert_eq!(
        harness.manager.cgroup_driver().await.unwrap(),
        CgroupDriver::Systemd
    );
    harness.sync_well(&app(json!({}))).await;
    let parent = harness.sandbox_config().linux.unwrap().cgroup_parent;
    let expected = "/kubepods.slice/kubepods-besteffort.slice/\
                    kubepods-besteffort-pod12345678.slice";
    assert_eq!(parent, expected);
}

#[tokio::test(start_paused = true)]
async fn without_cgroups_of_pods_the_runtime_chooses() {
    let harness = Harness::with(|settings| settings.cgroups_per_qos = false);
    harness.sync_well(&app(json!({}))).await;
    assert_eq!(harness.sandbox_config().linux.unwrap().cgroup_parent, "");
}

#[tokio::test(start_paused = true)]
async fn a_sandbox_that_cannot_be_made_is_told_of() {
    let mut harness = Harness::new();
    let refused = Status::unknown("no more addresses");
    harness.fake.fault("RunPodSandbox", Fault::Refused(refused));
    let pod = app(json!({}));
    let result = harness.sync(&pod).await;
    assert_eq!(result.outcome(), Outcome::Failed(Failure::Other));
    assert!(result.starts.is_empty());
    let told = "Warning FailedCreatePodSandBox: Failed to create pod sandbox: rpc error: code = \
                Unknown desc = no more addresses";
    assert_eq!(harness.events(), [told]);
    harness.fake.fault("PodSandboxStatus", Fault::unavailable());
    let result = harness.sync(&pod).await;
    assert_ne!(result.outcome(), Outcome::Done);
    let told = "Warning FailedPodSandBoxStatus: Unable to get pod sandbox status: rpc error: code \
                = Unavailable desc = connection refused";
    assert_eq!(harness.events(), [told]);
    harness.sync_well(&pod).await;
    assert_eq!(harness.fake.sandboxes().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_sandbox_that_cannot_be_configured_is_told_of() {
    let mut harness = Harness::new();
    let context = json!({"sysctls": [{"name": "kernel.msgmax", "value": "1"}]});
    let spec = json!({"securityContext": context, "containers": [{"name": "a", "image": "i"}]});
    let pod = pod(spec);
    assert_ne!(harness.sync(&pod).await.outcome(), Outcome::Done);
    let events = harness.events();
    let [event] = &events[..] else {
        panic!("{events:?}");
    };
    assert!(event.starts_with("Warning FailedCreatePodSandBox: Failed to create pod sandbox: "));
    assert!(
        event.ends_with("forbidden sysctl: \"kernel.msgmax\" not allowed"),
        "{event}"
    );
}

#[tokio::test(start_paused = true)]
async fn without_name_servers_of_the_cluster_pods_have_those_of_the_host_and_are_told() {
    let mut harness = Harness::with(|settings| settings.cluster_dns.clear());
    let mut pod = app(json!({}));
    pod.spec.as_mut().unwrap().dns_policy = Some("ClusterFirst".to_owned());
    harness.sync_well(&pod).await;
    assert!(harness.reasons().contains(&"MissingClusterDNS".to_owned()));
    assert_eq!(
        harness.sandbox_config().dns_config.unwrap().servers,
        ["127.0.0.1"]
    );
    // Once for each sandbox is enough.
    harness.fake.exit(&harness.id("web", "app").id, 1);
    harness.sync_well(&pod).await;
    assert!(!harness.reasons().contains(&"MissingClusterDNS".to_owned()));
}
