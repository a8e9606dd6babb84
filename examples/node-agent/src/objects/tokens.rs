use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::{BoxFuture, WeakShared};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::{LookupError, TokenReference};
use crate::pod::PodUid;

/// A token is not used for longer than this without asking for another, however long it is good.
const MAX_AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// Tokens of one moment are refreshed over this time.
const MAX_JITTER_MILLIS: u64 = 10_000;

/// A token as the API server issued it.
#[derive(Clone)]
pub(super) struct IssuedToken {
    pub(super) token: String,
    /// When it was asked for.
    pub(super) asked_at: Instant,
    /// For how long it was issued.
    pub(super) lifetime: Duration,
}

/// Asks for a token, or tells why there is none.
pub(super) type Issue =
    Box<dyn Fn(TokenReference) -> BoxFuture<'static, Result<IssuedToken, String>> + Send + Sync>;

type Token = Result<String, LookupError>;

/// Tokens of service accounts, kept until they are to be refreshed: after four fifths of their
/// life, or a day.
///
/// A token whose refresh fails is used as long as it is good, and never after that. How old it is
/// says the clock that nobody sets; the API server's need not show what the agent's does.
///
/// Answers to `token.Manager` of Kubernetes 1.36. Cheap to clone; clones are the same.
#[derive(Clone)]
pub(super) struct TokenCache {
    shared: Arc<Shared>,
}

struct Shared {
    issue: Issue,
    state: Mutex<State>,
}

struct State {
    entries: HashMap<TokenReference, Entry>,
    random: fastrand::Rng,
}

#[derive(Default)]
struct Entry {
    kept: Option<IssuedToken>,
    flight: Option<WeakShared<BoxFuture<'static, Token>>>,
}

impl TokenCache {
    pub(super) fn new(seed: u64, issue: Issue) -> Self {
        let state = State {
            entries: HashMap::new(),
            random: fastrand::Rng::with_seed(seed),
        };
        Self {
            shared: Arc::new(Shared {
                issue,
                state: Mutex::new(state),
            }),
        }
    }

    /// A token that is good, and was not issued too long ago if another could be had.
    pub(super) async fn get(&self, reference: &TokenReference) -> Token {
        let flight = {
            let now = Instant::now();
            let mut state = self.shared.state.lock();
            let State { entries, random } = &mut *state;
            let entry = entries.entry(reference.clone()).or_default();
            if let Some(kept) = entry.kept.as_ref()
                && !kept.is_due(now, jitter(random))
            {
                return Ok(kept.token.clone());
            }
            let flight = entry.flight.as_ref().and_then(WeakShared::upgrade);
            flight.unwrap_or_else(|| {
                let flight = self.begin(reference.clone()).shared();
                entry.flight = flight.downgrade();
                flight
            })
        };
        flight.await
    }

    /// Forgets the tokens of a pod.
    pub(super) fn forget(&self, pod: &PodUid) {
        let mut state = self.shared.state.lock();
        let entries = &mut state.entries;
        entries.retain(|reference, _| reference.pod_uid != pod.as_str());
    }

    /// Forgets what is good for nothing any more.
    pub(super) fn sweep(&self) {
        let now = Instant::now();
        let mut state = self.shared.state.lock();
        state.entries.retain(|_, entry| {
            let is_good = entry.kept.as_ref().is_some_and(|it| !it.is_expired(now));
            let is_wanted = entry.flight.as_ref().and_then(WeakShared::upgrade);
            is_good || is_wanted.is_some()
        });
    }

    /// How many tokens are kept or asked for.
    pub(super) fn len(&self) -> usize {
        self.shared.state.lock().entries.len()
    }

    fn begin(&self, reference: TokenReference) -> BoxFuture<'static, Token> {
        let shared = Arc::clone(&self.shared);
        let begin = async move {
            let issued = (shared.issue)(reference.clone()).await;
            shared.land(&reference, issued)
        };
        begin.boxed()
    }
}

impl Shared {
    fn land(&self, reference: &TokenReference, issued: Result<IssuedToken, String>) -> Token {
        let now = Instant::now();
        let mut state = self.state.lock();
        let entry = state.entries.get_mut(reference);
        match issued {
            Ok(issued) => {
                let token = issued.token.clone();
                // The pod may have gone meanwhile.
                if let Some(entry) = entry {
                    entry.flight = None;
                    entry.kept = Some(issued);
                }
                Ok(token)
            }
            Err(error) => {
                let unavailable = |reason| {
                    Err(LookupError::Unavailable {
                        kind: "token",
                        name: reference.service_account.clone(),
                        reason,
                    })
                };
                match entry.and_then(|entry| entry.kept.as_ref()) {
                    None => unavailable(format!("failed to fetch token: {error}")),
                    Some(kept) if kept.is_expired(now) => {
                        unavailable(format!("token expired and refresh failed: {error}"))
                    }
                    Some(kept) => {
                        let account = &reference.service_account;
                        tracing::warn!(account, error, "a token is not refreshed yet");
                        Ok(kept.token.clone())
                    }
                }
            }
        }
    }
}

impl IssuedToken {
    fn is_expired(&self, now: Instant) -> bool {
        self.age(now) >= self.lifetime
    }

    /// Whether another one is to be asked for.
    fn is_due(&self, now: Instant, jitter: Duration) -> bool {
        self.age(now) + jitter > (self.lifetime / 5 * 4).min(MAX_AGE)
    }

    fn age(&self, now: Instant) -> Duration {
        now.duration_since(self.asked_at)
    }
}

fn jitter(random: &mut fastrand::Rng) -> Duration {
    Duration::from_millis(random.u64(0..MAX_JITTER_MILLIS))
}
