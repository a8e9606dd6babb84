//! The manifest beside the program grants what the controller uses, and nothing else.

use std::collections::BTreeSet;

use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding};
use kube_client::api::DeleteParams;
use serde_json::{Value, json};

use crate::lab::{Lab, matching_pod, new_set};

/// A verb on a resource, as in `list apps/replicasets`.
type Right = String;

fn manifest() -> Vec<Value> {
    let text = include_str!("../../rbac.yaml");
    let documents = text.split("\n---\n");
    documents
        .map(|it| serde_saphyr::from_str(it).unwrap())
        .collect()
}

fn of_kind<T: serde::de::DeserializeOwned>(kind: &str) -> T {
    let document = manifest().into_iter().find(|it| it["kind"] == kind);
    serde_json::from_value(document.unwrap()).unwrap()
}

fn granted() -> BTreeSet<Right> {
    let role: ClusterRole = of_kind("ClusterRole");
    let mut rights = BTreeSet::new();
    for rule in role.rules.unwrap() {
        for group in rule.api_groups.unwrap() {
            for resource in rule.resources.as_ref().unwrap() {
                for verb in &rule.verbs {
                    let slash = if group.is_empty() { "" } else { "/" };
                    rights.insert(format!("{verb} {group}{slash}{resource}"));
                }
            }
        }
    }
    rights
}

/// What the controller asks for in a life that has everything in it.
async fn used() -> BTreeSet<Right> {
    let lab = Lab::new();
    let running = lab.start();
    lab.create_set(&new_set("rs", 3)).await;
    lab.stable("rs").await;
    // Adoption, and one too many.
    lab.create_pod(&matching_pod("orphan")).await;
    lab.until_pods(3).await;
    // Release, and one too few.
    let stray = lab.all_pods().await.remove(0);
    lab.change_pod(&stray, json!({"metadata": {"labels": {"name": "stray"}}}))
        .await;
    lab.until_pods(4).await;
    // The same news twice, so that an event is counted up.
    for pod in lab.all_pods().await {
        let cost = json!({"controller.kubernetes.io/pod-deletion-cost": "10"});
        let change = json!({"metadata": {"annotations": cost}});
        lab.change_pod(&pod, change).await;
    }
    for _ in 0..2 {
        lab.create_pod(&matching_pod("again")).await;
        lab.until("the one that costs least goes", async || {
            let pod = lab.pods().get_opt("again").await.unwrap();
            pod.is_none().then_some(())
        })
        .await;
    }
    lab.sets()
        .delete("rs", &DeleteParams::default())
        .await
        .unwrap();
    lab.until_pods(1).await;
    running.stop().await;
    let asked = lab.wire.asked().into_iter();
    let rights = asked.map(|asked| format!("{} {}", asked.verb, asked.resource));
    let rights = rights.collect();
    lab.finish().await;
    rights
}

#[tokio::test(start_paused = true)]
async fn the_manifest_grants_what_is_used_and_nothing_else() {
    let (granted, used) = (granted(), used().await);
    let missing: Vec<_> = used.difference(&granted).collect();
    assert!(missing.is_empty(), "used, but not granted: {missing:?}");

    let unused: BTreeSet<_> = granted.difference(&used).map(String::as_str).collect();
    // Lists are what is fallen back to where a server does not stream them, and finalizers are
    // looked at by an admission plugin.
    let excused = BTreeSet::from([
        "list apps/replicasets",
        "list pods",
        "update apps/replicasets/finalizers",
    ]);
    let unexcused: Vec<_> = unused.difference(&excused).collect();
    assert!(unexcused.is_empty(), "granted, but not used: {unexcused:?}");
}

#[test]
fn the_role_is_bound_to_the_account() {
    let binding: ClusterRoleBinding = of_kind("ClusterRoleBinding");
    let role: ClusterRole = of_kind("ClusterRole");
    let account: Value = of_kind("ServiceAccount");
    assert_eq!(Some(&binding.role_ref.name), role.metadata.name.as_ref());
    let subject = &binding.subjects.unwrap()[0];
    assert_eq!(json!(subject.name), account["metadata"]["name"]);
    assert_eq!(json!(subject.namespace), account["metadata"]["namespace"]);
}
