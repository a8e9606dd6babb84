//! Whom containers run as, and what they may do.

use anyhow::{Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

use crate::table::{Row, row};
use crate::world::{World, is_over, phase, waits_for};

pub(crate) fn rows() -> Vec<Row> {
    vec![
        row!(42, "a container runs as user 65534", Isolation, as_nobody),
        row!(
            42,
            "a container runs as root where it is told to",
            Isolation,
            as_root
        ),
        row!(
            42,
            "a container that must not be root and is does not start",
            Any,
            must_not_be_root
        ),
        row!(
            42,
            "a container that must not be root runs as another user",
            Isolation,
            not_root
        ),
        row!(
            42,
            "an unprivileged container has no rights of the host",
            Isolation,
            unprivileged
        ),
        row!(
            42,
            "a read-only root file system cannot be written",
            Isolation,
            read_only
        ),
        row!(42, "a root file system can be written", Isolation, writable),
        row!(
            42,
            "without escalation no new privileges are gained",
            Isolation,
            no_escalation
        ),
        row!(
            42,
            "privileges may be gained where that is allowed",
            Isolation,
            escalation
        ),
        row!(
            42,
            "privileges may be gained where nothing is said of it",
            Isolation,
            escalation_by_default
        ),
        row!(
            42,
            "capabilities are added and dropped",
            Isolation,
            capabilities
        ),
        row!(
            42,
            "a user of the image counts, and a pod's user over it",
            Isolation,
            user_of_image
        ),
    ]
}

async fn run(world: &World, context: Value, script: &str) -> Result<Pod> {
    let main = json!({"command": ["sh", "-c", script], "securityContext": context});
    world
        .pod("p", json!({"restartPolicy": "Never", "containers": [main]}))
        .await?;
    world.until("p", "it has ended", is_over).await
}

async fn printed(world: &World, context: Value, script: &str) -> Result<String> {
    run(world, context, script).await?;
    world.output_of("p").await
}

async fn as_nobody(world: World) -> Result<()> {
    let printed = printed(&world, json!({"runAsUser": 65534}), "id -u").await?;
    ensure!(printed == "65534\n", "{printed:?}");
    Ok(())
}

async fn as_root(world: World) -> Result<()> {
    let printed = printed(&world, json!({"runAsUser": 0}), "id -u").await?;
    ensure!(printed == "0\n", "{printed:?}");
    Ok(())
}

async fn must_not_be_root(world: World) -> Result<()> {
    let main =
        json!({"command": ["id"], "securityContext": {"runAsNonRoot": true, "runAsUser": 0}});
    world
        .pod("p", json!({"restartPolicy": "Never", "containers": [main]}))
        .await?;
    let waits = |pod: &Pod| waits_for(pod, "main") == "CreateContainerConfigError";
    let pod = world
        .until("p", "its container cannot be made", waits)
        .await?;
    ensure!(phase(&pod) == "Pending");
    Ok(())
}

async fn not_root(world: World) -> Result<()> {
    let context = json!({"runAsNonRoot": true, "runAsUser": 1234});
    let printed = printed(&world, context, "id -u").await?;
    ensure!(printed == "1234\n", "{printed:?}");
    Ok(())
}

async fn unprivileged(world: World) -> Result<()> {
    let script = "mount -t tmpfs none /mnt 2>/dev/null && echo mounted || echo refused";
    let printed = printed(&world, json!({"privileged": false}), script).await?;
    ensure!(printed == "refused\n", "{printed:?}");
    Ok(())
}

async fn read_only(world: World) -> Result<()> {
    let context = json!({"readOnlyRootFilesystem": true});
    let pod = run(&world, context, "touch /file").await?;
    ensure!(phase(&pod) == "Failed");
    Ok(())
}

async fn writable(world: World) -> Result<()> {
    let context = json!({"readOnlyRootFilesystem": false});
    let pod = run(&world, context, "touch /file").await?;
    ensure!(phase(&pod) == "Succeeded");
    Ok(())
}

const NO_NEW_PRIVILEGES: &str = "grep NoNewPrivs /proc/self/status | tr -dc 0-9";

async fn no_escalation(world: World) -> Result<()> {
    let context = json!({"allowPrivilegeEscalation": false, "runAsUser": 1000});
    let printed = printed(&world, context, NO_NEW_PRIVILEGES).await?;
    ensure!(printed == "1", "{printed:?}");
    Ok(())
}

async fn escalation(world: World) -> Result<()> {
    let context = json!({"allowPrivilegeEscalation": true, "runAsUser": 1000});
    let printed = printed(&world, context, NO_NEW_PRIVILEGES).await?;
    ensure!(printed == "0", "{printed:?}");
    Ok(())
}

async fn escalation_by_default(world: World) -> Result<()> {
    let printed = printed(&world, json!({"runAsUser": 1000}), NO_NEW_PRIVILEGES).await?;
    ensure!(printed == "0", "{printed:?}");
    Ok(())
}

async fn capabilities(world: World) -> Result<()> {
    // CHOWN is 0, SYS_TIME is 25.
    let context = json!({"capabilities": {"add": ["SYS_TIME"], "drop": ["CHOWN"]}});
    let script = "grep CapEff /proc/self/status | cut -f2";
    let printed = printed(&world, context, script).await?;
    let effective = u64::from_str_radix(printed.trim(), 16)?;
    ensure!(
        effective & 1 == 0 && effective & (1 << 25) != 0,
        "{printed:?}"
    );
    Ok(())
}

async fn user_of_image(world: World) -> Result<()> {
    let image = |name: &str, context: Value| {
        json!({
            "name": name, "image": "localhost/app:1", "command": ["id", "-u"], "securityContext": context,
        })
    };
    let spec = json!({"restartPolicy": "Never", "containers": [
        image("own", json!({})),
        image("other", json!({"runAsUser": 1001})),
    ]});
    world.pod("p", spec).await?;
    world.until("p", "it has ended", is_over).await?;
    ensure!(world.log("p", "own").await? == "1000\n");
    ensure!(world.log("p", "other").await? == "1001\n");
    Ok(())
}
