//! Config maps and secrets as volumes, each by itself and as a part of a projection.

use std::pin::Pin;

use anyhow::{Result, ensure};
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret};
use kube_client::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};

use super::mounted::{printed, watching, with_volume};
use crate::table::{On, Place, Row, Shown, row};
use crate::world::{World, phase, waits_for};

pub(crate) fn rows() -> Vec<Row> {
    let cases: [(&str, On, Case); 11] = [
        ("is consumed", On::Any, |at| Box::pin(consumed(at))),
        ("has a default mode", On::Any, |at| {
            Box::pin(default_mode(at))
        }),
        ("has mappings", On::Any, |at| Box::pin(mappings(at))),
        ("has mappings with modes", On::Any, |at| {
            Box::pin(item_mode(at))
        }),
        ("is in several volumes of one pod", On::Any, |at| {
            Box::pin(twice(at))
        }),
        ("is seen to change", On::Any, |at| Box::pin(updates(at))),
        ("may be optional, and go, change and come", On::Any, |at| {
            Box::pin(optional(at))
        }),
        ("that is missing keeps a pod waiting", On::Any, |at| {
            Box::pin(missing(at))
        }),
        ("without a key keeps a pod waiting", On::Any, |at| {
            Box::pin(missing_key(at))
        }),
        (
            "is consumed by another user than root",
            On::Isolation,
            |at| Box::pin(as_user(at)),
        ),
        (
            "is consumed by another user with a group",
            On::Isolation,
            |at| Box::pin(with_group(at)),
        ),
    ];
    let sources = [
        Source::ConfigMap,
        Source::Secret,
        Source::ProjectedConfigMap,
        Source::ProjectedSecret,
    ];
    let mut rows = vec![
        row!(
            41,
            "binary data of a config map is as it was",
            Any,
            binary_data
        ),
        row!(
            41,
            "a secret of the same name in another namespace is another one",
            Any,
            secret_elsewhere
        ),
        row!(
            41,
            "a projected volume joins config map, secret and downward API",
            Any,
            projected
        ),
    ];
    for source in sources {
        for (name, on, case) in cases {
            rows.push(Row {
                number: 41,
                name: format!("{} as a volume {name}", source.name()),
                run: Box::new(move |world| -> Shown { case(At { world, source }) }),
                on,
                place: Place::Shared,
            });
        }
    }
    rows
}

/// A case, of a source in a world.
type Case = fn(At) -> Pin<Box<dyn Future<Output = Result<()>>>>;

/// What content comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    ConfigMap,
    Secret,
    ProjectedConfigMap,
    ProjectedSecret,
}

/// A source, and where it is looked at.
struct At {
    world: World,
    source: Source,
}

impl Source {
    fn name(self) -> &'static str {
        match self {
            Self::ConfigMap => "a config map",
            Self::Secret => "a secret",
            Self::ProjectedConfigMap => "a projected config map",
            Self::ProjectedSecret => "a projected secret",
        }
    }

    fn is_secret(self) -> bool {
        matches!(self, Self::Secret | Self::ProjectedSecret)
    }

    /// A volume of the object of a name; `rest` is what else its source says.
    fn volume(self, name: &str, rest: Value) -> Value {
        let mut rest = rest;
        match self {
            Self::ConfigMap => {
                rest["name"] = json!(name);
                json!({"configMap": rest})
            }
            Self::Secret => {
                rest["secretName"] = json!(name);
                json!({"secret": rest})
            }
            Self::ProjectedConfigMap | Self::ProjectedSecret => {
                let kind = if self.is_secret() {
                    "secret"
                } else {
                    "configMap"
                };
                // A projection has one default mode for all of its parts.
                let mode = rest
                    .as_object_mut()
                    .and_then(|rest| rest.remove("defaultMode"));
                rest["name"] = json!(name);
                let mut volume = json!({"sources": [{kind: rest}]});
                if let Some(mode) = mode {
                    volume["defaultMode"] = mode;
                }
                json!({"projected": volume})
            }
        }
    }
}

impl At {
    async fn create(&self, name: &str, data: Value) -> Result<()> {
        let metadata = json!({"name": name});
        if self.source.is_secret() {
            let object = json!({"metadata": metadata, "stringData": data});
            self.world.create::<Secret>(object).await?;
        } else {
            let object = json!({"metadata": metadata, "data": data});
            self.world.create::<ConfigMap>(object).await?;
        }
        Ok(())
    }

    async fn change(&self, name: &str, data: Value) -> Result<()> {
        let params = PatchParams::default();
        if self.source.is_secret() {
            let patch = Patch::Merge(json!({"stringData": data}));
            self.world
                .api::<Secret>()
                .patch(name, &params, &patch)
                .await?;
        } else {
            let patch = Patch::Merge(json!({"data": data}));
            self.world
                .api::<ConfigMap>()
                .patch(name, &params, &patch)
                .await?;
        }
        Ok(())
    }

    async fn delete(&self, name: &str) -> Result<()> {
        let params = DeleteParams::default();
        if self.source.is_secret() {
            self.world.api::<Secret>().delete(name, &params).await?;
        } else {
            self.world.api::<ConfigMap>().delete(name, &params).await?;
        }
        Ok(())
    }

    async fn two_keys(&self) -> Result<()> {
        self.create("o", json!({"data-1": "value-1", "data-2": "value-2"}))
            .await
    }

    /// What a script prints in a volume of the object.
    async fn prints(&self, rest: Value, script: &str) -> Result<String> {
        printed(
            &self.world,
            with_volume(self.source.volume("o", rest), script),
        )
        .await
    }
}

async fn consumed(at: At) -> Result<()> {
    at.two_keys().await?;
    let printed = at
        .prints(json!({}), "cat data-1 data-2; stat -L -c %a data-1")
        .await?;
    ensure!(printed == "value-1value-2644\n", "{printed:?}");
    Ok(())
}

async fn default_mode(at: At) -> Result<()> {
    at.two_keys().await?;
    let printed = at
        .prints(
            json!({"defaultMode": 0o400}),
            "cat data-1; stat -L -c %a data-1",
        )
        .await?;
    ensure!(printed == "value-1400\n", "{printed:?}");
    Ok(())
}

async fn mappings(at: At) -> Result<()> {
    at.two_keys().await?;
    let items = json!({"items": [{"key": "data-2", "path": "path/to/data-2"}]});
    let script =
        "cat path/to/data-2; stat -L -c %a path/to/data-2; ls -d data-1 2>/dev/null || echo none";
    let printed = at.prints(items, script).await?;
    ensure!(printed == "value-2644\nnone\n", "{printed:?}");
    Ok(())
}

async fn item_mode(at: At) -> Result<()> {
    at.two_keys().await?;
    let items = json!({"defaultMode": 0o440, "items": [
        {"key": "data-2", "path": "path/to/data-2", "mode": 0o400},
        {"key": "data-1", "path": "d"},
    ]});
    let printed = at
        .prints(items, "cat path/to/data-2; stat -L -c %a path/to/data-2 d")
        .await?;
    ensure!(printed == "value-2400\n440\n", "{printed:?}");
    Ok(())
}

async fn twice(at: At) -> Result<()> {
    at.two_keys().await?;
    let volume = |name: &str| {
        let mut volume = at.source.volume("o", json!({}));
        volume["name"] = json!(name);
        volume
    };
    let spec = json!({
        "restartPolicy": "Never",
        "volumes": [volume("v"), volume("w")],
        "containers": [{
            "command": ["sh", "-c", "cat $KUBEWRIGHT_ROOT/v/data-1 $KUBEWRIGHT_ROOT/w/data-1"],
            "volumeMounts": [{"name": "v", "mountPath": "/v"}, {"name": "w", "mountPath": "/w"}],
        }],
    });
    let printed = printed(&at.world, spec).await?;
    ensure!(printed == "value-1value-1", "{printed:?}");
    Ok(())
}

async fn updates(at: At) -> Result<()> {
    at.two_keys().await?;
    at.world
        .pod("p", watching(at.source.volume("o", json!({})), "data-1"))
        .await?;
    at.world.printed("p", "main", "is value-1").await?;
    at.change("o", json!({"data-1": "changed"})).await?;
    at.world.printed("p", "main", "is changed").await?;
    Ok(())
}

/// Prints what is in three volumes, whenever that changes.
const THREE: &str = "old=; while :; do \
    new=$(cat $KUBEWRIGHT_ROOT/goes/k 2>/dev/null; echo -n ,; cat $KUBEWRIGHT_ROOT/changes/k 2>/dev/null; echo -n ,; cat $KUBEWRIGHT_ROOT/comes/k 2>/dev/null); \
    if [ \"$new\" != \"$old\" ]; then echo \"is $new.\"; old=$new; fi; sleep 0.1; done";

async fn optional(at: At) -> Result<()> {
    at.create("goes", json!({"k": "one"})).await?;
    at.create("changes", json!({"k": "one"})).await?;
    let names = ["goes", "changes", "comes"];
    let volumes = names.map(|name| {
        let mut volume = at.source.volume(name, json!({"optional": true}));
        volume["name"] = json!(name);
        volume
    });
    let mounts = names.map(|name| json!({"name": name, "mountPath": format!("/{name}")}));
    let spec = json!({
        "volumes": volumes,
        "containers": [{"command": ["sh", "-c", THREE], "volumeMounts": mounts}],
    });
    at.world.pod("p", spec).await?;
    at.world.printed("p", "main", "is one,one,.").await?;
    at.delete("goes").await?;
    at.change("changes", json!({"k": "two"})).await?;
    at.create("comes", json!({"k": "three"})).await?;
    at.world.printed("p", "main", "is ,two,three.").await?;
    Ok(())
}

async fn waits(world: &World, told: &str) -> Result<()> {
    let event = world.event("p", "FailedMount").await?;
    let message = event.message.unwrap_or_default();
    ensure!(message.contains(told), "{message:?}");
    let waits = |pod: &Pod| waits_for(pod, "main") == "ContainerCreating";
    let pod = world.until("p", "it waits", waits).await?;
    ensure!(phase(&pod) == "Pending");
    Ok(())
}

async fn missing(at: At) -> Result<()> {
    let spec = with_volume(at.source.volume("o", json!({})), "cat data-1");
    at.world.pod("p", spec).await?;
    let kind = if at.source.is_secret() {
        "secret"
    } else {
        "configmap"
    };
    waits(&at.world, &format!("{kind} \"o\" not found")).await?;
    at.create("o", json!({"data-1": "came"})).await?;
    let printed = at.world.output_of("p").await?;
    ensure!(printed == "came", "{printed:?}");
    Ok(())
}

async fn missing_key(at: At) -> Result<()> {
    at.two_keys().await?;
    let items = json!({"items": [{"key": "data-3", "path": "d"}]});
    at.world
        .pod("p", with_volume(at.source.volume("o", items), "cat d"))
        .await?;
    waits(&at.world, "references non-existent").await?;
    at.world.delete("p", Some(0)).await?;
    at.world.gone("p").await
}

async fn as_user(at: At) -> Result<()> {
    at.two_keys().await?;
    let mut spec = with_volume(at.source.volume("o", json!({})), "cat data-1; id -u");
    spec["securityContext"] = json!({"runAsUser": 1000});
    let printed = printed(&at.world, spec).await?;
    ensure!(printed == "value-11000\n", "{printed:?}");
    Ok(())
}

async fn with_group(at: At) -> Result<()> {
    at.two_keys().await?;
    let volume = at.source.volume("o", json!({"defaultMode": 0o440}));
    let mut spec = with_volume(volume, "cat data-1; stat -L -c '%a %g' data-1");
    spec["securityContext"] = json!({"runAsUser": 1000, "fsGroup": 1001});
    let printed = printed(&at.world, spec).await?;
    ensure!(printed == "value-1440 1001\n", "{printed:?}");
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

async fn projected(world: World) -> Result<()> {
    let object = json!({"metadata": {"name": "c"}, "data": {"c": "from config map"}});
    world.create::<ConfigMap>(object).await?;
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
