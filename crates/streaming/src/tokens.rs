//! The requests behind URLs that were given out and not used yet. Knows no clock.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::rand::{SecureRandom as _, SystemRandom};
use tokio::time::Instant;

use crate::request::Request;
use crate::{Error, StreamingConfig};

/// 128 bits: nobody finds one of a thousand in a minute by trying.
const TOKEN_BYTES: usize = 16;

pub(crate) struct Tokens {
    /// What is waiting, and until when.
    requests: HashMap<String, (Request, Instant)>,
    /// By age, so that only what is over is looked at. Holds what was consumed as well, until its
    /// time is up.
    ages: VecDeque<(Instant, String)>,
    randomness: Randomness,
    lifetime: Duration,
    max: usize,
}

enum Randomness {
    System(SystemRandom),
    Seeded(fastrand::Rng),
}

impl Tokens {
    pub(crate) fn new(config: &StreamingConfig) -> Self {
        Self {
            requests: HashMap::new(),
            ages: VecDeque::new(),
            randomness: match config.token_seed {
                None => Randomness::System(SystemRandom::new()),
                Some(seed) => Randomness::Seeded(fastrand::Rng::with_seed(seed)),
            },
            lifetime: config.url_lifetime,
            max: config.max_in_flight,
        }
    }

    /// Keeps a request, and says under which token.
    pub(crate) fn insert(&mut self, now: Instant, request: Request) -> Result<String, Error> {
        self.collect(now);
        if self.requests.len() >= self.max {
            return Err(Error::TooManyInFlight);
        }
        let token = self.token()?;
        let end = now + self.lifetime;
        self.requests.insert(token.clone(), (request, end));
        self.ages.push_back((end, token.clone()));
        Ok(token)
    }

    /// The request of a token, once.
    pub(crate) fn consume(&mut self, now: Instant, token: &str) -> Option<Request> {
        let (request, end) = self.requests.remove(token)?;
        (now <= end).then_some(request)
    }

    fn collect(&mut self, now: Instant) {
        while let Some((end, token)) = self.ages.front() {
            if now <= *end && self.requests.contains_key(token) {
                return;
            }
            self.requests.remove(token);
            self.ages.pop_front();
        }
    }

    fn token(&mut self) -> Result<String, Error> {
        let mut bytes = [0; TOKEN_BYTES];
        match &mut self.randomness {
            Randomness::System(system) => {
                system.fill(&mut bytes).map_err(|_| Error::NoRandomness)?;
            }
            Randomness::Seeded(seeded) => seeded.fill(&mut bytes),
        }
        Ok(BASE64_URL_SAFE_NO_PAD.encode(bytes))
    }
}

/// Tokens are secrets.
impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens")
            .field("waiting", &self.requests.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::AttachRequest;

    fn tokens(max_in_flight: usize) -> (Tokens, Instant) {
        let config = StreamingConfig {
            max_in_flight,
            token_seed: Some(7),
            ..StreamingConfig::default()
        };
        (Tokens::new(&config), Instant::now())
    }

    fn request(id: &str) -> Request {
        Request::Attach(AttachRequest {
            container_id: id.to_owned(),
            ..AttachRequest::default()
        })
    }

    fn id(request: Option<Request>) -> Option<String> {
        request.map(|request| match request {
            Request::Attach(attach) => attach.container_id,
            other => panic!("{other:?}"),
        })
    }

    /// Upstream: `TestInsert`.
    #[test]
    fn insert() {
        let (mut tokens, now) = tokens(2);
        let first = tokens.insert(now, request("1")).unwrap();
        let second = tokens.insert(now, request("2")).unwrap();
        assert_ne!(first, second);
        assert_eq!(first.len(), 22);
        assert!(matches!(
            tokens.insert(now, request("3")),
            Err(Error::TooManyInFlight)
        ));
        // A place is free once one is used.
        assert_eq!(id(tokens.consume(now, &first)).as_deref(), Some("1"));
        tokens.insert(now, request("4")).unwrap();
    }

    /// Upstream: `TestConsume`.
    #[test]
    fn consume() {
        let (mut tokens, now) = tokens(10);
        let token = tokens.insert(now, request("1")).unwrap();
        assert_eq!(id(tokens.consume(now, &token)).as_deref(), Some("1"));
        assert!(tokens.consume(now, &token).is_none());
        assert!(tokens.consume(now, "unknown").is_none());

        let late = tokens.insert(now, request("2")).unwrap();
        let end = now + Duration::from_secs(60);
        assert!(
            tokens
                .consume(end + Duration::from_nanos(1), &late)
                .is_none()
        );
        assert!(tokens.consume(now, &late).is_none());
    }

    /// Upstream: `TestGC`.
    #[test]
    fn gc() {
        let (mut tokens, now) = tokens(2);
        let step = Duration::from_secs(40);
        tokens.insert(now, request("1")).unwrap();
        let second = tokens.insert(now + step, request("2")).unwrap();
        assert!(tokens.insert(now + step, request("3")).is_err());
        // The first is over by now, the second is not.
        let third = tokens.insert(now + 2 * step, request("3")).unwrap();
        assert_eq!(tokens.ages.len(), 2);
        assert_eq!(
            id(tokens.consume(now + 2 * step, &second)).as_deref(),
            Some("2")
        );
        assert_eq!(
            id(tokens.consume(now + 2 * step, &third)).as_deref(),
            Some("3")
        );
        tokens.insert(now + 2 * step, request("4")).unwrap();
        assert_eq!(tokens.ages.len(), 1);
    }

    #[test]
    fn tokens_are_unlike_each_other_without_a_seed() {
        let token = || {
            let mut tokens = Tokens::new(&StreamingConfig::default());
            tokens.insert(Instant::now(), request("1")).unwrap()
        };
        assert_ne!(token(), token());
        assert_eq!(format!("{:?}", tokens(1).0), "Tokens { waiting: 0, .. }");
    }
}
