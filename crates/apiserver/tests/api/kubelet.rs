//! The server as a kubelet uses it: registration, heartbeats, mirror pods, statuses, events.

use serde_json::{Value, json};

use crate::seam::{Answer, Server};

const PODS: &str = "/api/v1/namespaces/default/pods";
const NODES: &str = "/api/v1/nodes";
const LEASES: &str = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases";
const EVENTS: &str = "/api/v1/namespaces/default/events";

async fn strategic(server: &Server, path: &str, patch: Value) -> Answer {
    let request = format!("PATCH {path}\nContent-Type: application/strategic-merge-patch+json");
    server.send(&request, patch.to_string()).await
}

fn uid(answer: &Answer) -> String {
    answer.at("metadata.uid").as_str().unwrap().to_owned()
}

/// Registers a node as kubelets do.
async fn node(server: &Server) -> Answer {
    let condition = |kind: &str, status: &str| {
        json!({ "type": kind, "status": status, "reason": "R", "message": "m",
            "lastHeartbeatTime": "2024-05-01T12:00:00Z", "lastTransitionTime": "2024-05-01T12:00:00Z" })
    };
    let node = json!({
        "metadata": { "name": "n", "labels": { "kubernetes.io/hostname": "n" } },
        "spec": { "taints": [{ "key": "node.kubernetes.io/not-ready", "effect": "NoSchedule" }] },
        "status": {
            "capacity": { "cpu": "2", "memory": "4Gi", "pods": "110" },
            "allocatable": { "cpu": "2", "memory": "3Gi", "pods": "110" },
            "addresses": [
                { "type": "InternalIP", "address": "127.0.0.1" },
                { "type": "Hostname", "address": "n" },
            ],
            "conditions": [condition("MemoryPressure", "False"), condition("Ready", "False")],
            "daemonEndpoints": { "kubeletEndpoint": { "Port": 10250 } },
            "nodeInfo": {
                "machineID": "m", "systemUUID": "s", "bootID": "b", "kernelVersion": "6.1",
                "osImage": "o", "containerRuntimeVersion": "c://1", "kubeletVersion": "v1.36.2",
                "kubeProxyVersion": "", "operatingSystem": "linux", "architecture": "amd64",
            },
        },
    });
    server.post(NODES, node.clone()).await.is(201);
    let again = server.post(NODES, node).await.is(409);
    again.shows(json!({ "reason": "AlreadyExists" }))
}

#[tokio::test(start_paused = true)]
async fn a_node_is_registered_with_its_status_and_keeps_it_up_to_date() {
    let server = Server::new();
    node(&server).await;
    let path = format!("{NODES}/n");
    let registered = server.get(&path).await.is(200);
    assert_eq!(*registered.at("status.capacity.cpu"), "2");
    assert_eq!(
        *registered.at("status.daemonEndpoints.kubeletEndpoint.Port"),
        10250
    );

    let patch = json!({
        "metadata": { "uid": uid(&registered) },
        "status": {
            "$setElementOrder/conditions": [{ "type": "MemoryPressure" }, { "type": "Ready" }],
            "conditions": [{ "type": "Ready", "status": "True", "reason": "KubeletReady",
                "lastHeartbeatTime": "2024-05-01T12:00:10Z" }],
            "images": [{ "names": ["i"], "sizeBytes": 1 }],
        },
    });
    let patched = strategic(&server, &format!("{path}/status"), patch)
        .await
        .is(200);
    let conditions = patched.at("status.conditions").as_array().unwrap();
    let told: Vec<_> = conditions
        .iter()
        .map(|condition| {
            (
                condition["type"].as_str().unwrap(),
                condition["status"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(told, [("MemoryPressure", "False"), ("Ready", "True")]);
    assert_eq!(
        conditions[1]["lastTransitionTime"], "2024-05-01T12:00:00Z",
        "merged, not replaced"
    );
    assert_eq!(conditions[1]["message"], "m");

    // Addresses that are given whole, as kubelets do to be safe from the key that they lack.
    let patch = json!({ "status": { "addresses": [
        { "$patch": "replace" }, { "type": "InternalIP", "address": "127.0.0.2" } ] } });
    let patched = strategic(&server, &format!("{path}/status"), patch)
        .await
        .is(200);
    assert_eq!(
        *patched.at("status.addresses"),
        json!([{ "type": "InternalIP", "address": "127.0.0.2" }])
    );

    let labels = json!({ "metadata": { "labels": { "a": "b" } }, "status": { "capacity": null } });
    let patched = strategic(&server, &path, labels).await.is(200);
    assert_eq!(*patched.at("metadata.labels.a"), "b");
    assert_eq!(*patched.at("status.capacity.cpu"), "2", "not by this way");
}

#[tokio::test(start_paused = true)]
async fn a_lease_of_a_node_is_created_and_renewed() {
    let server = Server::new();
    node(&server).await;
    let owner = uid(&server.get(&format!("{NODES}/n")).await);
    let path = format!("{LEASES}/n");
    server.get(&path).await.is(404);
    let lease = json!({
        "metadata": { "name": "n", "namespace": "kube-node-lease", "ownerReferences": [
            { "apiVersion": "v1", "kind": "Node", "name": "n", "uid": owner }] },
        "spec": { "holderIdentity": "n", "leaseDurationSeconds": 40,
            "renewTime": "2024-05-01T12:00:00.000000Z" },
    });
    let created = server.post(LEASES, lease).await.is(201);
    let mut renewed = created.body.clone();
    renewed["spec"]["renewTime"] = "2024-05-01T12:00:10.123456Z".into();
    let answer = server.put(&path, renewed.clone()).await.is(200);
    assert_eq!(*answer.at("spec.renewTime"), "2024-05-01T12:00:10.123456Z");
    server.put(&path, renewed).await.is(409);
}

/// The mirror of a static pod on node `n`.
async fn mirror(server: &Server, owner: &str) -> Answer {
    let pod = json!({
        "metadata": {
            "name": "web-n",
            "annotations": {
                "kubernetes.io/config.hash": "h", "kubernetes.io/config.mirror": "h",
                "kubernetes.io/config.source": "file", "kubernetes.io/config.seen": "t",
            },
            "ownerReferences": [{ "apiVersion": "v1", "kind": "Node", "name": "n", "uid": owner,
                "controller": true }],
        },
        "spec": {
            "nodeName": "n",
            "tolerations": [{ "operator": "Exists", "effect": "NoExecute" }],
            "containers": [{ "name": "c", "image": "i" }],
        },
        "status": { "phase": "Running" },
    });
    server.post(PODS, pod).await
}

#[tokio::test(start_paused = true)]
async fn a_mirror_pod_is_created_followed_and_deleted() {
    let server = Server::new();
    node(&server).await;
    let owner = uid(&server.get(&format!("{NODES}/n")).await);
    let version = server.0.resource_version();
    let path = format!("{PODS}?fieldSelector=spec.nodeName%3Dn&resourceVersion={version}");
    let mut watch = server.watch(&path).await;
    let created = mirror(&server, &owner).await.is(201);
    assert_eq!(
        *created.at("status.phase"),
        "Pending",
        "what is created has no status yet"
    );
    let pod = format!("{PODS}/web-n");

    for (change, why) in [
        (
            Value::Null,
            "may not remove or update mirror pod annotation",
        ),
        (
            "other".into(),
            "may not remove or update mirror pod annotation",
        ),
    ] {
        let change =
            json!({ "metadata": { "annotations": { "kubernetes.io/config.mirror": change } } });
        let refused = server.merge(&pod, change).await.is(422);
        let message = refused.at("message").as_str().unwrap();
        assert!(message.ends_with(why), "{message}");
    }

    let delete = |uid: &str| {
        let options = json!({ "gracePeriodSeconds": 0, "preconditions": { "uid": uid } });
        let (server, pod) = (&server, pod.clone());
        async move { server.delete_with(&pod, options).await }
    };
    delete("other").await.is(409);
    delete(&uid(&created)).await.is(200);
    server.get(&pod).await.is(404);
    assert_eq!(watch.next().await.unwrap()["type"], "ADDED");
    // Marked first, as on a real server.
    assert_eq!(watch.next().await.unwrap()["type"], "MODIFIED");
    assert_eq!(watch.next().await.unwrap()["type"], "DELETED");

    let again = mirror(&server, &owner).await.is(201);
    assert_ne!(uid(&again), uid(&created));
    delete(&uid(&created)).await.is(409);
}

#[tokio::test(start_paused = true)]
async fn a_mirror_pod_is_on_a_node() {
    let server = Server::new();
    let pod = json!({
        "metadata": { "name": "p", "annotations": { "kubernetes.io/config.mirror": "h" } },
        "spec": { "containers": [{ "name": "c", "image": "i" }] },
    });
    server.post(PODS, pod).await.is(422).shows(json!({
        "message": "Pod \"p\" is invalid: metadata.annotations[kubernetes.io/config.mirror]: \
                    Invalid value: \"h\": must set spec.nodeName if mirror pod annotation is set",
    }));
    let plain = json!({ "metadata": { "name": "p" }, "spec": { "containers": [{ "name": "c", "image": "i" }] } });
    server.post(PODS, plain).await.is(201);
    let change = json!({ "metadata": { "annotations": { "kubernetes.io/config.mirror": "h" } } });
    let refused = server.merge(&format!("{PODS}/p"), change).await.is(422);
    let message = refused.at("message").as_str().unwrap();
    assert!(
        message.contains("may not add mirror pod annotation"),
        "{message}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_status_is_for_the_pod_with_the_uid_that_it_names() {
    let server = Server::new();
    let pod = json!({ "metadata": { "name": "p" }, "spec": { "nodeName": "n",
        "containers": [{ "name": "c", "image": "i" }] } });
    let created = server.post(PODS, pod).await.is(201);
    let path = format!("{PODS}/p/status");
    let running = |uid: &str| {
        json!({ "metadata": { "uid": uid }, "status": {
            "phase": "Running", "podIP": "127.0.0.9", "podIPs": [{ "ip": "127.0.0.9" }],
            "$setElementOrder/podIPs": [{ "ip": "127.0.0.9" }],
            "conditions": [{ "type": "Ready", "status": "True" }],
            "containerStatuses": [{ "name": "c", "image": "i", "imageID": "i", "ready": true,
                "restartCount": 0, "state": { "running": { "startedAt": "2024-05-01T12:00:00Z" } } }],
        } })
    };
    // A real server answers 422, not 409: to it a patch changes the uid.
    let other = "00000000-0000-0000-0000-000000000009";
    strategic(&server, &path, running(other)).await.is(422).shows(json!({
        "reason": "Invalid",
        "message": format!("Pod \"p\" is invalid: metadata.uid: Invalid value: \"{other}\": field is immutable"),
    }));
    let patched = strategic(&server, &path, running(&uid(&created)))
        .await
        .is(200);
    assert_eq!(*patched.at("status.phase"), "Running");
    // Conditions of others stay.
    let gate =
        json!({ "status": { "conditions": [{ "type": "example.com/g", "status": "True" }] } });
    let patched = strategic(&server, &path, gate).await.is(200);
    assert_eq!(patched.at("status.conditions").as_array().unwrap().len(), 2);
    // And the same again changes nothing.
    let again = strategic(&server, &path, running(&uid(&created)))
        .await
        .is(200);
    assert_eq!(again.version(), patched.version());
}

#[tokio::test(start_paused = true)]
async fn pods_are_followed_by_node_through_binding_and_deletion() {
    let server = Server::new();
    let version = server.0.resource_version();
    let path = format!("/api/v1/pods?fieldSelector=spec.nodeName%3Dn&resourceVersion={version}");
    let mut watch = server.watch(&path).await;
    let pod = json!({ "metadata": { "name": "p" }, "spec": { "containers": [{ "name": "c", "image": "i" }] } });
    server.post(PODS, pod).await.is(201);
    assert!(watch.is_quiet().await, "it is on no node");
    let bind = json!({ "target": { "kind": "Node", "name": "n" } });
    server
        .post(&format!("{PODS}/p/binding"), bind)
        .await
        .is(201);
    let event = watch.next().await.unwrap();
    assert_eq!(
        (&event["type"], &event["object"]["spec"]["nodeName"]),
        (&"ADDED".into(), &"n".into())
    );
    server.delete(&format!("{PODS}/p")).await.is(200);
    let event = watch.next().await.unwrap();
    assert_eq!(event["type"], "MODIFIED");
    assert_eq!(
        event["object"]["metadata"]["deletionGracePeriodSeconds"],
        30
    );
    let path = "/api/v1/pods?fieldSelector=spec.nodeName%3Dn,status.phase%3DPending";
    assert_eq!(server.get(path).await.is(200).names(), ["p"]);
    let path = "/api/v1/pods?fieldSelector=spec.nodeName!%3Dn";
    assert_eq!(server.get(path).await.is(200).names(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn an_event_is_counted_up_by_patches() {
    let server = Server::new();
    let event = json!({
        "metadata": { "name": "p.17", "namespace": "default" },
        "involvedObject": { "kind": "Pod", "namespace": "default", "name": "p", "uid": "u", "fieldPath": "spec.containers{c}" },
        "reason": "BackOff", "message": "back-off", "type": "Warning", "count": 1,
        "source": { "component": "kubelet", "host": "n" },
        "reportingComponent": "kubelet", "reportingInstance": "n",
        "firstTimestamp": "2024-05-01T12:00:00Z", "lastTimestamp": "2024-05-01T12:00:00Z",
    });
    server.post(EVENTS, event).await.is(201);
    let path = format!("{EVENTS}/p.17");
    for count in 2..5 {
        let patch =
            json!({ "count": count, "lastTimestamp": format!("2024-05-01T12:00:0{count}Z") });
        let patched = strategic(&server, &path, patch).await.is(200);
        patched.shows(json!({ "count": count, "reason": "BackOff", "firstTimestamp": "2024-05-01T12:00:00Z" }));
    }
    let selector = "involvedObject.uid%3Du,reason%3DBackOff";
    let found = server
        .get(&format!("{EVENTS}?fieldSelector={selector}"))
        .await
        .is(200);
    assert_eq!(found.at("items")[0]["count"], 4);
    strategic(&server, &format!("{EVENTS}/gone"), json!({ "count": 2 }))
        .await
        .is(404);
}

#[tokio::test(start_paused = true)]
async fn a_token_for_a_pod_is_made_as_kubelets_ask_for_it() {
    let server = Server::new();
    let accounts = "/api/v1/namespaces/default/serviceaccounts";
    server
        .post(accounts, json!({ "metadata": { "name": "sa" } }))
        .await
        .is(201);
    let pod = json!({ "metadata": { "name": "p" }, "spec": { "nodeName": "n", "serviceAccountName": "sa",
        "containers": [{ "name": "c", "image": "i" }] } });
    let pod = server.post(PODS, pod).await.is(201);
    let ask = |uid: &str| {
        let request = json!({ "spec": { "audiences": ["vault"], "expirationSeconds": 3607,
            "boundObjectRef": { "apiVersion": "v1", "kind": "Pod", "name": "p", "uid": uid } } });
        let server = &server;
        async move { server.post(&format!("{accounts}/sa/token"), request).await }
    };
    let token = ask(&uid(&pod)).await.is(201);
    assert!(token.at("status.token").is_string());
    assert!(token.at("status.expirationTimestamp").is_string());
    ask("00000000-0000-0000-0000-000000000009").await.is(409);
}

#[tokio::test(start_paused = true)]
async fn ephemeral_containers_come_and_stay() {
    let server = Server::new();
    let ephemeral = |name: &str, image: &str| json!({ "name": name, "image": image, "targetContainerName": "c", "stdin": true });
    let mut pod = json!({ "metadata": { "name": "p" }, "spec": { "nodeName": "n",
        "containers": [{ "name": "c", "image": "i" }] } });
    let path = format!("{PODS}/p/ephemeralcontainers");
    pod["spec"]["ephemeralContainers"] = json!([ephemeral("e", "i")]);
    server.post(PODS, pod.clone()).await.is(422).shows(json!({
        "message": "Pod \"p\" is invalid: spec.ephemeralContainers: Forbidden: cannot be set on create",
    }));
    pod["spec"]
        .as_object_mut()
        .unwrap()
        .remove("ephemeralContainers");
    server.post(PODS, pod).await.is(201);

    // kubectl debug
    let add = json!({ "spec": { "image": "no", "ephemeralContainers": [ephemeral("e", "i")] },
        "metadata": { "labels": { "a": "b" } } });
    let added = strategic(&server, &path, add).await.is(200);
    let container = &added.at("spec.ephemeralContainers")[0];
    assert_eq!(container["name"], "e");
    assert_eq!(
        container["terminationMessagePath"], "/dev/termination-log",
        "with defaults"
    );
    assert!(
        added.at("metadata.labels").is_null(),
        "nothing else changes"
    );
    assert_eq!(*added.at("metadata.generation"), 2);
    assert_eq!(server.get(&path).await.is(200).body, added.body);

    let patch = |list: Value| json!({ "spec": { "ephemeralContainers": list } });
    for (list, why) in [
        (
            json!([ephemeral("e", "other")]),
            "existing ephemeral containers \"e\" may not be changed",
        ),
        (
            json!([]),
            "existing ephemeral containers \"e\" may not be removed",
        ),
        (
            json!([{ "name": "x", "image": "i", "ports": [{ "containerPort": 1 }] }]),
            "spec.ephemeralContainers[0].ports: Forbidden: cannot be set for an Ephemeral Container",
        ),
        (
            json!([{ "name": "x", "image": "i", "targetContainerName": "nope" }]),
            "spec.ephemeralContainers[0].targetContainerName: Not found: \"nope\"",
        ),
        (
            json!([ephemeral("c", "i")]),
            "spec.ephemeralContainers[0].name: Duplicate value: \"c\"",
        ),
    ] {
        let refused = server.merge(&path, patch(list)).await.is(422);
        let message = refused.at("message").as_str().unwrap();
        assert!(message.contains(why), "{message}");
    }
    let refused = server
        .merge(&format!("{PODS}/p"), patch(json!([])))
        .await
        .is(422);
    let message = refused.at("message").as_str().unwrap();
    assert!(
        message.contains("pod updates may not change fields other than"),
        "{message}"
    );

    let mut whole = server.get(&path).await.body;
    let more = whole["spec"]["ephemeralContainers"].as_array_mut().unwrap();
    more.push(json!({ "name": "f", "image": "i" }));
    let put = server.put(&path, whole).await.is(200);
    assert_eq!(
        put.at("spec.ephemeralContainers").as_array().unwrap().len(),
        2
    );

    let owner = "00000000-0000-0000-0000-000000000001";
    mirror(&server, owner).await.is(201);
    let path = format!("{PODS}/web-n/ephemeralcontainers");
    let refused = strategic(&server, &path, patch(json!([ephemeral("e", "i")])))
        .await
        .is(422);
    let message = refused.at("message").as_str().unwrap();
    assert!(
        message.contains("static pods do not support ephemeral containers"),
        "{message}"
    );
}
