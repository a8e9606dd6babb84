use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::time::timeout;

use crate::process::DEADLINE;
use crate::tool::Kubectl;

const POD: &str = "
apiVersion: v1
kind: Pod
metadata: {name: p, labels: {app: p}}
spec:
  containers: [{name: c, image: i}]
";

const SET: &str = "
apiVersion: apps/v1
kind: ReplicaSet
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers: [{name: c, image: 'i:1'}]
";

const DEFINITION: &str = "
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {kind: Widget, plural: widgets, singular: widget, shortNames: [wd]}
  versions:
  - name: v1
    served: true
    storage: true
    subresources:
      status: {}
      scale: {specReplicasPath: .spec.size, statusReplicasPath: .status.size}
    additionalPrinterColumns:
    - {name: Size, type: integer, jsonPath: .spec.size}
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec: {type: object, properties: {size: {type: integer}, color: {type: string}}}
          status: {type: object, properties: {size: {type: integer}}}
";

const WIDGET: &str = "
apiVersion: example.com/v1
kind: Widget
metadata: {name: w}
spec: {size: 1, color: red}
";

/// The lines of a table, each as its cells.
fn cells(table: &str) -> Vec<Vec<&str>> {
    table
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect()
}

#[tokio::test]
async fn the_server_is_found_and_described() {
    let Some(k) = Kubectl::start().await else {
        return;
    };
    assert!(k.ok("version").await.contains("Server Version: v1.36"));
    assert!(k.ok("cluster-info").await.contains("https://127.0.0.1:"));
    let resources = k.ok("api-resources --sort-by name").await;
    for resource in [
        "configmaps",
        "replicasets",
        "leases",
        "customresourcedefinitions",
    ] {
        assert!(resources.contains(resource), "{resource} in {resources}");
    }
    assert!(
        k.ok("api-versions")
            .await
            .contains("coordination.k8s.io/v1")
    );
    assert!(
        k.ok("explain replicaset.spec.replicas")
            .await
            .contains("replicas")
    );
    k.says("get --raw /readyz", "ok").await;
    k.says("auth can-i delete pods", "yes").await;
    assert!(k.ok("auth whoami").await.contains("system:masters"));
    let namespaces = k.ok("get namespaces").await;
    assert_eq!(cells(&namespaces)[1][..2], ["default", "Active"]);
    k.stop().await;
}

#[tokio::test]
async fn objects_are_created_by_command() {
    let Some(k) = Kubectl::start().await else {
        return;
    };
    for (line, said) in [
        ("create namespace team", "namespace/team created"),
        (
            "create configmap c --from-literal a=b",
            "configmap/c created",
        ),
        (
            "create secret generic s --from-literal a=b",
            "secret/s created",
        ),
        (
            "create serviceaccount robot",
            "serviceaccount/robot created",
        ),
        (
            "create deployment web --image i --replicas 2",
            "deployment.apps/web created",
        ),
        (
            "create role r --verb get --resource pods",
            "role.rbac.authorization.k8s.io/r created",
        ),
        (
            "create rolebinding rb --role r --serviceaccount default:robot",
            "rolebinding.rbac.authorization.k8s.io/rb created",
        ),
        (
            "create clusterrole cr --verb get --resource nodes",
            "clusterrole.rbac.authorization.k8s.io/cr created",
        ),
        ("run p --image i", "pod/p created"),
        ("create job j --image i", "job.batch/j created"),
        (
            "create configmap dry --dry-run=server",
            "configmap/dry created (server dry run)",
        ),
    ] {
        k.says(line, said).await;
    }
    k.says("get configmap c -o jsonpath={.data.a}", "b").await;
    k.says("get secret s -o jsonpath={.data.a}", "Yg==").await;
    k.says("get deployment web -o jsonpath={.spec.replicas}", "2")
        .await;
    k.says("get role r -o jsonpath={.rules[0].verbs[0]}", "get")
        .await;
    assert!(k.fails("get configmap dry").await.contains("NotFound"));
    assert!(
        k.fails("create configmap c")
            .await
            .contains("already exists")
    );
    assert!(
        k.fails("create configmap Bad_Name")
            .await
            .contains("Invalid value")
    );
    k.stop().await;
}

#[tokio::test]
async fn manifests_are_applied_again_and_again() {
    let Some(k) = Kubectl::start().await else {
        return;
    };
    assert_eq!(
        k.feed("apply -f -", SET).await,
        "replicaset.apps/web created\n"
    );
    assert_eq!(
        k.feed("apply -f -", SET).await,
        "replicaset.apps/web unchanged\n"
    );
    let changed = SET
        .replace("i:1", "i:2")
        .replace("replicas: 2", "replicas: 3");
    let diff = k.run("diff -f -", &changed).await;
    assert_eq!(diff.code, Some(1), "{diff:?}");
    assert!(diff.stdout.contains("+  replicas: 3"), "{diff:?}");
    assert_eq!(
        k.feed("apply -f -", &changed).await,
        "replicaset.apps/web configured\n"
    );
    k.says(
        "get rs web -o jsonpath={.spec.template.spec.containers[*].image}",
        "i:2",
    )
    .await;
    k.says("get rs web -o jsonpath={.spec.replicas}", "3").await;
    // What is no longer in the manifest goes.
    let unset = SET.replace("  replicas: 2\n", "");
    k.feed("apply -f -", &unset).await;
    k.says("get rs web -o jsonpath={.spec.replicas}", "1").await;
    k.feed("replace -f -", SET).await;
    k.says("get rs web -o jsonpath={.spec.replicas}", "2").await;
    let typo = SET.replace("replicas:", "replicsa:");
    let refused = k
        .run("create -f -", &typo.replace("name: web", "name: typo"))
        .await;
    assert_ne!(refused.code, Some(0));
    assert!(
        refused.stderr.contains("unknown field \"spec.replicsa\""),
        "{refused:?}"
    );
    let mismatch = SET.replace(
        "metadata: {labels: {app: web}}",
        "metadata: {labels: {app: x}}",
    );
    let refused = k
        .run("create -f -", &mismatch.replace("name: web", "name: other"))
        .await;
    assert!(
        refused.stderr.contains("spec.template.metadata.labels"),
        "{refused:?}"
    );
    k.begins("delete rs web", "replicaset.apps \"web\" deleted")
        .await;
    k.stop().await;
}

#[tokio::test]
async fn objects_are_changed_by_command() {
    let Some(k) = Kubectl::start().await else {
        return;
    };
    k.feed("create -f -", SET).await;
    k.says("scale rs web --replicas 5", "replicaset.apps/web scaled")
        .await;
    k.says(
        "scale rs web --replicas 4 --current-replicas 5",
        "replicaset.apps/web scaled",
    )
    .await;
    k.says("get rs web -o jsonpath={.spec.replicas}", "4").await;
    k.says("label rs web a=b", "replicaset.apps/web labeled")
        .await;
    k.says("annotate rs web x=y", "replicaset.apps/web annotated")
        .await;
    k.says("get rs -l a=b -o name", "replicaset.apps/web").await;
    k.says("get rs -l a!=b -o name", "").await;
    k.says(
        "set image rs/web c=i:3",
        "replicaset.apps/web image updated",
    )
    .await;
    k.says(
        "patch rs web -p '{\"spec\":{\"replicas\":1}}'",
        "replicaset.apps/web patched",
    )
    .await;
    let json =
        r#"patch rs web --type json -p '[{"op":"replace","path":"/spec/replicas","value":2}]'"#;
    k.says(json, "replicaset.apps/web patched").await;
    let status = r#"patch rs web --subresource status --type merge -p '{"status":{"replicas":2}}'"#;
    k.says(status, "replicaset.apps/web patched").await;
    let shown = k.ok("get rs web").await;
    assert_eq!(cells(&shown)[1][..3], ["web", "2", "2"]);
    k.says("label rs web a-", "replicaset.apps/web unlabeled")
        .await;
    k.ok("create deployment d --image i").await;
    k.says("rollout pause deployment d", "deployment.apps/d paused")
        .await;
    k.says("rollout resume deployment d", "deployment.apps/d resumed")
        .await;
    k.says(
        "rollout restart deployment d",
        "deployment.apps/d restarted",
    )
    .await;
    k.stop().await;
}

#[tokio::test]
async fn pods_run_are_waited_for_described_and_deleted() {
    let Some(k) = Kubectl::start().await else {
        return;
    };
    let mut follow = k.command("get pods --watch --no-headers").spawn().unwrap();
    let mut followed = BufReader::new(follow.stdout.take().unwrap()).lines();
    let mut next = async || {
        let line = timeout(DEADLINE, followed.next_line()).await;
        let line = line.expect("in time").unwrap().expect("it goes on");
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    // Once it tells of another pod, it is there to see all of this one.
    k.ok("run earlier --image i").await;
    while !next().await.starts_with("earlier 1/1 Running") {}
    k.begins("delete pod earlier --now", "pod \"earlier\" deleted")
        .await;
    k.feed("create -f -", POD).await;
    k.says(
        "wait pod p --for condition=Ready --timeout 120s",
        "pod/p condition met",
    )
    .await;
    k.says(
        "wait pod p --for jsonpath={.status.phase}=Running --timeout 120s",
        "pod/p condition met",
    )
    .await;
    let mut seen = Vec::new();
    while seen
        .last()
        .is_none_or(|last: &String| !last.contains("1/1 Running"))
    {
        let line = next().await;
        if line.starts_with("p ") {
            seen.push(line);
        }
    }
    assert!(seen[0].starts_with("p 0/1 Pending"), "{seen:?}");
    let wide = k.ok("get pod p -o wide").await;
    let row = cells(&wide).remove(1);
    assert_eq!(
        [row[0], row[1], row[2], row[5], row[6]],
        ["p", "1/1", "Running", "10.244.0.2", "node-2"]
    );
    let described = k.ok("describe pod p").await;
    for part in [
        "Node:             node-2/192.168.0.2",
        "Status:           Running",
        "Ready:          True",
    ] {
        let part: Vec<&str> = part.split_whitespace().collect();
        let found = cells(&described).into_iter().any(|line| line == part);
        assert!(found, "{part:?} in {described}");
    }
    k.says(
        "get pods --field-selector spec.nodeName=node-2 -o name",
        "pod/p",
    )
    .await;
    k.says("get pods -A --sort-by metadata.name -o name", "pod/p")
        .await;
    assert!(k.fails("logs p").await.contains("does not support"));
    k.begins("delete pod p", "pod \"p\" deleted").await;
    assert!(k.fails("get pod p").await.contains("NotFound"));
    k.ok("run q --image i").await;
    k.begins("delete pod q --now", "pod \"q\" deleted").await;
    k.ok("run r --image i").await;
    let forced = k.ok("delete pod r --force").await;
    assert!(forced.contains("force deleted"), "{forced}");
    k.says("get pods -o name", "").await;
    k.stop().await;
}

#[tokio::test]
async fn deletion_takes_what_belongs_to_it() {
    let Some(k) = Kubectl::start().await else {
        return;
    };
    k.feed("create -f -", SET).await;
    let uid = k.ok("get rs web -o jsonpath={.metadata.uid}").await;
    let owner = format!(
        "ownerReferences: [{{apiVersion: apps/v1, kind: ReplicaSet, name: web, uid: {uid}, \
         controller: true, blockOwnerDeletion: true}}]"
    );
    let owned = |name: &str| POD.replace("{name: p,", &format!("{{name: {name}, {owner},"));
    k.feed("create -f -", &owned("one")).await;
    k.feed("create -f -", &owned("two")).await;
    k.begins(
        "delete rs web --cascade=foreground",
        "replicaset.apps \"web\" deleted",
    )
    .await;
    k.says("get pods -o name", "").await;

    k.ok("create namespace team").await;
    k.feed("create -n team -f -", POD).await;
    k.ok("create configmap c -n team").await;
    k.says(
        "delete namespace team --timeout 120s",
        "namespace \"team\" deleted",
    )
    .await;
    assert!(k.fails("get namespace team").await.contains("NotFound"));
    k.says("get configmap c -n team --ignore-not-found", "")
        .await;

    k.ok("create configmap one").await;
    k.ok("create configmap two").await;
    k.ok("delete configmap one two").await;
    k.ok("delete secret --all").await;
    k.stop().await;
}

#[tokio::test]
async fn custom_resources_are_as_good_as_others() {
    let Some(k) = Kubectl::start().await else {
        return;
    };
    k.feed("create -f -", DEFINITION).await;
    k.ok("wait crd widgets.example.com --for condition=Established --timeout 120s")
        .await;
    assert_eq!(
        k.feed("apply -f -", WIDGET).await,
        "widget.example.com/w created\n"
    );
    assert_eq!(
        k.feed("apply -f -", WIDGET).await,
        "widget.example.com/w unchanged\n"
    );
    let blue = WIDGET.replace("red", "blue");
    assert_eq!(
        k.feed("apply -f -", &blue).await,
        "widget.example.com/w configured\n"
    );
    k.says("scale widget w --replicas 7", "widget.example.com/w scaled")
        .await;
    let shown = k.ok("get wd").await;
    assert_eq!(cells(&shown)[0], ["NAME", "SIZE"]);
    assert_eq!(cells(&shown)[1], ["w", "7"]);
    k.says("get widget w -o jsonpath={.spec.color}", "blue")
        .await;
    let patch = r#"patch widget w --type merge -p '{"spec":{"color":null}}'"#;
    k.says(patch, "widget.example.com/w patched").await;
    k.says("get widget w -o jsonpath={.spec}", r#"{"size":7}"#)
        .await;
    assert!(k.ok("explain widget.spec.size").await.contains("<integer>"));
    let wrong = k
        .run("apply -f -", &WIDGET.replace("size: 1", "size: big"))
        .await;
    assert_ne!(wrong.code, Some(0), "{wrong:?}");
    k.ok("delete crd widgets.example.com --timeout 120s").await;
    // Whether it still knows the resource or not: there is none.
    k.fails("get widgets").await;
    k.stop().await;
}

#[tokio::test]
async fn nodes_are_cordoned_and_drained() {
    let Some(k) = Kubectl::start().await else {
        return;
    };
    let node = "apiVersion: v1\nkind: Node\nmetadata: {name: node-1}\n";
    k.feed("create -f -", node).await;
    k.feed("create -f -", POD).await;
    k.ok("wait pod p --for condition=Ready --timeout 120s")
        .await;
    k.says("cordon node-1", "node/node-1 cordoned").await;
    let nodes = k.ok("get nodes").await;
    assert!(nodes.contains("SchedulingDisabled"), "{nodes}");
    let drained = k.ok("drain node-1 --force --timeout 120s").await;
    assert!(drained.contains("pod/p evicted"), "{drained}");
    k.says("uncordon node-1", "node/node-1 uncordoned").await;
    k.says("taint node node-1 a=b:NoSchedule", "node/node-1 tainted")
        .await;
    k.stop().await;
}

#[tokio::test]
async fn what_is_not_supported_says_so() {
    let Some(k) = Kubectl::start().await else {
        return;
    };
    k.feed("create -f -", POD).await;
    k.ok("wait pod p --for condition=Ready --timeout 120s")
        .await;
    for line in ["exec p -- true", "logs p"] {
        let complaint = k.fails(line).await;
        assert!(
            complaint.contains("does not support"),
            "{line}: {complaint}"
        );
    }
    let applied = k.run("apply --server-side -f -", POD).await;
    assert_ne!(applied.code, Some(0));
    assert!(applied.stderr.contains("does not support"), "{applied:?}");
    k.stop().await;
}
