//! How containers end, and what is told of it.

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

use crate::table::{Row, row};
use crate::world::{World, condition, container, ended, is_over, is_running, phase, restarts};

pub(crate) fn rows() -> Vec<Row> {
    vec![
        row!(
            8,
            "policy Always: a container is started again until it stays",
            Any,
            always
        ),
        row!(
            8,
            "policy OnFailure: it is started again until it succeeds",
            Any,
            on_failure
        ),
        row!(8, "policy Never: it is not started again", Any, never),
        row!(
            9,
            "a command that always fails has a terminated reason",
            Any,
            terminated_reason
        ),
        row!(
            11,
            "a termination message is taken from the log if the file is empty",
            Any,
            from_log
        ),
        row!(
            11,
            "no more than 2 KiB are taken from the log",
            Any,
            much_from_log
        ),
        row!(
            12,
            "a termination message is taken from the file",
            Any,
            from_file
        ),
        row!(
            12,
            "no more than 4 KiB are taken from the file",
            Any,
            much_from_file
        ),
        row!(
            13,
            "a container that succeeds has no message from its log",
            Any,
            none_on_success
        ),
        row!(
            14,
            "a user other than root writes to another path",
            Isolation,
            other_user_and_path
        ),
    ]
}

/// A script that fails twice and then does something else. It counts in a volume.
fn third_time(then: &str) -> Value {
    let script = format!(
        "cd $KUBEWRIGHT_ROOT/restarts; echo x >> count; \
         if [ $(wc -l < count) -lt 3 ]; then exit 1; fi; {then}"
    );
    json!({
        "volumes": [{"name": "restarts", "emptyDir": {}}],
        "containers": [{
            "command": ["sh", "-c", script],
            "volumeMounts": [{"name": "restarts", "mountPath": "/restarts"}],
        }],
    })
}

async fn always(world: World) -> Result<()> {
    world.pod("p", third_time("exec sleep 1000")).await?;
    let pod = world.until("p", "it stays", |pod| {
        restarts(pod, "main") == 2 && is_running(pod, "main")
    });
    let pod = pod.await?;
    ensure!(phase(&pod) == "Running");
    let last = container(&pod, "main").and_then(|status| status.last_state.clone());
    let last = last
        .and_then(|state| state.terminated)
        .context("it ended before")?;
    ensure!(last.exit_code == 1 && last.reason.as_deref() == Some("Error"));
    world.ready("p").await?;
    Ok(())
}

async fn on_failure(world: World) -> Result<()> {
    let mut spec = third_time("exit 0");
    spec["restartPolicy"] = json!("OnFailure");
    world.pod("p", spec).await?;
    let pod = world.until("p", "it has ended", is_over).await?;
    ensure!(phase(&pod) == "Succeeded" && restarts(&pod, "main") == 2);
    let (code, reason, _) = ended(&pod, "main").context("its container ended")?;
    ensure!((code, reason.as_str()) == (0, "Completed"));
    ensure!(condition(&pod, "Ready") == "False");
    Ok(())
}

async fn never(world: World) -> Result<()> {
    let mut spec = third_time("exit 0");
    spec["restartPolicy"] = json!("Never");
    world.pod("p", spec).await?;
    let pod = world.until("p", "it has ended", is_over).await?;
    ensure!(phase(&pod) == "Failed" && restarts(&pod, "main") == 0);
    let (code, reason, _) = ended(&pod, "main").context("its container ended")?;
    ensure!((code, reason.as_str()) == (1, "Error"));
    Ok(())
}

async fn terminated_reason(world: World) -> Result<()> {
    world.script("p", "exit 7").await?;
    let pod = world.until("p", "it has ended", is_over).await?;
    let (code, reason, _) = ended(&pod, "main").context("its container ended")?;
    ensure!(code == 7 && reason == "Error", "{code} {reason}");
    Ok(())
}

/// The termination message of a container.
async fn message(world: &World, main: Value) -> Result<(Pod, String)> {
    let spec = json!({"restartPolicy": "Never", "containers": [main]});
    world.pod("p", spec).await?;
    let pod = world.until("p", "it has ended", is_over).await?;
    let (_, _, message) = ended(&pod, "main").context("its container ended")?;
    Ok((pod, message))
}

async fn from_log(world: World) -> Result<()> {
    let main = json!({
        "command": ["sh", "-c", "seq 100; echo DONE; exit 1"],
        "terminationMessagePolicy": "FallbackToLogsOnError",
    });
    let (pod, message) = message(&world, main).await?;
    ensure!(phase(&pod) == "Failed");
    let lines: Vec<_> = message.lines().collect();
    ensure!(
        lines.len() == 80 && lines.last() == Some(&"DONE"),
        "{message:?}"
    );
    Ok(())
}

async fn much_from_log(world: World) -> Result<()> {
    let main = json!({
        "command": ["sh", "-c", "for i in $(seq 50); do printf '%0100d\\n' $i; done; exit 1"],
        "terminationMessagePolicy": "FallbackToLogsOnError",
    });
    let (_, message) = message(&world, main).await?;
    ensure!(
        message.len() == 2048 && message.ends_with("50\n"),
        "{message:?}"
    );
    Ok(())
}

async fn much_from_file(world: World) -> Result<()> {
    let script = "printf '%05000d' 7 > $KUBEWRIGHT_ROOT/dev/termination-log";
    let (_, message) = message(&world, json!({"command": ["sh", "-c", script]})).await?;
    ensure!(message.len() == 4096, "{} bytes", message.len());
    Ok(())
}

const TO_FILE: &str = "printf OK > $KUBEWRIGHT_ROOT/dev/termination-log; echo not this";

async fn from_file(world: World) -> Result<()> {
    let main = json!({
        "command": ["sh", "-c", TO_FILE],
        "terminationMessagePolicy": "FallbackToLogsOnError",
    });
    let (pod, message) = message(&world, main).await?;
    ensure!(phase(&pod) == "Succeeded" && message == "OK", "{message:?}");
    Ok(())
}

async fn none_on_success(world: World) -> Result<()> {
    let main = json!({
        "command": ["sh", "-c", "echo DONE"],
        "terminationMessagePolicy": "FallbackToLogsOnError",
    });
    let (pod, message) = message(&world, main).await?;
    ensure!(
        phase(&pod) == "Succeeded" && message.is_empty(),
        "{message:?}"
    );
    Ok(())
}

async fn other_user_and_path(world: World) -> Result<()> {
    let main = json!({
        "command": ["sh", "-c", "id -u; printf DONE > /dev/termination-custom-log"],
        "terminationMessagePath": "/dev/termination-custom-log",
        "securityContext": {"runAsUser": 1000},
    });
    let (pod, message) = message(&world, main).await?;
    ensure!(
        phase(&pod) == "Succeeded" && message == "DONE",
        "{message:?}"
    );
    ensure!(world.log("p", "main").await? == "1000\n");
    Ok(())
}
