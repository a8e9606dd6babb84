//! A container that writes much, as fast as it can.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use flate2::read::GzDecoder;
use futures::AsyncReadExt as _;
use k8s_openapi::api::core::v1::Pod;
use kube_client::api::{DeleteParams, LogParams, PostParams};
use serde_json::json;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use crate::assembly::eventually;
use crate::audit::{Audit, until_nothing_but};
use crate::machine::{DEADLINE, Machine};
use crate::pod::{condition, ended, restarts};
use crate::pods::{Life, pod, script, uid_on_node};

/// How long a log may get, and how many files it may have.
const SIZE: u64 = 10 << 20;
const FILES: usize = 3;

/// How many lines are written.
const LINES: u32 = 100_000;

/// How long each of them is: with the head that the runtime writes, about a kilobyte.
const LINE: usize = 999;

/// How much more memory than before the agent may have at most, in kilobytes.
const MEMORY: u64 = 150_000;

/// What was seen of the log's files.
#[derive(Clone, Copy, Debug, Default)]
struct Sizes {
    /// Of the largest file, and of all together.
    largest: u64,
    all: u64,
}

pub(crate) async fn a_hundred_megabytes() -> Result<()> {
    let mut machine = Machine::new("long-log").await?;
    machine.configure(&json!({
        "containerLogMaxSize": SIZE.to_string(),
        "containerLogMaxFiles": FILES,
    }))?;
    machine.serve_runtime().await?;
    let mut audit = Audit::start(&machine);
    let agent = machine.start_agent()?;
    machine.until_ready(true).await?;
    let pods = machine.pods();
    let create = async |pod: Pod| pods.create(&PostParams::default(), &pod).await;
    let (begin, end) = (
        machine.manifests().join(".begin"),
        machine.manifests().join(".end"),
    );
    let until = |path: &Path| format!("while [ ! -e {} ]; do sleep 0.05; done;", path.display());
    let lines = format!(
        "echo first; {} seq -f %0{LINE}.0f 1 {LINES}; echo over; {} exit 7",
        until(&begin),
        until(&end)
    );
    let spec = json!({"restartPolicy": "Never", "containers": [script("main", &lines)]});
    let writer = create(pod("writer", machine.name, spec)).await?;
    create(probed("witness", machine.name)).await?;
    for name in ["writer", "witness"] {
        machine.until(name, |pod| Life::Sleeper.check(pod)).await?;
    }
    let ready_since = ready_since(&pods.get("witness").await?);
    let follow = LogParams {
        follow: true,
        ..LogParams::default()
    };
    let mut followed = pods.log_stream("writer", &follow).await?;
    let logs = machine
        .logs_dir()
        .join(format!("kills_writer_{}/main", uid_on_node(&writer)));

    let (before, _) = agent.memory()?;
    let start = Instant::now();
    std::fs::write(&begin, "")?;
    // Somebody follows all the while, others look at the end, and pods come.
    let is_over = AtomicBool::new(false);
    let following = async {
        let (mut order, mut buffer) = (Order::default(), vec![0; 1 << 16]);
        loop {
            let read = timeout(DEADLINE, followed.read(&mut buffer)).await;
            let read = read.context("who follows is told nothing")??;
            ensure!(
                read > 0,
                "who followed lost the log after line {}",
                order.last
            );
            if order.push(&buffer[..read])? {
                is_over.store(true, Ordering::Relaxed);
                return anyhow::Ok((order.lines, start.elapsed()));
            }
        }
    };
    let looking = async {
        let mut ticks = interval(Duration::from_millis(20));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut most, mut reads, mut last) = (Sizes::default(), 0, 0);
        while !is_over.load(Ordering::Relaxed) {
            ticks.tick().await;
            let now = sizes(&logs);
            most.largest = most.largest.max(now.largest);
            most.all = most.all.max(now.all);
            let text = match pods.logs("writer", &tail(1)).await {
                Ok(text) => text,
                // Between two steps of a rotation there is no log, for as long as the next one takes.
                Err(kube_client::Error::Api(_)) => continue,
                Err(error) => return Err(error.into()),
            };
            reads += 1;
            match text.trim() {
                // A new file may just have no line.
                "" | "first" | "over" => {}
                // What is just being written is told as far as it is there.
                line if line.len() < LINE => {}
                line => {
                    let number: u32 = line.parse().with_context(|| line.to_owned())?;
                    ensure!(number >= last, "after line {last} came {number}");
                    last = number;
                }
            }
        }
        anyhow::Ok((most, reads))
    };
    let coming = async {
        create(probed("other", machine.name)).await?;
        machine
            .until("other", |pod| Life::Sleeper.check(pod))
            .await?;
        anyhow::Ok(start.elapsed())
    };
    let beating = async {
        let before = machine.heartbeat().await?;
        let beat = async || Ok((machine.heartbeat().await? != before).then_some(()));
        eventually("the node's heart beats", DEADLINE, beat).await?;
        anyhow::Ok(start.elapsed())
    };
    // How long it takes depends on the machine; that it goes on is seen by who follows.
    let all = async { tokio::try_join!(following, looking, coming, beating) };
    let ((seen, took), (most, reads), came, beat) = Box::pin(all).await?;
    ensure!(reads > 0, "nobody could read the end of the log");

    let settled = async || Ok(is_settled(&logs)?.then_some(()));
    let settled = eventually("the log is as small as asked for", DEADLINE, settled).await;
    settled.with_context(|| format!("{:?}", files(&logs)))?;
    let left = sizes(&logs);
    // As many files as there may be, as long as they may be, and what one look lets through.
    let bound = SIZE * FILES as u64 + most.largest.saturating_sub(SIZE);
    ensure!(
        left.all <= bound,
        "{left:?} of logs are left; {bound} are the bound"
    );
    let kept = check_kept(&logs)?;
    let (_, memory) = agent.memory()?;
    ensure!(
        memory < before + MEMORY,
        "the agent had {memory} kB, and {before} kB before"
    );
    eprintln!(
        "a container that writes 100 MB: followed to the end in {took:.1?}, {seen} lines seen; read \
         {reads} times meanwhile; another pod was ready after {came:.1?}, and the node's heart beat \
         after {beat:.1?}; at most {} bytes on disk, {} in one file; {} bytes and {kept} lines in the \
         end; the agent had {memory} kB at most",
        most.all, most.largest, left.all
    );

    std::fs::write(&end, "")?;
    let code = |pod: &Pod| {
        let code = ended(pod, "main").map(|it| it.0);
        ensure!(code == Some(7), "it ended with {code:?}");
        Ok(())
    };
    machine.until("writer", code).await?;
    let witness = pods.get("witness").await?;
    ensure!(restarts(&witness, "main") == 0, "the witness was restarted");
    ensure!(
        self::ready_since(&witness) == ready_since,
        "the witness was not ready all the while"
    );
    for name in ["writer", "witness", "other"] {
        pods.delete(name, &DeleteParams::default()).await?;
    }
    until_nothing_but(&machine, &[].into(), DEADLINE).await?;
    audit.check()?;
    agent.terminate().await?;
    machine.stop().await
}

/// A pod that would be restarted if nobody asked how it is.
fn probed(name: &str, node: &str) -> Pod {
    let mut main = script("main", "exec sleep 1000");
    let probe = json!({"exec": {"command": ["true"]}, "periodSeconds": 1, "timeoutSeconds": 30});
    main["readinessProbe"] = probe.clone();
    main["livenessProbe"] = probe;
    pod(name, node, json!({"containers": [main]}))
}

/// Since when a pod is ready.
fn ready_since(pod: &Pod) -> Option<String> {
    if condition(pod, "Ready") != "True" {
        return None;
    }
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    let ready = conditions.iter().find(|it| it.type_ == "Ready")?;
    Some(ready.last_transition_time.as_ref()?.0.to_string())
}

/// Lines as they come, of which none comes twice or before an older one.
#[derive(Default)]
struct Order {
    rest: Vec<u8>,
    lines: u32,
    last: u32,
}

impl Order {
    /// Whether it is over.
    fn push(&mut self, text: &[u8]) -> Result<bool> {
        self.rest.extend_from_slice(text);
        let Some(end) = self.rest.iter().rposition(|byte| *byte == b'\n') else {
            return Ok(false);
        };
        let rest = self.rest.split_off(end + 1);
        let whole = std::mem::replace(&mut self.rest, rest);
        for line in std::str::from_utf8(&whole)?.lines() {
            match line {
                "over" => return Ok(true),
                "first" => {}
                line => {
                    let number: u32 = line.parse().with_context(|| line.to_owned())?;
                    ensure!(number > self.last, "after line {} came {number}", self.last);
                    self.last = number;
                    self.lines += 1;
                }
            }
        }
        Ok(false)
    }
}

/// Whether there are no more files than there may be, none of them is too long but the one that was
/// rotated last, and all others are compressed.
fn is_settled(logs: &Path) -> Result<bool> {
    let files = files(logs);
    let [rest @ .., rotated, current] = files.as_slice() else {
        return Ok(false);
    };
    let is_plain = |path: &PathBuf| {
        path.extension()
            .is_some_and(|end| end != "gz" && end != "tmp")
    };
    let are_compressed = rest
        .iter()
        .all(|path| path.extension().is_some_and(|end| end == "gz"));
    Ok(files.len() <= FILES
        && are_compressed
        && is_plain(rotated)
        && std::fs::metadata(current).is_ok_and(|it| it.len() < SIZE))
}

/// Fails if a line is missing or there twice in what is kept, up to the last one; how many there are.
fn check_kept(logs: &Path) -> Result<usize> {
    let mut lines = Vec::new();
    for path in files(logs) {
        let mut text = String::new();
        let mut file = std::fs::File::open(&path)?;
        if path.extension().is_some_and(|end| end == "gz") {
            GzDecoder::new(file).read_to_string(&mut text)?;
        } else {
            file.read_to_string(&mut text)?;
        }
        for line in text.lines() {
            let entry = line.splitn(4, ' ').collect::<Vec<_>>();
            let [_, "stdout", "F", text] = entry.as_slice() else {
                anyhow::bail!("{}: {line}", path.display());
            };
            lines.push((*text).to_owned());
        }
    }
    ensure!(
        lines.pop().as_deref() == Some("over"),
        "the last line is not the last"
    );
    let numbers = lines.iter().filter(|line| *line != "first");
    let numbers: Vec<u32> = numbers.map(|line| line.parse()).collect::<Result<_, _>>()?;
    let first = LINES + 1 - u32::try_from(numbers.len())?;
    let wrong = numbers
        .iter()
        .zip(first..)
        .find(|(found, wanted)| *found != wanted);
    ensure!(
        wrong.is_none(),
        "a line and what was to be there: {wrong:?}"
    );
    Ok(lines.len())
}

fn tail(lines: i64) -> LogParams {
    LogParams {
        tail_lines: Some(lines),
        ..LogParams::default()
    }
}

/// The files of a log, the oldest first and the one that is written last.
fn files(logs: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(logs).into_iter().flatten().flatten();
    let mut files: Vec<_> = entries.map(|entry| entry.path()).collect();
    files.sort();
    let first = files.len().min(1);
    files.rotate_left(first);
    files
}

fn sizes(logs: &Path) -> Sizes {
    let mut sizes = Sizes::default();
    for path in files(logs) {
        // What was there may just have been rotated away.
        let size = std::fs::metadata(path).map_or(0, |metadata| metadata.len());
        sizes.largest = sizes.largest.max(size);
        sizes.all += size;
    }
    sizes
}
