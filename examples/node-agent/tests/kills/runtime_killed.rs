//! A runtime that is killed alone, while the agent goes on.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, ensure};
use kube_client::api::{DeleteParams, PostParams};
use tokio::time::Instant;

use crate::assembly::eventually;
use crate::audit::{Audit, until_nothing_but};
use crate::machine::{DEADLINE, Machine};
use crate::pods::{Life, uid_on_node};
use crate::points::{Point, chances};
use crate::program::Program;

/// How many pods come and go, while each of which it is killed twice.
const PODS: usize = 5;

/// An agent and a runtime that are programs of their own, and a pod that nobody touches.
struct World {
    machine: Machine,
    audit: Audit,
    agent: Program,
    calm: BTreeSet<String>,
    before: BTreeMap<String, i32>,
}

pub(crate) async fn alone() -> Result<()> {
    let mut chance = chances("runtime-killed")?;
    let (mut world, mut program) = World::new("runtime-killed").await?;
    for number in 0..PODS {
        let name = format!("passing-{number}");
        // While it is made, and while it is ended.
        let happenings = world.audit.happenings();
        world.create(&name, Life::Steps).await?;
        Point::any(&mut chance).reached(happenings).await;
        program.kill().await?;
        program = world.machine.start_runtime()?;
        world.until(&name, Life::Steps).await?;
        let happenings = world.audit.happenings();
        world.delete(&name).await?;
        Point::any(&mut chance).reached(happenings).await;
        program.kill().await?;
        program = world.machine.start_runtime()?;
        world.until_gone(&name).await?;
        world.check()?;
    }
    world.end(program).await
}

/// Long enough for the node to be not ready.
pub(crate) async fn and_away_for_long() -> Result<()> {
    let (mut world, program) = World::new("runtime-away").await?;
    world.create("leaving", Life::Sleeper).await?;
    world.until("leaving", Life::Sleeper).await?;
    let start = Instant::now();
    program.kill().await?;
    world.delete("leaving").await?;
    world.create("coming", Life::Job).await?;
    world.machine.until_ready(false).await?;
    let not_ready = start.elapsed();
    ensure!(
        world.machine.pods().get_opt("leaving").await?.is_some(),
        "a pod is gone of which nobody knows whether it runs"
    );
    let start = Instant::now();
    let program = world.machine.start_runtime()?;
    world.machine.until_ready(true).await?;
    let ready = start.elapsed();
    world.until_gone("leaving").await?;
    world.until("coming", Life::Job).await?;
    let recovered = start.elapsed();
    eprintln!(
        "a runtime that is away: not ready after {not_ready:.1?}; then ready {ready:.1?} after its \
         return, and all as wanted after {recovered:.1?}"
    );
    world.check()?;
    world.delete("coming").await?;
    world.until_gone("coming").await?;
    world.end(program).await
}

impl World {
    async fn new(name: &'static str) -> Result<(Self, Program)> {
        let machine = Machine::new(name).await?;
        let program = machine.start_runtime()?;
        machine.until_served().await?;
        let audit = Audit::start(&machine);
        let agent = machine.start_agent()?;
        machine.until_ready(true).await?;
        let mut world = Self {
            machine,
            audit,
            agent,
            calm: BTreeSet::new(),
            before: BTreeMap::new(),
        };
        let calm = world.create("calm", Life::Company).await?;
        world.calm.insert(calm);
        world.until("calm", Life::Company).await?;
        world.before = world.machine.containers().processes(&world.calm);
        let count = world.before.len();
        ensure!(count == 3, "3 containers are to run: {:?}", world.before);
        Ok((world, program))
    }

    async fn create(&self, name: &str, life: Life) -> Result<String> {
        let pod = life.pod(name, self.machine.name);
        let pods = self.machine.pods();
        let pod = pods.create(&PostParams::default(), &pod).await?;
        Ok(uid_on_node(&pod))
    }

    async fn delete(&self, name: &str) -> Result<()> {
        let pods = self.machine.pods();
        pods.delete(name, &DeleteParams::default()).await?;
        Ok(())
    }

    async fn until(&self, name: &str, life: Life) -> Result<()> {
        self.machine.until(name, |pod| life.check(pod)).await
    }

    async fn until_gone(&self, name: &str) -> Result<()> {
        let pods = self.machine.pods();
        let look = async || Ok(pods.get_opt(name).await?.is_none().then_some(()));
        let waited = eventually(&format!("{name} is gone"), DEADLINE, look).await;
        waited.with_context(|| self.machine.agent_log())
    }

    /// Fails if anything was wrong, or what nobody touches was touched.
    fn check(&mut self) -> Result<()> {
        self.agent.must_run()?;
        let (before, now) = (
            &self.before,
            self.machine.containers().processes(&self.calm),
        );
        ensure!(
            now == *before,
            "what ran was touched: {before:?}, now {now:?}"
        );
        self.audit.check()
    }

    async fn end(mut self, program: Program) -> Result<()> {
        self.until("calm", Life::Company).await?;
        self.check()?;
        self.delete("calm").await?;
        self.until_gone("calm").await?;
        until_nothing_but(&self.machine, &BTreeSet::new(), DEADLINE).await?;
        self.audit.check()?;
        self.agent.terminate().await?;
        program.terminate().await?;
        self.machine.stop().await
    }
}
