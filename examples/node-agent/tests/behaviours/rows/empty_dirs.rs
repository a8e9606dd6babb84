//! Empty directories, on disk and in memory.

use anyhow::{Result, ensure};
use serde_json::json;

use super::mounted::{printed, with_volume};
use crate::table::{Row, row};
use crate::world::World;

pub(crate) fn rows() -> Vec<Row> {
    vec![
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
    ]
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
