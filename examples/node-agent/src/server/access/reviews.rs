use std::fmt;
use std::time::Duration;

use futures::future::BoxFuture;
use parking_lot::Mutex;
use ring::digest::{SHA256, digest};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

use super::cache::Cache;
use super::{Attributes, User};

/// How many tokens are reviewed at once. Whoever makes tokens up waits for others who do: what the
/// agent has to say of pods goes the same way, and does not.
const AT_ONCE: usize = 8;
/// How long a review may take, as upstream waits for one. A server that does not answer is not to
/// keep all places.
const PATIENCE: Duration = Duration::from_secs(10);

/// Knows whom tokens belong to.
pub trait TokenReviewer: Send + Sync + 'static {
    /// Whose token this is; `None` if it is nobody's.
    ///
    /// # Errors
    ///
    /// If nobody can say: the client is not let in, and asked about again the next time.
    ///
    /// # Cancel safety
    ///
    /// The future is dropped when the client goes.
    fn review(&self, token: &str)
    -> impl Future<Output = Result<Option<User>, ReviewError>> + Send;
}

/// Knows who may do what to nodes.
pub trait AccessReviewer: Send + Sync + 'static {
    /// Whether a user may do this to a subresource of a node.
    ///
    /// # Errors
    ///
    /// If nobody can say: the client is told so, and asked about again the next time.
    ///
    /// # Cancel safety
    ///
    /// The future is dropped when the client goes.
    fn review(
        &self,
        node: &str,
        user: &User,
        verb: &str,
        subresource: &str,
    ) -> impl Future<Output = Result<bool, ReviewError>> + Send;
}

/// Nobody can say.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ReviewError(pub String);

/// Reviews of tokens, whose answers hold for a while.
pub(super) struct TokenReviews {
    reviewer: Box<dyn ReviewToken>,
    ttl: Duration,
    places: Semaphore,
    /// By sums, so that nobody finds a token in it.
    answers: Mutex<Cache<[u8; 32], Option<User>>>,
}

/// Reviews of access, whose answers hold for a while.
pub(super) struct AccessReviews {
    reviewer: Box<dyn ReviewAccess>,
    allowed_for: Duration,
    denied_for: Duration,
    answers: Mutex<Cache<(User, &'static str, &'static str), bool>>,
}

/// [`TokenReviewer`] behind a pointer.
trait ReviewToken: Send + Sync {
    fn ask<'a>(&'a self, token: &'a str) -> BoxFuture<'a, Result<Option<User>, ReviewError>>;
}

/// [`AccessReviewer`] behind a pointer.
trait ReviewAccess: Send + Sync {
    fn ask<'a>(
        &'a self,
        node: &'a str,
        user: &'a User,
        verb: &'a str,
        subresource: &'a str,
    ) -> BoxFuture<'a, Result<bool, ReviewError>>;
}

impl TokenReviews {
    pub(super) fn new<R: TokenReviewer>(reviewer: R, ttl: Duration) -> Self {
        Self {
            reviewer: Box::new(reviewer),
            ttl,
            places: Semaphore::new(AT_ONCE),
            answers: Mutex::new(Cache::new()),
        }
    }

    pub(super) async fn review(&self, token: &str) -> Result<Option<User>, ReviewError> {
        let mut sum = [0; 32];
        sum.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
        let known = || self.answers.lock().get(Instant::now(), &sum);
        if let Some(answer) = known() {
            return Ok(answer);
        }
        let _place = self.places.acquire().await;
        // Somebody else may have asked meanwhile.
        if let Some(answer) = known() {
            return Ok(answer);
        }
        let answer = in_time(self.reviewer.ask(token)).await?;
        let mut answers = self.answers.lock();
        answers.insert(Instant::now(), sum, answer.clone(), self.ttl);
        Ok(answer)
    }
}

impl AccessReviews {
    pub(super) fn new<R: AccessReviewer>(
        reviewer: R,
        allowed_for: Duration,
        denied_for: Duration,
    ) -> Self {
        Self {
            reviewer: Box::new(reviewer),
            allowed_for,
            denied_for,
            answers: Mutex::new(Cache::new()),
        }
    }

    pub(super) async fn review(
        &self,
        node: &str,
        user: &User,
        attributes: &Attributes,
        subresource: &'static str,
    ) -> Result<bool, ReviewError> {
        let verb = attributes.verb;
        let question = (user.clone(), verb, subresource);
        let known = self.answers.lock().get(Instant::now(), &question);
        if let Some(answer) = known {
            return Ok(answer);
        }
        let asked = self.reviewer.ask(node, user, verb, subresource);
        let allowed = in_time(asked).await?;
        let ttl = if allowed {
            self.allowed_for
        } else {
            self.denied_for
        };
        let mut answers = self.answers.lock();
        answers.insert(Instant::now(), question, allowed, ttl);
        Ok(allowed)
    }
}

async fn in_time<T>(
    review: impl Future<Output = Result<T, ReviewError>>,
) -> Result<T, ReviewError> {
    let late = |_| Err(ReviewError(format!("no answer within {PATIENCE:?}")));
    timeout(PATIENCE, review).await.unwrap_or_else(late)
}

impl<R: TokenReviewer> ReviewToken for R {
    fn ask<'a>(&'a self, token: &'a str) -> BoxFuture<'a, Result<Option<User>, ReviewError>> {
        Box::pin(self.review(token))
    }
}

impl<R: AccessReviewer> ReviewAccess for R {
    fn ask<'a>(
        &'a self,
        node: &'a str,
        user: &'a User,
        verb: &'a str,
        subresource: &'a str,
    ) -> BoxFuture<'a, Result<bool, ReviewError>> {
        Box::pin(self.review(node, user, verb, subresource))
    }
}

impl fmt::Debug for TokenReviews {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenReviews")
            .field("ttl", &self.ttl)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for AccessReviews {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessReviews")
            .field("allowed_for", &self.allowed_for)
            .field("denied_for", &self.denied_for)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures::future::join_all;
    use tokio::time::sleep;

    use super::*;

    /// Answers nothing that has to do with `hole`.
    struct Hole;

    impl TokenReviewer for Hole {
        async fn review(&self, token: &str) -> Result<Option<User>, ReviewError> {
            if token.starts_with("hole") {
                return std::future::pending().await;
            }
            Ok(None)
        }
    }

    impl AccessReviewer for Hole {
        async fn review(
            &self,
            _node: &str,
            _user: &User,
            _verb: &str,
            _subresource: &str,
        ) -> Result<bool, ReviewError> {
            std::future::pending().await
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_review_without_an_answer_is_not_waited_for() {
        let begin = Instant::now();
        let reviews = TokenReviews::new(Hole, Duration::from_secs(60));
        let holes: Vec<String> = (0..AT_ONCE)
            .map(|number| format!("hole {number}"))
            .collect();
        let holes = join_all(holes.iter().map(|token| reviews.review(token)));
        let (lost, other) = tokio::join!(holes, reviews.review("other"));
        assert!(lost.iter().all(Result::is_err));
        assert_eq!(other.unwrap(), None, "the places are free again");
        assert_eq!(begin.elapsed(), PATIENCE);

        let ttl = Duration::from_secs(60);
        let reviews = AccessReviews::new(Hole, ttl, ttl);
        let attributes = Attributes::of(&http::Method::GET, "/pods");
        let user = User::named("jane");
        let review = reviews.review("node", &user, &attributes, "proxy").await;
        assert_eq!(review.unwrap_err().to_string(), "no answer within 10s");
        assert_eq!(begin.elapsed(), PATIENCE * 2);
    }

    /// How many are asked at once, at most so far, and in all.
    #[derive(Clone, Default)]
    struct Slow(Arc<Mutex<[usize; 3]>>);

    impl TokenReviewer for Slow {
        async fn review(&self, token: &str) -> Result<Option<User>, ReviewError> {
            {
                let [now, most, all] = &mut *self.0.lock();
                (*now, *all) = (*now + 1, *all + 1);
                *most = (*most).max(*now);
            }
            sleep(Duration::from_secs(1)).await;
            self.0.lock()[0] -= 1;
            Ok(Some(User::named(token)))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn tokens_are_reviewed_a_few_at_a_time() {
        let reviewer = Slow::default();
        let reviews = TokenReviews::new(reviewer.clone(), Duration::from_secs(60));
        let tokens: Vec<String> = (0..96).map(|number| (number % 48).to_string()).collect();
        let answers = join_all(tokens.iter().map(|token| reviews.review(token))).await;
        for (token, answer) in tokens.iter().zip(answers) {
            assert_eq!(answer.unwrap(), Some(User::named(token)));
        }
        assert_eq!(*reviewer.0.lock(), [0, AT_ONCE, 48]);
    }
}
