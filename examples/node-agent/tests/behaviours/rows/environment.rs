//! What containers find in their environment, and what is made of it.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret, Service};
use serde_json::{Value, json};

use crate::table::{Row, row};
use crate::world::{World, container, ended, is_over, phase, waits_for};

pub(crate) fn rows() -> Vec<Row> {
    vec![
        row!(
            35,
            "a config map's key is consumed via the environment",
            Any,
            config_map_key
        ),
        row!(
            35,
            "all of a config map is consumed via the environment, with a prefix",
            Any,
            config_map_whole
        ),
        row!(
            35,
            "a config map that is not there fails unless it is optional",
            Any,
            config_map_missing
        ),
        row!(
            35,
            "a secret's key is consumed via the environment",
            Any,
            secret_key
        ),
        row!(
            35,
            "all of a secret is consumed via the environment, with a prefix",
            Any,
            secret_whole
        ),
        row!(
            35,
            "keys that cannot name variables are left out, and told of",
            Any,
            invalid_names
        ),
        row!(
            36,
            "the downward API gives name, namespace and address",
            Any,
            identity
        ),
        row!(
            36,
            "the downward API gives the host's addresses",
            Any,
            host_addresses
        ),
        row!(36, "the downward API gives the uid", Any, uid),
        row!(
            36,
            "the downward API gives labels and annotations",
            Any,
            labels_and_annotations
        ),
        row!(
            36,
            "the downward API gives limits and requests",
            Any,
            limits_and_requests
        ),
        row!(
            36,
            "limits default to what the node has to give",
            Any,
            limits_default
        ),
        row!(37, "variables are composed of others", Any, composition),
        row!(37, "variables are put into a command", Any, in_command),
        row!(37, "variables are put into args", Any, in_args),
        row!(
            37,
            "variables are put into the path of a part of a volume",
            Any,
            in_sub_path
        ),
        row!(
            37,
            "a part of a volume that leads out of it is refused",
            Any,
            backsteps_refused
        ),
        row!(
            37,
            "an absolute part of a volume is refused",
            Any,
            absolute_refused
        ),
        row!(38, "a pod has variables for services", Any, services),
    ]
}

/// The environment that a container prints.
async fn environment(
    world: &World,
    metadata: Value,
    main: Value,
) -> Result<BTreeMap<String, String>> {
    let mut main = main;
    main["command"] = json!(["env"]);
    let spec = json!({"restartPolicy": "Never", "containers": [main]});
    world.pod_with("p", metadata, spec).await?;
    let printed = world.output_of("p").await?;
    let pairs = printed.lines().filter_map(|line| line.split_once('='));
    Ok(pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect())
}

fn expect(environment: &BTreeMap<String, String>, name: &str, value: &str) -> Result<()> {
    let found = environment.get(name).map(String::as_str);
    ensure!(found == Some(value), "{name} is {found:?}, not {value:?}");
    Ok(())
}

async fn config_map(world: &World) -> Result<()> {
    let object =
        json!({"metadata": {"name": "c"}, "data": {"data-1": "value-1", "data_2": "value-2"}});
    world.create::<ConfigMap>(object).await?;
    Ok(())
}

async fn secret(world: &World) -> Result<()> {
    let object = json!({"metadata": {"name": "s"}, "stringData": {"data-1": "value-1", "data_2": "value-2"}});
    world.create::<Secret>(object).await?;
    Ok(())
}

fn from(kind: &str, reference: &Value) -> Value {
    json!({"env": [{"name": "V", "valueFrom": {kind: reference}}]})
}

async fn config_map_key(world: World) -> Result<()> {
    config_map(&world).await?;
    let main = from("configMapKeyRef", &json!({"name": "c", "key": "data-1"}));
    expect(&environment(&world, json!({}), main).await?, "V", "value-1")
}

async fn config_map_whole(world: World) -> Result<()> {
    config_map(&world).await?;
    let main = json!({"envFrom": [
        {"configMapRef": {"name": "c"}},
        {"configMapRef": {"name": "c"}, "prefix": "p-"},
    ]});
    let found = environment(&world, json!({}), main).await?;
    expect(&found, "data-1", "value-1")?;
    expect(&found, "data_2", "value-2")?;
    expect(&found, "p-data-1", "value-1")
}

async fn config_map_missing(world: World) -> Result<()> {
    let mut main = from("configMapKeyRef", &json!({"name": "none", "key": "k"}));
    main["command"] = json!(["true"]);
    world.pod("missing", json!({"containers": [main]})).await?;
    let waits = |pod: &Pod| waits_for(pod, "main") == "CreateContainerConfigError";
    let pod = world
        .until("missing", "its container cannot be made", waits)
        .await?;
    let state = container(&pod, "main").and_then(|status| status.state.clone());
    let message = state
        .and_then(|state| state.waiting?.message)
        .unwrap_or_default();
    ensure!(message == "configmap \"none\" not found", "{message:?}");
    world.event("missing", "Failed").await?;

    let optional = json!({"name": "none", "key": "k", "optional": true});
    let found = environment(&world, json!({}), from("configMapKeyRef", &optional)).await?;
    ensure!(!found.contains_key("V"));
    Ok(())
}

async fn secret_key(world: World) -> Result<()> {
    secret(&world).await?;
    let main = from("secretKeyRef", &json!({"name": "s", "key": "data-1"}));
    expect(&environment(&world, json!({}), main).await?, "V", "value-1")
}

async fn secret_whole(world: World) -> Result<()> {
    secret(&world).await?;
    let main = json!({"envFrom": [
        {"secretRef": {"name": "s"}},
        {"secretRef": {"name": "s"}, "prefix": "p_"},
    ]});
    let found = environment(&world, json!({}), main).await?;
    expect(&found, "data_2", "value-2")?;
    expect(&found, "p_data_2", "value-2")
}

async fn invalid_names(world: World) -> Result<()> {
    let object = json!({"metadata": {"name": "c"}, "data": {"good": "1"}});
    world.create::<ConfigMap>(object).await?;
    // A prefix may make any name one that cannot be.
    let main = json!({"envFrom": [{"configMapRef": {"name": "c"}, "prefix": "a=b"}]});
    let found = environment(&world, json!({}), main).await?;
    ensure!(!found.keys().any(|name| name.contains("good")));
    world.event("p", "InvalidEnvironmentVariableNames").await?;
    Ok(())
}

fn field(name: &str, path: &str) -> Value {
    json!({"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}})
}

async fn identity(world: World) -> Result<()> {
    let main = json!({"env": [
        field("NAME", "metadata.name"),
        field("NAMESPACE", "metadata.namespace"),
        field("IP", "status.podIP"),
        field("NODE", "spec.nodeName"),
    ]});
    let found = environment(&world, json!({}), main).await?;
    expect(&found, "NAME", "p")?;
    expect(&found, "NAMESPACE", &world.namespace)?;
    expect(&found, "NODE", world.node.name())?;
    let pod = world.get("p").await?;
    let ip = pod
        .status
        .and_then(|status| status.pod_ip)
        .unwrap_or_default();
    expect(&found, "IP", &ip)
}

async fn host_addresses(world: World) -> Result<()> {
    let main = json!({"env": [field("IP", "status.hostIP"), field("IPS", "status.hostIPs")]});
    let found = environment(&world, json!({}), main).await?;
    let pod = world.get("p").await?;
    let ip = pod
        .status
        .and_then(|status| status.host_ip)
        .unwrap_or_default();
    ensure!(!ip.is_empty());
    expect(&found, "IP", &ip)?;
    ensure!(found.get("IPS").is_some_and(|ips| ips.starts_with(&ip)));
    Ok(())
}

async fn uid(world: World) -> Result<()> {
    let main = json!({"env": [field("UID_OF_POD", "metadata.uid")]});
    let found = environment(&world, json!({}), main).await?;
    let uid = world.get("p").await?.metadata.uid.unwrap_or_default();
    expect(&found, "UID_OF_POD", &uid)
}

async fn labels_and_annotations(world: World) -> Result<()> {
    let main = json!({"env": [
        field("L", "metadata.labels['a.b/c']"),
        field("A", "metadata.annotations['d']"),
        field("NONE", "metadata.labels['none']"),
    ]});
    let metadata = json!({"labels": {"a.b/c": "label"}, "annotations": {"d": "annotation"}});
    let found = environment(&world, metadata, main).await?;
    expect(&found, "L", "label")?;
    expect(&found, "A", "annotation")?;
    expect(&found, "NONE", "")
}

fn resource(name: &str, resource: &str, divisor: &str) -> Value {
    json!({"name": name, "valueFrom": {"resourceFieldRef": {"resource": resource, "divisor": divisor}}})
}

async fn limits_and_requests(world: World) -> Result<()> {
    let main = json!({
        "resources": {
            "requests": {"cpu": "50m", "memory": "32Mi"},
            "limits": {"cpu": "1250m", "memory": "64Mi"},
        },
        "env": [
            resource("CPU_LIMIT", "limits.cpu", "1"),
            resource("CPU_REQUEST", "requests.cpu", "1m"),
            resource("MEMORY_LIMIT", "limits.memory", "1"),
            resource("MEMORY_REQUEST", "requests.memory", "1Mi"),
        ],
    });
    let found = environment(&world, json!({}), main).await?;
    expect(&found, "CPU_LIMIT", "2")?;
    expect(&found, "CPU_REQUEST", "50")?;
    expect(&found, "MEMORY_LIMIT", "67108864")?;
    expect(&found, "MEMORY_REQUEST", "32")
}

async fn limits_default(world: World) -> Result<()> {
    let main = json!({"env": [
        resource("CPU", "limits.cpu", "1"),
        resource("MEMORY", "limits.memory", "1"),
    ]});
    let found = environment(&world, json!({}), main).await?;
    for name in ["CPU", "MEMORY"] {
        let value: u64 = found.get(name).map_or("", String::as_str).parse()?;
        ensure!(value > 0, "{name} is {value}");
    }
    Ok(())
}

async fn composition(world: World) -> Result<()> {
    let main = json!({"env": [
        {"name": "FOO", "value": "foo"},
        {"name": "BAR", "value": "bar"},
        {"name": "BOTH", "value": "$(FOO);;$(BAR);;$$(FOO);;$(NONE)"},
    ]});
    let found = environment(&world, json!({}), main).await?;
    expect(&found, "BOTH", "foo;;bar;;$(FOO);;$(NONE)")
}

async fn in_command(world: World) -> Result<()> {
    let main = json!({
        "command": ["sh", "-c", "TEST=wrong; echo \"$(TEST)\""],
        "env": [{"name": "TEST", "value": "value"}],
    });
    world
        .pod("p", json!({"restartPolicy": "Never", "containers": [main]}))
        .await?;
    let printed = world.output_of("p").await?;
    ensure!(printed == "value\n", "{printed:?}");
    Ok(())
}

async fn in_args(world: World) -> Result<()> {
    let main = json!({
        "command": ["sh", "-c"],
        "args": ["TEST=wrong; echo \"$(TEST)\""],
        "env": [{"name": "TEST", "value": "value"}],
    });
    world
        .pod("p", json!({"restartPolicy": "Never", "containers": [main]}))
        .await?;
    let printed = world.output_of("p").await?;
    ensure!(printed == "value\n", "{printed:?}");
    Ok(())
}

/// A container that has a part of a volume, which a variable names.
fn with_sub_path(variable: &str, script: &str) -> Value {
    let main = json!({
        "command": ["sh", "-c", script],
        "env": [{"name": "PART", "value": variable}],
        "volumeMounts": [
            {"name": "v", "mountPath": "/part", "subPathExpr": "$(PART)"},
            {"name": "v", "mountPath": "/whole"},
        ],
    });
    json!({
        "restartPolicy": "Never",
        "volumes": [{"name": "v", "emptyDir": {}}],
        "containers": [main],
    })
}

async fn in_sub_path(world: World) -> Result<()> {
    let script = "echo content > $KUBEWRIGHT_ROOT/part/file; cat $KUBEWRIGHT_ROOT/whole/foo/file";
    world.pod("p", with_sub_path("foo", script)).await?;
    let printed = world.output_of("p").await?;
    ensure!(printed == "content\n", "{printed:?}");
    Ok(())
}

async fn refused(world: &World, variable: &str) -> Result<()> {
    world.pod("p", with_sub_path(variable, "true")).await?;
    let waits = |pod: &Pod| waits_for(pod, "main") == "CreateContainerConfigError";
    let pod = world
        .until("p", "its container cannot be made", waits)
        .await?;
    ensure!(!is_over(&pod) && phase(&pod) == "Pending" && ended(&pod, "main").is_none());
    world.delete("p", Some(0)).await?;
    world.gone("p").await
}

async fn backsteps_refused(world: World) -> Result<()> {
    refused(&world, "..").await
}

async fn absolute_refused(world: World) -> Result<()> {
    refused(&world, "/tmp").await
}

async fn services(world: World) -> Result<()> {
    let service = json!({
        "metadata": {"name": "foo-service"},
        "spec": {"selector": {"app": "foo"}, "ports": [{"port": 8765, "targetPort": 8080}]},
    });
    let service: Service = world.create(service).await?;
    let ip = service
        .spec
        .and_then(|spec| spec.cluster_ip)
        .unwrap_or_default();
    // The agent hears of services in its own time; a container knows what its agent knew then.
    for attempt in 0..20 {
        let name = format!("p-{attempt}");
        world
            .pod(
                &name,
                json!({"restartPolicy": "Never", "containers": [{"command": ["env"]}]}),
            )
            .await?;
        let printed = world.output_of(&name).await?;
        if !printed.contains("FOO_SERVICE") {
            continue;
        }
        for expected in [
            format!("FOO_SERVICE_SERVICE_HOST={ip}"),
            "FOO_SERVICE_SERVICE_PORT=8765".to_owned(),
            format!("FOO_SERVICE_PORT=tcp://{ip}:8765"),
            "FOO_SERVICE_PORT_8765_TCP_PROTO=tcp".to_owned(),
        ] {
            ensure!(
                printed.lines().any(|line| line == expected),
                "{expected} in {printed}"
            );
        }
        return Ok(());
    }
    anyhow::bail!("no pod came to know of the service")
}
