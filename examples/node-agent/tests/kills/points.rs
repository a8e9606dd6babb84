//! When something is killed.

use std::time::Duration;

use anyhow::{Context as _, Result};
use fastrand::Rng;
use tokio::sync::broadcast::Receiver;
use tokio::time::{Instant, sleep, timeout};

use crate::audit::Happened;

/// The variable that says which chances are taken.
const SEED: &str = "KILLS_SEED";

/// How long anything takes to happen at most: whoever is to be killed has to begin first.
const BEGINNING: Duration = Duration::from_secs(10);

/// How long nothing happens at least when nothing more will.
const QUIET: Duration = Duration::from_millis(400);

/// How many things happen at once that the killed one has no part in: what the tests do.
const BEFORE: usize = 1;

/// A point in the lives of pods.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Point {
    /// A time.
    After(Duration),
    /// When so many things have happened: whatever the speed of the machine.
    Nth(usize),
}

/// Chances, which are told so that they can be taken again.
pub(crate) fn chances(what: &str) -> Result<Rng> {
    let seed = match std::env::var(SEED) {
        Ok(seed) => seed.parse().context(SEED)?,
        Err(_) => fastrand::u64(..),
    };
    eprintln!("{what}: {SEED}={seed}");
    Ok(Rng::with_seed(seed))
}

impl Point {
    pub(crate) fn any(chance: &mut Rng) -> Self {
        match chance.u8(0..8) {
            0 => Self::After(Duration::from_millis(chance.u64(0..500))),
            _ => Self::Nth(chance.usize(1..=7)),
        }
    }

    /// Waits for the point; what happened just then, if anything did, and after which time.
    ///
    /// If less happens, it is the point when nothing more does.
    pub(crate) async fn reached(
        self,
        mut happenings: Receiver<Happened>,
    ) -> (Duration, Option<Happened>) {
        let start = Instant::now();
        let mut last = None;
        match self {
            Self::After(time) => sleep(time).await,
            Self::Nth(number) => {
                for already in 0..number {
                    let patience = if already > BEFORE { QUIET } else { BEGINNING };
                    let Ok(Ok(happened)) = timeout(patience, happenings.recv()).await else {
                        last = None;
                        break;
                    };
                    last = Some(happened);
                }
            }
        }
        (start.elapsed(), last)
    }
}
