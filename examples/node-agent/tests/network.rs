//! What a pod sees of the network: hosts file, host name and resolver.

#![expect(
    clippy::unwrap_used,
    clippy::needless_pass_by_value,
    reason = "a test fails by panicking, and calls read better with values"
)]

use std::net::IpAddr;

use k8s_openapi::api::core::v1::{Container, HostAlias, Pod};
use node_agent::network::{
    DnsConfig, DnsError, DnsSettings, HostnameError, PodHostname, PortMapping, Protocol,
    ResolverConfig, ResolverError, host_network_hosts, is_hosts_file_managed, pod_hosts,
    port_mappings,
};
use serde_json::{Value, from_value, json};

fn pod(spec: Value) -> Pod {
    let metadata = json!({"namespace": "testNS", "name": "test-pod"});
    let mut pod = json!({"metadata": metadata, "spec": spec});
    pod["spec"]["containers"] = json!([]);
    from_value(pod).unwrap()
}

fn aliases() -> Vec<HostAlias> {
    from_value(json!([
        {"ip": "123.45.67.89", "hostnames": ["foo", "bar", "baz"]},
        {"ip": "456.78.90.123", "hostnames": ["park"]},
    ]))
    .unwrap()
}

const BLOCK: &str = "# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::0\tip6-localnet\nfe00::0\tip6-mcastprefix\nfe00::1\tip6-allnodes\nfe00::2\tip6-allrouters\n";
const ALIASES: &str =
    "\n# Entries added by HostAliases.\n123.45.67.89\tfoo\tbar\tbaz\n456.78.90.123\tpark\n";

/// Upstream's `TestManagedHostsFileContent`.
#[test]
fn managed_hosts_file_content() {
    let ips = |ips: &[&str]| -> Vec<IpAddr> { ips.iter().map(|ip| ip.parse().unwrap()).collect() };
    let plain = PodHostname::of(&pod(json!({"hostname": "host"})), "d").unwrap();
    let in_domain = json!({"hostname": "host", "subdomain": "sub"});
    let in_domain = PodHostname::of(&pod(in_domain), "cluster.local").unwrap();
    for (ips, name, aliases, lines) in [
        (ips(&["203.0.113.1"]), &plain, vec![], "203.0.113.1\thost\n".to_owned()),
        (
            ips(&["203.0.113.1", "fd00::6"]),
            &in_domain,
            vec![],
            "203.0.113.1\thost.sub.testNS.svc.cluster.local\thost\nfd00::6\thost.sub.testNS.svc.cluster.local\thost\n".to_owned(),
        ),
        (
            ips(&["203.0.113.1"]),
            &plain,
            aliases(),
            format!("203.0.113.1\thost\n{ALIASES}"),
        ),
    ] {
        assert_eq!(pod_hosts(&ips, name, &aliases), format!("{BLOCK}{lines}"));
    }
}

/// Upstream's `TestNodeHostsFileContent`.
#[test]
fn node_hosts_file_content() {
    let host = "# hosts file for testing.\n127.0.0.1\tlocalhost\n12.34.56.78\tmydomain\n";
    let head = "# Kubernetes-managed hosts file (host network).\n";
    assert_eq!(host_network_hosts(host, &[]), format!("{head}{host}"));
    assert_eq!(
        host_network_hosts(host, &aliases()),
        format!("{head}{host}{ALIASES}")
    );
}

#[test]
fn a_container_that_mounts_a_hosts_file_keeps_its_own() {
    let ips = ["203.0.113.1".parse().unwrap()];
    let container = |path: &str| -> Container {
        from_value(json!({"name": "c", "volumeMounts": [{"name": "v", "mountPath": path}]}))
            .unwrap()
    };
    assert!(is_hosts_file_managed(&container("/data"), &ips));
    assert!(!is_hosts_file_managed(&container("/etc/hosts"), &ips));
    assert!(!is_hosts_file_managed(&container("/data"), &[]));
}

/// Upstream's `TestGeneratePodHostNameAndDomain`.
#[test]
fn generate_pod_host_name_and_domain() {
    let of = |spec| PodHostname::of(&pod(spec), "cluster.local");
    for (spec, name, fqdn, sandbox) in [
        (json!({}), "test-pod", None, "test-pod"),
        (json!({"hostname": "h"}), "h", None, "h"),
        (
            json!({"hostname": "h", "subdomain": "s"}),
            "h",
            Some("h.s.testNS.svc.cluster.local"),
            "h",
        ),
        (
            json!({"subdomain": "s", "setHostnameAsFQDN": true}),
            "test-pod",
            Some("test-pod.s.testNS.svc.cluster.local"),
            "test-pod.s.testNS.svc.cluster.local",
        ),
        (
            json!({"hostname": "h", "subdomain": "s", "hostnameOverride": "over.ride"}),
            "over.ride",
            None,
            "over.ride",
        ),
    ] {
        let hostname = of(spec).unwrap();
        assert_eq!(hostname.name, name);
        assert_eq!(hostname.fqdn().as_deref(), fqdn);
        assert_eq!(hostname.sandbox_hostname().unwrap(), sandbox);
    }
    for (field, name) in [
        ("hostname", "a_b"),
        ("subdomain", "-a"),
        ("hostnameOverride", "a..b"),
    ] {
        let refused = of(json!({field: name})).unwrap_err();
        assert!(
            matches!(refused, HostnameError::Malformed { .. }),
            "{refused}"
        );
    }
    let long = of(json!({"subdomain": "s".repeat(60), "setHostnameAsFQDN": true})).unwrap();
    let refused = long.sandbox_hostname().unwrap_err();
    assert!(matches!(refused, HostnameError::FqdnTooLong(_)));
}

/// Upstream's `TestTruncatePodHostname`.
#[test]
fn truncate_pod_hostname() {
    let name = |name: &str| {
        let mut pod = pod(json!({}));
        pod.metadata.name = Some(name.into());
        PodHostname::of(&pod, "d").map(|hostname| hostname.name)
    };
    let a = |count| "a".repeat(count);
    assert_eq!(name("test-pod"), Ok("test-pod".into()));
    assert_eq!(name(&a(70)), Ok(a(63)));
    assert_eq!(name(&format!("{}.test", a(62))), Ok(a(62)));
    assert_eq!(name(&format!("{}--.test", a(61))), Ok(a(61)));
    let refused = name(&"-".repeat(70));
    assert!(matches!(refused, Err(HostnameError::Nothing { .. })));
}

/// Upstream's `TestParseResolvConf`.
#[test]
fn parse_resolv_conf() {
    for (text, servers, searches, options) in [
        ("", vec![], vec![], vec![]),
        ("\t\n\t", vec![], vec![], vec![]),
        ("#comment\n #comment\nwhatever x\n", vec![], vec![], vec![]),
        (
            "nameserver 1.2.3.4 #comment\n",
            vec!["1.2.3.4"],
            vec![],
            vec![],
        ),
        (
            "  \tnameserver  1.2.3.4\nnameserver ::1",
            vec!["1.2.3.4", "::1"],
            vec![],
            vec![],
        ),
        ("search ", vec![], vec![], vec![]),
        (
            "search foo bar. bat\n",
            vec![],
            vec!["foo", "bar", "bat"],
            vec![],
        ),
        ("search foo\nsearch . bar", vec![], vec![".", "bar"], vec![]),
        (
            "options ndots:1\noptions ndots:5 attempts:3 debug",
            vec![],
            vec![],
            vec!["ndots:5", "attempts:3", "debug"],
        ),
        (
            "nameserver 1.2.3.4\nsearch a b\noptions x",
            vec!["1.2.3.4"],
            vec!["a", "b"],
            vec!["x"],
        ),
    ] {
        let config = ResolverConfig::parse(text).unwrap();
        assert_eq!(
            (config.servers, config.searches, config.options),
            (
                servers.into_iter().map(str::to_owned).collect(),
                searches.into_iter().map(str::to_owned).collect(),
                options.into_iter().map(str::to_owned).collect(),
            ),
            "{text:?}"
        );
    }
    assert_eq!(
        ResolverConfig::parse("nameserver"),
        Err(ResolverError::NoServer)
    );
}

fn settings() -> DnsSettings {
    DnsSettings {
        cluster_dns: vec!["203.0.113.10".parse().unwrap()],
        cluster_domain: "kubernetes.io".into(),
        host: Some(
            ResolverConfig::parse(
                "nameserver 8.8.8.8\nnameserver 8.8.4.4\nsearch host.test\noptions rotate",
            )
            .unwrap(),
        ),
        node_ips: vec!["192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap()],
    }
}

#[track_caller]
fn check(settings: &DnsSettings, spec: Value, expected: [&str; 3]) -> DnsConfig {
    let config = settings.for_pod(&pod(spec)).unwrap();
    let lines = [&config.servers, &config.searches, &config.options].map(|line| line.join(" "));
    assert_eq!(lines, expected);
    config
}

/// Upstream's `TestGetPodDNSType`, `TestGetPodDNS` and `TestGetPodDNSCustom`.
#[test]
fn get_pod_dns() {
    let host = ["8.8.8.8 8.8.4.4", "host.test", "rotate"];
    let cluster = [
        "203.0.113.10",
        "testNS.svc.kubernetes.io svc.kubernetes.io kubernetes.io host.test",
        "ndots:5",
    ];
    let with = |policy: &str, host_network: bool| json!({"dnsPolicy": policy, "hostNetwork": host_network});
    for (spec, expected) in [
        (with("Default", false), host),
        (with("Default", true), host),
        (with("ClusterFirst", false), cluster),
        (json!({}), cluster),
        (with("ClusterFirst", true), host),
        (with("ClusterFirstWithHostNet", true), cluster),
        (with("ClusterFirstWithHostNet", false), cluster),
        (with("None", false), ["", "", ""]),
    ] {
        assert_eq!(check(&settings(), spec, expected).warnings, []);
    }
    let refused = settings().for_pod(&pod(with("invalidPolicy", false)));
    assert_eq!(refused, Err(DnsError::Policy("invalidPolicy".into())));
}

#[test]
fn without_a_cluster_server_the_host_is_asked_and_a_warning_given() {
    let mut settings = settings();
    settings.cluster_dns.clear();
    let host = ["8.8.8.8 8.8.4.4", "host.test", "rotate"];
    for (policy, warnings) in [
        ("ClusterFirst", 1),
        ("ClusterFirstWithHostNet", 1),
        ("Default", 0),
    ] {
        let config = check(&settings, json!({"dnsPolicy": policy}), host);
        assert_eq!(config.warnings.len(), warnings, "{policy}");
        if let [warning] = &*config.warnings {
            assert_eq!(warning.reason, "MissingClusterDNS");
            assert_eq!(
                warning.message,
                format!(
                    "kubelet does not have ClusterDNS IP configured and cannot create Pod using \"{policy}\" policy. Falling back to \"Default\" policy."
                )
            );
        }
    }
    settings.host = None;
    check(
        &settings,
        json!({"dnsPolicy": "Default"}),
        ["127.0.0.1 ::1", ".", ""],
    );
}

/// Upstream's `TestAppendDNSConfig` and `TestMergeDNSOptions`.
#[test]
fn append_dns_config() {
    let config = json!({
        "nameservers": ["203.0.113.10", "1.1.1.1"],
        "searches": ["svc.kubernetes.io", "mine"],
        "options": [{"name": "ndots", "value": "3"}, {"name": "debug"}, {"name": "timeout", "value": "1"}],
    });
    check(
        &settings(),
        json!({"dnsConfig": config}),
        [
            "203.0.113.10 1.1.1.1",
            "testNS.svc.kubernetes.io svc.kubernetes.io kubernetes.io host.test mine",
            "ndots:3 debug timeout:1",
        ],
    );
    check(
        &settings(),
        json!({"dnsPolicy": "None", "dnsConfig": config}),
        [
            "203.0.113.10 1.1.1.1",
            "svc.kubernetes.io mine",
            "ndots:3 debug timeout:1",
        ],
    );
}

/// Upstream's `TestFormDNSSearchFitsLimits` and `TestFormDNSNameserversFitsLimits`.
#[test]
fn form_dns_fits_limits() {
    let of = |servers: usize, searches: Vec<String>| {
        let servers: Vec<_> = (1..=servers).map(|n| format!("10.0.0.{n}")).collect();
        let config = json!({"nameservers": servers, "searches": searches});
        let spec = json!({"dnsPolicy": "None", "dnsConfig": config});
        settings().for_pod(&pod(spec)).unwrap()
    };
    let many = |count: usize, length: usize| -> Vec<_> {
        (0..count)
            .map(|n| format!("{n:03}{}", "x".repeat(length - 3)))
            .collect()
    };
    for (servers, searches, fitting) in [
        (3, many(32, 10), (3, 32)),
        (4, many(32, 10), (3, 32)),
        (0, many(33, 10), (0, 32)),
        // 8 * 255 + 7 = 2047 characters fit into 2048; a ninth does not.
        (0, many(8, 255), (0, 8)),
        (0, many(9, 255), (0, 8)),
        (0, many(8, 256), (0, 7)),
    ] {
        let left_out = usize::from(servers > 3) + usize::from(searches.len() > fitting.1);
        let config = of(servers, searches);
        assert_eq!((config.servers.len(), config.searches.len()), fitting);
        assert_eq!(config.warnings.len(), left_out);
        assert!(
            config
                .warnings
                .iter()
                .all(|warning| warning.reason == "DNSConfigForming")
        );
    }
    let config = of(4, vec![]);
    assert_eq!(
        config.warnings[0].message,
        "Nameserver limits were exceeded, some nameservers have been omitted, the applied nameserver line is: 10.0.0.1 10.0.0.2 10.0.0.3"
    );
}

/// Upstream's `TestMakePortMappings`.
#[test]
fn make_port_mappings() {
    let of = |host_network: bool| {
        let pod = json!({"spec": {
            "hostNetwork": host_network,
            "containers": [{"name": "c", "ports": [
                {"containerPort": 80, "hostPort": 8080, "hostIP": "127.0.0.1"},
                {"containerPort": 81}, {"containerPort": 82, "hostPort": 0},
            ]}],
            "initContainers": [
                {"name": "i", "ports": [{"containerPort": 1, "hostPort": 1}]},
                {"name": "s", "restartPolicy": "Always", "ports": [{"containerPort": 53, "hostPort": 53, "protocol": "UDP"}]},
            ],
        }});
        port_mappings(&from_value(pod).unwrap())
    };
    let mapping = |protocol, container_port, host_port, host_ip: &str| PortMapping {
        protocol,
        container_port,
        host_port,
        host_ip: host_ip.to_owned(),
    };
    assert_eq!(
        of(false),
        [
            mapping(Protocol::Udp, 53, 53, ""),
            mapping(Protocol::Tcp, 80, 8080, "127.0.0.1")
        ]
    );
    assert_eq!(of(true), []);
}
