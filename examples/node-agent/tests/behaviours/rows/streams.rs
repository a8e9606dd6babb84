//! Commands in containers, and logs, over websockets.

use anyhow::{Result, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use futures::{AsyncBufReadExt as _, StreamExt as _};
use k8s_openapi::api::core::v1::Pod;
use kube_client::api::{AttachParams, LogParams};
use kubewright_streaming::StreamOptions;
use kubewright_streaming::client::{Received, Transport};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

use crate::table::{Row, row};
use crate::world::{DEADLINE, FIXTURE, World};

pub(crate) fn rows() -> Vec<Row> {
    vec![
        row!(
            46,
            "a command is run in a container over a websocket",
            Any,
            command
        ),
        row!(
            46,
            "what a command is sent and prints passes whole, and its exit code is told",
            Any,
            streams
        ),
        row!(
            46,
            "a command's input ends, over SPDY",
            Any,
            input_ends_over_spdy
        ),
        row!(
            46,
            "a command's input ends, over a websocket of version 5",
            NoIsolation,
            input_ends_over_websocket
        ),
        row!(46, "logs are read over websockets", Any, websocket_logs),
        row!(
            46,
            "logs are followed over websockets until the container ends",
            Any,
            websocket_follow
        ),
        row!(46, "logs are read over http, whole and in part", Any, logs),
        row!(
            46,
            "logs are followed until the container ends",
            Any,
            follow
        ),
        row!(
            46,
            "a port of a pod is reached through the API server",
            Any,
            port
        ),
    ]
}

async fn sleeper(world: &World) -> Result<()> {
    world
        .pod("p", json!({"containers": [{"command": ["sleep", "1000"]}]}))
        .await?;
    world.ready("p").await?;
    Ok(())
}

async fn command(world: World) -> Result<()> {
    sleeper(&world).await?;
    let printed = world.exec("p", &["echo", "remote execution test"]).await?;
    ensure!(printed == "remote execution test\n", "{printed:?}");
    Ok(())
}

async fn streams(world: World) -> Result<()> {
    sleeper(&world).await?;
    let params = AttachParams::default().stdin(true);
    let sent: String = ("abcdefg".repeat(1000) + "\n").repeat(30);
    // Not every protocol can say that there is no more input: the command knows how much comes.
    let script = format!(
        "head -c {} | tr a-z A-Z; echo problem >&2; exit 3",
        sent.len()
    );
    let script = ["sh", "-c", &script];
    let mut process = world.api::<Pod>().exec("p", script, &params).await?;
    let status = process.take_status().expect("it is there once");
    let (mut stdin, mut stdout, mut stderr) = (
        process.stdin().expect("it was asked for"),
        process.stdout().expect("it was asked for"),
        process.stderr().expect("it was asked for"),
    );
    let expected = sent.to_uppercase();
    let send = async {
        stdin.write_all(sent.as_bytes()).await?;
        stdin.flush().await?;
        anyhow::Ok(())
    };
    let (mut printed, mut problem) = (String::new(), String::new());
    let (sending, reading, reading_too) = tokio::join!(
        send,
        stdout.read_to_string(&mut printed),
        stderr.read_to_string(&mut problem),
    );
    sending?;
    reading?;
    reading_too?;
    ensure!(
        printed == expected,
        "{} of {} bytes came back",
        printed.len(),
        expected.len()
    );
    ensure!(problem == "problem\n", "{problem:?}");
    let status = status.await.expect("how it ended is told");
    let causes = status
        .details
        .and_then(|details| details.causes)
        .unwrap_or_default();
    let code = causes
        .iter()
        .find(|cause| cause.reason.as_deref() == Some("ExitCode"));
    ensure!(
        code.and_then(|cause| cause.message.as_deref()) == Some("3"),
        "{causes:?}"
    );
    Ok(())
}

/// Counts what it is sent; it has to be told that there is no more.
const COUNTS: &str = "command=wc&command=-c&stdin=true&stdout=true&container=main";

async fn input_ends(world: &World, transport: Transport) -> Result<()> {
    sleeper(world).await?;
    let options = StreamOptions {
        stdin: true,
        stdout: true,
        ..StreamOptions::default()
    };
    let dial = world.dial(&format!("pods/p/exec?{COUNTS}")).await?;
    let mut command = dial.command(transport, options).await?;
    let mut stdin = command.stdin.take().expect("it was asked for");
    stdin.write_all(&[b'x'; 70_000]).await?;
    stdin.shutdown().await?;
    drop(stdin);
    let output = timeout(DEADLINE, command.output()).await??;
    let printed = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    ensure!(printed == "70000", "{output:?}");
    ensure!(output.status.contains("Success"), "{output:?}");
    Ok(())
}

async fn input_ends_over_spdy(world: World) -> Result<()> {
    input_ends(&world, Transport::SPDY).await
}

async fn input_ends_over_websocket(world: World) -> Result<()> {
    input_ends(&world, Transport::WEBSOCKET).await
}

/// What comes of a log over a websocket, without the message that says that it begins.
async fn received(world: &World, query: &str, protocol: &'static str) -> Result<String> {
    let dial = world.dial(&format!("pods/p/log?{query}")).await?;
    let mut messages = dial.messages(protocol).await?;
    let mut log = String::new();
    let read = async {
        while let Some(message) = messages.next().await? {
            match message {
                Received::Binary(bytes) => log.push_str(std::str::from_utf8(&bytes)?),
                Received::Text(text) => {
                    let bytes = BASE64_STANDARD.decode(text)?;
                    log.push_str(std::str::from_utf8(&bytes)?);
                }
            }
        }
        anyhow::Ok(())
    };
    timeout(DEADLINE, read).await??;
    Ok(log)
}

async fn websocket_logs(world: World) -> Result<()> {
    world.output("p", "echo container is alive").await?;
    for protocol in ["", "binary.k8s.io", "base64.binary.k8s.io"] {
        let log = received(&world, "container=main", protocol).await?;
        ensure!(log == "container is alive\n", "{protocol}: {log:?}");
    }
    Ok(())
}

async fn websocket_follow(world: World) -> Result<()> {
    let script = "for i in 1 2 3; do echo line $i; sleep 0.3; done";
    world.script("p", script).await?;
    world.printed("p", "main", "line 1").await?;
    let log = received(&world, "follow=true", "binary.k8s.io").await?;
    ensure!(log == "line 1\nline 2\nline 3\n", "{log:?}");
    Ok(())
}

async fn logs(world: World) -> Result<()> {
    world
        .output(
            "p",
            "for i in 1 2 3 4 5; do echo line $i; done; echo problem >&2",
        )
        .await?;
    let get = async |params: LogParams| world.api::<Pod>().logs("p", &params).await;
    let whole = get(LogParams::default()).await?;
    // Two streams have no order between them.
    let (problems, lines): (Vec<_>, Vec<_>) = whole.lines().partition(|line| *line == "problem");
    ensure!(problems.len() == 1, "{whole:?}");
    ensure!(
        lines == ["line 1", "line 2", "line 3", "line 4", "line 5"],
        "{whole:?}"
    );
    let tail = LogParams {
        tail_lines: Some(2),
        ..LogParams::default()
    };
    ensure!(get(tail).await?.lines().count() == 2);
    let limit = LogParams {
        limit_bytes: Some(4),
        ..LogParams::default()
    };
    ensure!(get(limit).await?.len() == 4);
    let timed = get(LogParams {
        timestamps: true,
        ..LogParams::default()
    })
    .await?;
    let first = timed.split(' ').next().unwrap_or_default();
    ensure!(first.parse::<jiff::Timestamp>().is_ok(), "{timed:?}");
    let none = LogParams {
        previous: true,
        ..LogParams::default()
    };
    let error = get(none).await.expect_err("there was no container before");
    ensure!(
        error.to_string().contains("previous terminated container"),
        "{error}"
    );
    Ok(())
}

async fn follow(world: World) -> Result<()> {
    let script = "for i in 1 2 3; do echo line $i; sleep 0.3; done";
    world.script("p", script).await?;
    world.printed("p", "main", "line 1").await?;
    let params = LogParams {
        follow: true,
        ..LogParams::default()
    };
    let mut lines = world.api::<Pod>().log_stream("p", &params).await?.lines();
    let mut seen = Vec::new();
    while let Some(line) = lines.next().await {
        seen.push(line?);
    }
    ensure!(seen == ["line 1", "line 2", "line 3"], "{seen:?}");
    Ok(())
}

async fn port(world: World) -> Result<()> {
    let container = json!({"image": FIXTURE, "args": ["http", "18080"]});
    world.pod("p", json!({"containers": [container]})).await?;
    world.printed("p", "main", "serving").await?;
    let mut forwarder = world.api::<Pod>().portforward("p", &[18080]).await?;
    let mut stream = forwarder.take_stream(18080).expect("it is there once");
    let request = "GET /hello HTTP/1.1\r\nHost: p\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    ensure!(
        answer.starts_with("HTTP/1.1 200") && answer.ends_with("/hello"),
        "{answer:?}"
    );
    Ok(())
}
