//! Faults, with real processes: agents and runtimes that are killed, disks that are full, pods that do
//! not end, and many of them.
//!
//! This program is four: the tests, an agent with short times, a process runtime, and the shim of the
//! containers that it starts. Where it says so, the program `node-agent` itself is killed.

#[path = "../behaviours/assembly.rs"]
mod assembly;
mod audit;
mod containers;
mod machine;
#[path = "../behaviours/pod.rs"]
#[expect(dead_code, reason = "the behaviours need the rest")]
mod pod;
mod pods;
mod points;
mod program;
mod roles;

mod agent_killed;
mod crowd;
mod full_disk;
mod long_log;
mod runtime_killed;
mod stubborn;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use libtest_mimic::{Arguments, Failed, Trial};
use tokio::runtime::Runtime;
use tokio::time::timeout;

/// How many faults are shown at once: some of them mostly wait.
const THREADS: usize = 4;

/// When one counts as hanging: all that it waits for has a limit of its own.
const LIMIT: Duration = Duration::from_secs(1800);

fn main() -> ExitCode {
    roles::main_if_asked();
    kubewright_process_runtime::shim::main_if_asked();
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(THREADS);
    let runtime = Arc::new(Runtime::new().expect("threads can be started"));
    macro_rules! trials {
        ($($name:literal => $run:path),* $(,)?) => {
            vec![$({
                let runtime = runtime.clone();
                Trial::test($name, move || shown(&runtime, $run()))
            }),*]
        };
    }
    // The longest first.
    let trials = trials![
        "a runtime that is killed and away for long" => runtime_killed::and_away_for_long,
        "two hundred pods at once" => crowd::two_hundred,
        "an agent that is killed at thirty-four points of pods' lives" => agent_killed::alone,
        "a program that is killed with its runtime at sixteen points" => agent_killed::with_its_runtime,
        "a runtime that is killed while pods come and go" => runtime_killed::alone,
        "a container that writes a hundred megabytes" => long_log::a_hundred_megabytes,
        "a full disk" => full_disk::is_told_and_outlived,
        "a pod that ignores its signal" => stubborn::ignores_its_signal,
    ];
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn shown(runtime: &Runtime, run: impl Future<Output = Result<()>>) -> Result<(), Failed> {
    let limited = async {
        match timeout(LIMIT, run).await {
            Ok(shown) => shown,
            Err(_) => bail!("not over after {LIMIT:?}"),
        }
    };
    let shown = runtime.block_on(limited);
    shown.map_err(|error| Failed::from(format!("{error:#}")))
}
