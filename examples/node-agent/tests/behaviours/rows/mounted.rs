//! Pods with one volume, and what they print of it.

use anyhow::Result;
use serde_json::{Value, json};

use crate::world::World;

/// A pod with one volume at `/v`, that runs a script to its end.
pub(crate) fn with_volume(volume: Value, script: &str) -> Value {
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

/// What a pod prints that comes to a good end.
pub(crate) async fn printed(world: &World, spec: Value) -> Result<String> {
    world.pod("p", spec).await?;
    world.output_of("p").await
}

/// Prints a file whenever it changes.
pub(crate) fn watching(volume: Value, file: &str) -> Value {
    let script = format!(
        "old=; while :; do new=$(cat {file} 2>/dev/null); \
         if [ \"$new\" != \"$old\" ]; then echo \"is $new\"; old=$new; fi; sleep 0.1; done"
    );
    with_volume(volume, &script)
}
