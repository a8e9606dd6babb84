use super::*;
use crate::registry::Registry;

/// The cells of an object that was made three minutes ago.
fn cells(group: &str, version: &str, plural: &str, object: &Value) -> Value {
    row(group, version, plural, object, IncludeObject::None)["cells"].clone()
}

fn row(group: &str, version: &str, plural: &str, object: &Value, include: IncludeObject) -> Value {
    let resources = Registry::kubernetes().resources();
    let printer = Printer::new(
        resources.get(group, version, plural).unwrap(),
        MetaVersion::V1,
        include,
    );
    let mut object = object.clone();
    object["metadata"]["name"] = "n".into();
    object["metadata"]["creationTimestamp"] = "2024-01-01T00:00:00Z".into();
    printer.row(&object, "2024-01-01T00:03:00Z".parse().unwrap())
}

#[test]
fn every_kind_has_a_cell_for_each_of_its_columns() {
    for resource in Registry::kubernetes().resources().iter() {
        if !resource.has_verb("list") {
            continue;
        }
        assert!(columns::of(resource).is_some(), "{resource:?}");
        let printer = Printer::new(resource, MetaVersion::V1, IncludeObject::None);
        let cells = cells(
            &resource.group,
            &resource.version,
            &resource.plural,
            &json!({}),
        );
        assert_eq!(
            cells.as_array().unwrap().len(),
            printer.columns.as_array().unwrap().len(),
            "{}: {cells}",
            resource.qualified()
        );
        for (cell, column) in cells
            .as_array()
            .unwrap()
            .iter()
            .zip(printer.columns.as_array().unwrap())
        {
            let right = match column["type"].as_str().unwrap() {
                "integer" => cell.is_i64() || cell.is_u64(),
                "boolean" => cell.is_boolean() || cell.is_string(),
                _ => !cell.is_null(),
            };
            assert!(right, "{} {column}: {cell}", resource.qualified());
        }
    }
}

#[test]
fn a_new_pod_is_pending_with_no_container_ready() {
    let pod = json!({"spec": {"containers": [{"name": "c"}]}, "status": {"phase": "Pending"}});
    assert_eq!(
        cells("", "v1", "pods", &pod),
        json!([
            "n", "0/1", "Pending", "0", "3m", "<none>", "<none>", "<none>", "<none>"
        ])
    );
}

#[test]
fn a_pod_is_what_its_containers_are() {
    let pod = |status: Value| {
        let object = json!({"spec": {"nodeName": "node", "containers": [{"name": "c"}, {"name": "d"}]}, "status": status});
        let cells = cells("", "v1", "pods", &object);
        (
            cells[1].as_str().unwrap().to_owned(),
            cells[2].as_str().unwrap().to_owned(),
            cells[3].as_str().unwrap().to_owned(),
        )
    };
    let running = json!({"state": {"running": {}}, "ready": true, "restartCount": 1});
    assert_eq!(
        pod(json!({"phase": "Running", "containerStatuses": [running, running]})),
        ("2/2".to_owned(), "Running".to_owned(), "2".to_owned())
    );
    let crashing = json!({"state": {"waiting": {"reason": "CrashLoopBackOff"}}, "restartCount": 4,
                          "lastState": {"terminated": {"finishedAt": "2024-01-01T00:01:00Z"}}});
    assert_eq!(
        pod(json!({"phase": "Running", "containerStatuses": [running, crashing]})),
        (
            "1/2".to_owned(),
            "CrashLoopBackOff".to_owned(),
            "5 (2m ago)".to_owned()
        )
    );
    let ended = json!({"state": {"terminated": {"exitCode": 0, "reason": "Completed"}}});
    let killed = json!({"state": {"terminated": {"exitCode": 137, "signal": 9}}});
    assert_eq!(
        pod(json!({"phase": "Succeeded", "containerStatuses": [ended, ended]})).1,
        "Completed"
    );
    assert_eq!(
        pod(json!({"phase": "Running", "containerStatuses": [ended, running]})).1,
        "NotReady"
    );
    assert_eq!(
        pod(json!({"phase": "Failed", "containerStatuses": [killed]})).1,
        "Signal:9"
    );
    assert_eq!(
        pod(json!({"phase": "Failed", "reason": "Evicted"})).1,
        "Evicted"
    );
    let gated = json!([{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}]);
    assert_eq!(
        pod(json!({"phase": "Pending", "conditions": gated})).1,
        "SchedulingGated"
    );
}

#[test]
fn init_containers_come_before_the_others() {
    let pod = |init: Value| {
        let object = json!({
            "spec": {"containers": [{"name": "c"}], "initContainers": [
                {"name": "side", "restartPolicy": "Always"}, {"name": "once"}]},
            "status": {"phase": "Pending", "initContainerStatuses": init},
        });
        let cells = cells("", "v1", "pods", &object);
        (
            cells[1].as_str().unwrap().to_owned(),
            cells[2].as_str().unwrap().to_owned(),
        )
    };
    let side = json!({"name": "side", "started": true, "ready": true, "state": {"running": {}}});
    let says = |ready: &str, status: &str| (ready.to_owned(), status.to_owned());
    assert_eq!(
        pod(json!([side, {"name": "once", "state": {"running": {}}}])),
        says("1/2", "Init:1/2")
    );
    assert_eq!(
        pod(json!([side, {"name": "once", "state": {"waiting": {"reason": "ErrImagePull"}}}])),
        says("1/2", "Init:ErrImagePull")
    );
    assert_eq!(
        pod(json!([side, {"name": "once", "state": {"terminated": {"exitCode": 3}}}])),
        says("1/2", "Init:ExitCode:3")
    );
    assert_eq!(
        pod(json!([side, {"name": "once", "state": {"terminated": {"exitCode": 0}}}])),
        says("1/2", "Pending")
    );
}

#[test]
fn a_pod_that_is_deleted_terminates_unless_it_has_ended() {
    let pod = |phase: &str| {
        let object = json!({"metadata": {"deletionTimestamp": "2024-01-01T00:02:00Z"}, "status": {"phase": phase}});
        cells("", "v1", "pods", &object)[2].clone()
    };
    assert_eq!(
        (pod("Running"), pod("Failed")),
        (json!("Terminating"), json!("Failed"))
    );
}

#[test]
fn workloads_count_their_pods() {
    let spec = json!({
        "replicas": 3,
        "selector": {"matchLabels": {"app": "r"}, "matchExpressions": [{"key": "t", "operator": "In", "values": ["b", "a"]}]},
        "template": {"spec": {"containers": [{"name": "c", "image": "i:1"}, {"name": "d", "image": "j"}]}},
    });
    let object = json!({"spec": spec, "status": {"replicas": 3, "readyReplicas": 2, "updatedReplicas": 3, "availableReplicas": 1}});
    assert_eq!(
        cells("apps", "v1", "replicasets", &object),
        json!(["n", 3, 3, 2, "3m", "c,d", "i:1,j", "app=r,t in (a,b)"])
    );
    assert_eq!(
        cells("apps", "v1", "deployments", &object),
        json!(["n", "2/3", 3, 1, "3m", "c,d", "i:1,j", "app=r,t in (a,b)"])
    );
    assert_eq!(
        cells("apps", "v1", "statefulsets", &object),
        json!(["n", "2/3", "3m", "c,d", "i:1,j"])
    );
    let object = json!({"status": {"desiredNumberScheduled": 4, "numberReady": 2}});
    assert_eq!(
        cells("apps", "v1", "daemonsets", &object),
        json!(["n", 4, 0, 2, 0, 0, "<none>", "3m", "", "", "<none>"])
    );
}

#[test]
fn jobs_tell_how_far_they_are() {
    let job = |spec: Value, status: Value| {
        let cells = cells(
            "batch",
            "v1",
            "jobs",
            &json!({"spec": spec, "status": status}),
        );
        (cells[1].clone(), cells[2].clone(), cells[3].clone())
    };
    let start = "2024-01-01T00:00:00Z";
    assert_eq!(
        job(
            json!({"completions": 2}),
            json!({"succeeded": 1, "startTime": start})
        ),
        (json!("Running"), json!("1/2"), json!("3m"))
    );
    let done = json!({"startTime": start, "completionTime": "2024-01-01T00:00:07Z", "succeeded": 1,
                      "conditions": [{"type": "Complete", "status": "True"}]});
    assert_eq!(
        job(json!({"parallelism": 3}), done),
        (json!("Complete"), json!("1/1 of 3"), json!("7s"))
    );
    assert_eq!(
        job(json!({}), json!({})),
        (json!("Running"), json!("0/1"), json!(""))
    );
}

#[test]
fn services_tell_their_addresses_and_ports() {
    let service = |spec: Value| cells("", "v1", "services", &json!({"spec": spec}));
    assert_eq!(
        service(
            json!({"type": "ClusterIP", "clusterIPs": ["10.0.0.1"], "ports": [{"port": 80, "protocol": "TCP"}, {"port": 53, "nodePort": 30053, "protocol": "UDP"}], "selector": {"b": "2", "a": "1"}})
        ),
        json!([
            "n",
            "ClusterIP",
            "10.0.0.1",
            "<none>",
            "80/TCP,53:30053/UDP",
            "3m",
            "a=1,b=2"
        ])
    );
    assert_eq!(
        service(json!({"type": "ExternalName", "externalName": "e"})),
        json!(["n", "ExternalName", "<none>", "e", "<none>", "3m", "<none>"])
    );
    assert_eq!(service(json!({"type": "LoadBalancer"}))[3], "<pending>");
}

#[test]
fn nodes_tell_their_roles_and_whether_they_are_ready() {
    let node = json!({
        "metadata": {"labels": {"node-role.kubernetes.io/worker": "", "kubernetes.io/role": "edge"}},
        "spec": {"unschedulable": true},
        "status": {
            "conditions": [{"type": "Ready", "status": "True"}],
            "addresses": [{"type": "InternalIP", "address": "10.1.1.1"}],
            "nodeInfo": {"kubeletVersion": "v1", "osImage": "o", "kernelVersion": "k", "architecture": "amd64"},
        },
    });
    assert_eq!(
        cells("", "v1", "nodes", &node),
        json!([
            "n",
            "Ready,SchedulingDisabled",
            "edge,worker",
            "3m",
            "v1",
            "10.1.1.1",
            "<none>",
            "o",
            "k (amd64)",
            "<unknown>"
        ])
    );
}

#[test]
fn events_are_the_same_in_both_faces() {
    let core = json!({"involvedObject": {"kind": "Pod", "name": "p"}, "reason": "R", "message": " M\n", "type": "Normal",
                      "count": 2, "firstTimestamp": "2024-01-01T00:00:00Z", "lastTimestamp": "2024-01-01T00:02:55Z",
                      "source": {"component": "c", "host": "h"}});
    let new = json!({"regarding": {"kind": "Pod", "name": "p"}, "reason": "R", "note": " M\n", "type": "Normal",
                     "deprecatedCount": 2, "deprecatedFirstTimestamp": "2024-01-01T00:00:00Z",
                     "deprecatedLastTimestamp": "2024-01-01T00:02:55Z", "deprecatedSource": {"component": "c", "host": "h"}});
    let expected = json!(["5s", "Normal", "R", "pod/p", "", "c, h", "M", "3m", 2, "n"]);
    assert_eq!(cells("", "v1", "events", &core), expected);
    assert_eq!(cells("events.k8s.io", "v1", "events", &new), expected);
    let series = json!({"eventTime": "2024-01-01T00:01:00.000000Z", "reportingComponent": "r", "reportingInstance": "i",
                        "series": {"count": 7, "lastObservedTime": "2024-01-01T00:02:59.000000Z"}, "involvedObject": {}});
    assert_eq!(
        cells("", "v1", "events", &series),
        json!(["1s", "", "", "", "", "r, i", "", "2m", 7, "n"])
    );
}

#[test]
fn a_row_carries_what_was_asked_for() {
    let object = json!({"kind": "ConfigMap", "apiVersion": "v1", "data": {"k": "v"}, "binaryData": {"b": ""}});
    let row = |include| row("", "v1", "configmaps", &object, include);
    assert_eq!(row(IncludeObject::None)["object"], Value::Null);
    let metadata = row(IncludeObject::Metadata);
    assert_eq!(metadata["object"]["kind"], "PartialObjectMetadata");
    assert_eq!(metadata["object"]["metadata"]["name"], "n");
    assert!(metadata["object"].get("data").is_none());
    assert_eq!(
        row(IncludeObject::Object)["object"]["data"],
        json!({"k": "v"})
    );
    assert_eq!(row(IncludeObject::Object)["cells"], json!(["n", 2, "3m"]));
    assert!(
        IncludeObject::parse(Some("Bogus"))
            .unwrap_err()
            .to_string()
            .contains("Invalid value: \"Bogus\"")
    );
}

#[test]
fn a_pod_that_has_ended_says_so_beside_its_cells() {
    let ended = row(
        "",
        "v1",
        "pods",
        &json!({"status": {"phase": "Succeeded"}}),
        IncludeObject::None,
    );
    assert_eq!(ended["conditions"][0]["type"], "Completed");
    let running = row(
        "",
        "v1",
        "pods",
        &json!({"status": {"phase": "Running"}}),
        IncludeObject::None,
    );
    assert!(running.get("conditions").is_none());
}

#[test]
fn only_the_first_table_of_a_watch_has_columns() {
    let resources = Registry::kubernetes().resources();
    let printer = Printer::new(
        resources.get("", "v1", "configmaps").unwrap(),
        MetaVersion::V1Beta1,
        IncludeObject::None,
    );
    let metadata = json!({"resourceVersion": "5"});
    let first = printer.table(&metadata, Header::Shown, Vec::new());
    assert_eq!(
        (&first["kind"], &first["apiVersion"]),
        (&json!("Table"), &json!("meta.k8s.io/v1beta1"))
    );
    assert_eq!(first["metadata"], metadata);
    let columns = first["columnDefinitions"].as_array().unwrap();
    assert_eq!(columns[1]["name"], "Data");
    assert_eq!(
        (
            &columns[0]["format"],
            &columns[1]["format"],
            &columns[1]["priority"]
        ),
        (&json!("name"), &json!(""), &json!(0))
    );
    assert_eq!(
        printer.table(&metadata, Header::LeftOut, Vec::new())["columnDefinitions"],
        Value::Null
    );
}
