//! Trouble on demand: refusals, delays, lost answers and ended watches, and a record of what clients asked.
//!
//! A controller is only as good as its behaviour on a bad day. [`Faults`] makes bad days that
//! repeat: a [`Rule`] says which requests it concerns, which of those it strikes, and what
//! [`Fault`] they meet. A [`Recording`] keeps the calls that clients made, to be compared with
//! those that they should have made.
//!
//! Faults concern requests to the service. The server's own [controllers](crate::controllers) are
//! spared, and so is the state: a fault never leaves half a write.
//!
//! # Guarantees
//!
//! - Every rule counts the requests that it concerns, in the order in which they come to be
//!   answered, and strikes by that count: the same requests in the same order meet the same faults.
//!   Chance comes from the seed of the server's [`Config`](crate::Config).
//! - All rules that strike a request take effect. Delays add up and come first; of several answers
//!   the one of the rule that was added first is given.
//! - Without rules and recordings a request costs one atomic load more than it would without this module.
//!
//! # Example
//!
//! ```
//! use bytes::Bytes;
//! use http_body_util::Full;
//! use kubewright_apiserver::faults::{Fault, Rule, Verb};
//! use kubewright_apiserver::{ApiServer, Config};
//! use tower::Service as _;
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = ApiServer::new(Config::default())?;
//! let calls = server.record();
//! // The first configmap is created, but nobody is told.
//! server
//!     .faults()
//!     .add(Rule::new(Fault::LoseAnswer).verb(Verb::Create).resource("configmaps").nth(1));
//!
//! let create = || {
//!     let body = Full::<Bytes>::from(r#"{ "metadata": { "name": "a" } }"#);
//!     http::Request::post("/api/v1/namespaces/default/configmaps").body(body)
//! };
//! server.service().call(create()?).await.expect_err("the answer is lost");
//! let second = server.service().call(create()?).await?;
//! assert_eq!(second.status(), 409, "it is there");
//!
//! let calls: Vec<String> = calls.take().iter().map(ToString::to_string).collect();
//! assert_eq!(calls, ["create configmaps default/a: lost", "create configmaps default/a: 409"]);
//! # Ok(())
//! # }
//! ```

mod call;
mod exchange;
mod fault;
mod recording;
mod rule;

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

pub use self::call::{Call, Verb};
use self::exchange::Plan;
pub use self::fault::{Fault, WatchEnd};
use self::recording::Calls;
pub use self::recording::Recording;
use self::rule::Active;
pub use self::rule::{Injected, Rule};

/// What a server's requests meet. A handle: clones are of one server.
#[derive(Clone)]
pub struct Faults {
    state: Arc<State>,
}

struct State {
    /// How many rules and recordings there are.
    active: AtomicUsize,
    rules: Mutex<Vec<Arc<Active>>>,
    recordings: Mutex<Vec<Weak<Calls>>>,
    random: Mutex<fastrand::Rng>,
}

impl Faults {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            state: Arc::new(State {
                active: AtomicUsize::new(0),
                rules: Mutex::default(),
                recordings: Mutex::default(),
                // Apart from the stream that ids are made of.
                random: Mutex::new(fastrand::Rng::with_seed(!seed)),
            }),
        }
    }

    /// Adds a rule; it stays until it is removed.
    pub fn add(&self, rule: Rule) -> Injected {
        let active = Arc::new(Active::new(rule));
        self.state.rules.lock().push(Arc::clone(&active));
        self.state.active.fetch_add(1, Ordering::Release);
        Injected::new(self.clone(), active)
    }

    /// Removes all rules.
    pub fn clear(&self) {
        let removed = std::mem::take(&mut *self.state.rules.lock());
        self.state
            .active
            .fetch_sub(removed.len(), Ordering::Release);
    }

    pub(crate) fn record(&self) -> Recording {
        let recording = Recording::new(self.clone());
        self.state.recordings.lock().push(recording.downgrade());
        self.state.active.fetch_add(1, Ordering::Release);
        recording
    }

    fn remove(&self, rule: &Arc<Active>) {
        let mut rules = self.state.rules.lock();
        let before = rules.len();
        rules.retain(|known| !Arc::ptr_eq(known, rule));
        let removed = before - rules.len();
        self.state.active.fetch_sub(removed, Ordering::Release);
    }

    /// One recording is gone.
    fn forget(&self) {
        self.state.active.fetch_sub(1, Ordering::Release);
    }

    fn is_idle(&self) -> bool {
        self.state.active.load(Ordering::Acquire) == 0
    }

    /// Counts a request, and says what it meets.
    fn plan(&self, call: &Call) -> Plan {
        let mut plan = Plan::default();
        let rules = self.state.rules.lock();
        for rule in rules.iter() {
            if rule.strikes(call, &mut self.state.random.lock()) {
                plan.add(rule.fault());
            }
        }
        plan
    }

    fn tell(&self, call: &Call) {
        self.state.recordings.lock().retain(|recording| {
            let recording = recording.upgrade();
            if let Some(recording) = &recording {
                recording.push(call.clone());
            }
            recording.is_some()
        });
    }
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Faults")
            .field("rules", &self.state.rules.lock().len())
            .field("recordings", &self.state.recordings.lock().len())
            .finish()
    }
}
