//! What the runtime keeps for the agent.

use std::collections::BTreeMap;
use std::time::Duration;

use node_agent::pod::{PodName, PodUid, containers};
use node_agent::runtime::{
    ContainerRecord, PodRecord, container_annotations, container_hash, container_labels,
    sandbox_annotations, sandbox_labels,
};
use serde_json::json;

use crate::fixtures::pod;

type Map = BTreeMap<String, String>;

fn read(labels: &Map, annotations: &Map) -> Result<Option<ContainerRecord>, String> {
    ContainerRecord::read(|key| labels.get(key), |key| annotations.get(key))
        .map_err(|error| error.to_string())
}

#[test]
fn container_annotations_are_read_back() {
    let mut pod = pod(json!({
        "terminationGracePeriodSeconds": 10,
        "containers": [{
            "name": "a",
            "image": "busybox",
            "ports": [{"name": "http", "containerPort": 80}],
            "lifecycle": {"preStop": {"exec": {"command": ["bye"]}}},
            "terminationMessagePath": "/last-words",
            "terminationMessagePolicy": "File",
        }, {"name": "b"}],
    }));
    pod.metadata.deletion_grace_period_seconds = Some(7);
    let specs: Vec<_> = containers(&pod).map(|it| it.spec).collect();

    let labels = container_labels(&pod, &specs[0]);
    let annotations =
        container_annotations(&pod, &specs[0], 5, Some(Duration::from_secs(80))).unwrap();
    let lifecycle = specs[0].lifecycle.as_ref();
    let expected = ContainerRecord {
        pod: PodRecord {
            uid: PodUid::of(&pod),
            name: PodName::of(&pod),
        },
        name: "a".into(),
        hash: container_hash(&specs[0]),
        restart_count: 5,
        restart_delay: Some(Duration::from_secs(80)),
        termination_message_path: Some("/last-words".into()),
        termination_message_policy: Some("File".into()),
        pre_stop: lifecycle.and_then(|it| it.pre_stop.clone()),
        ports: specs[0].ports.clone().unwrap(),
        deletion_grace_seconds: Some(7),
        termination_grace_seconds: Some(10),
    };
    assert_eq!(read(&labels, &annotations), Ok(Some(expected)));
    let hash = &annotations["io.kubernetes.container.hash"];
    assert_eq!(*hash, format!("{:x}", container_hash(&specs[0])));
    assert_eq!(annotations["node-agent.kubewright/restart-delay"], "1m20s");

    let labels = container_labels(&pod, &specs[1]);
    let annotations = container_annotations(&pod, &specs[1], 0, None).unwrap();
    let record = read(&labels, &annotations).unwrap().unwrap();
    assert_eq!(
        (record.pre_stop, record.termination_message_path),
        (None, None)
    );
    assert_eq!(record.ports, []);
    assert!(!annotations.contains_key("io.kubernetes.container.ports"));
}

#[test]
fn sandbox_labels_are_the_pods_and_whose_it_is() {
    let mut pod = pod(json!({"containers": []}));
    pod.metadata.labels = Some([("app".into(), "web".into())].into());
    pod.metadata.annotations = Some([("note".into(), "well".into())].into());
    let labels = sandbox_labels(&pod);
    assert_eq!(labels["app"], "web");
    assert_eq!(sandbox_annotations(&pod)["note"], "well");
    let record = PodRecord::read(|key| labels.get(key)).unwrap();
    assert_eq!(
        (record.uid, record.name),
        (PodUid::of(&pod), PodName::of(&pod))
    );
}

#[test]
fn what_no_agent_wrote_is_told_apart() {
    let pod = pod(json!({"containers": [{"name": "a"}]}));
    let spec = containers(&pod).next().unwrap().spec;
    let labels = container_labels(&pod, &spec);
    let written = container_annotations(&pod, &spec, 0, None).unwrap();
    assert_eq!(
        read(&Map::new(), &written),
        Ok(None),
        "somebody else's container"
    );
    assert_eq!(
        read(&sandbox_labels(&pod), &Map::new()),
        Ok(None),
        "a sandbox"
    );
    for key in [
        "io.kubernetes.container.hash",
        "io.kubernetes.container.restartCount",
        "io.kubernetes.container.ports",
        "node-agent.kubewright/restart-delay",
    ] {
        let mut annotations = written.clone();
        annotations.insert(key.into(), "xyz".into());
        let unreadable = format!("annotation {key} is unreadable: \"xyz\"");
        assert_eq!(read(&labels, &annotations), Err(unreadable));
    }
}
