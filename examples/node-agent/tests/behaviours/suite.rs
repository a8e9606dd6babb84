use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use libtest_mimic::{Arguments, Failed, Trial};
use tokio::runtime::Runtime;
use tokio::sync::OnceCell;
use tokio::time::timeout;

use crate::node::Node;
use crate::table::{Place, Row, rows};
use crate::world::World;

/// How many behaviours are shown at once: they mostly wait.
const THREADS: usize = 12;

/// How long one may take.
const LIMIT: Duration = Duration::from_secs(400);

/// How long a behaviour may take to take away what it leaves.
const CLEAN_UP: Duration = Duration::from_secs(10);

/// What runs the containers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Processes of the host.
    Process,
    /// A containerd.
    Containerd,
}

/// The node that behaviours share, started by the first that needs it.
struct Suite {
    kind: Kind,
    shared: OnceCell<Arc<Node>>,
}

/// Shows all behaviours that this kind of runtime can, as tests.
pub(crate) fn run(kind: Kind) -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(THREADS);
    let _ = tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .try_init();
    let runtime = Arc::new(Runtime::new().expect("threads can be started"));
    let suite = Arc::new(Suite {
        kind,
        shared: OnceCell::new(),
    });
    let mut alone = 0;
    let trials = rows().into_iter().enumerate().map(|(index, row)| {
        alone += u8::from(row.place == Place::Alone);
        let number = alone;
        let name = format!("{:02} {}", row.number, row.name);
        let is_possible = row.on.can_be_shown(kind);
        let (runtime, suite) = (runtime.clone(), suite.clone());
        Trial::test(name, move || {
            let shown = runtime.block_on(suite.show(index, number, row));
            shown.map_err(|error| Failed::from(format!("{error:#}")))
        })
        .with_ignored_flag(!is_possible)
    });
    let mut trials: Vec<_> = trials.collect();
    trials.push(Trial::test(
        "00 the list in the documentation is this one",
        || crate::table::check_documentation().map_err(|error| Failed::from(format!("{error:#}"))),
    ));
    let conclusion = libtest_mimic::run(&arguments, trials);
    if let Some(node) = suite.shared.get()
        && let Err(error) = runtime.block_on(node.stop())
    {
        eprintln!("the shared node did not end cleanly: {error:?}");
        return ExitCode::FAILURE;
    }
    conclusion.exit_code()
}

impl Suite {
    /// Shows the row at an index; `number` tells nodes of their own apart.
    async fn show(&self, index: usize, number: u8, row: Row) -> Result<()> {
        let namespace = format!("behaviour-{:02}-{index}", row.number);
        match row.place {
            Place::Shared => {
                let start = || async { Node::start(self.kind, 0).await.map(Arc::new) };
                let node = self.shared.get_or_try_init(start).await;
                let node = node.context("the shared node does not start")?.clone();
                let world = World::new(node, &namespace).await?;
                let shown = show(row, world.clone()).await;
                // What is left over would take the others' time; whether it goes is not shown here.
                let _ = timeout(CLEAN_UP, world.clear()).await;
                shown
            }
            Place::Alone => {
                let node = Node::start(self.kind, number).await;
                let node = Arc::new(node.context("its node does not start")?);
                let shown = show(row, World::new(node.clone(), &namespace).await?).await;
                let stopped = node.stop().await;
                shown.and(stopped.context("its node does not end cleanly"))
            }
        }
    }
}

async fn show(row: Row, world: World) -> Result<()> {
    let node = world.node.clone();
    match timeout(LIMIT, (row.run)(world)).await {
        Ok(shown) => {
            shown.with_context(|| format!("files of its node: {}", node.root_dir().display()))
        }
        Err(_) => bail!("not over after {LIMIT:?}"),
    }
}
