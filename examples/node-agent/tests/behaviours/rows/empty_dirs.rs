//! Empty directories, on disk and in memory.

use anyhow::{Result, ensure};
use serde_json::json;

use super::mounted::{printed, with_volume};
use crate::table::{On, Place, Row, row};
use crate::world::World;

pub(crate) fn rows() -> Vec<Row> {
    let mut rows = vec![
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
            "containers of a pod share an empty directory",
            Any,
            shared
        ),
    ];
    for (place, medium) in [("on disk", ""), ("in memory", "Memory")] {
        for (who, user) in [("root", 0), ("another user", 1000)] {
            for mode in ["644", "666", "777"] {
                let is_plain = medium.is_empty() && user == 0;
                rows.push(Row {
                    number: 40,
                    name: format!("a file of mode 0{mode} {place} is written and read by {who}"),
                    run: Box::new(move |world| Box::pin(file(world, medium, user, mode))),
                    on: if is_plain { On::Any } else { On::Isolation },
                    place: Place::Shared,
                });
            }
        }
    }
    rows
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

/// A file of a mode on an empty directory, written and read by a user.
async fn file(world: World, medium: &str, user: u32, mode: &str) -> Result<()> {
    let script = format!(
        "umask 0; echo content > file; chmod {mode} file; stat -L -c '%a %u' file; cat file; \
         echo more >> file && tail -n 1 file; id -u"
    );
    let mut spec = with_volume(json!({"emptyDir": {"medium": medium}}), &script);
    if user != 0 {
        spec["securityContext"] = json!({"runAsUser": user});
    }
    let printed = printed(&world, spec).await?;
    let lines: Vec<_> = printed.lines().collect();
    let [stat, "content", "more", id] = lines[..] else {
        anyhow::bail!("{printed:?}");
    };
    let (seen, owner) = stat.split_once(' ').unwrap_or_default();
    ensure!(seen == mode && owner == id, "{printed:?}");
    ensure!(user == 0 || id == user.to_string(), "{printed:?}");
    Ok(())
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
