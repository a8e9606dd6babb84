use serde_json::json;

use super::*;
use crate::defaults;
use crate::fields::{FieldValidation, check};
use crate::registry::Registry;

fn resource(path: &str) -> Resource {
    let parts: Vec<&str> = path.split(' ').collect();
    let resources = Registry::kubernetes().resources();
    Resource::clone(resources.get(parts[0], parts[1], parts[2]).unwrap())
}

/// An object as it is after decoding and defaulting.
fn decoded(path: &str, mut object: Value) -> Value {
    let resource = resource(path);
    check(&resource, &mut object, FieldValidation::Strict, &[]).unwrap();
    if resource.namespaced {
        object["metadata"]["namespace"] = "ns".into();
    }
    defaults::apply(&resource, &mut object);
    object
}

fn shown(causes: &[Cause]) -> Vec<String> {
    causes
        .iter()
        .map(|cause| format!("{}: {}", cause.field, cause.message))
        .collect()
}

#[track_caller]
fn check_create(path: &str, object: Value, expected: &[&str]) {
    let object = decoded(path, object);
    assert_eq!(shown(&create(&resource(path), &object)), expected);
}

#[track_caller]
fn check_update(path: &str, old: Value, change: impl FnOnce(&mut Value), expected: &[&str]) {
    let old = decoded(path, old);
    let mut new = old.clone();
    change(&mut new);
    assert_eq!(shown(&update(&resource(path), &new, &old, None)), expected);
}

fn pod(spec: Value) -> Value {
    json!({"metadata": {"name": "p"}, "spec": spec})
}

fn set(selector: Value, template: Value) -> Value {
    json!({"metadata": {"name": "d"}, "spec": {"selector": selector, "template": template}})
}

fn template(labels: Value) -> Value {
    json!({"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "i"}]}})
}

#[test]
fn names_and_labels() {
    check_create(
        " v1 configmaps",
        json!({"metadata": {"name": "Bad_Name"}}),
        &[
            "metadata.name: Invalid value: \"Bad_Name\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
        ],
    );
    check_create(
        " v1 configmaps",
        json!({"metadata": {"name": "a", "labels": {"ok": "not ok!"}}}),
        &[
            "metadata.labels: Invalid value: \"not ok!\": a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')",
        ],
    );
    check_create(
        " v1 configmaps",
        json!({"metadata": {"name": "x-abcde", "generateName": "x-"}}),
        &[],
    );
    let clusterroles = "rbac.authorization.k8s.io v1 clusterroles";
    check_create(clusterroles, json!({"metadata": {"name": "system:x"}}), &[]);
}

#[test]
fn owner_references() {
    let reference = |kind: &str, name: &str, uid: &str| json!({"apiVersion": "v1", "kind": kind, "name": name, "uid": uid});
    let with =
        |references: Value| json!({"metadata": {"name": "a", "ownerReferences": references}});
    check_create(
        " v1 configmaps",
        with(json!([reference("ConfigMap", "x", "")])),
        &["metadata.ownerReferences.uid: Invalid value: \"\": must not be empty"],
    );
    check_create(
        " v1 configmaps",
        with(json!([reference("Event", "x", "1")])),
        &[
            "metadata.ownerReferences: Invalid value: {\"apiVersion\":\"v1\",\"kind\":\"Event\",\"name\":\"x\",\"uid\":\"1\"}: /v1, Kind=Event is disallowed from being an owner",
        ],
    );
    let mut first = reference("ConfigMap", "x", "1");
    first["controller"] = true.into();
    let mut second = reference("ConfigMap", "y", "2");
    second["controller"] = true.into();
    check_create(
        " v1 configmaps",
        with(json!([first, second])),
        &[
            "metadata.ownerReferences: Invalid value: [{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"name\":\"x\",\"uid\":\"1\",\"controller\":true},{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"name\":\"y\",\"uid\":\"2\",\"controller\":true}]: Only one reference can have Controller set to true. Found \"true\" in references for ConfigMap/x and ConfigMap/y",
        ],
    );
}

#[test]
fn metadata_that_cannot_change() {
    let map = json!({"metadata": {"name": "a", "uid": "1"}});
    let immutable = "metadata.uid: Invalid value: \"2\": field is immutable";
    check_update(
        " v1 configmaps",
        map,
        |map| map["metadata"]["uid"] = "2".into(),
        &[immutable, immutable],
    );
    let dying = json!({"metadata": {"name": "a", "finalizers": ["x/f"], "deletionTimestamp": "2024-05-01T12:00:00Z"}});
    let forbidden = "metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{\"x/g\"}";
    check_update(
        " v1 configmaps",
        dying,
        |map| map["metadata"]["finalizers"] = json!(["x/f", "x/g"]),
        &[forbidden, forbidden],
    );
}

#[test]
fn what_the_schema_requires_and_enumerates() {
    check_create(
        " v1 pods",
        pod(json!({})),
        &["spec.containers: Required value"],
    );
    check_create(
        " v1 pods",
        pod(json!({"containers": [{"name": "c", "image": "i"}], "dnsPolicy": "Never"})),
        &[
            "spec.dnsPolicy: Unsupported value: \"Never\": supported values: \"ClusterFirst\", \"ClusterFirstWithHostNet\", \"Default\", \"None\"",
        ],
    );
    check_create(
        "networking.k8s.io v1 networkpolicies",
        json!({"metadata": {"name": "n"}, "spec": {"podSelector": {}}}),
        &[],
    );
    check_create(
        "storage.k8s.io v1 csinodes",
        json!({"metadata": {"name": "n"}, "spec": {"drivers": null}}),
        &[],
    );
}

#[test]
fn containers() {
    for (containers, expected) in [
        (
            json!([{"name": "c"}]),
            "spec.containers[0].image: Required value",
        ),
        (
            json!([{"image": "i"}]),
            "spec.containers[0].name: Required value",
        ),
        (
            json!([{"name": "c", "image": "i"}, {"name": "c", "image": "i"}]),
            "spec.containers[1].name: Duplicate value: \"c\"",
        ),
        (
            json!([{"name": "c", "image": "i", "ports": [{"containerPort": 70000}]}]),
            "spec.containers[0].ports[0].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive",
        ),
        (
            json!([{"name": "c", "image": "i", "volumeMounts": [{"name": "v", "mountPath": "/v"}]}]),
            "spec.containers[0].volumeMounts[0].name: Not found: \"v\"",
        ),
        (
            json!([{"name": "c", "image": "i", "resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}}]),
            "spec.containers[0].resources.requests: Invalid value: \"2\": must be less than or equal to cpu limit of 1",
        ),
        (
            json!([{"name": "c", "image": "i", "livenessProbe": {}}]),
            "spec.containers[0].livenessProbe: Required value: must specify a handler type",
        ),
    ] {
        check_create(
            " v1 pods",
            pod(json!({"containers": containers})),
            &[expected],
        );
    }
}

#[test]
fn a_pod_changes_little() {
    let old = || pod(json!({"containers": [{"name": "c", "image": "i:1"}]}));
    let path = " v1 pods";
    check_update(
        path,
        old(),
        |p| p["spec"]["containers"][0]["image"] = "i:2".into(),
        &[],
    );
    check_update(
        path,
        old(),
        |p| p["spec"]["activeDeadlineSeconds"] = 5.into(),
        &[],
    );
    check_update(
        path,
        old(),
        |p| {
            p["spec"]["tolerations"]
                .as_array_mut()
                .unwrap()
                .push(json!({"operator": "Exists"}));
        },
        &[],
    );
    for change in [
        |p: &mut Value| p["spec"]["restartPolicy"] = "Never".into(),
        |p: &mut Value| p["spec"]["nodeName"] = "n".into(),
        |p: &mut Value| p["spec"]["tolerations"] = json!([]),
    ] {
        let old = decoded(path, old());
        let mut new = old.clone();
        change(&mut new);
        let causes = update(&resource(path), &new, &old, None);
        assert_eq!(causes.len(), 1);
        assert!(
            causes[0]
                .message
                .starts_with("Forbidden: pod updates may not change fields other than")
        );
    }
}

#[test]
fn workloads_select_what_they_make() {
    let path = "apps v1 deployments";
    let mismatch = "`selector` does not match template `labels`";
    check_create(
        path,
        set(
            json!({"matchLabels": {"app": "d"}}),
            template(json!({"app": "d"})),
        ),
        &[],
    );
    check_create(
        path,
        set(
            json!({"matchLabels": {"app": "other"}}),
            template(json!({"app": "d"})),
        ),
        &[&format!(
            "spec.template.metadata.labels: Invalid value: {{\"app\":\"d\"}}: {mismatch}"
        )],
    );
    check_create(
        path,
        json!({"metadata": {"name": "d"}, "spec": {"template": {"spec": {"containers": [{"name": "c", "image": "i"}]}}}}),
        &[
            "spec.selector: Required value",
            &format!("spec.template.metadata.labels: Invalid value: null: {mismatch}"),
        ],
    );
    check_create(
        "apps v1 replicasets",
        set(json!({}), template(json!({"app": "d"}))),
        &["spec.selector: Invalid value: {}: empty selector is invalid for deployment"],
    );
    check_update(
        path,
        set(
            json!({"matchLabels": {"app": "d"}}),
            template(json!({"app": "d"})),
        ),
        |d| d["spec"]["replicas"] = (-1).into(),
        &["spec.replicas: Invalid value: -1: must be greater than or equal to 0"],
    );
    check_update(
        path,
        set(
            json!({"matchLabels": {"app": "d"}}),
            template(json!({"app": "d", "x": "y"})),
        ),
        |d| d["spec"]["selector"] = json!({"matchLabels": {"x": "y"}}),
        &["spec.selector: Invalid value: {\"matchLabels\":{\"x\":\"y\"}}: field is immutable"],
    );
}

#[test]
fn the_counts_of_a_replica_set_fit_together() {
    let mut object = json!({"metadata": {"name": "r", "namespace": "ns"}, "status": {"replicas": 1, "readyReplicas": 2}});
    let old = object.clone();
    let sets = resource("apps v1 replicasets");
    let causes = update(&sets, &object, &old, Some("status"));
    assert_eq!(
        shown(&causes),
        ["status.readyReplicas: Invalid value: 2: cannot be greater than status.replicas"]
    );
    object["status"] = json!({"replicas": 2, "readyReplicas": 2, "availableReplicas": 1, "fullyLabeledReplicas": 2});
    assert_eq!(update(&sets, &object, &old, Some("status")), []);
}

#[test]
fn secrets_and_config_maps() {
    let frozen = "Forbidden: field is immutable when `immutable` is set";
    let secret = || json!({"metadata": {"name": "s"}, "immutable": true, "data": {"b": "eA=="}});
    check_update(
        " v1 secrets",
        secret(),
        |s| s["data"]["b"] = "eQ==".into(),
        &[&format!("data: {frozen}")],
    );
    check_update(
        " v1 secrets",
        secret(),
        |s| s["type"] = "x/y".into(),
        &["type: Invalid value: \"x/y\": field is immutable"],
    );
    check_create(
        " v1 secrets",
        json!({"metadata": {"name": "s"}, "type": "kubernetes.io/tls", "data": {"tls.crt": ""}}),
        &["data[tls.key]: Required value"],
    );
    check_create(
        " v1 configmaps",
        json!({"metadata": {"name": "c"}, "data": {"k": "x".repeat(1024 * 1024 + 1)}}),
        &[": Too long: may not be more than 1048576 bytes"],
    );
}

#[test]
fn services_events_and_leases() {
    check_create(
        " v1 services",
        json!({"metadata": {"name": "s"}}),
        &["spec.ports: Required value"],
    );
    check_create(
        " v1 services",
        json!({"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}, {"port": 81, "name": "b"}]}}),
        &["spec.ports[0].name: Required value"],
    );
    check_create(
        " v1 events",
        json!({"metadata": {"name": "e"}, "involvedObject": {"namespace": "elsewhere"}}),
        &["involvedObject.namespace: Invalid value: \"elsewhere\": does not match event.namespace"],
    );
    check_create(
        "events.k8s.io v1 events",
        json!({"metadata": {"name": "e"}, "regarding": {"namespace": "ns"}}),
        &[
            "eventTime: Required value",
            "type: Invalid value: \"\": has invalid value: ",
        ],
    );
    check_create(
        "coordination.k8s.io v1 leases",
        json!({"metadata": {"name": "l"}, "spec": {"leaseDurationSeconds": 0, "leaseTransitions": -1}}),
        &[
            "spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0",
            "spec.leaseTransitions: Invalid value: -1: must be greater than or equal to 0",
        ],
    );
}

#[test]
fn jobs() {
    let job = |policy: &str| {
        json!({"metadata": {"name": "j"}, "spec": {"template": {"spec": {
            "restartPolicy": policy, "containers": [{"name": "c", "image": "i"}],
        }}}})
    };
    let path = "batch v1 jobs";
    check_create(
        path,
        job("Always"),
        &[
            "spec.template.spec.restartPolicy: Unsupported value: \"Always\": supported values: \"OnFailure\", \"Never\"",
        ],
    );
    check_create(path, job("Never"), &[]);
    check_update(
        path,
        job("Never"),
        |j| j["spec"]["suspend"] = true.into(),
        &[],
    );
    check_update(
        path,
        job("Never"),
        |j| j["spec"]["completions"] = 2.into(),
        &["spec.completions: Invalid value: 2: field is immutable"],
    );
}
