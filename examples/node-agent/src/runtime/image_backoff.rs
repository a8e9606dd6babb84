use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use super::Backoff;
use crate::pod::PodUid;

/// Keeps images that could not be pulled from being asked for again at once, per pod.
#[derive(Clone, Debug)]
pub struct ImageBackoffs {
    backoff: Backoff<Key>,
    /// Why the last pull failed; only for what the back-off knows.
    causes: HashMap<Key, String>,
}

/// An image is not pulled yet, because it could not be before.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Back-off pulling image {image:?}: {cause}")]
pub struct ImageBackoff {
    /// The image, as the spec names it.
    pub image: String,
    /// Why the last pull failed.
    pub cause: String,
    /// Until when it is not pulled.
    pub expiry: Instant,
}

type Key = (PodUid, String);

impl ImageBackoffs {
    /// The first delay.
    pub const INITIAL: Duration = Duration::from_secs(10);

    /// The longest delay.
    pub const MAX: Duration = Duration::from_secs(300);

    /// Delays from `initial` up to `max`.
    pub fn new(initial: Duration, max: Duration) -> Self {
        Self {
            backoff: Backoff::new(initial, max),
            causes: HashMap::new(),
        }
    }

    /// Lets an image be pulled for a pod, or says how long that has to wait.
    ///
    /// # Errors
    ///
    /// The last pull failed too short a while ago.
    pub fn try_pull(&self, uid: &PodUid, image: &str, now: Instant) -> Result<(), ImageBackoff> {
        let key = (uid.clone(), image.to_owned());
        let Some(expiry) = self.backoff.expiry_since_update(&key, now) else {
            return Ok(());
        };
        let cause = self.causes.get(&key).cloned().unwrap_or_default();
        let (_, image) = key;
        Err(ImageBackoff {
            image,
            cause,
            expiry,
        })
    }

    /// Counts a pull that failed.
    pub fn failed(&mut self, uid: &PodUid, image: &str, cause: String, now: Instant) {
        let key = (uid.clone(), image.to_owned());
        self.backoff.fail(key.clone(), now, now);
        self.causes.insert(key, cause);
    }

    /// Drops what would be forgotten anyway.
    pub fn collect_garbage(&mut self, now: Instant) {
        self.backoff.collect_garbage(now);
        let backoff = &self.backoff;
        self.causes.retain(|key, _| backoff.contains(key));
    }
}

impl Default for ImageBackoffs {
    /// Delays from 10 s up to 300 s.
    fn default() -> Self {
        Self::new(Self::INITIAL, Self::MAX)
    }
}
