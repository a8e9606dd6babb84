//! The environment of containers: where variables come from, and what is expanded from them.

#![expect(
    clippy::unwrap_used,
    clippy::needless_pass_by_value,
    reason = "a test fails by panicking, and calls read better with values"
)]

use std::net::IpAddr;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Container, Pod, Service};
use kubewright_quantity::Quantity;
use node_agent::environment::{
    DownwardApi, Environment, EnvironmentError, EnvironmentMaker, MadeEnvironment, expand,
    expand_all, expand_strictly,
};
use node_agent::objects::{LookupError, References, Snapshot};
use node_agent::resources::Amounts;
use proptest::prelude::*;
use serde_json::{Value, from_value, json};

/// One making of an environment.
struct Case {
    pod: Pod,
    objects: Snapshot,
    allocatable: Amounts,
    is_static: bool,
}

impl Case {
    fn new(spec: Value) -> Self {
        let pod = json!({
            "metadata": {
                "namespace": "test1", "name": "dapi-test-pod-name", "uid": "7",
                "labels": {"app": "web", "tier": "a\"b"},
                "annotations": {"kubernetes.io/Note": "x"},
            },
            "spec": spec,
        });
        let quantity = |text: &str| text.parse::<Quantity>().unwrap();
        Self {
            pod: from_value(pod).unwrap(),
            objects: objects(),
            allocatable: Amounts::from([
                ("cpu".into(), quantity("2")),
                ("memory".into(), quantity("4Gi")),
                ("ephemeral-storage".into(), quantity("10Gi")),
            ]),
            is_static: false,
        }
    }

    fn make(&self) -> Result<MadeEnvironment, EnvironmentError> {
        let ips = |ips: [&str; 2]| ips.map(|ip| ip.parse::<IpAddr>().unwrap());
        let maker = EnvironmentMaker {
            downward: DownwardApi {
                pod: &self.pod,
                pod_ips: &ips(["10.0.0.9", "fd00::6"]),
                host_ips: &ips(["192.0.2.1", "2001:db8::1"]),
                allocatable: &self.allocatable,
            },
            objects: &self.objects,
            is_static: self.is_static,
        };
        maker.make(&self.pod.spec.as_ref().unwrap().containers[0])
    }
}

fn service(namespace: &str, name: &str, ip: &str, port: u16) -> Arc<Service> {
    let service = json!({
        "metadata": {"namespace": namespace, "name": name},
        "spec": {"clusterIP": ip, "ports": [{"protocol": "TCP", "port": port}]},
    });
    Arc::new(from_value(service).unwrap())
}

fn objects() -> Snapshot {
    let mut objects = Snapshot::default();
    objects.set_services(vec![
        service("default", "kubernetes", "1.2.3.1", 8081),
        service("test1", "test", "1.2.3.3", 8083),
        service("kube-system", "kubernetes", "1.2.3.2", 8082),
        service("test2", "kubernetes", "1.2.3.4", 8084),
        service("test2", "test", "1.2.3.5", 8085),
        service("test1", "headless", "None", 8085),
        service("test1", "nothing", "", 8085),
    ]);
    let map = json!({"data": {"DUPE_TEST": "CONFIG_MAP", "REPLACE_ME": "FROM_CONFIG_MAP", "1234": "abc", "a.b-c": "dotted"}});
    let secret = json!({"data": {"DUPE_TEST": "U0VDUkVU", "zzz": "QUJD"}});
    objects.insert_config_map("test1", "map", Ok(Arc::new(from_value(map).unwrap())));
    objects.insert_secret("test1", "secret", Ok(Arc::new(from_value(secret).unwrap())));
    let binary = json!({"data": {"bin": "/wA="}});
    let binary = Arc::new(from_value(binary).unwrap());
    objects.insert_secret("test1", "binary", Ok(binary));
    let unavailable = LookupError::Unavailable {
        kind: "configmap",
        name: "unknown".into(),
        reason: "timed out".into(),
    };
    objects.insert_config_map("test1", "unknown", Err(unavailable));
    objects
}

/// The environment of a container without links to services, apart from the API server's.
#[track_caller]
fn check(container: Value, expected: &[(&str, &str)]) {
    let made = made(container).unwrap();
    assert_eq!(made.warnings, []);
    let variables = made.variables.iter();
    let variables: Vec<_> = variables
        .map(|(name, value)| (&**name, &**value))
        .filter(|(name, _)| !name.starts_with("KUBERNETES_"))
        .collect();
    let mut expected = expected.to_vec();
    expected.sort_unstable();
    assert_eq!(variables, expected);
}

#[track_caller]
fn check_fails(container: Value, expected: &str) {
    assert_eq!(made(container).unwrap_err().to_string(), expected);
}

fn made(mut container: Value) -> Result<MadeEnvironment, EnvironmentError> {
    container["name"] = "c".into();
    Case::new(json!({
        "enableServiceLinks": false, "nodeName": "node-1", "serviceAccountName": "special",
        "containers": [container],
        "initContainers": [{"name": "init", "resources": {"limits": {"cpu": "3"}}}],
    }))
    .make()
}

fn env(vars: Value) -> Value {
    json!({"env": vars})
}

/// Upstream's `TestMakeEnvironmentVariables`, the cases about services.
#[test]
fn make_environment_variables_of_services() {
    let names = |namespace: &str, links: Option<bool>| {
        let mut case = Case::new(json!({"containers": [{"name": "c"}]}));
        case.pod.metadata.namespace = Some(namespace.into());
        case.pod.spec.as_mut().unwrap().enable_service_links = links;
        let variables = case.make().unwrap().variables;
        let hosts = variables.into_iter();
        let hosts = hosts.filter(|(name, _)| name.ends_with("_HOST"));
        hosts.collect::<Vec<_>>()
    };
    let kubernetes = |ip: &str| ("KUBERNETES_SERVICE_HOST".to_owned(), ip.to_owned());
    let test = |ip: &str| ("TEST_SERVICE_HOST".to_owned(), ip.to_owned());
    assert_eq!(names("test1", Some(false)), [kubernetes("1.2.3.1")]);
    assert_eq!(
        names("test1", Some(true)),
        [kubernetes("1.2.3.1"), test("1.2.3.3")]
    );
    // The namespace has a service of the same name as the API server's.
    assert_eq!(
        names("test2", Some(true)),
        [kubernetes("1.2.3.4"), test("1.2.3.5")]
    );
    assert_eq!(names("test2", Some(false)), [kubernetes("1.2.3.1")]);
    // What no source of pods filled in has the API's default.
    assert_eq!(
        names("test1", None),
        [kubernetes("1.2.3.1"), test("1.2.3.3")]
    );
    assert_eq!(names("elsewhere", Some(true)), [kubernetes("1.2.3.1")]);
}

/// Upstream's `TestFromServices`.
#[test]
fn from_services() {
    let service = json!({
        "metadata": {"namespace": "a", "name": "super-duper"},
        "spec": {"clusterIP": "2001:db8::7", "ports": [
            {"name": "u-d-p", "port": 8084, "protocol": "UDP"}, {"name": "t-c-p", "port": 8085},
        ]},
    });
    let service = Arc::new(from_value(service).unwrap());
    let variables = node_agent::environment::service_variables(&[service], "a", true);
    let lines = variables.iter();
    let lines: Vec<_> = lines
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    assert_eq!(
        lines,
        [
            "SUPER_DUPER_PORT=udp://[2001:db8::7]:8084",
            "SUPER_DUPER_PORT_8084_UDP=udp://[2001:db8::7]:8084",
            "SUPER_DUPER_PORT_8084_UDP_ADDR=2001:db8::7",
            "SUPER_DUPER_PORT_8084_UDP_PORT=8084",
            "SUPER_DUPER_PORT_8084_UDP_PROTO=udp",
            "SUPER_DUPER_PORT_8085_TCP=tcp://[2001:db8::7]:8085",
            "SUPER_DUPER_PORT_8085_TCP_ADDR=2001:db8::7",
            "SUPER_DUPER_PORT_8085_TCP_PORT=8085",
            "SUPER_DUPER_PORT_8085_TCP_PROTO=tcp",
            "SUPER_DUPER_SERVICE_HOST=2001:db8::7",
            "SUPER_DUPER_SERVICE_PORT=8084",
            "SUPER_DUPER_SERVICE_PORT_T_C_P=8085",
            "SUPER_DUPER_SERVICE_PORT_U_D_P=8084",
        ]
    );
}

#[test]
fn a_pod_of_the_api_waits_for_services_and_a_static_one_does_not() {
    let mut case = Case::new(json!({"containers": [{"name": "c"}]}));
    case.objects = Snapshot::default();
    assert_eq!(case.make(), Err(EnvironmentError::NoServicesYet));
    case.is_static = true;
    assert_eq!(case.make(), Ok(MadeEnvironment::default()));
}

/// Upstream's `TestMakeEnvironmentVariables`, the cases about the downward API.
#[test]
fn make_environment_variables_of_the_downward_api() {
    for (path, value) in [
        ("metadata.name", "dapi-test-pod-name"),
        ("metadata.namespace", "test1"),
        ("metadata.uid", "7"),
        ("metadata.labels['app']", "web"),
        ("metadata.labels['none']", ""),
        ("metadata.annotations['kubernetes.io/Note']", "x"),
        ("metadata.labels", "app=\"web\"\ntier=\"a\\\"b\""),
        ("spec.nodeName", "node-1"),
        ("spec.serviceAccountName", "special"),
        ("status.hostIP", "192.0.2.1"),
        ("status.hostIPs", "192.0.2.1,2001:db8::1"),
        ("status.podIP", "10.0.0.9"),
        ("status.podIPs", "10.0.0.9,fd00::6"),
    ] {
        let var = json!([{"name": "X", "valueFrom": {"fieldRef": {"fieldPath": path}}}]);
        check(env(var), &[("X", value)]);
    }
    for (path, error) in [
        ("status.phase", "unsupported fieldPath: status.phase"),
        (
            "metadata.name['x']",
            "invalid key subscript in fieldPath: metadata.name['x']",
        ),
        (
            "metadata.labels['-']",
            "invalid key subscript in fieldPath: metadata.labels['-']",
        ),
    ] {
        let var = json!([{"name": "X", "valueFrom": {"fieldRef": {"fieldPath": path}}}]);
        check_fails(env(var), error);
    }
}

/// Upstream's `TestExtractContainerResourceValue` and `TestMergeContainerResourceLimits`.
#[test]
fn extract_container_resource_value() {
    let resources = json!({
        "requests": {"cpu": "100m", "memory": "100Mi"},
        "limits": {"cpu": "1500m", "memory": "1Gi", "hugepages-2Mi": "4Mi"},
    });
    let with = |selector: Value, resources: &Value| {
        let var = json!([{"name": "X", "valueFrom": {"resourceFieldRef": selector}}]);
        json!({"resources": resources, "env": var})
    };
    for (resource, divisor, value) in [
        ("limits.cpu", "0", "2"),
        ("limits.cpu", "1", "2"),
        ("limits.cpu", "1m", "1500"),
        ("requests.cpu", "1", "1"),
        ("requests.cpu", "30m", "4"),
        ("limits.memory", "1", "1073741824"),
        ("limits.memory", "1Mi", "1024"),
        ("limits.memory", "3", "357913942"),
        ("requests.memory", "1Gi", "1"),
        ("requests.ephemeral-storage", "1", "0"),
        ("limits.ephemeral-storage", "1Gi", "10"),
        ("limits.hugepages-2Mi", "1Mi", "4"),
    ] {
        let selector = json!({"resource": resource, "divisor": divisor});
        check(with(selector, &resources), &[("X", value)]);
    }
    // Limits that are not there, or nothing, are those of the node.
    let nothing = json!({"limits": {"memory": "0"}});
    check(
        with(json!({"resource": "limits.memory"}), &nothing),
        &[("X", "4294967296")],
    );
    check(
        with(json!({"resource": "limits.cpu"}), &nothing),
        &[("X", "2")],
    );
    let of_init = json!({"resource": "limits.cpu", "containerName": "init"});
    check(with(of_init, &nothing), &[("X", "3")]);

    let of = |selector| with(selector, &nothing);
    check_fails(
        of(json!({"resource": "limits.gpu"})),
        "unsupported container resource : limits.gpu",
    );
    check_fails(
        of(json!({"resource": "limits.cpu", "containerName": "none"})),
        "container none not found",
    );
    check_fails(
        of(json!({"resource": "limits.cpu", "divisor": "half"})),
        "invalid divisor half",
    );
}

/// Upstream's `TestMakeEnvironmentVariables`, the cases about config maps and secrets.
#[test]
fn make_environment_variables_of_objects() {
    let from = |from: Value| json!({"envFrom": from});
    let all = [
        ("1234", "abc"),
        ("DUPE_TEST", "CONFIG_MAP"),
        ("REPLACE_ME", "FROM_CONFIG_MAP"),
        ("a.b-c", "dotted"),
    ];
    check(from(json!([{"configMapRef": {"name": "map"}}])), &all);
    check(
        from(json!([{"secretRef": {"name": "secret"}, "prefix": "p_"}])),
        &[("p_DUPE_TEST", "SECRET"), ("p_zzz", "ABC")],
    );
    // Later sources win, single variables win over all of them, and may refer to them.
    check(
        json!({
            "envFrom": [{"configMapRef": {"name": "map"}}, {"secretRef": {"name": "secret"}}],
            "env": [
                {"name": "REPLACE_ME", "value": "was $(REPLACE_ME)"},
                {"name": "KEY", "valueFrom": {"configMapKeyRef": {"name": "map", "key": "1234"}}},
                {"name": "HIDDEN", "valueFrom": {"secretKeyRef": {"name": "secret", "key": "zzz"}}},
            ],
        }),
        &[
            ("1234", "abc"),
            ("DUPE_TEST", "SECRET"),
            ("HIDDEN", "ABC"),
            ("KEY", "abc"),
            ("REPLACE_ME", "was FROM_CONFIG_MAP"),
            ("a.b-c", "dotted"),
            ("zzz", "ABC"),
        ],
    );
    for kind in ["configMapRef", "secretRef"] {
        check(
            from(json!([{kind: {"name": "none", "optional": true}}])),
            &[],
        );
    }
    check_fails(
        from(json!([{"configMapRef": {"name": "none"}}])),
        "configmap \"none\" not found",
    );
    check_fails(
        from(json!([{"secretRef": {"name": "none"}}])),
        "secret \"none\" not found",
    );
    // That it is optional helps nothing as long as nobody knows.
    check_fails(
        from(json!([{"configMapRef": {"name": "unknown", "optional": true}}])),
        "configmap \"unknown\": timed out",
    );
}

/// Upstream's `TestMakeEnvironmentVariables`, `configmapkeyref_*` and `secretkeyref_*`.
#[test]
fn make_environment_variables_of_keys() {
    for (kind, name, what) in [
        ("configMapKeyRef", "map", "ConfigMap"),
        ("secretKeyRef", "secret", "Secret"),
    ] {
        let var = |name: &str, optional: bool| {
            let selector = json!({"name": name, "key": "none", "optional": optional});
            env(json!([{"name": "X", "valueFrom": {kind: selector}}, {"name": "Y"}]))
        };
        check(var("none", true), &[("Y", "")]);
        check(var(name, true), &[("Y", "")]);
        check_fails(
            var(name, false),
            &format!("couldn't find key none in {what} test1/{name}"),
        );
        check_fails(
            var("none", false),
            &format!("{} \"none\" not found", what.to_lowercase()),
        );
    }
    // A secret that would arrive changed is told instead.
    let error = "key bin in Secret test1/binary is not valid UTF-8 and cannot be a variable";
    let binary = json!({"secretKeyRef": {"name": "binary", "key": "bin"}});
    check_fails(env(json!([{"name": "X", "valueFrom": binary}])), error);
    check_fails(
        json!({"envFrom": [{"secretRef": {"name": "binary"}}]}),
        error,
    );
    let file = json!([{"name": "X", "valueFrom": {"fileKeyRef": {"volumeName": "v", "path": "p", "key": "k"}}}]);
    check_fails(env(file), "fileKeyRef is not supported by this node agent");
}

/// Upstream's `configmap_invalid_keys`: since 1.34 all of printable ASCII but `=` is a name.
#[test]
fn keys_that_cannot_be_names_are_skipped_with_a_warning() {
    let made = made(json!({"envFrom": [{"secretRef": {"name": "secret"}, "prefix": "a=\n"}]}));
    let made = made.unwrap();
    assert!(
        made.variables
            .keys()
            .all(|name| name.starts_with("KUBERNETES_"))
    );
    let [warning] = &*made.warnings else {
        panic!("{:?}", made.warnings);
    };
    assert_eq!(warning.reason, "InvalidEnvironmentVariableNames");
    assert_eq!(
        warning.message,
        "Keys [a=\nDUPE_TEST, a=\nzzz] from the EnvFrom secret test1/secret were skipped since \
         they are considered invalid environment variable names."
    );
}

/// Upstream's `TestMakeEnvironmentVariables`, `env expansion` and `env expansion, service env vars`.
#[test]
fn make_environment_variables_expands_what_came_before() {
    check(
        env(json!([
            {"name": "TEST_LITERAL", "value": "test-test-test"},
            {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            {"name": "OUT_OF_ORDER_TEST", "value": "$(OUT_OF_ORDER_TARGET)"},
            {"name": "OUT_OF_ORDER_TARGET", "value": "FOO"},
            {"name": "EMPTY_VAR"},
            {"name": "EMPTY_TEST", "value": "foo-$(EMPTY_VAR)"},
            {"name": "POD_NAME_TEST2", "value": "test2-$(POD_NAME)"},
            {"name": "POD_NAME_TEST3", "value": "$(POD_NAME_TEST2)-3"},
            {"name": "LITERAL_TEST", "value": "literal-$(TEST_LITERAL)"},
            {"name": "TEST_UNDEFINED", "value": "$(UNDEFINED_VAR)"},
            {"name": "API", "value": "http://$(KUBERNETES_SERVICE_HOST)/"},
        ])),
        &[
            ("API", "http://1.2.3.1/"),
            ("EMPTY_TEST", "foo-"),
            ("EMPTY_VAR", ""),
            ("LITERAL_TEST", "literal-test-test-test"),
            ("OUT_OF_ORDER_TARGET", "FOO"),
            ("OUT_OF_ORDER_TEST", "$(OUT_OF_ORDER_TARGET)"),
            ("POD_NAME", "dapi-test-pod-name"),
            ("POD_NAME_TEST2", "test2-dapi-test-pod-name"),
            ("POD_NAME_TEST3", "test2-dapi-test-pod-name-3"),
            ("TEST_LITERAL", "test-test-test"),
            ("TEST_UNDEFINED", "$(UNDEFINED_VAR)"),
        ],
    );
}

/// Upstream's `TestMapReference` and `TestMapping` of the package `expansion`.
#[test]
fn mapping() {
    let lookup = |name: &str| match name {
        "VAR_A" => Some("A"),
        "VAR_B" => Some("B"),
        "VAR_C" => Some("C"),
        "VAR_REF" => Some("$(VAR_A)"),
        "VAR_EMPTY" => Some(""),
        _ => None,
    };
    for (text, expanded) in [
        ("$(VAR_A)", "A"),
        ("___$(VAR_B)___", "___B___"),
        ("___$(VAR_C)", "___C"),
        ("$(VAR_A)-$(VAR_A)", "A-A"),
        ("$(VAR_A)-1", "A-1"),
        ("$(VAR_REF)", "$(VAR_A)"),
        ("%%$(VAR_REF)--$(VAR_REF)%%", "%%$(VAR_A)--$(VAR_A)%%"),
        ("foo$(VAR_EMPTY)bar", "foobar"),
        ("foo$(VAR_Awhoops!", "foo$(VAR_Awhoops!"),
        ("f00__(VAR_A)__", "f00__(VAR_A)__"),
        ("$?_boo_$!", "$?_boo_$!"),
        ("$VAR_A", "$VAR_A"),
        ("$(VAR_DNE)", "$(VAR_DNE)"),
        ("$$$$$$(BIG_MONEY)", "$$$(BIG_MONEY)"),
        ("$$$$$$(VAR_A)", "$$$(VAR_A)"),
        ("$$$$$$$(GOOD_ODDS)", "$$$$(GOOD_ODDS)"),
        ("$$$$$$$(VAR_A)", "$$$A"),
        ("$VAR_A)", "$VAR_A)"),
        ("${VAR_A}", "${VAR_A}"),
        ("$(VAR_B)_______$(A", "B_______$(A"),
        ("$(VAR_C)_______$(", "C_______$("),
        ("$(VAR_A)foobarzab$", "Afoobarzab$"),
        ("foo-\\$(VAR_A", "foo-\\$(VAR_A"),
        ("--$($($($($--", "--$($($($($--"),
        ("$($($($($--foo$(", "$($($($($--foo$("),
        ("foo0--$($($($(", "foo0--$($($($("),
        ("$(foo$$var)", "$(foo$$var)"),
        ("$(VAR_A", "$(VAR_A"),
        ("$()", "$()"),
        ("$ü$(VAR_A)ü", "$üAü"),
        ("\n$(VAR_A)\n", "\nA\n"),
    ] {
        assert_eq!(expand(text, lookup), expanded, "{text}");
    }
}

proptest! {
    #[test]
    fn escaped_text_comes_out_as_it_was(text in "[$()A-C_ ü]{0,20}") {
        let escaped = text.replace('$', "$$");
        prop_assert_eq!(expand(&escaped, |_| Some("?")), text);
    }

    #[test]
    fn references_to_nothing_stay(text in "[()A-C_ ]{0,8}(\\$\\([A-C]{0,3}\\)[A-C ]{0,3}){0,4}") {
        prop_assert_eq!(expand(&text, |_| None), text);
    }
}

/// Upstream's `TestExpandCommandAndArgs` and `TestExpandVolumeMountsWithSubpath`.
#[test]
fn commands_are_expanded_and_paths_strictly() {
    let environment = Environment::from([("VAR_TEST".into(), "foo".into())]);
    let command = ["$(VAR_TEST)", "$$(VAR_TEST)", "$(NONE)"].map(str::to_owned);
    assert_eq!(
        expand_all(&command, &environment),
        ["foo", "$(VAR_TEST)", "$(NONE)"]
    );
    assert_eq!(
        expand_strictly("a/$(VAR_TEST)/$$b", &environment),
        Ok("a/foo/$b".into())
    );
    let missing = EnvironmentError::Missing("NONE".into());
    assert_eq!(expand_strictly("a/$(NONE)", &environment), Err(missing));
}

/// Upstream's `TestPodSecrets` and `TestPodConfigmaps`: every place that can name an object.
#[test]
fn every_object_that_a_pod_refers_to_is_found() {
    let container = |prefix: &str| -> Value {
        let container = json!({
            "name": prefix,
            "envFrom": [
                {"configMapRef": {"name": format!("{prefix}-from")}},
                {"secretRef": {"name": format!("{prefix}-from")}},
            ],
            "env": [
                {"name": "a", "valueFrom": {"configMapKeyRef": {"name": format!("{prefix}-key"), "key": "k"}}},
                {"name": "b", "valueFrom": {"secretKeyRef": {"name": format!("{prefix}-key"), "key": "k"}}},
            ],
        });
        let _: Container = from_value(container.clone()).unwrap();
        container
    };
    let pod: Pod = from_value(json!({
        "metadata": {"namespace": "n", "name": "p", "uid": "7"},
        "spec": {
            "serviceAccountName": "account",
            "imagePullSecrets": [{"name": "pull"}],
            "containers": [container("c")],
            "initContainers": [container("i")],
            "ephemeralContainers": [container("e")],
            "volumes": [
                {"name": "1", "configMap": {"name": "volume"}},
                {"name": "2", "secret": {"secretName": "volume"}},
                {"name": "3", "projected": {"sources": [
                    {"configMap": {"name": "projected"}}, {"secret": {"name": "projected"}},
                    {"serviceAccountToken": {"path": "token", "audience": "vault"}},
                ]}},
            ],
        },
    }))
    .unwrap();
    let references = References::of(&pod);
    let common = [
        "c-from",
        "c-key",
        "e-from",
        "e-key",
        "i-from",
        "i-key",
        "projected",
    ];
    let names: Vec<_> = references.config_maps.iter().collect();
    assert_eq!(names, [&common[..], &["volume"]].concat());
    let names: Vec<_> = references.secrets.iter().collect();
    assert_eq!(names, [&common[..], &["pull", "volume"]].concat());
    let token = references.tokens.first().unwrap();
    assert_eq!(
        (&*token.service_account, &*token.audience),
        ("account", "vault")
    );
    assert_eq!(token.expiration_seconds, 3600);
}
