//! Probes: what keeps a container from being ready, and what restarts it.

use anyhow::{Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

use crate::fixture::ASKED;
use crate::script::DEAF;
use crate::table::{Row, row};
use crate::world::{FIXTURE, World, container, eventually, is_ready, is_running, restarts};

pub(crate) fn rows() -> Vec<Row> {
    vec![
        row!(
            19,
            "a container is not ready before its initial delay",
            Any,
            initial_delay
        ),
        row!(
            20,
            "a readiness that fails never makes ready and never restarts",
            Any,
            never_ready
        ),
        row!(
            21,
            "restarted by an exec liveness probe",
            Any,
            restarted_by_exec
        ),
        row!(
            21,
            "restarted by an exec liveness probe that takes too long",
            Any,
            restarted_by_slow_exec
        ),
        row!(
            22,
            "restarted by an http liveness probe",
            Any,
            restarted_by_http
        ),
        row!(
            22,
            "restarted by an http liveness probe that is redirected within the host",
            Any,
            restarted_by_redirect
        ),
        row!(
            23,
            "restarted by a gRPC liveness probe",
            Any,
            restarted_by_grpc
        ),
        row!(
            24,
            "not restarted by an exec liveness probe",
            Any,
            not_restarted_by_exec
        ),
        row!(
            24,
            "not restarted by a tcp liveness probe",
            Any,
            not_restarted_by_tcp
        ),
        row!(
            25,
            "not restarted by an http liveness probe",
            Any,
            not_restarted_by_http
        ),
        row!(
            25,
            "an http probe that leads elsewhere is a success, and told of",
            Any,
            redirect_elsewhere
        ),
        row!(
            26,
            "not restarted by a gRPC liveness probe",
            Any,
            not_restarted_by_grpc
        ),
        row!(27, "the restart count only grows", Any, only_grows),
        row!(
            28,
            "a startup probe delays the liveness probe",
            Any,
            startup_delays
        ),
        row!(
            28,
            "a startup probe that succeeds enables the liveness probe",
            Any,
            startup_enables
        ),
        row!(
            28,
            "a startup probe that fails restarts",
            Any,
            startup_restarts
        ),
        row!(
            28,
            "readiness waits for the startup probe",
            Any,
            startup_then_ready
        ),
        row!(
            29,
            "a liveness probe's own grace counts",
            Any,
            liveness_grace
        ),
        row!(29, "a startup probe's own grace counts", Any, startup_grace),
    ]
}

/// How often something is asked before it is taken for sure that nothing comes of it.
const OFTEN: usize = 4;

/// A command that is counted, and then comes to this.
fn counted(comes_to: &str) -> Value {
    let script = format!("echo {ASKED} >> $KUBEWRIGHT_ROOT/v/asked; {comes_to}");
    json!({"exec": {"command": ["sh", "-c", script]}})
}

/// A container that prints when a [`counted`] command is asked.
fn counting() -> Value {
    let script = "cd $KUBEWRIGHT_ROOT/v; touch asked; exec tail -n +1 -f asked";
    let mut container = shell(script);
    container["volumeMounts"] = json!([{"name": "v", "mountPath": "/v"}]);
    container
}

/// Creates a pod of one container, with a volume that it may mount.
async fn pod(world: &World, main: Value) -> Result<()> {
    let volumes = json!([{"name": "v", "emptyDir": {}}]);
    world
        .pod("p", json!({"volumes": volumes, "containers": [main]}))
        .await?;
    Ok(())
}

/// Waits until the container was asked often.
async fn asked_often(world: &World) -> Result<()> {
    eventually("the container was asked often", async || {
        let log = world.log("p", "main").await.unwrap_or_default();
        let times = log.lines().filter(|line| *line == ASKED).count();
        Ok((times >= OFTEN).then_some(()))
    })
    .await
}

fn with(mut container: Value, kind: &str, mut probe: Value) -> Value {
    for (name, value) in [
        ("periodSeconds", 1),
        ("failureThreshold", 1),
        ("timeoutSeconds", 3),
    ] {
        if probe.get(name).is_none() {
            probe[name] = json!(value);
        }
    }
    container[kind] = probe;
    container
}

fn shell(script: &str) -> Value {
    json!({"command": ["sh", "-c", script]})
}

fn served(protocol: &str, port: u16, options: &[&str]) -> Value {
    let mut args = vec![protocol.to_owned(), port.to_string()];
    args.extend(options.iter().map(|it| (*it).to_owned()));
    json!({"image": FIXTURE, "args": args})
}

async fn restarted(world: &World, main: Value) -> Result<()> {
    world.pod("p", json!({"containers": [main]})).await?;
    world
        .until("p", "it was restarted", |pod| restarts(pod, "main") > 0)
        .await?;
    world.event("p", "Unhealthy").await?;
    world.event("p", "Killing").await?;
    Ok(())
}

async fn not_restarted(world: &World, mut main: Value) -> Result<()> {
    // One failure restarts it: neither its start nor a machine that does much else is to be one.
    main["livenessProbe"]["timeoutSeconds"] = json!(30);
    if main.get("startupProbe").is_none() {
        main["startupProbe"] = main["livenessProbe"].clone();
        main["startupProbe"]["failureThreshold"] = json!(100);
    }
    pod(world, main).await?;
    asked_often(world).await?;
    let pod = world.get("p").await?;
    ensure!(restarts(&pod, "main") == 0 && is_running(&pod, "main"));
    Ok(())
}

async fn initial_delay(world: World) -> Result<()> {
    let probe = json!({"exec": {"command": ["true"]}, "initialDelaySeconds": 3});
    let main = with(shell("exec sleep 1000"), "readinessProbe", probe);
    world.pod("p", json!({"containers": [main]})).await?;
    let pod = world.until("p", "it is ready", is_ready).await?;
    let started = container(&pod, "main").and_then(|status| status.state.clone());
    let started = started
        .and_then(|state| state.running?.started_at)
        .map(|at| at.0);
    let conditions = pod
        .status
        .and_then(|status| status.conditions)
        .unwrap_or_default();
    let ready = conditions
        .into_iter()
        .find(|condition| condition.type_ == "Ready");
    let ready = ready
        .and_then(|condition| condition.last_transition_time)
        .map(|at| at.0);
    let (Some(started), Some(ready)) = (started, ready) else {
        anyhow::bail!("no times are told");
    };
    ensure!(
        ready.duration_since(started).as_secs() >= 2,
        "{started} to {ready}"
    );
    ensure!(restarts(&world.get("p").await?, "main") == 0);
    Ok(())
}

async fn never_ready(world: World) -> Result<()> {
    let main = with(counting(), "readinessProbe", counted("false"));
    pod(&world, main).await?;
    world.event("p", "Unhealthy").await?;
    asked_often(&world).await?;
    let pod = world.get("p").await?;
    ensure!(!is_ready(&pod) && restarts(&pod, "main") == 0 && is_running(&pod, "main"));
    Ok(())
}

async fn restarted_by_exec(world: World) -> Result<()> {
    let script = "cd $KUBEWRIGHT_ROOT; touch health; (sleep 2; rm health) & exec sleep 1000";
    let command = ["sh", "-c", "cat $KUBEWRIGHT_ROOT/health"];
    let probe = json!({"exec": {"command": command}, "initialDelaySeconds": 1});
    restarted(&world, with(shell(script), "livenessProbe", probe)).await
}

async fn restarted_by_slow_exec(world: World) -> Result<()> {
    let probe = json!({"exec": {"command": ["sleep", "100"]}, "timeoutSeconds": 1});
    restarted(
        &world,
        with(shell("exec sleep 1000"), "livenessProbe", probe),
    )
    .await
}

async fn restarted_by_http(world: World) -> Result<()> {
    let probe = json!({"httpGet": {"path": "/healthz", "port": 18080}, "initialDelaySeconds": 1});
    let main = served("http", 18080, &["--healthy", "2"]);
    restarted(&world, with(main, "livenessProbe", probe)).await
}

async fn restarted_by_redirect(world: World) -> Result<()> {
    let probe =
        json!({"httpGet": {"path": "/redirect/healthz", "port": 18080}, "initialDelaySeconds": 1});
    let main = served("http", 18080, &["--healthy", "2"]);
    restarted(&world, with(main, "livenessProbe", probe)).await
}

async fn restarted_by_grpc(world: World) -> Result<()> {
    let probe = json!({"grpc": {"port": 15000}, "initialDelaySeconds": 1});
    let main = served("grpc", 15000, &["--healthy", "2"]);
    restarted(&world, with(main, "livenessProbe", probe)).await
}

async fn not_restarted_by_exec(world: World) -> Result<()> {
    not_restarted(&world, with(counting(), "livenessProbe", counted("true"))).await
}

async fn not_restarted_by_tcp(world: World) -> Result<()> {
    let probe = json!({"tcpSocket": {"port": 18080}, "initialDelaySeconds": 1});
    not_restarted(
        &world,
        with(served("tcp", 18080, &[]), "livenessProbe", probe),
    )
    .await
}

async fn not_restarted_by_http(world: World) -> Result<()> {
    let probe = json!({"httpGet": {"path": "/healthz", "port": 18080}, "initialDelaySeconds": 1});
    not_restarted(
        &world,
        with(served("http", 18080, &[]), "livenessProbe", probe),
    )
    .await
}

async fn redirect_elsewhere(world: World) -> Result<()> {
    let probe = json!({"httpGet": {"path": "/elsewhere", "port": 18080}, "initialDelaySeconds": 1});
    not_restarted(
        &world,
        with(served("http", 18080, &[]), "livenessProbe", probe),
    )
    .await?;
    world.event("p", "ProbeWarning").await?;
    Ok(())
}

async fn not_restarted_by_grpc(world: World) -> Result<()> {
    let probe = json!({"grpc": {"port": 15000}, "initialDelaySeconds": 1});
    not_restarted(
        &world,
        with(served("grpc", 15000, &[]), "livenessProbe", probe),
    )
    .await
}

async fn only_grows(world: World) -> Result<()> {
    let probe = json!({"exec": {"command": ["false"]}, "initialDelaySeconds": 1});
    let main = with(shell("exec sleep 1000"), "livenessProbe", probe);
    world.pod("p", json!({"containers": [main]})).await?;
    let mut count = 0;
    let pod = world.watch("p", "it was restarted three times", |pod: &Pod| {
        let now = restarts(pod, "main");
        ensure!(now >= count, "from {count} to {now}");
        count = now;
        Ok(count >= 3)
    });
    pod.await?;
    Ok(())
}

async fn startup_delays(world: World) -> Result<()> {
    let mut startup = counted("false");
    startup["failureThreshold"] = json!(60);
    let liveness = json!({"exec": {"command": ["false"]}});
    let main = with(counting(), "startupProbe", startup);
    not_restarted(&world, with(main, "livenessProbe", liveness)).await
}

async fn startup_enables(world: World) -> Result<()> {
    // It has not started when it is asked first, and is never alive.
    let startup =
        "cd $KUBEWRIGHT_ROOT/v; test -e first && touch started && exit; touch first; exit 1";
    let startup = json!({"exec": {"command": ["sh", "-c", startup]}, "failureThreshold": 60});
    let liveness = "cd $KUBEWRIGHT_ROOT/v; test -e started || touch early; exit 1";
    let liveness = json!({"exec": {"command": ["sh", "-c", liveness]}});
    let main = with(counting(), "startupProbe", startup);
    pod(&world, with(main, "livenessProbe", liveness)).await?;
    let restarted = |pod: &Pod| restarts(pod, "main") > 0 && is_running(pod, "main");
    world.until("p", "it was restarted", restarted).await?;
    let early = "test -e $KUBEWRIGHT_ROOT/v/early && echo early; true";
    let early = world.exec("p", &["sh", "-c", early]).await?;
    ensure!(early.is_empty(), "whether it lives was asked too early");
    Ok(())
}

async fn startup_restarts(world: World) -> Result<()> {
    let startup = json!({"exec": {"command": ["false"]}, "failureThreshold": 2});
    let liveness = json!({"exec": {"command": ["true"]}});
    let main = with(shell("exec sleep 1000"), "startupProbe", startup);
    restarted(&world, with(main, "livenessProbe", liveness)).await
}

async fn startup_then_ready(world: World) -> Result<()> {
    let startup = json!({"httpGet": {"path": "/healthz", "port": 18080}, "failureThreshold": 60});
    let readiness = json!({"exec": {"command": ["true"]}});
    let main = with(
        served("http", 18080, &["--after", "2"]),
        "startupProbe",
        startup,
    );
    world
        .pod(
            "p",
            json!({"containers": [with(main, "readinessProbe", readiness)]}),
        )
        .await?;
    let mut too_early = false;
    let pod = world.watch("p", "it is ready", |pod: &Pod| {
        let started = container(pod, "main").and_then(|status| status.started) == Some(true);
        too_early |= is_ready(pod) && !started;
        Ok(is_ready(pod))
    });
    let pod = pod.await?;
    ensure!(!too_early && restarts(&pod, "main") == 0);
    Ok(())
}

/// A container that does not end by itself is killed after the probe's grace, not after the pod's.
async fn own_grace(world: World, kind: &str) -> Result<()> {
    let probe = json!({
        "exec": {"command": ["false"]},
        "initialDelaySeconds": 1,
        "terminationGracePeriodSeconds": 2,
    });
    let main = with(shell(DEAF), kind, probe);
    let spec = json!({"terminationGracePeriodSeconds": 500, "containers": [main]});
    world.pod("p", spec).await?;
    // The pod's own grace is longer than this is waited for.
    world
        .until("p", "it was restarted", |pod| restarts(pod, "main") > 0)
        .await?;
    world.delete("p", Some(1)).await?;
    world.gone("p").await
}

async fn liveness_grace(world: World) -> Result<()> {
    own_grace(world, "livenessProbe").await
}

async fn startup_grace(world: World) -> Result<()> {
    own_grace(world, "startupProbe").await
}
