//! The hosts file that containers find.

use anyhow::{Result, ensure};
use k8s_openapi::api::core::v1::ConfigMap;
use serde_json::json;

use crate::table::{Row, row};
use crate::world::{World, is_over};

pub(crate) fn rows() -> Vec<Row> {
    vec![
        row!(
            39,
            "the hosts file is written by the agent, unless something is mounted there",
            Any,
            managed_hosts
        ),
        row!(
            39,
            "a pod in the network of the host has its hosts file",
            Any,
            hosts_of_node
        ),
        row!(39, "host aliases are in the hosts file", Any, host_aliases),
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

async fn hosts_of_node(world: World) -> Result<()> {
    let spec = json!({
        "restartPolicy": "Never",
        "hostNetwork": true,
        "hostAliases": [{"ip": "123.45.67.89", "hostnames": ["foo"]}],
        "containers": [{"command": ["sh", "-c", HOSTS]}],
    });
    world.pod("p", spec).await?;
    let hosts = world.output_of("p").await?;
    let head = "# Kubernetes-managed hosts file (host network).";
    ensure!(hosts.starts_with(head), "{hosts}");
    for line in std::fs::read_to_string("/etc/hosts")?.lines() {
        ensure!(hosts.contains(line), "{line:?} is not in {hosts}");
    }
    ensure!(hosts.contains("123.45.67.89\tfoo"), "{hosts}");
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
