//! An agent that is killed again and again while pods live: alone, or with the runtime that is part of
//! the same program.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use anyhow::{Context as _, Result, ensure};
use fastrand::Rng;
use k8s_openapi::api::core::v1::Pod;
use kube_client::api::{DeleteParams, ListParams, PostParams};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tokio::time::Instant;

use crate::assembly::eventually;
use crate::audit::{Audit, Happened, statuses, until_nothing_but};
use crate::machine::{DEADLINE, Machine};
use crate::pods::{LIVES, Life, manifest, uid_on_node};
use crate::points::{Point, chances};
use crate::program::Program;

/// How many pods come and go at once.
const PASSING: usize = 6;

/// What is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Victim {
    /// An agent with short times; the runtime is served by the tests.
    Agent,
    /// The program `node-agent`, configured as people would, with its own runtime.
    Program,
}

struct World {
    machine: Machine,
    victim: Victim,
    audit: Audit,
    chance: Rng,
    /// Pods that come and go.
    passing: Vec<(Pod, Life)>,
    /// Pods of which a process was killed. Once each: the next time they would have to wait.
    struck: BTreeSet<String>,
    /// Pods that nobody touches, and their processes.
    calm: BTreeMap<String, i32>,
    calm_pods: BTreeSet<String>,
    generation: u32,
    counter: usize,
    /// What happened when it was killed.
    points: BTreeMap<Option<Happened>, usize>,
    /// What was done, for those who look for a cause.
    story: String,
}

pub(crate) async fn alone() -> Result<()> {
    killed(Victim::Agent, "agent-killed", 34).await
}

pub(crate) async fn with_its_runtime() -> Result<()> {
    killed(Victim::Program, "program-killed", 16).await
}

async fn killed(victim: Victim, name: &'static str, kills: usize) -> Result<()> {
    let chance = chances(name)?;
    let seed = chance.get_seed();
    let start = Instant::now();
    let mut machine = Machine::new(name).await?;
    match victim {
        Victim::Agent => drop(machine.serve_runtime().await?),
        // Its ports would be fixed ones.
        Victim::Program => machine.configure(&json!({"enableServer": false, "healthzPort": 0}))?,
    }
    let audit = Audit::start(&machine);
    let mut world = World {
        machine,
        victim,
        audit,
        chance,
        passing: Vec::new(),
        struck: BTreeSet::new(),
        calm: BTreeMap::new(),
        calm_pods: BTreeSet::new(),
        generation: 0,
        counter: 0,
        points: BTreeMap::new(),
        story: String::new(),
    };
    let told = world.run(kills).await;
    told.with_context(|| {
        format!(
            "seed {seed}\n{}\n{}",
            world.story,
            world.machine.agent_log()
        )
    })?;
    world.machine.stop().await?;
    let (took, points) = (start.elapsed(), world.points);
    eprintln!("{name}: killed {kills} times, in {took:.1?}; when this had happened: {points:?}");
    Ok(())
}

impl World {
    async fn run(&mut self, kills: usize) -> Result<()> {
        self.write_static_pod()?;
        let agent = self.start()?;
        self.machine.until_ready(true).await?;
        let mut calm = Vec::new();
        for life in [Life::Sleeper, Life::Company, Life::Steps] {
            let pod = self
                .create(&format!("calm-{life:?}").to_lowercase(), life)
                .await?;
            self.calm_pods.insert(uid_on_node(&pod));
            calm.push((pod, life));
        }
        for (pod, life) in calm {
            self.settled(&pod, life).await?;
        }
        self.calm = self.calm_processes();
        let count = self.calm.len();
        ensure!(count == 5, "5 containers are to be calm: {:?}", self.calm);
        agent.kill().await?;

        for round in 0..kills {
            let point = Point::any(&mut self.chance);
            let _ = write!(self.story, "\n{round}: {point:?}:");
            let happenings = self.audit.happenings();
            let is_before = self.chance.bool();
            if is_before {
                self.act().await?;
            }
            let mut agent = self.start()?;
            if !is_before {
                self.act().await?;
            }
            let (lived, happened) = point.reached(happenings).await;
            agent.must_run()?;
            agent.kill().await?;
            *self.points.entry(happened).or_default() += 1;
            let _ = write!(self.story, " killed after {lived:.0?}, {happened:?}");
            self.audit.check()?;
            self.check_calm()?;
        }
        let agent = self.start()?;
        for (pod, life) in self.passing.clone() {
            self.settled(&pod, life).await?;
        }
        self.static_pod_settled().await?;
        let wanted = self.machine.pods().list(&ListParams::default()).await?;
        let wanted = wanted.items.iter().map(uid_on_node).collect();
        self.until_nothing_but(&wanted).await?;
        self.check_calm()?;
        self.audit.check()?;
        for (pod, _) in self.passing.iter().filter(|(_, life)| life.is_once()) {
            let (name, starts) = (&pod.metadata.name, self.audit.starts(&uid_on_node(pod)));
            ensure!(starts == 1, "{name:?} was started {starts} times");
        }
        self.end_all().await?;
        self.audit.check()?;
        agent.terminate().await
    }

    /// Ends all pods.
    async fn end_all(&mut self) -> Result<()> {
        // Its mirror goes with it.
        std::fs::remove_file(self.machine.manifests().join("static.json"))?;
        let (pods, all) = (self.machine.pods(), ListParams::default());
        for pod in pods.list(&all).await? {
            let is_mirror = Some(uid_on_node(&pod)) != pod.metadata.uid;
            if is_mirror {
                continue;
            }
            let name = pod.metadata.name.as_deref().unwrap_or_default();
            match pods.delete(name, &DeleteParams::default()).await {
                // It was on its way out, and is.
                Err(kube_client::Error::Api(status)) if status.is_not_found() => {}
                deleted => drop(deleted?),
            }
        }
        eventually("all pods are gone", DEADLINE, async || {
            Ok(pods.list(&all).await?.items.is_empty().then_some(()))
        })
        .await?;
        // The program as well, whose turn it is once in a minute.
        until_nothing_but(&self.machine, &BTreeSet::new(), 2 * DEADLINE).await
    }

    fn start(&self) -> Result<Program> {
        match self.victim {
            Victim::Agent => self.machine.start_agent(),
            Victim::Program => self.machine.start_program(),
        }
    }

    /// Something that people and programs do to pods.
    async fn act(&mut self) -> Result<()> {
        if self.passing.len() >= PASSING || (self.passing.len() > 2 && self.chance.u8(0..3) == 0) {
            let index = self.chance.usize(..self.passing.len());
            let (pod, _) = self.passing.swap_remove(index);
            let name = pod.metadata.name.as_deref().unwrap_or_default();
            let _ = write!(self.story, " deletes {name};");
            let params = DeleteParams::default();
            self.machine.pods().delete(name, &params).await?;
            return Ok(());
        }
        match self.chance.u8(0..8) {
            0 => {
                let _ = write!(self.story, " changes the static pod;");
                self.write_static_pod()
            }
            1 if self.strike()? => Ok(()),
            _ => {
                let life = LIVES[self.chance.usize(..LIVES.len())];
                let name = format!("{life:?}-{}", self.counter).to_lowercase();
                self.counter += 1;
                let _ = write!(self.story, " creates {name};");
                let pod = self.create(&name, life).await?;
                self.passing.push((pod, life));
                Ok(())
            }
        }
    }

    async fn create(&self, name: &str, life: Life) -> Result<Pod> {
        let pod = life.pod(name, self.machine.name);
        let pods = self.machine.pods();
        Ok(pods.create(&PostParams::default(), &pod).await?)
    }

    /// Kills the process of a container, from outside, if there is one.
    fn strike(&mut self) -> Result<bool> {
        let passing = self.passing.iter();
        let sleepers = passing.filter(|(_, life)| *life == Life::Sleeper);
        let uids = sleepers.map(|(pod, _)| uid_on_node(pod));
        let uids = uids.filter(|uid| !self.struck.contains(uid)).collect();
        let found = self.machine.containers().processes(&uids);
        let Some((id, pid)) = found.into_iter().next() else {
            return Ok(false);
        };
        let _ = write!(self.story, " kills container {id};");
        let owner = self.machine.containers().owner(&id);
        self.struck.extend(owner.map(|owner| owner.uid));
        let pid = Pid::from_raw(pid).context("it is a process")?;
        // It may just be ending.
        let _ = kill_process(pid, Signal::KILL);
        Ok(true)
    }

    fn write_static_pod(&mut self) -> Result<()> {
        self.generation += 1;
        let path = self.machine.manifests().join(".static.json");
        std::fs::write(&path, manifest("static", self.generation))?;
        std::fs::rename(path, self.machine.manifests().join("static.json"))?;
        Ok(())
    }

    fn calm_processes(&self) -> BTreeMap<String, i32> {
        self.machine.containers().processes(&self.calm_pods)
    }

    fn check_calm(&self) -> Result<()> {
        let now = self.calm_processes();
        let before = &self.calm;
        ensure!(
            now == *before,
            "what ran was touched: {before:?}, now {now:?}"
        );
        Ok(())
    }

    /// Waits until nothing is left but of these pods. The program collects dead containers and
    /// sandboxes once in a minute, which nobody can configure, so until the end only what runs counts
    /// of those.
    async fn until_nothing_but(&self, uids: &BTreeSet<String>) -> Result<()> {
        if self.victim == Victim::Agent {
            return until_nothing_but(&self.machine, uids, DEADLINE).await;
        }
        eventually("nothing else runs", DEADLINE, async || {
            let containers = self.machine.containers();
            let mut ids = containers.ids().into_iter();
            let is_left = ids.any(|id| {
                let owner = containers.owner(&id);
                owner.is_some_and(|owner| !uids.contains(&owner.uid)) && containers.is_running(&id)
            });
            Ok((!is_left).then_some(()))
        })
        .await
    }

    /// Waits until a pod is what it is to become, and its status is what is so.
    async fn settled(&self, pod: &Pod, life: Life) -> Result<()> {
        let name = pod.metadata.name.clone().unwrap_or_default();
        let check = |pod: &Pod| {
            life.check(pod)?;
            if life == Life::CrashLoop {
                return Ok(());
            }
            self.is_true(pod)
        };
        self.machine.until(&name, check).await
    }

    /// Whether what runs of a pod is what its status says.
    fn is_true(&self, pod: &Pod) -> Result<()> {
        let running = statuses(pod).filter(|status| {
            let state = status.state.as_ref();
            state.is_some_and(|state| state.running.is_some())
        });
        let id = |id: &String| id.rsplit('/').next().unwrap_or_default().to_owned();
        let said: BTreeSet<_> = running
            .filter_map(|it| it.container_id.as_ref().map(id))
            .collect();
        let running = self.machine.containers().running(&uid_on_node(pod));
        ensure!(
            said == running,
            "it says that {said:?} run; but {running:?} do"
        );
        Ok(())
    }

    /// Waits until there is one mirror, of the static pod as it is now, and it runs.
    async fn static_pod_settled(&self) -> Result<()> {
        let generation = self.generation.to_string();
        eventually("the static pod is as wanted", DEADLINE, async || {
            let pods = self.machine.pods().list(&ListParams::default()).await?;
            let name = format!("static-{}", self.machine.name);
            let mirrors = pods.items.into_iter();
            let mirrors: Vec<_> = mirrors
                .filter(|pod| pod.metadata.name.as_deref() == Some(&name))
                .collect();
            let [mirror] = mirrors.as_slice() else {
                return Ok(None);
            };
            let annotations = mirror.metadata.annotations.clone().unwrap_or_default();
            let is_new = annotations.get("generation") == Some(&generation);
            let is_so =
                is_new && Life::Sleeper.check(mirror).is_ok() && self.is_true(mirror).is_ok();
            Ok(is_so.then_some(()))
        })
        .await
    }
}
