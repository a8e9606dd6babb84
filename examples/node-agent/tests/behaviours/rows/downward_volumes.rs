//! What a pod is, as a volume: the downward API, by itself and as a part of a projection.

use std::pin::Pin;

use anyhow::{Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube_client::api::{Patch, PatchParams};
use serde_json::{Value, json};

use super::mounted::{watching, with_volume};
use crate::table::{On, Place, Row, Shown};
use crate::world::World;

pub(crate) fn rows() -> Vec<Row> {
    let cases: [(&str, On, Case); 11] = [
        ("gives the name", On::Any, |at| Box::pin(name(at))),
        ("has a default mode", On::Any, |at| {
            Box::pin(default_mode(at))
        }),
        ("has modes of its files", On::Any, |at| {
            Box::pin(item_mode(at))
        }),
        ("is seen to change with labels", On::Any, |at| {
            Box::pin(labels(at))
        }),
        ("is seen to change with annotations", On::Any, |at| {
            Box::pin(annotations(at))
        }),
        ("gives the limit of processors", On::Any, |at| {
            Box::pin(resource(at, "limits.cpu", "1m", "1250"))
        }),
        ("gives the limit of memory", On::Any, |at| {
            Box::pin(resource(at, "limits.memory", "1Mi", "64"))
        }),
        ("gives the request of processors", On::Any, |at| {
            Box::pin(resource(at, "requests.cpu", "1m", "50"))
        }),
        ("gives the request of memory", On::Any, |at| {
            Box::pin(resource(at, "requests.memory", "1Mi", "32"))
        }),
        (
            "gives what the node has where there is no limit",
            On::Any,
            |at| Box::pin(defaults(at)),
        ),
        ("is for another user with a group", On::Isolation, |at| {
            Box::pin(with_group(at))
        }),
    ];
    let mut rows = Vec::new();
    for form in [Form::Alone, Form::Projected] {
        for (name, on, case) in cases {
            let form_name = match form {
                Form::Alone => "the downward API",
                Form::Projected => "the projected downward API",
            };
            rows.push(Row {
                number: 41,
                name: format!("{form_name} as a volume {name}"),
                run: Box::new(move |world| -> Shown { case(At { world, form }) }),
                on,
                place: Place::Shared,
            });
        }
    }
    rows
}

/// A case, of a form in a world.
type Case = fn(At) -> Pin<Box<dyn Future<Output = Result<()>>>>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Alone,
    Projected,
}

struct At {
    world: World,
    form: Form,
}

impl At {
    fn volume(&self, items: &Value, mode: Option<u32>) -> Value {
        let source = json!({"items": items});
        let (kind, mut volume) = match self.form {
            Form::Alone => ("downwardAPI", source),
            Form::Projected => ("projected", json!({"sources": [{"downwardAPI": source}]})),
        };
        if let Some(mode) = mode {
            volume["defaultMode"] = json!(mode);
        }
        json!({kind: volume})
    }

    async fn prints(&self, metadata: Value, spec: Value) -> Result<String> {
        self.world.pod_with("p", metadata, spec).await?;
        self.world.output_of("p").await
    }
}

fn field(path: &str, field: &str) -> Value {
    json!({"path": path, "fieldRef": {"fieldPath": field}})
}

async fn name(at: At) -> Result<()> {
    let volume = at.volume(
        &json!([
            field("name", "metadata.name"),
            field("space", "metadata.namespace")
        ]),
        None,
    );
    let printed = at
        .prints(json!({}), with_volume(volume, "cat name; echo; cat space"))
        .await?;
    ensure!(
        printed == format!("p\n{}", at.world.namespace),
        "{printed:?}"
    );
    Ok(())
}

async fn default_mode(at: At) -> Result<()> {
    let volume = at.volume(&json!([field("name", "metadata.name")]), Some(0o400));
    let printed = at
        .prints(json!({}), with_volume(volume, "stat -L -c %a name"))
        .await?;
    ensure!(printed == "400\n", "{printed:?}");
    Ok(())
}

async fn item_mode(at: At) -> Result<()> {
    let mut item = field("name", "metadata.name");
    item["mode"] = json!(0o400);
    let volume = at.volume(&json!([item, field("other", "metadata.name")]), None);
    let printed = at
        .prints(json!({}), with_volume(volume, "stat -L -c %a name other"))
        .await?;
    ensure!(printed == "400\n644\n", "{printed:?}");
    Ok(())
}

async fn changes(at: At, what: &str) -> Result<()> {
    let volume = at.volume(&json!([field("file", &format!("metadata.{what}"))]), None);
    let metadata = json!({what: {"key": "one"}});
    at.world
        .pod_with("p", metadata, watching(volume, "file"))
        .await?;
    at.world.printed("p", "main", "is key=\"one\"").await?;
    let patch = Patch::Merge(json!({"metadata": {what: {"key": "two"}}}));
    at.world
        .api::<Pod>()
        .patch("p", &PatchParams::default(), &patch)
        .await?;
    at.world.printed("p", "main", "key=\"two\"").await?;
    Ok(())
}

async fn labels(at: At) -> Result<()> {
    changes(at, "labels").await
}

async fn annotations(at: At) -> Result<()> {
    changes(at, "annotations").await
}

fn of_container(resource: &str, divisor: &str) -> Value {
    json!([{
        "path": "file",
        "resourceFieldRef": {"containerName": "main", "resource": resource, "divisor": divisor},
    }])
}

async fn resource(at: At, resource: &str, divisor: &str, expected: &str) -> Result<()> {
    let mut spec = with_volume(
        at.volume(&of_container(resource, divisor), None),
        "cat file",
    );
    spec["containers"][0]["resources"] = json!({
        "requests": {"cpu": "50m", "memory": "32Mi"},
        "limits": {"cpu": "1250m", "memory": "64Mi"},
    });
    let printed = at.prints(json!({}), spec).await?;
    ensure!(printed == expected, "{printed:?}");
    Ok(())
}

async fn defaults(at: At) -> Result<()> {
    let volume = at.volume(&of_container("limits.cpu", "1m"), None);
    let printed = at
        .prints(json!({}), with_volume(volume, "cat file"))
        .await?;
    let expected = at.world.node.allocatable_milli_cpu().await?;
    ensure!(printed == expected.to_string(), "{printed:?}");
    Ok(())
}

async fn with_group(at: At) -> Result<()> {
    let volume = at.volume(&json!([field("name", "metadata.name")]), Some(0o440));
    let mut spec = with_volume(volume, "cat name; stat -L -c ' %a %g' name");
    spec["securityContext"] = json!({"runAsUser": 1001, "fsGroup": 1234});
    let printed = at.prints(json!({}), spec).await?;
    ensure!(printed == "p 440 1234\n", "{printed:?}");
    Ok(())
}
