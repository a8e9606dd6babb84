use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::accounts::Accounts;
use super::collector::Collector;
use super::feed::{Feed, News};
use super::namespaces::Namespaces;
use super::pods::Pods;
use super::{Backlog, Controller, ControllersConfig, Engine, Verdict};
use crate::core::Core;
use crate::error::ApiError;

/// How long after a write that failed unexpectedly it is decided on again.
const RETRY: Duration = Duration::from_secs(1);
/// How many writes are made before other tasks get a turn.
const TURN: usize = 32;

/// The controllers of one server; see the [module](super).
///
/// They act only while they are driven: by hand with [`step`](Self::step) and
/// [`settle`](Self::settle), or by [`run`](Self::run).
///
/// # Example
///
/// ```
/// use http_body_util::Full;
/// use kubewright_apiserver::{ApiServer, Config};
/// use kubewright_apiserver::controllers::ControllersConfig;
/// use tower::Service as _;
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let server = ApiServer::new(Config::default())?;
/// let mut controllers = server.controllers(ControllersConfig::default());
/// controllers.settle().await;
///
/// let path = "/api/v1/namespaces/default/serviceaccounts/default";
/// let request = http::Request::get(path).body(Full::<bytes::Bytes>::default())?;
/// let response = server.service().call(request).await?;
/// assert_eq!(response.status(), 200);
/// # Ok(())
/// # }
/// ```
pub struct Controllers {
    core: Arc<Core>,
    config: ControllersConfig,
    feed: Feed,
    loops: Vec<Loop>,
    /// Whose turn it is.
    turn: usize,
}

/// What a [`Controllers::step`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// One write.
    Wrote,
    /// Nothing: there is nothing to do, before `next` or before something changes.
    Idle {
        /// When something is due.
        next: Option<Instant>,
    },
}

struct Loop {
    engine: Box<dyn Engine>,
    backlog: Backlog,
}

impl Controllers {
    pub(crate) fn new(core: Arc<Core>, config: ControllersConfig) -> Self {
        Self {
            feed: Feed::new(Arc::clone(&core)),
            loops: loops(&config),
            turn: 0,
            core,
            config,
        }
    }

    /// Makes the next write that is due, if there is one.
    pub fn step(&mut self) -> Step {
        let now = Instant::now();
        self.observe(now);
        for _ in 0..self.loops.len() {
            let turn = self.turn;
            self.turn = (self.turn + 1) % self.loops.len();
            if self.loops[turn].act(&self.core, now) {
                return Step::Wrote;
            }
        }
        let due = self.loops.iter().filter_map(|l| l.backlog.next_due());
        Step::Idle { next: due.min() }
    }

    /// Makes all writes that are due, and those that they lead to.
    ///
    /// Gives the time when something is due next; time has to pass for that, or be advanced.
    ///
    /// # Cancel safety
    ///
    /// Every write that was made stays. The next call goes on.
    pub async fn settle(&mut self) -> Option<Instant> {
        loop {
            for _ in 0..TURN {
                if let Step::Idle { next } = self.step() {
                    return next;
                }
            }
            tokio::task::yield_now().await;
        }
    }

    /// Makes every write when it is due, until `stop` is cancelled.
    ///
    /// # Cancel safety
    ///
    /// Every write that was made stays.
    pub async fn run(mut self, stop: CancellationToken) {
        let working = async {
            loop {
                let next = self.settle().await;
                tokio::select! {
                    () = self.feed.changed() => {}
                    () = sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => {}
                }
            }
        };
        stop.run_until_cancelled(working).await;
    }

    /// Shows the engines what has changed.
    fn observe(&mut self, now: Instant) {
        loop {
            match self.feed.news() {
                Ok(None) => return,
                Ok(Some(News::Resources(resources))) => {
                    for Loop { engine, backlog } in &mut self.loops {
                        engine.resources_changed(&resources, backlog);
                    }
                }
                Ok(Some(News::Changes(changes))) => {
                    for Loop { engine, backlog } in &mut self.loops {
                        for seen in &changes {
                            engine.observe(seen, now, backlog);
                        }
                    }
                }
                Err(_) => {
                    debug!("the controllers fell behind and begin anew");
                    self.feed = Feed::new(Arc::clone(&self.core));
                    self.loops = loops(&self.config);
                }
            }
        }
    }
}

impl Loop {
    /// Makes the next write; false if there is none.
    fn act(&mut self, core: &Core, now: Instant) -> bool {
        while let Some(ticket) = self.backlog.pop(now) {
            let action = match self.engine.decide(&ticket, now) {
                Verdict::Rest => continue,
                Verdict::Later(at) => {
                    self.backlog.push_at(ticket, at);
                    continue;
                }
                Verdict::Act(action) => action,
            };
            if let Err(error) = action.perform(core) {
                match fate(&error) {
                    Fate::Again => self.backlog.push(ticket),
                    Fate::Moot => {}
                    Fate::Retry => {
                        let (resource, key) = (&action.resource.plural, &action.key);
                        warn!(%error, resource, %key, "a controller's write failed");
                        self.backlog.push_at(ticket, now + RETRY);
                    }
                }
            }
            return true;
        }
        false
    }
}

/// What a failed write means.
enum Fate {
    /// Its premise is out of date, and the change that made it so is there to be seen.
    Again,
    /// There is nothing left to do.
    Moot,
    Retry,
}

fn fate(error: &ApiError) -> Fate {
    match error.reason() {
        Some("Conflict") => Fate::Again,
        // The object or its namespace is gone, or someone else made the object.
        Some("NotFound" | "AlreadyExists" | "Forbidden") => Fate::Moot,
        _ => Fate::Retry,
    }
}

fn loops(config: &ControllersConfig) -> Vec<Loop> {
    let mut engines: Vec<Box<dyn Engine>> = Vec::new();
    for controller in &config.enabled {
        match controller {
            Controller::GarbageCollector => engines.push(Box::new(Collector::default())),
            Controller::Namespaces => {
                engines.push(Box::new(Namespaces::default()));
                engines.push(Box::new(Accounts::new(&config.certificate_authority)));
            }
            Controller::Pods => engines.push(Box::new(Pods::new(config.pods.clone()))),
        }
    }
    let with_backlog = |engine| Loop {
        engine,
        backlog: Backlog::default(),
    };
    engines.into_iter().map(with_backlog).collect()
}

impl fmt::Debug for Controllers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Controllers")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}
