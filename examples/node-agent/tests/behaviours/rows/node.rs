//! The node, and what it says of itself.

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Node;
use kube_client::Api;

use crate::table::{Row, row};
use crate::world::{World, eventually};

pub(crate) fn rows() -> Vec<Row> {
    vec![
        row!(45, "the agent makes a lease and renews it", Any, lease),
        row!(45, "the node owns its lease", Any, owner),
        row!(
            45,
            "a status that does not change is written rarely",
            Any,
            rare
        ),
        row!(45, "the node is ready and says what it has", Any, ready),
    ]
}

/// The lease, which comes after the node.
async fn get_lease(world: &World) -> Result<Lease> {
    let leases = Api::<Lease>::namespaced(world.client.clone(), "kube-node-lease");
    let look = async || Ok(leases.get_opt(world.node.name()).await?);
    eventually("the node has a lease", look).await
}

async fn lease(world: World) -> Result<()> {
    let spec = get_lease(&world).await?.spec.context("it has a spec")?;
    ensure!(spec.holder_identity.as_deref() == Some(world.node.name()));
    ensure!(spec.lease_duration_seconds == Some(world.node.lease_seconds()));
    renewed(&world).await
}

/// Waits until the lease is renewed once more.
async fn renewed(world: &World) -> Result<()> {
    let renewed_at = async || {
        let spec = get_lease(world).await?.spec.unwrap_or_default();
        anyhow::Ok(spec.renew_time.map(|time| time.0))
    };
    let first = renewed_at().await?.context("it was renewed")?;
    eventually("the lease is renewed", async || {
        Ok(renewed_at().await?.filter(|at| *at > first).map(|_| ()))
    })
    .await
}

async fn get_node(world: &World) -> Result<Node> {
    Ok(Api::<Node>::all(world.client.clone())
        .get(world.node.name())
        .await?)
}

async fn owner(world: World) -> Result<()> {
    let node = get_node(&world).await?;
    let owned = async || {
        let owners = get_lease(&world)
            .await?
            .metadata
            .owner_references
            .unwrap_or_default();
        Ok(owners.into_iter().next())
    };
    let owner = eventually("the lease has an owner", owned).await?;
    ensure!(owner.kind == "Node" && owner.name == world.node.name());
    ensure!(Some(owner.uid) == node.metadata.uid);
    Ok(())
}

async fn rare(world: World) -> Result<()> {
    let ready = eventually("the node is ready", async || {
        let node = get_node(&world).await?;
        Ok(is_ready(&node).then_some(node))
    });
    ready.await?;
    // Other behaviours may bring images, which are part of the status: it is quiet some time. Its
    // lease is renewed meanwhile.
    let mut last = None;
    for _ in 0..10 {
        let before = get_node(&world).await?;
        for _ in 0..2 {
            renewed(&world).await?;
        }
        let after = get_node(&world).await?;
        if after.metadata.resource_version == before.metadata.resource_version {
            return Ok(());
        }
        last = Some((before, after));
    }
    let last = last.map(|both| serde_json::to_string(&both)).transpose()?;
    anyhow::bail!(
        "the status was written all the time: {}",
        last.unwrap_or_default()
    )
}

fn is_ready(node: &Node) -> bool {
    let conditions = node
        .status
        .iter()
        .flat_map(|status| &status.conditions)
        .flatten();
    conditions
        .into_iter()
        .any(|it| it.type_ == "Ready" && it.status == "True")
}

async fn ready(world: World) -> Result<()> {
    let node = eventually("the node is ready", async || {
        let node = get_node(&world).await?;
        Ok(is_ready(&node).then_some(node))
    });
    let node = node.await?;
    let labels = node.metadata.labels.unwrap_or_default();
    ensure!(
        labels
            .get("kubernetes.io/hostname")
            .is_some_and(|name| name == world.node.name())
    );
    ensure!(
        labels
            .get("kubernetes.io/os")
            .is_some_and(|os| os == "linux")
    );
    let status = node.status.unwrap_or_default();
    let conditions: Vec<_> = status.conditions.unwrap_or_default();
    let types: Vec<_> = conditions
        .iter()
        .map(|condition| condition.type_.as_str())
        .collect();
    ensure!(
        types == ["MemoryPressure", "DiskPressure", "PIDPressure", "Ready"],
        "{types:?}"
    );
    for resource in ["cpu", "memory", "pods", "ephemeral-storage"] {
        let has = |list: &Option<std::collections::BTreeMap<String, _>>| {
            list.as_ref()
                .is_some_and(|list| list.contains_key(resource))
        };
        ensure!(
            has(&status.capacity) && has(&status.allocatable),
            "{resource}"
        );
    }
    let info = status.node_info.context("it tells what it is")?;
    ensure!(info.container_runtime_version.contains("://") && !info.kernel_version.is_empty());
    ensure!(status.images.is_some_and(|images| !images.is_empty()));
    Ok(())
}
