//! kube-client 5.0: typed and untyped objects through `Api`.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Node, Pod, ServiceAccount};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube_client::api::{
    ApiResource, DeleteParams, DynamicObject, EvictParams, ListParams, Patch, PatchParams,
    PostParams, Preconditions, PropagationPolicy, WatchEvent, WatchParams,
};
use kube_client::core::GroupVersionKind;
use kube_client::{Api, Discovery, Error, ResourceExt};
use kubewright_apiserver::faults::{Fault, Rule, Verb};
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::Cluster;

fn typed<K: DeserializeOwned>(value: serde_json::Value) -> K {
    serde_json::from_value(value).unwrap()
}

fn config_map(name: &str, value: &str) -> ConfigMap {
    typed(json!({ "metadata": { "name": name }, "data": { "k": value } }))
}

fn deployment(name: &str) -> Deployment {
    typed(json!({
        "metadata": { "name": name },
        "spec": {
            "replicas": 2,
            "selector": { "matchLabels": { "app": name } },
            "template": {
                "metadata": { "labels": { "app": name } },
                "spec": { "containers": [
                    { "name": "a", "image": "a:1" }, { "name": "b", "image": "b:1" },
                ] },
            },
        },
    }))
}

fn pod(name: &str) -> Pod {
    typed(json!({
        "metadata": { "name": name },
        "spec": { "containers": [{ "name": "c", "image": "i" }] },
    }))
}

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, Error>, code: u16, reason: &str) {
    match result {
        Err(Error::Api(status)) => {
            assert_eq!((status.code, status.reason.as_str()), (code, reason));
        }
        other => panic!("expected {code} {reason}, got {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn objects_are_created_read_changed_and_deleted() {
    let cluster = Cluster::new();
    let api: Api<ConfigMap> = Api::default_namespaced(cluster.client.clone());
    let post = PostParams::default();
    let mut created = api.create(&post, &config_map("a", "1")).await.unwrap();
    assert_eq!(created.namespace().as_deref(), Some("default"));
    assert!(created.uid().is_some() && created.creation_timestamp().is_some());
    refused(
        api.create(&post, &config_map("a", "1")).await,
        409,
        "AlreadyExists",
    );
    assert_eq!(api.get("a").await.unwrap(), created);

    created.data = Some(BTreeMap::from([("k".to_owned(), "2".to_owned())]));
    let replaced = api.replace("a", &post, &created).await.unwrap();
    assert_ne!(replaced.resource_version(), created.resource_version());
    refused(api.replace("a", &post, &created).await, 409, "Conflict");

    let dry = PostParams {
        dry_run: true,
        ..post.clone()
    };
    api.create(&dry, &config_map("b", "1")).await.unwrap();
    assert_eq!(api.get_opt("b").await.unwrap(), None);

    let wrong = DeleteParams::default().preconditions(Preconditions {
        uid: Some("other".to_owned()),
        resource_version: None,
    });
    refused(api.delete("a", &wrong).await, 409, "Conflict");
    let deleted = api.delete("a", &DeleteParams::default()).await.unwrap();
    assert!(deleted.right().unwrap().is_success());
    refused(api.get("a").await, 404, "NotFound");
}

#[tokio::test(start_paused = true)]
async fn lists_come_in_pages_and_by_selector() {
    let cluster = Cluster::new();
    let api: Api<ConfigMap> = Api::namespaced(cluster.client.clone(), "kube-public");
    for number in 0..25 {
        let mut object = config_map(&format!("c{number:02}"), "x");
        object
            .labels_mut()
            .insert("parity".to_owned(), (number % 2).to_string());
        api.create(&PostParams::default(), &object).await.unwrap();
    }
    let odd = ListParams::default().labels("parity=1");
    let mut names = Vec::new();
    let mut page = odd.clone().limit(5);
    let mut versions = Vec::new();
    loop {
        let list = api.list(&page).await.unwrap();
        assert!(list.items.len() <= 5);
        versions.push(list.metadata.resource_version.clone());
        names.extend(list.items.iter().map(ResourceExt::name_any));
        match list.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => page = odd.clone().limit(5).continue_token(&token),
            None => break,
        }
    }
    let expected: Vec<String> = (0..25)
        .skip(1)
        .step_by(2)
        .map(|n| format!("c{n:02}"))
        .collect();
    assert_eq!(names, expected);
    versions.dedup();
    assert_eq!(versions.len(), 1, "all pages show one moment");

    let one = ListParams::default().fields("metadata.name=c07");
    assert_eq!(api.list(&one).await.unwrap().items.len(), 1);
    let metadata = api.list_metadata(&odd).await.unwrap();
    assert_eq!(metadata.items.len(), 12);

    let even = ListParams::default().labels("parity=0");
    api.delete_collection(&DeleteParams::default(), &even)
        .await
        .unwrap();
    let left = api
        .list(&ListParams::default().labels("parity"))
        .await
        .unwrap();
    assert_eq!(left.items.len(), 12);
}

#[tokio::test(start_paused = true)]
async fn patches_of_all_kinds() {
    let cluster = Cluster::new();
    let api: Api<Deployment> = Api::default_namespaced(cluster.client.clone());
    api.create(&PostParams::default(), &deployment("web"))
        .await
        .unwrap();
    let parameters = PatchParams::default();
    let images = |deployment: &Deployment| -> Vec<String> {
        let spec = deployment.spec.clone().unwrap().template.spec.unwrap();
        spec.containers
            .into_iter()
            .filter_map(|container| container.image)
            .collect()
    };

    let strategic = json!({ "spec": { "template": { "spec": {
        "containers": [{ "name": "b", "image": "b:2" }],
    } } } });
    let patched = api
        .patch("web", &parameters, &Patch::Strategic(strategic))
        .await
        .unwrap();
    assert_eq!(images(&patched), ["a:1", "b:2"]);
    assert_eq!(patched.metadata.generation, Some(2));

    let merge = json!({ "metadata": { "labels": { "x": "y" } }, "spec": { "replicas": 3 } });
    let patched = api
        .patch("web", &parameters, &Patch::Merge(merge))
        .await
        .unwrap();
    assert_eq!(patched.labels()["x"], "y");
    assert_eq!(patched.spec.as_ref().unwrap().replicas, Some(3));

    let json_patch = json!([
        { "op": "test", "path": "/spec/replicas", "value": 3 },
        { "op": "replace", "path": "/spec/replicas", "value": 4 },
    ]);
    let json_patch: json_patch::Patch = typed(json_patch);
    let json_patch = Patch::<()>::Json(json_patch);
    let patched = api.patch("web", &parameters, &json_patch).await.unwrap();
    assert_eq!(patched.spec.unwrap().replicas, Some(4));
    let again = api.patch("web", &parameters, &json_patch).await;
    refused(again, 422, "Invalid");
}

#[tokio::test(start_paused = true)]
async fn status_and_scale() {
    let cluster = Cluster::new();
    let api: Api<ReplicaSet> = Api::default_namespaced(cluster.client.clone());
    let set: ReplicaSet = typed(json!({
        "metadata": { "name": "web" },
        "spec": {
            "replicas": 2,
            "selector": { "matchLabels": { "app": "web" } },
            "template": {
                "metadata": { "labels": { "app": "web" } },
                "spec": { "containers": [{ "name": "a", "image": "a:1" }] },
            },
        },
    }));
    let mut set = api.create(&PostParams::default(), &set).await.unwrap();
    set.spec.as_mut().unwrap().replicas = Some(9);
    set.status = typed(json!({ "replicas": 2, "readyReplicas": 1 }));
    let set = api
        .replace_status("web", &PostParams::default(), &set)
        .await
        .unwrap();
    assert_eq!(
        set.spec.unwrap().replicas,
        Some(2),
        "only the status changes"
    );
    let status = json!({ "status": { "readyReplicas": 2 } });
    let patched = api
        .patch_status("web", &PatchParams::default(), &Patch::Merge(status))
        .await;
    assert_eq!(patched.unwrap().status.unwrap().ready_replicas, Some(2));
    assert_eq!(
        api.get_status("web")
            .await
            .unwrap()
            .status
            .unwrap()
            .replicas,
        2
    );

    let scale = api.get_scale("web").await.unwrap();
    assert_eq!(scale.spec.unwrap().replicas, Some(2));
    assert_eq!(scale.status.unwrap().selector.as_deref(), Some("app=web"));
    let more = json!({ "spec": { "replicas": 5 } });
    let scaled = api
        .patch_scale("web", &PatchParams::default(), &Patch::Merge(more))
        .await;
    assert_eq!(scaled.unwrap().spec.unwrap().replicas, Some(5));
    let set = api.get("web").await.unwrap();
    assert_eq!(set.spec.unwrap().replicas, Some(5));
    assert_eq!(set.metadata.generation, Some(2));
}

#[tokio::test(start_paused = true)]
async fn watches_tell_what_happens() {
    let cluster = Cluster::new();
    let api: Api<ConfigMap> = Api::default_namespaced(cluster.client.clone());
    let version = cluster.server.resource_version().to_string();
    let parameters = WatchParams::default().labels("watched=yes").timeout(10);
    let watch = api.watch(&parameters, &version).await.unwrap();
    let mut object = config_map("a", "1");
    object
        .labels_mut()
        .insert("watched".to_owned(), "yes".to_owned());
    api.create(&PostParams::default(), &object).await.unwrap();
    api.create(&PostParams::default(), &config_map("b", "1"))
        .await
        .unwrap();
    let change = json!({ "data": { "k": "2" } });
    api.patch("a", &PatchParams::default(), &Patch::Merge(change))
        .await
        .unwrap();
    let unlabel = json!({ "metadata": { "labels": null } });
    api.patch("a", &PatchParams::default(), &Patch::Merge(unlabel))
        .await
        .unwrap();
    let events: Vec<_> = watch.try_collect().await.unwrap();
    let shown: Vec<String> = events
        .iter()
        .map(|event| match event {
            WatchEvent::Added(object) => format!("added {}", object.name_any()),
            WatchEvent::Modified(object) => format!("modified {}", object.name_any()),
            WatchEvent::Deleted(object) => format!("deleted {}", object.name_any()),
            WatchEvent::Bookmark(_) => "bookmark".to_owned(),
            WatchEvent::Error(status) => format!("error {}", status.code),
        })
        .collect();
    assert_eq!(shown, ["added a", "modified a", "deleted a", "bookmark"]);
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_breaks_is_an_error_and_not_an_end() {
    let cluster = Cluster::new();
    let api: Api<ConfigMap> = Api::default_namespaced(cluster.client.clone());
    cluster.server.faults().add(
        Rule::new(Fault::EndWatch {
            after: 1,
            end: kubewright_apiserver::faults::WatchEnd::Broken,
        })
        .verb(Verb::Watch),
    );
    api.create(&PostParams::default(), &config_map("a", "1"))
        .await
        .unwrap();
    let watch = api
        .watch(&WatchParams::default().fields("metadata.name=a"), "0")
        .await
        .unwrap();
    let events: Vec<_> = watch.collect().await;
    assert!(matches!(events[0], Ok(WatchEvent::Added(_))));
    assert!(events[1..].iter().any(Result::is_err), "{events:?}");
}

#[tokio::test(start_paused = true)]
async fn metadata_alone() {
    let cluster = Cluster::new();
    let api: Api<ConfigMap> = Api::default_namespaced(cluster.client.clone());
    api.create(&PostParams::default(), &config_map("a", "1"))
        .await
        .unwrap();
    let metadata = api.get_metadata("a").await.unwrap();
    assert_eq!(
        metadata.types.as_ref().unwrap().kind,
        "PartialObjectMetadata"
    );
    let label = json!({ "metadata": { "labels": { "x": "y" } } });
    let patched = api
        .patch_metadata("a", &PatchParams::default(), &Patch::Merge(label))
        .await;
    assert_eq!(patched.unwrap().labels()["x"], "y");
    let parameters = WatchParams::default().fields("metadata.name=a").timeout(1);
    let watch = api.watch_metadata(&parameters, "0").await.unwrap();
    let events: Vec<_> = watch.try_collect().await.unwrap();
    assert!(matches!(&events[0], WatchEvent::Added(object) if object.name_any() == "a"));
}

#[tokio::test(start_paused = true)]
async fn pods_live_and_are_evicted() {
    let cluster = Cluster::new();
    let api: Api<Pod> = Api::default_namespaced(cluster.client.clone());
    api.create(&PostParams::default(), &pod("p")).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let pod = api.get("p").await.unwrap();
    assert_eq!(pod.status.unwrap().phase.as_deref(), Some("Running"));
    api.evict("p", &EvictParams::default()).await.unwrap();
    let evicted = api.get("p").await.unwrap();
    assert!(evicted.metadata.deletion_timestamp.is_some());
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(api.get_opt("p").await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn owners_and_namespaces_take_what_is_theirs() {
    let cluster = Cluster::new();
    let namespaces: Api<Namespace> = Api::all(cluster.client.clone());
    let team: Namespace = typed(json!({ "metadata": { "name": "team" } }));
    namespaces
        .create(&PostParams::default(), &team)
        .await
        .unwrap();
    let api: Api<ConfigMap> = Api::namespaced(cluster.client.clone(), "team");
    let owner = api
        .create(&PostParams::default(), &config_map("owner", "1"))
        .await
        .unwrap();
    let mut owned = config_map("owned", "1");
    owned.owner_references_mut().push(typed(json!({
        "apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner.uid(),
    })));
    api.create(&PostParams::default(), &owned).await.unwrap();
    let policy = DeleteParams {
        propagation_policy: Some(PropagationPolicy::Background),
        ..DeleteParams::default()
    };
    api.delete("owner", &policy).await.unwrap();
    let accounts: Api<ServiceAccount> = Api::namespaced(cluster.client.clone(), "team");
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(api.get_opt("owned").await.unwrap(), None);
    accounts.get("default").await.unwrap();

    namespaces
        .delete("team", &DeleteParams::default())
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(namespaces.get_opt("team").await.unwrap(), None);
    assert!(
        accounts
            .list(&ListParams::default())
            .await
            .unwrap()
            .items
            .is_empty()
    );
}

#[tokio::test(start_paused = true)]
async fn discovery_finds_kinds_and_their_versions() {
    let cluster = Cluster::new();
    for discovery in [
        Discovery::new(cluster.client.clone()).run().await.unwrap(),
        Discovery::new(cluster.client.clone())
            .run_aggregated()
            .await
            .unwrap(),
    ] {
        let kind = GroupVersionKind::gvk("apps", "v1", "Deployment");
        let (resource, capabilities) = discovery.resolve_gvk(&kind).unwrap();
        assert_eq!(resource.plural, "deployments");
        let subresources = capabilities.subresources.iter();
        let mut subresources: Vec<_> = subresources.map(|(of, _)| of.plural.as_str()).collect();
        subresources.sort_unstable();
        assert_eq!(subresources, ["scale", "status"]);
        assert!(
            discovery
                .groups()
                .any(|group| group.name() == "coordination.k8s.io")
        );
    }
    let version = cluster.client.apiserver_version().await.unwrap();
    assert_eq!(
        (version.major.as_str(), version.minor.as_str()),
        ("1", "36")
    );
    let nodes: Api<Node> = Api::all(cluster.client.clone());
    assert!(
        nodes
            .list(&ListParams::default())
            .await
            .unwrap()
            .items
            .is_empty()
    );
}

#[tokio::test(start_paused = true)]
async fn custom_resources_are_defined_and_used() {
    let cluster = Cluster::new();
    let definitions: Api<CustomResourceDefinition> = Api::all(cluster.client.clone());
    let definition: CustomResourceDefinition = typed(json!({
        "metadata": { "name": "widgets.example.com" },
        "spec": {
            "group": "example.com", "scope": "Namespaced",
            "names": { "kind": "Widget", "plural": "widgets", "singular": "widget" },
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "subresources": { "status": {} },
                "schema": { "openAPIV3Schema": { "type": "object", "properties": {
                    "spec": { "type": "object", "properties": { "size": { "type": "integer" } } },
                    "status": { "type": "object", "properties": { "size": { "type": "integer" } } },
                } } },
            }],
        },
    }));
    definitions
        .create(&PostParams::default(), &definition)
        .await
        .unwrap();
    let established = kube_runtime::wait::await_condition(
        definitions.clone(),
        "widgets.example.com",
        kube_runtime::conditions::is_crd_established(),
    );
    tokio::time::timeout(Duration::from_secs(10), established)
        .await
        .unwrap()
        .unwrap();

    let kind = GroupVersionKind::gvk("example.com", "v1", "Widget");
    let resource = ApiResource::from_gvk(&kind);
    let api: Api<DynamicObject> = Api::default_namespaced_with(cluster.client.clone(), &resource);
    let widget = DynamicObject::new("w", &resource)
        .data(json!({ "spec": { "size": 1 }, "status": { "size": 9 } }));
    let created = api.create(&PostParams::default(), &widget).await.unwrap();
    assert!(created.data.get("status").is_none());
    let status = json!({ "status": { "size": 1 }, "spec": { "size": 7 } });
    let patched = api
        .patch_status("w", &PatchParams::default(), &Patch::Merge(status))
        .await;
    let patched = patched.unwrap();
    assert_eq!(
        patched.data,
        json!({ "spec": { "size": 1 }, "status": { "size": 1 } })
    );
    assert_eq!(patched.metadata.generation, Some(1));
    let strategic = api
        .patch("w", &PatchParams::default(), &Patch::Strategic(json!({})))
        .await;
    refused(strategic, 415, "UnsupportedMediaType");

    definitions
        .delete("widgets.example.com", &DeleteParams::default())
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    // Of a path that is not served a cluster says 404 in plain text, without a Status.
    let gone = api.get("w").await;
    assert!(
        matches!(&gone, Err(Error::Api(status)) if status.code == 404),
        "{gone:?}"
    );
    assert_eq!(
        definitions.get_opt("widgets.example.com").await.unwrap(),
        None
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_lost_is_an_error_of_the_service() {
    let cluster = Cluster::new();
    let api: Api<ConfigMap> = Api::default_namespaced(cluster.client.clone());
    let rule = Rule::new(Fault::LoseAnswer).verb(Verb::Create).nth(1);
    cluster.server.faults().add(rule);
    let lost = api
        .create(&PostParams::default(), &config_map("a", "1"))
        .await;
    assert!(matches!(lost, Err(Error::Service(_))), "{lost:?}");
    refused(
        api.create(&PostParams::default(), &config_map("a", "1"))
            .await,
        409,
        "AlreadyExists",
    );
}
