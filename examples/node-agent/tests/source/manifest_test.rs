//! What manifests are; answers to `common_test.go`.

use std::path::Path;

use k8s_openapi::api::core::v1::Pod;
use node_agent::pod::CONFIG_HASH;
use node_agent::source::manifest::{ManifestError, Manifests};
use serde_json::{Value, json};

use crate::pods::manifest;

fn decode(manifest: &Value) -> Result<Pod, ManifestError> {
    Manifests::new("Node-1").from_file(Path::new("/etc/a.yaml"), manifest.to_string().as_bytes())
}

/// What is said of a manifest that is none, with all reasons.
#[track_caller]
fn refusal(content: &str) -> String {
    let refused = Manifests::new("node").from_file(Path::new("/etc/a.yaml"), content.as_bytes());
    format!("{:#}", anyhow::Error::new(refused.unwrap_err()))
}

#[test]
fn decode_single_pod() {
    let pod = decode(&manifest("web")).unwrap();
    let uid = pod.metadata.uid.clone().unwrap();
    assert_eq!(uid.len(), 32, "{uid}");
    let expected: Pod = serde_json::from_value(json!({
        "metadata": {
            "name": "web-node-1",
            "namespace": "default",
            "uid": uid,
            "annotations": {CONFIG_HASH: uid},
        },
        "spec": {
            "nodeName": "Node-1",
            "restartPolicy": "Always",
            "dnsPolicy": "ClusterFirst",
            "schedulerName": "default-scheduler",
            "terminationGracePeriodSeconds": 30,
            "enableServiceLinks": true,
            "securityContext": {},
            "tolerations": [{"operator": "Exists", "effect": "NoExecute"}],
            "containers": [{
                "name": "c",
                "image": "image:1",
                "imagePullPolicy": "IfNotPresent",
                "terminationMessagePath": "/dev/termination-log",
                "terminationMessagePolicy": "File",
            }],
        },
        "status": {"phase": "Pending"},
    }))
    .unwrap();
    assert_eq!(pod, expected);

    // YAML says the same, and `0644` is a mode.
    let yaml = "
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {a: \"1\"}}
spec:
  containers: [{name: c, image: image:1, volumeMounts: [{name: v, mountPath: /v}]}]
  volumes:
  - name: v
    downwardAPI:
      defaultMode: 0640
      items: [{path: name, fieldRef: {fieldPath: metadata.name}}]
---
";
    let pod = Manifests::new("n")
        .from_file(Path::new("a"), yaml.as_bytes())
        .unwrap();
    let volumes = pod.spec.unwrap().volumes.unwrap();
    let fields = volumes[0].downward_api.clone().unwrap();
    assert_eq!(fields.default_mode, Some(0o640));
    let field = fields.items.unwrap()[0].field_ref.clone().unwrap();
    assert_eq!(field.api_version.as_deref(), Some("v1"));
}

#[test]
fn decode_single_pod_rejects_cluster_references() {
    for (spec, resource) in [
        (json!({"serviceAccountName": "a"}), "serviceaccounts"),
        (json!({"serviceAccount": "a"}), "serviceaccounts"),
        (json!({"imagePullSecrets": [{"name": "s"}]}), "secrets"),
        (
            json!({"volumes": [{"name": "v", "secret": {"secretName": "s"}}]}),
            "secrets",
        ),
        (
            json!({"volumes": [{"name": "v", "configMap": {"name": "s"}}]}),
            "configmaps",
        ),
        (
            json!({"volumes": [{"name": "v", "projected": {"sources": [{"secret": {"name": "s"}}]}}]}),
            "secrets",
        ),
        (
            json!({"volumes": [{"name": "v", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}}]}),
            "serviceaccounts",
        ),
        (
            json!({"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "s"}}]}),
            "persistentvolumeclaims",
        ),
        (
            json!({"volumes": [{"name": "v", "csi": {"driver": "d"}}]}),
            "csidrivers",
        ),
        (json!({"resourceClaims": [{"name": "r"}]}), "resourceclaims"),
        (
            json!({"containers": [{"name": "c", "image": "i", "envFrom": [{"configMapRef": {"name": "m"}}]}]}),
            "configmaps",
        ),
        (
            json!({"initContainers": [{"name": "i", "image": "i", "env": [{"name": "E", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]}]}),
            "secrets",
        ),
    ] {
        let mut manifest = manifest("web");
        for (field, value) in spec.as_object().unwrap() {
            manifest["spec"][field] = value.clone();
        }
        match decode(&manifest) {
            Err(ManifestError::References(found)) => assert_eq!(found, resource, "{spec}"),
            other => panic!("{spec}: {other:?}"),
        }
    }
}

#[test]
fn decode_pod_list() {
    let list =
        json!({"apiVersion": "v1", "kind": "PodList", "items": [manifest("a"), manifest("b")]});
    let pods = Manifests::new("n")
        .from_url("http://x/", list.to_string().as_bytes())
        .unwrap();
    let names: Vec<_> = pods
        .iter()
        .map(|pod| pod.metadata.name.clone().unwrap())
        .collect();
    assert_eq!(names, ["a-n", "b-n"]);
    // Only what is in a file is bound to the machine.
    assert_eq!(pods[0].spec.as_ref().unwrap().tolerations, None);
    assert_ne!(pods[0].metadata.uid, pods[1].metadata.uid);
}

#[test]
fn get_self_link_and_static_pod_name() {
    for (node, name) in [("node", "web-node"), ("Node.Example", "web-node.example")] {
        let manifests = Manifests::new(node);
        let pod = manifests.from_file(Path::new("a"), manifest("web").to_string().as_bytes());
        let pod = pod.unwrap();
        assert_eq!(pod.metadata.name.as_deref(), Some(name));
        assert_eq!(pod.spec.unwrap().node_name.as_deref(), Some(node));
    }
}

/// Answers to upstream's `TestStaticPodNameGenerate` and to what its uids promise.
#[test]
fn uids_follow_content_place_and_node() {
    let uid = |node: &str, path: &str, manifest: &Value| {
        let manifests = Manifests::new(node);
        let pod = manifests.from_file(Path::new(path), manifest.to_string().as_bytes());
        pod.unwrap().metadata.uid.unwrap()
    };
    let web = manifest("web");
    let mut changed = web.clone();
    changed["spec"]["containers"][0]["image"] = "image:2".into();
    let base = uid("n", "/a", &web);
    // It must never change between versions: all static pods would be restarted by an upgrade.
    assert_eq!(base, "eeeed55ffc623b0e98a30e5895d1361b");
    assert_eq!(uid("n", "/a", &web), base);
    for other in [
        uid("n", "/b", &web),
        uid("m", "/a", &web),
        uid("n", "/a", &changed),
    ] {
        assert_ne!(other, base);
    }
    let from_url = Manifests::new("n")
        .from_url("http://x/a", web.to_string().as_bytes())
        .unwrap();
    assert_ne!(from_url[0].metadata.uid.as_ref(), Some(&base));
    let mut named = web;
    named["metadata"]["uid"] = "mine".into();
    assert_eq!(uid("n", "/a", &named), "mine");
}

#[test]
fn what_is_no_manifest_is_refused_with_the_reason() {
    for (content, why) in [
        ("", "the manifest cannot be read: empty"),
        ("# nothing\n---\n", "the manifest cannot be read: empty"),
        ("a: [", "the manifest cannot be read: neither YAML nor JSON"),
        (
            "{\"a\": 1",
            "the manifest cannot be read: neither YAML nor JSON",
        ),
        (
            "just a text",
            r#"apiVersion "", kind "" where a v1 Pod is expected"#,
        ),
        (
            "{apiVersion: apps/v1, kind: Deployment}",
            r#"invalid pod: apiVersion "apps/v1", kind "Deployment""#,
        ),
        (
            "{apiVersion: v1, kind: Pod, spec: 7}",
            "invalid pod: invalid type: integer `7`",
        ),
        (
            "{apiVersion: v1, kind: Pod, metadata: {generateName: a}}",
            "invalid pod: name is needed for the pod",
        ),
        (
            "{apiVersion: v1, kind: Pod}\n---\n{apiVersion: v1, kind: Pod}",
            "2 documents where one is expected",
        ),
        (
            "{apiVersion: v1, kind: PodList, items: []}",
            r#"kind "PodList""#,
        ),
        ("{a: 1, a: 2}", "duplicate"),
    ] {
        let refusal = refusal(content);
        assert!(refusal.contains(why), "{content}\n{refusal}");
    }
    let binary = Manifests::new("n").from_file(Path::new("a"), &[0xff, 0xfe]);
    assert!(matches!(binary, Err(ManifestError::Unreadable(_))));
}

/// Answers to upstream's `TestExtractInvalidPods` and `TestInvalidPodManifests`, field by field.
#[test]
fn rules_of_pods_are_told_all_at_once() {
    let refusal = refusal(
        r#"{"apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": "Web_1", "namespace": "a.b", "labels": {"-": "ok"}},
            "spec": {
                "restartPolicy": "Sometimes",
                "dnsPolicy": "None",
                "activeDeadlineSeconds": 0,
                "terminationGracePeriodSeconds": -1,
                "volumes": [{"name": "v", "emptyDir": {}, "hostPath": {"path": "../x"}}, {"name": "v"}],
                "initContainers": [{"name": "i", "image": "x", "readinessProbe": {"exec": {"command": ["a"]}}}],
                "containers": [
                    {"name": "c", "image": "", "volumeMounts": [{"name": "w", "mountPath": ""}],
                     "ports": [{"containerPort": 70000, "hostPort": 80}, {"containerPort": 81, "hostPort": 80}]},
                    {"name": "c", "image": " x", "env": [{"name": "A=B", "value": "v"}],
                     "livenessProbe": {"successThreshold": 2},
                     "resources": {"limits": {"cpu": "1", "memory": "lots"}, "requests": {"cpu": "1001m"}}},
                    {"name": "D", "image": "x", "lifecycle": {"preStop": {"httpGet": {"port": "a--b", "scheme": "FTP"}}}}
                ],
                "ephemeralContainers": [{"name": "e", "image": "x"}]
            }}"#,
    );
    for error in [
        r#"metadata.name: Invalid value: "Web_1-node": a lowercase RFC 1123 subdomain"#,
        r#"metadata.namespace: Invalid value: "a.b": a lowercase RFC 1123 label"#,
        r#"metadata.labels: Invalid value: "-": name part"#,
        r#"spec.restartPolicy: Unsupported value: "Sometimes": supported values: "Always", "Never", "OnFailure""#,
        "spec.dnsConfig.nameservers: Required value",
        "spec.activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647, inclusive",
        "spec.terminationGracePeriodSeconds: Invalid value: -1: must be greater than or equal to 0",
        "spec.volumes[0]: Forbidden: may not specify more than 1 volume type",
        r#"spec.volumes[0].hostPath.path: Invalid value: "../x": must not contain '..'"#,
        r#"spec.volumes[1].name: Duplicate value: "v""#,
        "spec.initContainers[0].readinessProbe: Forbidden: may not be set for init containers",
        "spec.containers[0].image: Required value",
        r#"spec.containers[0].volumeMounts[0].name: Not found: "w""#,
        "spec.containers[0].volumeMounts[0].mountPath: Required value",
        "spec.containers[0].ports[0].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive",
        r#"spec.containers[0].ports[1].hostPort: Duplicate value: "TCP//80""#,
        r#"spec.containers[1].name: Duplicate value: "c""#,
        r#"spec.containers[1].image: Invalid value: " x": must not have leading or trailing whitespace"#,
        r#"spec.containers[1].env[0].name: Invalid value: "A=B""#,
        "spec.containers[1].livenessProbe: Required value: must specify a handler type",
        r#"spec.containers[1].livenessProbe.successThreshold: Invalid value: "2": must be 1"#,
        r#"spec.containers[1].resources.limits[memory]: Invalid value: "lots": quantities must match"#,
        // It asks for what it is limited to.
        r#"spec.containers[1].resources.requests[memory]: Invalid value: "lots""#,
        r#"spec.containers[1].resources.requests[cpu]: Invalid value: "1001m": must be less than or equal to cpu limit of 1"#,
        r#"spec.containers[2].name: Invalid value: "D""#,
        r#"spec.containers[2].lifecycle.preStop.httpGet.port: Invalid value: "a--b""#,
        r#"spec.containers[2].lifecycle.preStop.httpGet.scheme: Unsupported value: "FTP""#,
        "spec.ephemeralContainers: Forbidden: cannot be set on create",
    ] {
        assert!(refusal.contains(error), "{error}\n{refusal}");
    }
    // And nothing else.
    assert_eq!(
        refusal.matches("spec.").count() + refusal.matches("metadata.").count(),
        28,
        "{refusal}"
    );
}

#[test]
fn what_manifests_leave_out_is_filled_in() {
    let mut manifest = manifest("web");
    manifest["spec"] = json!({
        "hostNetwork": true,
        "initContainers": [{"name": "i", "image": "sidecar", "restartPolicy": "Always",
            "startupProbe": {"grpc": {"port": 1}}}],
        "containers": [{"name": "c", "image": "image@sha256:ab",
            "ports": [{"containerPort": 80}],
            "livenessProbe": {"httpGet": {"port": 80}, "timeoutSeconds": 0, "periodSeconds": 5},
            "resources": {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "1m"}},
        }],
        "volumes": [{"name": "v"}, {"name": "h", "hostPath": {"path": "/"}}],
    });
    let pod = serde_json::to_value(decode(&manifest).unwrap()).unwrap();
    for (at, value) in [
        ("/spec/initContainers/0/imagePullPolicy", json!("Always")),
        (
            "/spec/initContainers/0/startupProbe/grpc/service",
            json!(""),
        ),
        (
            "/spec/initContainers/0/startupProbe/failureThreshold",
            json!(3),
        ),
        ("/spec/containers/0/imagePullPolicy", json!("IfNotPresent")),
        (
            "/spec/containers/0/ports/0",
            json!({"containerPort": 80, "hostPort": 80, "protocol": "TCP"}),
        ),
        (
            "/spec/containers/0/livenessProbe/httpGet",
            json!({"path": "/", "port": 80, "scheme": "HTTP"}),
        ),
        ("/spec/containers/0/livenessProbe/timeoutSeconds", json!(1)),
        ("/spec/containers/0/livenessProbe/periodSeconds", json!(5)),
        (
            "/spec/containers/0/resources/requests",
            json!({"cpu": "1m", "memory": "1Gi"}),
        ),
        ("/spec/volumes/0/emptyDir", json!({})),
        ("/spec/volumes/1/hostPath/type", json!("")),
    ] {
        assert_eq!(pod.pointer(at), Some(&value), "{at}");
    }
}

/// Files of pods are kept, and removed, in directories that are called by their uids.
#[test]
fn a_uid_that_leads_elsewhere_is_refused() {
    for uid in ["../../etc", "/data", ".", "a/b", "a_b"] {
        let mut odd = manifest("web");
        odd["metadata"]["uid"] = uid.into();
        let refused = refusal(&odd.to_string());
        assert!(
            refused.contains("metadata.uid: Invalid value"),
            "{uid}: {refused}"
        );
    }
}
