use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::fields::{FieldValidation, check};
use crate::registry::Registry;

fn resource(path: &str) -> Resource {
    let parts: Vec<&str> = path.split(' ').collect();
    let resources = Registry::kubernetes().resources();
    Resource::clone(resources.get(parts[0], parts[1], parts[2]).unwrap())
}

fn defaulted(path: &str, object: Value) -> Value {
    let resource = resource(path);
    let mut object = object;
    check(&resource, &mut object, FieldValidation::Strict, &[]).unwrap();
    apply(&resource, &mut object);
    object
}

/// A container with nothing but a name and an image with a tag, as the server keeps it.
fn container(name: &str, image: &str) -> Value {
    json!({
        "name": name, "image": image, "resources": {},
        "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File",
        "imagePullPolicy": "IfNotPresent",
    })
}

fn template() -> Value {
    json!({
        "metadata": {"labels": {"app": "d"}},
        "spec": {
            "containers": [container("c", "img:1")], "restartPolicy": "Always",
            "terminationGracePeriodSeconds": 30, "dnsPolicy": "ClusterFirst", "securityContext": {},
            "schedulerName": "default-scheduler",
        },
    })
}

fn sent_template() -> Value {
    json!({"metadata": {"labels": {"app": "d"}}, "spec": {"containers": [{"name": "c", "image": "img:1"}]}})
}

#[test]
fn a_pod() {
    let pod = defaulted(
        " v1 pods",
        json!({"metadata": {"name": "p"}, "spec": {
            "containers": [{
                "name": "c", "image": "img", "ports": [{"containerPort": 80}],
                "livenessProbe": {"httpGet": {"path": "/", "port": 80}},
                "env": [{"name": "X", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
                "resources": {"limits": {"cpu": "100m", "memory": "10Mi"}},
            }],
            "volumes": [{"name": "v", "configMap": {"name": "c"}}, {"name": "e"}],
        }}),
    );
    assert_eq!(
        pod["spec"],
        json!({
            "volumes": [
                {"name": "v", "configMap": {"name": "c", "defaultMode": 420}},
                {"name": "e", "emptyDir": {}},
            ],
            "containers": [{
                "name": "c", "image": "img", "ports": [{"containerPort": 80, "protocol": "TCP"}],
                "env": [{"name": "X", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}}}],
                "resources": {
                    "limits": {"cpu": "100m", "memory": "10Mi"},
                    "requests": {"cpu": "100m", "memory": "10Mi"},
                },
                "livenessProbe": {
                    "httpGet": {"path": "/", "port": 80, "scheme": "HTTP"}, "timeoutSeconds": 1,
                    "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3,
                },
                "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File",
                "imagePullPolicy": "Always",
            }],
            "restartPolicy": "Always", "terminationGracePeriodSeconds": 30, "dnsPolicy": "ClusterFirst",
            "securityContext": {}, "schedulerName": "default-scheduler",
            "tolerations": [
                {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300},
                {"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300},
            ],
            "priority": 0, "enableServiceLinks": true, "preemptionPolicy": "PreemptLowerPriority",
        })
    );
}

#[test]
fn a_pod_that_tolerates_already_is_given_no_further_toleration() {
    let pod = defaulted(
        " v1 pods",
        json!({"spec": {"containers": [], "tolerations": [{"operator": "Exists"}]}}),
    );
    assert_eq!(pod["spec"]["tolerations"], json!([{"operator": "Exists"}]));
}

#[test]
fn images_are_pulled_again_if_their_tag_moves() {
    for (image, policy) in [
        ("img", "Always"),
        ("img:latest", "Always"),
        ("img:1", "IfNotPresent"),
        ("host:5000/img", "Always"),
        ("host:5000/img:1", "IfNotPresent"),
        ("img@sha256:abc", "IfNotPresent"),
        ("img:latest@sha256:abc", "Always"),
    ] {
        assert_eq!(pods::pull_policy(image), policy, "{image}");
    }
}

#[test]
fn workloads() {
    let deployment = defaulted(
        "apps v1 deployments",
        json!({"spec": {"selector": {"matchLabels": {"app": "d"}}, "template": sent_template()}}),
    );
    assert_eq!(
        deployment["spec"],
        json!({
            "replicas": 1, "selector": {"matchLabels": {"app": "d"}}, "template": template(),
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"}},
            "revisionHistoryLimit": 10, "progressDeadlineSeconds": 600,
        })
    );
    let set = defaulted(
        "apps v1 replicasets",
        json!({"spec": {"selector": {"matchLabels": {"app": "d"}}, "template": sent_template()}}),
    );
    assert_eq!(set["metadata"], json!({}));
    assert_eq!(
        set["spec"],
        json!({"replicas": 1, "selector": {"matchLabels": {"app": "d"}}, "template": template()})
    );
    let none = defaulted("apps v1 replicasets", json!({"spec": {"replicas": 0}}));
    assert_eq!(none["spec"]["replicas"], 0);
    let controller = defaulted(
        " v1 replicationcontrollers",
        json!({"spec": {"template": sent_template()}}),
    );
    assert_eq!(controller["spec"]["selector"], json!({"app": "d"}));
    assert_eq!(controller["metadata"]["labels"], json!({"app": "d"}));
}

#[test]
fn jobs_and_cron_jobs() {
    let template =
        json!({"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i:1"}]}});
    let job = defaulted("batch v1 jobs", json!({"spec": {"template": template}}));
    let spec = job["spec"].as_object().unwrap();
    let shown: serde_json::Map<_, _> = spec
        .iter()
        .filter(|(name, _)| *name != "template")
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    assert_eq!(
        Value::Object(shown),
        json!({
            "parallelism": 1, "completions": 1, "backoffLimit": 6, "manualSelector": false,
            "completionMode": "NonIndexed", "suspend": false, "podReplacementPolicy": "TerminatingOrFailed",
        })
    );
    let job = defaulted(
        "batch v1 jobs",
        json!({"spec": {"parallelism": 2, "template": template}}),
    );
    assert_eq!(job["spec"].get("completions"), None);
    let cron = defaulted(
        "batch v1 cronjobs",
        json!({"spec": {"schedule": "* * * * *", "jobTemplate": {"spec": {"template": template}}}}),
    );
    assert_eq!(cron["spec"]["concurrencyPolicy"], "Allow");
    assert_eq!(cron["spec"]["jobTemplate"]["metadata"], json!({}));
    assert_eq!(
        cron["spec"]["jobTemplate"]["spec"].get("backoffLimit"),
        None
    );
}

#[test]
fn services() {
    let service = defaulted(
        " v1 services",
        json!({"spec": {"ports": [{"port": 80}], "selector": {"app": "x"}, "type": "NodePort"}}),
    );
    assert_eq!(
        service["spec"],
        json!({
            "ports": [{"protocol": "TCP", "port": 80, "targetPort": 80}], "selector": {"app": "x"},
            "type": "NodePort", "sessionAffinity": "None", "externalTrafficPolicy": "Cluster",
            "internalTrafficPolicy": "Cluster",
        })
    );
}

#[test]
fn secrets_take_texts_in_plain() {
    let secret = defaulted(
        " v1 secrets",
        json!({"stringData": {"k": "v"}, "data": {"b": "eA=="}}),
    );
    assert_eq!(secret["data"], json!({"b": "eA==", "k": "dg=="}));
    assert_eq!(secret["type"], "Opaque");
    assert_eq!(secret.get("stringData"), None);
}

#[test]
fn namespaces_carry_their_name_as_a_label() {
    let namespace = defaulted(" v1 namespaces", json!({"metadata": {"name": "a"}}));
    assert_eq!(
        namespace["metadata"]["labels"],
        json!({"kubernetes.io/metadata.name": "a"})
    );
    assert_eq!(namespace["status"], json!({"phase": "Active"}));
}

/// Objects that a schema allows, with any of its fields given or not.
fn any_object(definition: &'static str) -> BoxedStrategy<Value> {
    fn of(schema: &'static crate::schema::Schema, depth: u32) -> BoxedStrategy<Value> {
        use crate::schema::{Additional, Type};
        if let Some(name) = schema.reference.as_deref() {
            match name.rsplit('.').next().unwrap() {
                "Quantity" => return Just(json!("1500m")).boxed(),
                "IntOrString" => return prop_oneof![Just(json!(1)), Just(json!("50%"))].boxed(),
                "Time" | "MicroTime" => return Just(json!("2024-05-01T12:00:00Z")).boxed(),
                "RawExtension" | "FieldsV1" | "JSON" => return Just(json!({})).boxed(),
                _ => {}
            }
        }
        let schema = schema.resolve();
        match schema.kind {
            Some(Type::String) if schema.format.as_deref() == Some("byte") => {
                Just(json!("eA==")).boxed()
            }
            Some(Type::String) => {
                prop::sample::select(vec!["", "a", "RollingUpdate", "ClientIP", "img:1"])
                    .prop_map(Value::from)
                    .boxed()
            }
            Some(Type::Integer) => (0..3_i32).prop_map(Value::from).boxed(),
            Some(Type::Boolean) => any::<bool>().prop_map(Value::from).boxed(),
            Some(Type::Array) if depth > 0 => match &schema.items {
                Some(items) => prop::collection::vec(of(items, depth - 1), 0..2)
                    .prop_map(Value::from)
                    .boxed(),
                None => Just(json!([])).boxed(),
            },
            Some(Type::Array) => Just(json!([])).boxed(),
            _ if depth == 0 => Just(json!({})).boxed(),
            _ => match &schema.additional {
                Additional::Of(values) => prop::option::of(of(values, depth - 1))
                    .prop_map(|value| match value {
                        Some(value) => json!({ "k": value }),
                        None => json!({}),
                    })
                    .boxed(),
                Additional::None | Additional::Any => {
                    let fields: Vec<_> = schema
                        .properties
                        .iter()
                        .filter(|(name, _)| {
                            !matches!(name.as_str(), "apiVersion" | "kind" | "metadata")
                        })
                        .map(|(name, property)| {
                            let value = prop::option::weighted(0.3, of(property, depth - 1));
                            (Just(name.clone()), value)
                        })
                        .collect();
                    fields
                        .prop_map(|fields| {
                            let given = fields
                                .into_iter()
                                .filter_map(|(name, value)| Some((name, value?)));
                            Value::Object(given.collect())
                        })
                        .boxed()
                }
            },
        }
    }
    of(crate::schema::definitions().get(definition).unwrap(), 7)
}

fn check_idempotent(path: &str, object: Value) -> Result<(), TestCaseError> {
    let resource = resource(path);
    let mut once = object;
    prop_assume!(check(&resource, &mut once, FieldValidation::Ignore, &[]).is_ok());
    apply(&resource, &mut once);
    let mut twice = once.clone();
    apply(&resource, &mut twice);
    prop_assert_eq!(&once, &twice, "defaulting twice is defaulting once");
    let mut decoded = once.clone();
    check(&resource, &mut decoded, FieldValidation::Strict, &[]).unwrap();
    prop_assert_eq!(
        once,
        decoded,
        "what defaulting makes is what the server writes"
    );
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn pods_twice(object in any_object("io.k8s.api.core.v1.Pod")) {
        check_idempotent(" v1 pods", object)?;
    }

    #[test]
    fn services_twice(object in any_object("io.k8s.api.core.v1.Service")) {
        check_idempotent(" v1 services", object)?;
    }

    #[test]
    fn persistent_volumes_twice(object in any_object("io.k8s.api.core.v1.PersistentVolume")) {
        check_idempotent(" v1 persistentvolumes", object)?;
    }

    #[test]
    fn stateful_sets_twice(object in any_object("io.k8s.api.apps.v1.StatefulSet")) {
        check_idempotent("apps v1 statefulsets", object)?;
    }

    #[test]
    fn webhooks_twice(object in any_object("io.k8s.api.admissionregistration.v1.MutatingWebhookConfiguration")) {
        check_idempotent("admissionregistration.k8s.io v1 mutatingwebhookconfigurations", object)?;
    }

    #[test]
    fn network_policies_twice(object in any_object("io.k8s.api.networking.v1.NetworkPolicy")) {
        check_idempotent("networking.k8s.io v1 networkpolicies", object)?;
    }

    #[test]
    fn limit_ranges_twice(object in any_object("io.k8s.api.core.v1.LimitRange")) {
        check_idempotent(" v1 limitranges", object)?;
    }
}
