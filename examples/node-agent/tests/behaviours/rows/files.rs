//! Files that containers find: hosts, and volumes.

use anyhow::{Result, ensure};
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret};
use kube_client::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::table::{Row, row};
use crate::world::{World, is_over, phase, waits_for};

pub(crate) fn rows() -> Vec<Row> {
    vec![
        row!(
            39,
            "the hosts file is written by the agent, unless something is mounted there",
            Any,
            managed_hosts
        ),
        row!(39, "host aliases are in the hosts file", Any, host_aliases),
        row!(
            40,
            "an empty directory on disk has mode 0777",
            Any,
            empty_dir_mode
        ),
        row!(
            40,
            "an empty directory in memory has mode 0777 and is a tmpfs",
            Isolation,
            tmpfs
        ),
        row!(
            40,
            "files of modes 0644, 0666 and 0777 as root, on disk",
            Any,
            modes_as_root
        ),
        row!(
            40,
            "files of modes 0644, 0666 and 0777 as another user, on disk",
            Isolation,
            modes_as_user
        ),
        row!(
            40,
            "files of modes 0644, 0666 and 0777 as root, in memory",
            Isolation,
            modes_in_memory
        ),
        row!(
            40,
            "files of modes 0644, 0666 and 0777 as another user, in memory",
            Isolation,
            modes_in_memory_as_user
        ),
        row!(
            40,
            "containers of a pod share an empty directory",
            Any,
            shared
        ),
        row!(41, "a config map as a volume", Any, config_map_volume),
        row!(
            41,
            "a config map as a volume with mappings and modes",
            Any,
            config_map_mappings
        ),
        row!(
            41,
            "a config map as a volume for another user, with a group",
            Isolation,
            config_map_as_user
        ),
        row!(
            41,
            "a config map in several volumes of one pod",
            Any,
            config_map_twice
        ),
        row!(41, "binary data of a config map", Any, binary_data),
        row!(
            41,
            "updates of a config map are seen in its volume",
            Any,
            config_map_updates
        ),
        row!(
            41,
            "an optional config map may come later",
            Any,
            optional_comes_later
        ),
        row!(
            41,
            "a missing config map keeps a pod waiting",
            Any,
            missing_waits
        ),
        row!(41, "a secret as a volume with modes", Any, secret_volume),
        row!(
            41,
            "a secret of the same name in another namespace is another one",
            Any,
            secret_elsewhere
        ),
        row!(
            41,
            "updates of a secret are seen in its volume",
            Any,
            secret_updates
        ),
        row!(
            41,
            "a downward volume gives name, labels, annotations and resources",
            Any,
            downward_volume
        ),
        row!(
            41,
            "updates of labels and annotations are seen in a downward volume",
            Any,
            downward_updates
        ),
        row!(
            41,
            "a projected volume joins config map, secret and downward API",
            Any,
            projected
        ),
        row!(
            41,
            "a projected volume has a token of the service account",
            Any,
            projected_token
        ),
    ]
}

const HOSTS: &str = "cat $KUBEWRIGHT_ROOT/etc/hosts";

async fn managed_hosts(world: World) -> Result<()> {
    let managed = json!({"name": "managed", "command": ["sh", "-c", HOSTS]});
    let own = json!({
        "name": "own",
        "command": ["sh", "-c", HOSTS],
        "volumeMounts": [{"name": "hosts", "mountPath": "/etc/hosts", "subPath": "hosts"}],
    });
    let config = json!({"metadata": {"name": "c"}, "data": {"hosts": "own content\n"}});
    world.create::<ConfigMap>(config).await?;
    let spec = json!({
        "restartPolicy": "Never",
        "volumes": [{"name": "hosts", "configMap": {"name": "c"}}],
        "containers": [managed, own],
    });
    world.pod("p", spec).await?;
    let pod = world.until("p", "it has ended", is_over).await?;
    let ip = pod
        .status
        .and_then(|status| status.pod_ip)
        .unwrap_or_default();
    let hosts = world.log("p", "managed").await?;
    ensure!(
        hosts.starts_with("# Kubernetes-managed hosts file."),
        "{hosts}"
    );
    ensure!(hosts.contains(&format!("{ip}\tp")), "{hosts}");
    ensure!(world.log("p", "own").await? == "own content\n");
    Ok(())
}

async fn host_aliases(world: World) -> Result<()> {
    let spec = json!({
        "restartPolicy": "Never",
        "hostAliases": [{"ip": "123.45.67.89", "hostnames": ["foo", "bar"]}],
        "containers": [{"command": ["sh", "-c", HOSTS]}],
    });
    world.pod("p", spec).await?;
    let hosts = world.output_of("p").await?;
    ensure!(hosts.contains("123.45.67.89\tfoo\tbar"), "{hosts}");
    Ok(())
}

/// A pod with one volume at `/v`, that runs a script to its end.
fn with_volume(volume: Value, script: &str) -> Value {
    let mut volume = volume;
    volume["name"] = json!("v");
    json!({
        "restartPolicy": "Never",
        "volumes": [volume],
        "containers": [{
            "command": ["sh", "-c", format!("cd $KUBEWRIGHT_ROOT/v; {script}")],
            "volumeMounts": [{"name": "v", "mountPath": "/v"}],
        }],
    })
}

async fn printed(world: &World, spec: Value) -> Result<String> {
    world.pod("p", spec).await?;
    world.output_of("p").await
}

async fn empty_dir_mode(world: World) -> Result<()> {
    let spec = with_volume(json!({"emptyDir": {}}), "stat -L -c %a .");
    let printed = printed(&world, spec).await?;
    ensure!(printed == "777\n", "{printed:?}");
    Ok(())
}

async fn tmpfs(world: World) -> Result<()> {
    let script = "stat -L -c %a .; grep ' /v ' /proc/mounts | cut -d' ' -f3; stat -f -c %T .";
    let spec = with_volume(json!({"emptyDir": {"medium": "Memory"}}), script);
    let printed = printed(&world, spec).await?;
    ensure!(printed.starts_with("777\ntmpfs\n"), "{printed:?}");
    Ok(())
}

async fn modes(world: &World, medium: &str, user: Option<u32>) -> Result<()> {
    let script = "umask 0; for mode in 644 666 777; do echo content > $mode; chmod $mode $mode; \
         stat -L -c '%a %u' $mode; cat $mode; done";
    let mut spec = with_volume(json!({"emptyDir": {"medium": medium}}), script);
    if let Some(user) = user {
        spec["securityContext"] = json!({"runAsUser": user});
    }
    let printed = printed(world, spec).await?;
    let modes: Vec<_> = printed.lines().filter(|line| *line != "content").collect();
    ensure!(modes.len() == 3, "{printed:?}");
    for (line, mode) in modes.into_iter().zip(["644", "666", "777"]) {
        let seen = line.split_once(' ').unwrap_or_default();
        ensure!(seen.0 == mode, "{printed:?}");
        ensure!(
            user.is_none_or(|user| seen.1 == user.to_string()),
            "{printed:?}"
        );
    }
    Ok(())
}

async fn modes_as_root(world: World) -> Result<()> {
    modes(&world, "", None).await
}

async fn modes_as_user(world: World) -> Result<()> {
    modes(&world, "", Some(1000)).await
}

async fn modes_in_memory(world: World) -> Result<()> {
    modes(&world, "Memory", None).await
}

async fn modes_in_memory_as_user(world: World) -> Result<()> {
    modes(&world, "Memory", Some(1000)).await
}

async fn shared(world: World) -> Result<()> {
    let mount = json!([{"name": "v", "mountPath": "/v"}]);
    let write = "sleep 0.3; echo shared > $KUBEWRIGHT_ROOT/v/new; mv $KUBEWRIGHT_ROOT/v/new $KUBEWRIGHT_ROOT/v/file";
    let read =
        "while [ ! -e $KUBEWRIGHT_ROOT/v/file ]; do sleep 0.05; done; cat $KUBEWRIGHT_ROOT/v/file";
    let spec = json!({
        "restartPolicy": "Never",
        "volumes": [{"name": "v", "emptyDir": {}}],
        "containers": [
            {"command": ["sh", "-c", read], "volumeMounts": mount},
            {"name": "writer", "command": ["sh", "-c", write], "volumeMounts": mount},
        ],
    });
    let printed = printed(&world, spec).await?;
    ensure!(printed == "shared\n", "{printed:?}");
    Ok(())
}

async fn config_map(world: &World, data: Value) -> Result<()> {
    let object = json!({"metadata": {"name": "c"}, "data": data});
    world.create::<ConfigMap>(object).await?;
    Ok(())
}

async fn config_map_volume(world: World) -> Result<()> {
    config_map(&world, json!({"data-1": "value-1", "data-2": "value-2"})).await?;
    let script = "cat data-1 data-2; stat -L -c %a data-1";
    let spec = with_volume(json!({"configMap": {"name": "c"}}), script);
    let printed = printed(&world, spec).await?;
    ensure!(printed == "value-1value-2644\n", "{printed:?}");
    Ok(())
}

async fn config_map_mappings(world: World) -> Result<()> {
    config_map(&world, json!({"data-1": "value-1", "data-2": "value-2"})).await?;
    let volume = json!({"configMap": {
        "name": "c",
        "defaultMode": 0o440,
        "items": [{"key": "data-2", "path": "path/to/data-2", "mode": 0o400}, {"key": "data-1", "path": "d"}],
    }});
    let script =
        "cat path/to/data-2; stat -L -c %a path/to/data-2 d; ls -d data-2 2>/dev/null || echo none";
    let printed = printed(&world, with_volume(volume, script)).await?;
    ensure!(
        printed.starts_with("value-2400\n440\n") && printed.ends_with("none\n"),
        "{printed:?}"
    );
    Ok(())
}

async fn config_map_as_user(world: World) -> Result<()> {
    config_map(&world, json!({"data-1": "value-1"})).await?;
    let volume = json!({"configMap": {"name": "c", "defaultMode": 0o440}});
    let mut spec = with_volume(volume, "cat data-1; stat -L -c '%a %g' data-1");
    spec["securityContext"] = json!({"runAsUser": 1000, "fsGroup": 1001});
    let printed = printed(&world, spec).await?;
    ensure!(printed == "value-1440 1001\n", "{printed:?}");
    Ok(())
}

async fn config_map_twice(world: World) -> Result<()> {
    config_map(&world, json!({"data-1": "value-1"})).await?;
    let script = "cat $KUBEWRIGHT_ROOT/v/data-1 $KUBEWRIGHT_ROOT/w/data-1";
    let spec = json!({
        "restartPolicy": "Never",
        "volumes": [
            {"name": "v", "configMap": {"name": "c"}},
            {"name": "w", "configMap": {"name": "c"}},
        ],
        "containers": [{
            "command": ["sh", "-c", script],
            "volumeMounts": [{"name": "v", "mountPath": "/v"}, {"name": "w", "mountPath": "/w"}],
        }],
    });
    let printed = printed(&world, spec).await?;
    ensure!(printed == "value-1value-1", "{printed:?}");
    Ok(())
}

async fn binary_data(world: World) -> Result<()> {
    // The bytes 0xde 0xca 0xfe 0xba.
    let object = json!({"metadata": {"name": "c"}, "binaryData": {"dump.bin": "3sr+ug=="}});
    world.create::<ConfigMap>(object).await?;
    let spec = with_volume(json!({"configMap": {"name": "c"}}), "od -An -tx1 dump.bin");
    let printed = printed(&world, spec).await?;
    ensure!(
        printed.split_whitespace().eq(["de", "ca", "fe", "ba"]),
        "{printed:?}"
    );
    Ok(())
}

/// Prints a file whenever it changes.
fn watching(volume: Value, file: &str) -> Value {
    let script = format!(
        "old=; while :; do new=$(cat {file} 2>/dev/null); \
         if [ \"$new\" != \"$old\" ]; then echo \"is $new\"; old=$new; fi; sleep 0.1; done"
    );
    with_volume(volume, &script)
}

async fn config_map_updates(world: World) -> Result<()> {
    config_map(&world, json!({"data-1": "value-1"})).await?;
    world
        .pod("p", watching(json!({"configMap": {"name": "c"}}), "data-1"))
        .await?;
    world.printed("p", "main", "is value-1").await?;
    let patch = Patch::Merge(json!({"data": {"data-1": "value-2"}}));
    world
        .api::<ConfigMap>()
        .patch("c", &PatchParams::default(), &patch)
        .await?;
    world.printed("p", "main", "is value-2").await?;
    Ok(())
}

async fn optional_comes_later(world: World) -> Result<()> {
    let volume = json!({"configMap": {"name": "c", "optional": true}});
    world.pod("p", watching(volume, "data-1")).await?;
    world
        .until("p", "it runs", |pod| phase(pod) == "Running")
        .await?;
    config_map(&world, json!({"data-1": "came"})).await?;
    world.printed("p", "main", "is came").await?;
    Ok(())
}

async fn missing_waits(world: World) -> Result<()> {
    world
        .pod(
            "p",
            with_volume(json!({"configMap": {"name": "c"}}), "cat data-1"),
        )
        .await?;
    let event = world.event("p", "FailedMount").await?;
    let message = event.message.unwrap_or_default();
    ensure!(message.contains("configmap \"c\" not found"), "{message:?}");
    let waits = |pod: &Pod| waits_for(pod, "main") == "ContainerCreating";
    world.until("p", "it waits", waits).await?;
    config_map(&world, json!({"data-1": "came"})).await?;
    let printed = world.output_of("p").await?;
    ensure!(printed == "came", "{printed:?}");
    Ok(())
}

async fn secret_volume(world: World) -> Result<()> {
    let object = json!({"metadata": {"name": "s"}, "stringData": {"data-1": "value-1"}});
    world.create::<Secret>(object).await?;
    let volume = json!({"secret": {
        "secretName": "s",
        "defaultMode": 0o400,
        "items": [{"key": "data-1", "path": "new-path"}],
    }});
    let spec = with_volume(volume, "cat new-path; stat -L -c %a new-path");
    let printed = printed(&world, spec).await?;
    ensure!(printed == "value-1400\n", "{printed:?}");
    Ok(())
}

async fn secret_elsewhere(world: World) -> Result<()> {
    let other = World::new(world.node.clone(), &format!("{}-other", world.namespace)).await?;
    for (world, value) in [(&world, "here"), (&other, "elsewhere")] {
        let object = json!({"metadata": {"name": "s"}, "stringData": {"data-1": value}});
        world.create::<Secret>(object).await?;
    }
    let spec = with_volume(json!({"secret": {"secretName": "s"}}), "cat data-1");
    let printed = printed(&world, spec).await?;
    ensure!(printed == "here", "{printed:?}");
    Ok(())
}

async fn secret_updates(world: World) -> Result<()> {
    let object = json!({"metadata": {"name": "s"}, "stringData": {"data-1": "value-1"}});
    world.create::<Secret>(object).await?;
    world
        .pod(
            "p",
            watching(json!({"secret": {"secretName": "s"}}), "data-1"),
        )
        .await?;
    world.printed("p", "main", "is value-1").await?;
    let patch = Patch::Merge(json!({"stringData": {"data-1": "value-2"}}));
    world
        .api::<Secret>()
        .patch("s", &PatchParams::default(), &patch)
        .await?;
    world.printed("p", "main", "is value-2").await?;
    Ok(())
}

async fn downward_volume(world: World) -> Result<()> {
    let resource = |resource: &str, divisor: &str| json!({"containerName": "main", "resource": resource, "divisor": divisor});
    let volume = json!({"downwardAPI": {"items": [
        {"path": "name", "fieldRef": {"fieldPath": "metadata.name"}, "mode": 0o400},
        {"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}},
        {"path": "cpu_limit", "resourceFieldRef": resource("limits.cpu", "1m")},
        {"path": "memory_request", "resourceFieldRef": resource("requests.memory", "1Mi")},
    ]}});
    let script =
        "cat name; echo; stat -L -c %a name; cat labels cpu_limit; echo; cat memory_request";
    let mut spec = with_volume(volume, script);
    spec["containers"][0]["resources"] =
        json!({"limits": {"cpu": "1250m"}, "requests": {"cpu": "1m", "memory": "32Mi"}});
    world
        .pod_with("p", json!({"labels": {"a": "b"}}), spec)
        .await?;
    let printed = world.output_of("p").await?;
    let lines: Vec<_> = printed.lines().collect();
    ensure!(lines == ["p", "400", "a=\"b\"1250", "32"], "{printed:?}");
    Ok(())
}

async fn downward_updates(world: World) -> Result<()> {
    let volume = json!({"downwardAPI": {"items": [
        {"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}},
    ]}});
    let spec = watching(volume, "labels");
    world
        .pod_with("p", json!({"labels": {"key": "one"}}), spec)
        .await?;
    world.printed("p", "main", "is key=\"one\"").await?;
    let patch = Patch::Merge(json!({"metadata": {"labels": {"key": "two"}}}));
    world
        .api::<Pod>()
        .patch("p", &PatchParams::default(), &patch)
        .await?;
    world.printed("p", "main", "is key=\"two\"").await?;
    Ok(())
}

async fn projected(world: World) -> Result<()> {
    config_map(&world, json!({"c": "from config map"})).await?;
    let object = json!({"metadata": {"name": "s"}, "stringData": {"s": "from secret"}});
    world.create::<Secret>(object).await?;
    let volume = json!({"projected": {"defaultMode": 0o400, "sources": [
        {"configMap": {"name": "c"}},
        {"secret": {"name": "s", "items": [{"key": "s", "path": "deep/s"}]}},
        {"downwardAPI": {"items": [{"path": "name", "fieldRef": {"fieldPath": "metadata.name"}}]}},
    ]}});
    let script = "cat c; echo; cat deep/s; echo; cat name; echo; stat -L -c %a c deep/s name";
    let printed = printed(&world, with_volume(volume, script)).await?;
    let lines: Vec<_> = printed.lines().collect();
    let expected = ["from config map", "from secret", "p", "400", "400", "400"];
    ensure!(lines == expected, "{printed:?}");
    Ok(())
}

async fn projected_token(world: World) -> Result<()> {
    let account = json!({"metadata": {"name": "robot"}});
    world
        .create::<k8s_openapi::api::core::v1::ServiceAccount>(account)
        .await?;
    let volume = json!({"projected": {"sources": [
        {"serviceAccountToken": {"path": "token", "audience": "vault", "expirationSeconds": 600}},
    ]}});
    let mut spec = with_volume(volume, "cat token");
    spec["serviceAccountName"] = json!("robot");
    let token = printed(&world, spec).await?;
    let review = json!({"metadata": {}, "spec": {"token": token, "audiences": ["vault"]}});
    let review = serde_json::from_value(review)?;
    let reviews = kube_client::Api::<k8s_openapi::api::authentication::v1::TokenReview>::all(
        world.client.clone(),
    );
    let review = reviews.create(&Default::default(), &review).await?;
    let status = review.status.unwrap_or_default();
    let user = status
        .user
        .and_then(|user| user.username)
        .unwrap_or_default();
    let expected = format!("system:serviceaccount:{}:robot", world.namespace);
    ensure!(
        status.authenticated == Some(true) && user == expected,
        "{user:?} {:?}",
        status.error
    );
    Ok(())
}
