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

fn created(path: &str, object: Value) -> Value {
    let resource = resource(path);
    let mut object = object;
    check(&resource, &mut object, FieldValidation::Strict, &[]).unwrap();
    defaults::apply(&resource, &mut object);
    object["metadata"]["uid"] = "u".into();
    prepare_for_create(&resource, &mut object);
    object
}

fn updated(
    path: &str,
    old: &Value,
    subresource: Option<&str>,
    change: impl FnOnce(&mut Value),
) -> Value {
    let mut new = old.clone();
    change(&mut new);
    prepare_for_update(&resource(path), &mut new, old, subresource);
    new
}

#[test]
fn a_new_object_has_the_status_of_a_new_object() {
    let sets = created(
        "apps v1 replicasets",
        json!({"metadata": {"name": "r"}, "status": {"replicas": 3}}),
    );
    assert_eq!(sets["status"], json!({"replicas": 0}));
    assert_eq!(sets["metadata"]["generation"], 1);
    let pod = created(
        " v1 pods",
        json!({"metadata": {"name": "p"}, "spec": {"containers": []}, "status": {"phase": "Running"}}),
    );
    assert_eq!(
        pod["status"],
        json!({"phase": "Pending", "qosClass": "BestEffort"})
    );
    let service = created(" v1 services", json!({"metadata": {"name": "s"}}));
    assert_eq!(service["status"], json!({"loadBalancer": {}}));
    assert_eq!(service["metadata"].get("generation"), None);
    let node = created(
        " v1 nodes",
        json!({"metadata": {"name": "n"}, "status": {"phase": "Running"}}),
    );
    assert_eq!(node["status"]["phase"], "Running");
    let map = created(
        " v1 configmaps",
        json!({"metadata": {"name": "c", "generation": 9}}),
    );
    assert_eq!(
        map["metadata"]["generation"], 9,
        "kinds without a generation do not touch it"
    );
}

#[test]
fn the_generation_counts_changes_of_what_is_wanted() {
    let path = "apps v1 deployments";
    let old = created(
        path,
        json!({"metadata": {"name": "d"}, "spec": {"replicas": 1}}),
    );
    let generation = |object: &Value| object["metadata"]["generation"].as_i64().unwrap();
    assert_eq!(
        generation(&updated(path, &old, None, |d| d["spec"]["replicas"] = 2.into())),
        2
    );
    assert_eq!(
        generation(&updated(path, &old, None, |d| d["metadata"]["labels"] =
            json!({"a": "b"}))),
        1
    );
    assert_eq!(
        generation(&updated(
            path,
            &old,
            None,
            |d| d["metadata"]["generation"] = 7.into()
        )),
        1
    );
    assert_eq!(
        generation(&updated(
            path,
            &old,
            Some("status"),
            |d| d["spec"]["replicas"] = 2.into()
        )),
        1
    );
}

#[test]
fn either_endpoint_leaves_the_part_of_the_other_alone() {
    let path = "apps v1 replicasets";
    let old = created(
        path,
        json!({"metadata": {"name": "d"}, "spec": {"replicas": 1}}),
    );
    let change = |object: &mut Value| {
        object["spec"]["replicas"] = 5.into();
        object["status"]["replicas"] = 5.into();
        object["metadata"]["labels"] = json!({"a": "b"});
    };
    let main = updated(path, &old, None, change);
    assert_eq!(
        (&main["spec"]["replicas"], &main["status"]["replicas"]),
        (&json!(5), &json!(0))
    );
    let status = updated(path, &old, Some("status"), change);
    assert_eq!(
        (&status["spec"]["replicas"], &status["status"]["replicas"]),
        (&json!(1), &json!(5))
    );
    assert_eq!(status["metadata"]["labels"], json!({"a": "b"}));
}

#[test]
fn jobs_know_their_pods_by_their_uid() {
    let job = created(
        "batch v1 jobs",
        json!({"metadata": {"name": "j"}, "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": []}}}}),
    );
    let labels = json!({
        "batch.kubernetes.io/controller-uid": "u", "batch.kubernetes.io/job-name": "j",
        "controller-uid": "u", "job-name": "j",
    });
    assert_eq!(job["metadata"]["labels"], labels);
    assert_eq!(job["spec"]["template"]["metadata"]["labels"], labels);
    assert_eq!(
        job["spec"]["selector"],
        json!({"matchLabels": {"batch.kubernetes.io/controller-uid": "u"}})
    );
}

#[test]
fn a_pod_keeps_its_quality_of_service() {
    let old = created(
        " v1 pods",
        json!({"metadata": {"name": "p"}, "spec": {"containers": []}}),
    );
    let new = updated(" v1 pods", &old, Some("status"), |pod| {
        pod["status"] = json!({"phase": "Running"});
        pod["metadata"]["ownerReferences"] = json!([{"uid": "x"}]);
    });
    assert_eq!(
        new["status"],
        json!({"phase": "Running", "qosClass": "BestEffort"})
    );
    assert_eq!(new["metadata"].get("ownerReferences"), None);
}

#[test]
fn references_to_one_owner_are_united() {
    let reference = json!({"kind": "ConfigMap", "name": "x", "uid": "1"});
    let mut object = json!({"metadata": {"ownerReferences": [reference, reference]}});
    let warnings = review(&resource(" v1 configmaps"), &mut object);
    assert_eq!(object["metadata"]["ownerReferences"], json!([reference]));
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].ends_with("duplicate UID(s) observed: 1"));
}

#[test]
fn namespaces_are_held_by_their_finalizer_which_an_update_cannot_take() {
    let old = created(" v1 namespaces", json!({"metadata": {"name": "n"}}));
    assert_eq!(old["spec"], json!({"finalizers": ["kubernetes"]}));
    let new = updated(" v1 namespaces", &old, None, |n| n["spec"] = json!({}));
    assert_eq!(new["spec"], old["spec"]);
    let new = updated(" v1 namespaces", &old, Some("finalize"), |n| {
        n["spec"] = json!({});
    });
    assert_eq!(new["spec"], json!({}));
}
