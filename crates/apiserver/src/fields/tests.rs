use super::*;
use crate::registry::Registry;

fn resource(path: &str) -> Resource {
    let mut parts = path.split(' ');
    let mut part = || parts.next().unwrap();
    let resources = Registry::kubernetes().resources();
    let found = resources.get(part(), part(), part()).unwrap();
    Resource::clone(found)
}

#[track_caller]
fn check_decodes(path: &str, sent: Value, expected: Value) {
    let resource = resource(path);
    let mut object = sent;
    let warnings = check(&resource, &mut object, FieldValidation::Strict, &[]).unwrap();
    assert_eq!(warnings, Vec::<String>::new());
    assert_eq!(object, expected);
    let once = object.clone();
    check(&resource, &mut object, FieldValidation::Strict, &[]).unwrap();
    assert_eq!(object, once, "decoding is idempotent");
}

#[track_caller]
fn check_refuses(path: &str, mut sent: Value, expected: &str) {
    let error = check(&resource(path), &mut sent, FieldValidation::Warn, &[]).unwrap_err();
    assert_eq!(error.to_string(), expected);
    assert_eq!(error.code(), 400);
}

#[test]
fn a_typed_server_writes_what_it_holds_not_what_it_was_sent() {
    check_decodes(
        " v1 configmaps",
        json!({"metadata": {"name": "a", "labels": {}, "creationTimestamp": null}, "data": {}}),
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}),
    );
    check_decodes(
        "apps v1 replicasets",
        json!({"metadata": {"name": "a"}, "spec": {"replicas": 0, "minReadySeconds": 0}}),
        json!({
            "apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "a"},
            "spec": {
                "replicas": 0,
                "template": {"metadata": {}, "spec": {"containers": null}},
            },
            "status": {"replicas": 0},
        }),
    );
}

#[test]
fn quantities_and_times_take_their_canonical_form() {
    check_decodes(
        " v1 pods",
        json!({"spec": {"containers": [{
            "name": "c",
            "env": [{"name": "E", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}}],
            "resources": {"limits": {"cpu": 0.5, "memory": "1024Mi"}},
        }]}, "status": {
            "startTime": "2024-05-01T14:00:00.5+02:00",
            "conditions": [{"type": "Ready", "status": "True"}],
        }}),
        json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {},
            "spec": {"containers": [{
                "name": "c",
                "env": [{"name": "E", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "0"}}}],
                "resources": {"limits": {"cpu": "500m", "memory": "1Gi"}},
            }]},
            "status": {
                "startTime": "2024-05-01T12:00:00Z",
                "conditions": [{"type": "Ready", "status": "True", "lastProbeTime": null, "lastTransitionTime": null}],
            },
        }),
    );
    check_decodes(
        "coordination.k8s.io v1 leases",
        json!({"spec": {"renewTime": "2024-05-01T12:00:00.5Z", "leaseTransitions": 0}}),
        json!({
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {},
            "spec": {"renewTime": "2024-05-01T12:00:00.500000Z", "leaseTransitions": 0},
        }),
    );
}

#[test]
fn values_of_the_wrong_type_are_refused() {
    check_refuses(
        " v1 configmaps",
        json!({"metadata": {"name": true}}),
        "ConfigMap in version \"v1\" cannot be handled as a ConfigMap: json: cannot unmarshal bool into Go struct field ObjectMeta.metadata.name of type string",
    );
    check_refuses(
        "apps v1 deployments",
        json!({"spec": {"replicas": 1.5}}),
        "Deployment in version \"v1\" cannot be handled as a Deployment: json: cannot unmarshal number 1.5 into Go struct field DeploymentSpec.spec.replicas of type int32",
    );
    check_refuses(
        " v1 pods",
        json!({"spec": {"containers": {}}}),
        "Pod in version \"v1\" cannot be handled as a Pod: json: cannot unmarshal object into Go struct field PodSpec.spec.containers of type []v1.Container",
    );
    check_refuses(
        " v1 secrets",
        json!({"data": {"k": "no base64"}}),
        "Secret in version \"v1\" cannot be handled as a Secret: illegal base64 data at input byte 2",
    );
}

#[test]
fn objects_of_another_kind_or_version_are_refused() {
    check_refuses(
        " v1 configmaps",
        json!({"apiVersion": "v1", "kind": "Secret"}),
        "Secret in version \"v1\" cannot be handled as a ConfigMap: converting (v1.Secret) to (core.ConfigMap): unknown conversion",
    );
    check_refuses(
        " v1 configmaps",
        json!({"apiVersion": "apps/v1", "kind": "ConfigMap"}),
        "ConfigMap in version \"v1\" cannot be handled as a ConfigMap: no kind \"ConfigMap\" is registered for version \"apps/v1\" in scheme \"k8s.io/kubernetes/pkg/api/legacyscheme/scheme.go:30\"",
    );
    check_refuses(
        " v1 configmaps",
        json!({"kind": 5}),
        "ConfigMap in version \"v1\" cannot be handled as a ConfigMap: couldn't get version/kind; json parse error: json: cannot unmarshal number into Go struct field .kind of type string",
    );
    check_refuses(
        "autoscaling v1 horizontalpodautoscalers",
        json!({"apiVersion": "autoscaling/v2"}),
        "the API version in the data (autoscaling/v2) does not match the expected API version (autoscaling/v1)",
    );
}

#[test]
fn unknown_fields_are_dropped_and_told() {
    let pods = resource(" v1 pods");
    let sent = json!({"spec": {"extra": 2, "containers": [{"name": "c", "bogus": 1}]}});
    let mut object = sent.clone();
    let warnings = check(&pods, &mut object, FieldValidation::Warn, &[]).unwrap();
    assert_eq!(
        warnings,
        [
            "unknown field \"spec.containers[0].bogus\"",
            "unknown field \"spec.extra\"",
        ]
    );
    assert_eq!(object["spec"]["extra"], Value::Null);
    let warnings = check(&pods, &mut sent.clone(), FieldValidation::Ignore, &[]).unwrap();
    assert_eq!(warnings, Vec::<String>::new());
    let error = check(&pods, &mut sent.clone(), FieldValidation::Strict, &[]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "Pod in version \"v1\" cannot be handled as a Pod: strict decoding error: unknown field \"spec.containers[0].bogus\", unknown field \"spec.extra\""
    );
    let error = check_patched(&pods, &mut sent.clone(), FieldValidation::Strict, "{}").unwrap_err();
    assert_eq!(error.code(), 422);
}

#[test]
fn fields_that_stand_twice_are_told() {
    let duplicates = ["data.k".to_owned(), "data".to_owned()];
    let mut object = json!({"metadata": {"name": "a"}});
    let maps = resource(" v1 configmaps");
    let error = check(&maps, &mut object, FieldValidation::Strict, &duplicates).unwrap_err();
    assert_eq!(
        error.to_string(),
        "ConfigMap in version \"v1\" cannot be handled as a ConfigMap: strict decoding error: duplicate field \"data.k\", duplicate field \"data\""
    );
}
